"""The bytes of a followed file to what is posted: events as columns, or JSON lines as they are.

    bytes ──lines──> taken out of their wrapping ──decoded, one row a line──> joined to events
                                                              └─ how far: what comes next may still belong to the rest

What a range of bytes becomes depends on these bytes alone, but for what was learnt of the layout of times. So a range
that is sent again makes the same events, in the same number.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.client.send_source import service_name
from tailrace.client.shipper.containers import Unwrapped, Wrapping, stream_codes, unwrap, wrapping_of
from tailrace.client.shipper.finding import text_of
from tailrace.client.shipper.multiline import Flags, Joining, Rows, group_lines, heads_of, joined
from tailrace.client.shipper.names import container_of
from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TextDecoder, guess_format
from tailrace.model.batch import EVENT_SCHEMA, TIMESTAMP, empty_batch

_SAMPLE_BYTES = 64 << 10

# Of each event of a container's JSON: room for what the file's name tells.
_NAMED_FIELDS_MAX = 16
_LIMITS = IngestSettings()
_INNER_LIMITS = _LIMITS.model_copy(update={"fields_max": _LIMITS.fields_max - _NAMED_FIELDS_MAX})


@dataclass(frozen=True, slots=True)
class ShipReading:
    """How all files are read. `format` None: found out for each. `node`: the host of containers' events."""

    format: Format | Wrapping | None = None
    joining: Joining = field(default_factory=Joining)
    service: str | None = None
    host: str | None = None
    zone_offset_s: int = 0
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What the first `end` bytes hold. `events`: EVENT_SCHEMA and, behind it, columns that the server makes
    attributes of. `json`: lines for the server to decode. `refused`: lines that are too long for an event.
    """

    end: int
    events: pa.RecordBatch
    json: bytes = b""
    refused: tuple[bytes, ...] = ()


class Reader:
    """Of one file, in the order of its bytes. One thread."""

    def __init__(self, paths: Iterable[Path], reading: ShipReading) -> None:
        """`paths`: the name under which the file was found first; then its own, where that was a link."""
        paths = tuple(paths)
        self._reading = reading
        self._paths = paths
        self._container = container_of(paths)
        self._decoder: TextDecoder | None = None
        self._lines_decoded = 0

    def read(self, data: bytes, *, settled: bool, now_us: int, reference_us: int | None = None) -> Read:
        """Events of `data`, which is whole lines. Unless it is `settled`, what the next line may still belong to is
        left out, and `end` is where that begins.
        """
        read = self._read(data, settled, now_us, reference_us)
        if 0 < read.end < len(data) and self._kind(data[: read.end]) != self._kind(data):
            # Read again, for it must be read in the way in which it would be after a crash: by itself.
            return self._read(data[: read.end], True, now_us, reference_us)
        return read

    def _kind(self, data: bytes) -> tuple[Wrapping | None, bool]:
        text = data.lstrip(b"\0")
        wrapping = self._wrapping(text)
        return wrapping, wrapping is None and self._format(text) == "json"

    def _read(self, data: bytes, settled: bool, now_us: int, reference_us: int | None) -> Read:
        # A file that was cut under a writer that did not notice begins with a hole.
        text = data.lstrip(b"\0")
        skipped = len(data) - len(text)
        if not text:
            return Read(len(data), empty_batch(EVENT_SCHEMA))
        wrapping = self._wrapping(text)
        if wrapping is not None:
            return self._wrapped(text, skipped, wrapping, settled, now_us)
        format = self._format(text)
        if format == "json":
            return Read(len(data), empty_batch(EVENT_SCHEMA), text if text.endswith(b"\n") else text + b"\n")
        ends = _line_ends(text)
        decoded = self._text(format).decode(text, now_us=now_us, reference_us=reference_us)
        rejected_at = self._places(decoded, len(ends))
        events = decoded.events
        groups = group_lines(events.column("message"), self._reading.joining)
        heads = heads_of(groups.starts)
        kept, cut = events.num_rows, len(ends)
        if not settled and groups.unsettled < kept:
            kept = groups.unsettled
            cut = int(np.delete(np.arange(len(ends)), rejected_at)[kept])
        refused = tuple(line.raw for line, at in zip(decoded.rejected, rejected_at, strict=True) if at < cut)
        end = skipped + int(ends[cut - 1]) if cut else 0
        return Read(end, joined(events.slice(0, kept), heads[:kept]), b"", refused)

    def _places(self, decoded: Decoded, lines: int) -> Rows:
        """The places of the rejected lines among the `lines` that were decoded last, from 0."""
        before, self._lines_decoded = self._lines_decoded, self._lines_decoded + lines
        return np.array([line.line - before - 1 for line in decoded.rejected], np.int64)

    def _wrapping(self, data: bytes) -> Wrapping | None:
        format = self._reading.format
        if format in ("docker", "cri"):
            return "docker" if format == "docker" else "cri"
        return wrapping_of(_sample(data)) if format is None else None

    def _format(self, data: bytes) -> Format:
        format = self._reading.format
        if format is not None and format != "docker" and format != "cri":
            return format
        guessed = guess_format(_sample(data))
        # Each piece is JSON or text for itself: a program may print a banner, or a trace, between its JSON.
        if guessed == "json" or self._decoder is None or self._decoder.format is None:
            return guessed
        return self._decoder.format

    def _text(self, format: Format, *, container: bool = False) -> TextDecoder:
        if self._decoder is None:
            reading = self._reading
            service = reading.service or (None if container else service_name(Path(text_of(self._paths[0]))))
            attributes = {} if container else {"log.file.path": text_of(self._paths[0].absolute())}
            self._decoder = TextDecoder(
                format,
                limits=_LIMITS,
                zone_offset_s=reading.zone_offset_s,
                service=service,
                host=reading.host,
                attributes=attributes,
            )
        return self._decoder

    def _wrapped(self, data: bytes, skipped: int, wrapping: Wrapping, settled: bool, now_us: int) -> Read:
        ends = _line_ends(data)
        inner = unwrap(_binary_lines(data, ends), wrapping)
        open_lines = inner.first[~inner.whole]
        if not settled and len(open_lines):
            # What the beginning of a line looks like says nothing about the line.
            inner = inner.whole_lines()
        times_us = np.where(inner.times_us < 0, now_us, inner.times_us)
        events, row_of, refused = self._inner_events(inner, times_us, now_us)
        streams = inner.streams.take(pa.array(row_of))
        heads, unsettled = self._stream_groups(events.column("message"), streams)
        cut_line = len(ends)
        if not settled:
            open_lines = np.concatenate((inner.first[row_of[unsettled]], open_lines))
            cut_line = _cut_before(open_lines, inner.first[row_of][heads], inner.last[row_of], cut_line)
        kept = inner.first[row_of] < cut_line
        count = int(kept.sum())
        # Rows are in the order of their lines, so what is kept is a beginning, and heads stand before their rows.
        events = joined(events.slice(0, count), heads[:count])
        streams = streams.take(pa.array(np.unique(heads[:count])))
        end = skipped + int(ends[cut_line - 1]) if cut_line else 0
        raw = tuple(line for row, line in refused if inner.first[row] < cut_line)
        return Read(end, self._named(events, streams), b"", raw)

    def _stream_groups(self, messages: pa.StringArray, streams: pa.StringArray) -> tuple[Rows, Rows]:
        """The head of each row, and the rows from which on the events of a stream are not settled."""
        codes = stream_codes(streams)
        heads = np.arange(len(messages))
        unsettled = []
        for code in np.unique(codes):
            its = np.flatnonzero(codes == code)
            groups = group_lines(
                messages if len(its) == len(messages) else messages.take(pa.array(its)), self._joining
            )
            heads[its] = its[heads_of(groups.starts)]
            if groups.unsettled < len(its):
                unsettled.append(its[groups.unsettled])
        return heads, np.array(unsettled, np.int64)

    @property
    def _joining(self) -> Joining:
        return self._reading.joining

    def _inner_events(
        self, inner: Unwrapped, times_us: np.ndarray, now_us: int
    ) -> tuple[pa.RecordBatch, Rows, list[tuple[int, bytes]]]:
        """One event a row of `inner` in their order, the row of each, and the rows that are too long to be one."""
        lines = inner.lines
        like_json = np.asarray(pc.match_substring_regex(lines, r"^\{.*\}\r?$"))
        parts: list[pa.RecordBatch] = []
        rows: list[np.ndarray] = []
        if like_json.any():
            its = np.flatnonzero(like_json)
            events, good = _json_events(lines.take(pa.array(its)), times_us[its], now_us)
            parts.append(events)
            rows.append(its[good])
            like_json[its[~good]] = False
        refused: list[tuple[int, bytes]] = []
        if not like_json.all():
            its = np.flatnonzero(~like_json)
            blob = _joined_lines(lines.take(pa.array(its)))
            format = guess_format(_sample(blob))
            decoder = self._text("found" if format == "json" else format, container=True)
            decoded = decoder.decode(blob, now_us=now_us, written_us=times_us[its])
            at = self._places(decoded, len(its))
            refused = [(int(its[place]), line.raw) for place, line in zip(at, decoded.rejected, strict=True)]
            parts.append(decoded.events)
            rows.append(np.delete(its, at))
        if not parts:
            return empty_batch(EVENT_SCHEMA), np.zeros(0, np.int64), refused
        row_of = np.concatenate(rows)
        order = np.argsort(row_of, kind="stable")
        events = parts[0] if len(parts) == 1 else pa.concat_batches(parts)
        return events.take(pa.array(order)) if len(parts) > 1 else events, row_of[order], refused

    def _named(self, events: pa.RecordBatch, streams: pa.StringArray) -> pa.RecordBatch:
        """With the container's service and host where the line names none, and with a column for each attribute."""
        rows = events.num_rows
        container = self._container
        service = (
            self._reading.service
            or (container.service if container else None)
            or service_name(Path(text_of(self._paths[0])))
        )
        host = self._reading.host or self._reading.node or socket.gethostname()
        for name, value in (("service", service), ("host", host)):
            column = events.schema.get_field_index(name)
            filled = pc.fill_null(events.column(column), value)
            events = events.set_column(column, EVENT_SCHEMA.field(name), filled)
        attributes = {
            "log.file.path": text_of(self._paths[0].absolute()),
            **(container.attributes if container else {}),
        }
        columns = [*events.columns, streams, *(_constant(value, rows) for value in attributes.values())]
        return pa.RecordBatch.from_arrays(columns, [*events.schema.names, "stream", *attributes])


def _sample(data: bytes) -> bytes:
    """The first lines. The last of them is whole: half a line of JSON is none."""
    return data[: data.find(b"\n", _SAMPLE_BYTES) + 1 or len(data)]


def _json_events(lines: pa.BinaryArray, times_us: np.ndarray, now_us: int) -> tuple[pa.RecordBatch, Flags]:
    """Events of the lines that are JSON events; which of the lines they are."""
    good = np.ones(len(lines), bool)
    decoded = decode_json(_joined_lines(lines), limits=_INNER_LIMITS, now_us=now_us)
    bad = [rejected.line - 1 for rejected in decoded.rejected]
    if decoded.events.num_rows + len(bad) != len(lines):
        # The first line was not JSON after all, and all were read in another way.
        return empty_batch(EVENT_SCHEMA), ~good
    good[bad] = False
    told_us = np.asarray(decoded.events.column("timestamp").cast(pa.int64()))
    # The time of arrival is that of events that tell none.
    settled = pa.array(np.where(told_us == now_us, times_us[good], told_us)).cast(TIMESTAMP)
    return decoded.events.set_column(0, EVENT_SCHEMA.field(0), settled), good


def _cut_before(open_lines: Rows, first: Rows, last: Rows, lines: int) -> int:
    """The number of the line before which nothing is open and no event is cut in two. `first` and `last`: where the
    event of each row begins and the row ends, for those of another stream may lie between.
    """
    cut: int = min([lines, *open_lines.tolist()])
    while (over := (first < cut) & (last >= cut)).any():
        cut = int(first[over].min())
    return cut


def _line_ends(data: bytes) -> Rows:
    """The place behind each line's end; the last line may lack it."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    return ends if not data or data.endswith(b"\n") else np.append(ends, len(data))


def _binary_lines(data: bytes, ends: Rows) -> pa.BinaryArray:
    """Each line without its line feed."""
    whole = data if data.endswith(b"\n") else data + b"\n"
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    offsets[-1] = len(whole)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(whole)]
    return pc.binary_slice(pa.Array.from_buffers(pa.binary(), len(ends), buffers), 0, -1)


def _joined_lines(lines: pa.BinaryArray) -> bytes:
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), b"\n")[0].as_py()
    return bytes(whole) + b"\n"


def _constant(value: str, rows: int) -> pa.DictionaryArray:
    # The columns of all files of a shipment become one, with all their values.
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))
