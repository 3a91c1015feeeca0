"""Lines of text to events: the time, the level and what else the line's format tells; the line itself stays whole.

    bytes ──lines──> texts ──layouts (learnt)──> times, levels ──reader of the format──> host, service, attributes

A line without a time of its own (of a stack trace, say) has the time of the line before it, and the arrival's when
there is none before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.text.access import looks_like_access, read_access
from tailrace.ingest.text.attributes import attribute_map
from tailrace.ingest.text.columns import Columns, Format, coalesce
from tailrace.ingest.text.dates import Reference
from tailrace.ingest.text.levels import head_words, levels_of, program_words, redis_words
from tailrace.ingest.text.lines import FALLBACK_ENCODING, split_lines
from tailrace.ingest.text.logfmt import looks_like_logfmt, read_logfmt
from tailrace.ingest.text.stamps import StampReader, Stamps
from tailrace.ingest.text.syslog import (
    RFC3164_HEAD,
    looks_like_rfc3164,
    looks_like_rfc5424,
    read_rfc3164,
    read_rfc5424,
)
from tailrace.model.batch import EVENT_SCHEMA, TIMESTAMP

TEXT_FORMATS: tuple[str, ...] = get_args(Format)

_LOOKS_LIKE: dict[Format, Callable[[str], bool]] = {
    "json": lambda line: line.startswith("{") and line.rstrip().endswith("}"),
    "rfc5424": looks_like_rfc5424,
    "access": looks_like_access,
    "rfc3164": looks_like_rfc3164,
    "logfmt": looks_like_logfmt,
}
_READERS: dict[str, Callable[[pa.StringArray], Columns]] = {
    "rfc5424": read_rfc5424,
    "rfc3164": read_rfc3164,
    "access": read_access,
    "logfmt": read_logfmt,
}

_SAMPLE_LINES = 256


def guess_format(sample: bytes) -> Format:
    """The format that at least half of the first lines have; `found` where none has that many."""
    # Not `splitlines`: JSON may have other line ends of Unicode inside.
    lines = [line.strip() for line in sample.decode("utf-8", "replace").split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES]]
    lines = [line.lstrip("\ufeff") for line in lines if line]
    for name, looks_like in _LOOKS_LIKE.items():
        if lines and sum(map(looks_like, lines)) * 2 >= len(lines):
            return name
    return "found"


class TextDecoder:
    """Decodes the chunks of one stream of lines; what it learnt from a chunk holds for the next. One thread."""

    def __init__(
        self,
        format: Format | None = None,
        *,
        limits: IngestSettings,
        zone_offset_s: int = 0,
        service: str | None = None,
        host: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """`format` None: guessed from the first chunk. `zone_offset_s`: of times that tell no zone, east of UTC.

        `service`, `host` and `attributes` are given to events whose lines do not tell them. Raises `BadInput` for
        a format of another name.
        """
        if format is not None and format not in TEXT_FORMATS:
            raise BadInput(f"format {format!r} is not known; choose one of {', '.join(TEXT_FORMATS)}")
        self.format: Format | None = format
        self._limits = limits
        self._zone_offset_s = zone_offset_s
        self._service = service
        self._host = host
        self._attributes = dict(attributes or {})
        self._stamp_reader = StampReader()
        self._last_us: int | None = None
        self._lines_seen = 0

    def decode(
        self,
        chunk: bytes,
        *,
        now_us: int,
        reference_us: int | None = None,
        written_us: np.ndarray | None = None,
    ) -> Decoded:
        """Events of whole lines, in their order. `chunk` ends at a line's end, or at the stream's.

        `reference_us`: when the lines were written at the latest (a file's time of modification), which tells the
        year that a line leaves out; None: now. `written_us`: when each line was written, where something beside the
        line tells; it is the time of lines that tell none. Lines that are too long are rejected, with their number
        in the stream. JSON is not read here, but by `json_logs.decode_json`: raises `BadInput`.
        """
        if self.format is None:
            self.format = guess_format(chunk[: 1 << 20])
        if self.format == "json":
            raise BadInput("JSON lines have a decoder of their own; send them as application/x-ndjson")
        lines = split_lines(chunk, line_bytes_max=self._limits.line_bytes_max, first_line=self._lines_seen + 1)
        texts, rows = lines.texts, len(lines.texts)
        if written_us is not None and lines.rejected:
            written_us = np.delete(written_us, [line.line - self._lines_seen - 1 for line in lines.rejected])
        self._lines_seen += rows + len(lines.rejected)
        told = _READERS[self.format](texts) if self.format in _READERS else Columns()
        reference = Reference(now_us if reference_us is None else reference_us, self._zone_offset_s)
        times_us, levels = self._times_and_levels(texts, told, reference, now_us, written_us)

        attributes = {name: pa.array([value] * rows, pa.string()) for name, value in self._attributes.items()}
        if lines.fallback.any():
            attributes["encoding"] = pc.if_else(pa.array(lines.fallback), FALLBACK_ENCODING, None)
        attributes |= told.attributes
        events = pa.RecordBatch.from_arrays(
            [
                pa.array(times_us).cast(TIMESTAMP),
                pa.array(np.full(rows, now_us, np.int64)).cast(TIMESTAMP),
                levels,
                coalesce(told.service, self._service, rows),
                coalesce(told.host, self._host, rows),
                texts,
                coalesce(told.trace_id, None, rows),
                coalesce(told.span_id, None, rows),
                attribute_map(attributes, rows),
            ],
            schema=EVENT_SCHEMA,
        )
        return Decoded(events, lines.rejected)

    def _times_and_levels(
        self,
        texts: pa.StringArray,
        told: Columns,
        reference: Reference,
        now_us: int,
        written_us: np.ndarray | None,
    ) -> tuple[np.ndarray, pa.StringArray]:
        if self.format == "plain":
            times_us = np.full(len(texts), now_us, np.int64) if written_us is None else written_us
            return times_us, pa.nulls(len(texts), pa.string())
        if told.stamps is not None:
            stamps = self._stamp_reader.read(pc.fill_null(told.stamps, ""), reference)
            levels = coalesce(told.level, None, len(texts))
        else:
            stamps = self._stamp_reader.read(texts, reference)
            levels = coalesce(told.level, None, len(texts))
            if self.format != "access":
                levels = pc.coalesce(levels, self._levels(texts, stamps))
        if written_us is not None:
            return np.where(stamps.layout_of >= 0, stamps.times_us, written_us), levels
        return self._carried(stamps, now_us), levels

    def _levels(self, texts: pa.StringArray, stamps: Stamps) -> pa.StringArray:
        """Each layout's column of levels first; then, where it holds none, a level marked in the line's head."""
        pieces, places = [], []
        for index in np.unique(stamps.layout_of):
            rows = np.flatnonzero(stamps.layout_of == index)
            its = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
            pieces.append(levels_of(self._level_words(its, int(index))))
            places.append(rows)
        if not pieces:
            return pa.nulls(len(texts), pa.string())
        back = np.argsort(np.concatenate(places), kind="stable")
        return pa.concat_arrays(pieces).take(pa.array(back))

    def _level_words(self, texts: pa.StringArray, layout_index: int) -> pa.StringArray:
        if layout_index < 0:
            return head_words(texts, "^\ufeff?\\s*")
        layout = self._stamp_reader.layouts[layout_index]
        if layout.kind.name == "day-month-year" and layout.words_before == 1:
            words = redis_words(texts)
            if words.null_count < len(words):
                return words
        words = pa.nulls(len(texts), pa.string())
        if "letter" in layout.kind.groups:
            return pc.extract_regex(texts, layout.stamp_pattern).field("letter")
        by_syslog = self.format == "rfc3164" or layout.kind.name == "month-day"
        if by_syslog:
            is_syslog = pc.match_substring_regex(texts, RFC3164_HEAD)
        if layout.level is not None:
            found = pc.extract_regex(texts, layout.level_pattern)
            words = pc.if_else(found.is_valid(), found.field("level"), None)
            if by_syslog:
                # A word of a program's sentence that happens to stand in the same place is none.
                words = pc.if_else(pc.and_(is_syslog, pc.invert(pc.utf8_is_upper(words))), None, words)
            if words.null_count == 0:
                return words
        if by_syslog:
            words = pc.coalesce(words, program_words(texts, RFC3164_HEAD))
            return pc.if_else(is_syslog, words, pc.coalesce(words, head_words(texts, layout.head_pattern)))
        return pc.coalesce(words, head_words(texts, layout.head_pattern))

    def _carried(self, stamps: Stamps, now_us: int) -> np.ndarray:
        """The times, with the one before it for each line that has none of its own."""
        own = stamps.layout_of >= 0
        before_us = now_us if self._last_us is None else self._last_us
        source = np.maximum.accumulate(np.where(own, np.arange(len(own)), -1))
        times_us = np.where(source >= 0, stamps.times_us[source], before_us)
        if own.any():
            self._last_us = int(times_us[-1])
        return times_us
