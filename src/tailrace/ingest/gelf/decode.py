"""GELF, Graylog's extended log format: JSON with names of its own (GELF 1.1, the payload specification).

Read as any JSON event, and then:

* What an additional field `_name` says is the attribute `name`; a `_name` that an event's own field may have
  (`fields.py`) is the service, the host, the trace or the span where nothing else tells it.
* `version` is of the format, not of the event, and left out.
* `full_message` is an attribute, and the message where there is no short one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.fields import TEXT_NAMES
from tailrace.ingest.json_logs import decode_json, decode_json_lines
from tailrace.model.batch import ATTRIBUTES, EVENT_SCHEMA

GELF = "application/vnd.tailrace.gelf"
"""Content type of GELF in dead letters."""

_VERSION = "version"
_NUL_TO_LF = bytes.maketrans(b"\0\n\r", b"\n  ")
_COLUMNS = {
    "service": tuple(f"_{name}" for name in TEXT_NAMES["service"]),
    "host": tuple(f"_{name}" for name in TEXT_NAMES["host"]),
    "trace_id": tuple(f"_{name}" for name in TEXT_NAMES["trace_id"]),
    "span_id": tuple(f"_{name}" for name in TEXT_NAMES["span_id"]),
    "message": ("full_message",),
}
"""Where a column's text is found when the event has none for it."""


def decode_gelf(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """One message, messages one a line or after the other, an array of them, or messages that each end with a NUL.

    As `decode_json` otherwise: what is not a JSON object is rejected with its place.
    """
    if b"\0" in body:
        return decode_gelf_lines(lines_of_frames(body), limits=limits, now_us=now_us)
    return _shaped(decode_json(body, limits=limits, now_us=now_us))


def decode_gelf_lines(lines: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """One message a line, of one sender or of several."""
    return _shaped(decode_json_lines(lines, limits=limits, now_us=now_us))


def lines_of_frames(frames: bytes) -> bytes:
    """Messages that each end with a NUL, one a line: outside of its texts JSON may be broken at any blank."""
    return frames.translate(_NUL_TO_LF)


def _shaped(decoded: Decoded) -> Decoded:
    if not decoded.events.num_rows:
        return decoded
    return Decoded(_with_additional(decoded.events), decoded.rejected)


def _with_additional(events: pa.RecordBatch) -> pa.RecordBatch:
    """The same events, their additional fields under their own names."""
    entries = _Entries(events.column("attributes"))
    columns = {field.name: events.column(field.name) for field in EVENT_SCHEMA}
    for column, names in _COLUMNS.items():
        columns[column] = entries.fill(columns[column], names, empty="" if column == "message" else None)
    entries.leave_out(_VERSION)
    columns["attributes"] = entries.finished()
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=EVENT_SCHEMA)


class _Entries:
    """The attributes of all rows, entry by entry."""

    def __init__(self, attributes: pa.MapArray) -> None:
        offsets = attributes.offsets.to_numpy().astype(np.int64)
        first, last = int(offsets[0]), int(offsets[-1])
        self._rows = len(attributes)
        self._row_of = np.repeat(np.arange(self._rows), np.diff(offsets))
        keys = attributes.keys.slice(first, last - first).dictionary_encode()
        self._items = attributes.items.slice(first, last - first)
        self._names: list[str] = keys.dictionary.to_pylist()
        self._code_of = {name: code for code, name in enumerate(self._names)}
        self._codes: npt.NDArray[np.int64] = keys.indices.to_numpy().astype(np.int64)
        self._kept = np.ones(len(self._codes), np.bool_)

    def fill(self, column: pa.StringArray, names: tuple[str, ...], *, empty: str | None) -> pa.StringArray:
        """Rows without a value, or whose value is `empty`, get that of the first of these names; its entry goes."""
        for name in names:
            code = self._code_of.get(name)
            if code is None:
                continue
            missing = column.is_null() if empty is None else pc.equal(column, empty)
            wanted = missing.to_numpy(zero_copy_only=False)
            taken = np.flatnonzero((self._codes == code) & wanted[self._row_of])
            mask = np.zeros(self._rows, np.bool_)
            mask[self._row_of[taken]] = True
            column = pc.replace_with_mask(column, pa.array(mask), self._items.take(pa.array(taken)))
            self._kept[taken] = False
        return column

    def leave_out(self, name: str) -> None:
        code = self._code_of.get(name)
        if code is not None:
            self._kept &= self._codes != code

    def finished(self) -> pa.MapArray:
        """Without the underscores, but where two names of a row would be alike then."""
        plain = [name[1:] if len(name) > 1 and name.startswith("_") else name for name in self._names]
        # The names as they were come first, so that their places are their codes.
        places = {name: place for place, name in enumerate(dict.fromkeys([*self._names, *plain]))}
        place_of = np.array([places[name] for name in plain], np.int64)
        kept = np.flatnonzero(self._kept)
        rows, codes = self._row_of[kept], self._codes[kept]
        found = place_of[codes] if len(codes) else codes
        found = np.where(_twice(rows, found, len(places)), codes, found)
        # `__a`, `_a` and `a` in one row.
        found = np.where(np.isin(rows, rows[_twice(rows, found, len(places))]), codes, found)
        keys = pa.array(list(places), pa.string()).take(pa.array(found))
        offsets = np.zeros(self._rows + 1, np.int32)
        np.cumsum(np.bincount(rows, minlength=self._rows), out=offsets[1:])
        return pa.MapArray.from_arrays(pa.array(offsets), keys, self._items.take(pa.array(kept))).cast(ATTRIBUTES)


def _twice(rows: npt.NDArray[np.int64], names: npt.NDArray[np.int64], names_count: int) -> npt.NDArray[np.bool_]:
    """Which entries have the name of another in their row."""
    _, place, count = np.unique(rows * names_count + names, return_inverse=True, return_counts=True)
    twice: npt.NDArray[np.bool_] = count[place] > 1
    return twice
