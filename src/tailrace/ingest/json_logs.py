"""JSON bodies: one object, an array of objects, or one object a line.

body ──framing──> kernel ──events, and the places it left out──> plain Python ──> one batch, in order
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.fields import ALIASES, MESSAGE_OBJECTS
from tailrace.ingest.json_slow import NotAnEvent, NotJson, NotParsed, Row, decode_event
from tailrace.ingest.timestamps import believable_us
from tailrace.kernels.name_table import name_table
from tailrace.kernels.ndjson.read import Bounds, Ending, Framing, Names, Scanned, scan
from tailrace.kernels.ndjson.values import SCALE_ANY, SCALE_OTEL, SCALE_SYSLOG
from tailrace.model.batch import batch_of_rows

BODY_BYTES_MAX = 512 << 20
"""Past this the 32-bit offsets of Arrow's strings could not be trusted to do."""

REJECTED_MAX = 10_000
"""So many lines or elements of a body are rejected one by one. The rest of the bad ones become one, by lines: a body
of 60 MB that is not JSON at all must not become 30 million Python objects."""

# A row is a kilobyte as Python objects, and a tenth of it in a batch.
_SLOW_ROWS = 4096

_BOM = b"\xef\xbb\xbf"
_BLANKS = b" \t\r\n"

_SCALES = {"any": SCALE_ANY, "syslog": SCALE_SYSLOG, "otel": SCALE_OTEL}
NAMES = Names(
    table=name_table([alias.name for alias in ALIASES]),
    columns=np.array([alias.column for alias in ALIASES], np.int64),
    scales=np.array([_SCALES[alias.scale] for alias in ALIASES], np.int64),
    holds_object=np.array([alias.name in MESSAGE_OBJECTS for alias in ALIASES]),
)
"""The names of `fields.py`, for the kernel."""


def decode_json(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """The events of a JSON body, which tells by itself how it is framed.

    * It starts with `[`: an array. `Rejected.line` is the element's number. An error in the syntax ends the array:
      the elements before it are kept, the rest is rejected as one. (When that is read as lines with more success,
      it is taken as lines.)
    * Its first line is not JSON by itself: objects one after the other, over several lines each, as pretty-printers
      write one; unless that leads to an error in the syntax.
    * Else: one object a line, LF or CRLF, blank lines left out. `Rejected.line` is the line's number.

    A UTF-8 byte order mark is left out. What an event means is in `json_slow`. A body without anything has no
    events and no rejected lines. Never raises for what is in the body, but `TooLarge` past BODY_BYTES_MAX.
    """
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"{len(body):,} bytes of JSON are more than {BODY_BYTES_MAX:,}; lower ingest.body_bytes_max")
    start = len(_BOM) if body.startswith(_BOM) else 0
    reader = _Reader(body, limits, now_us)
    first = _first_line(body, start)
    if first.startswith(b"["):
        array = reader.read_array(body.index(b"[", start) + 1)
        if array.whole:
            return array.decoded
        lines = reader.read_lines(start)
        return lines if lines.events.num_rows > array.decoded.events.num_rows else array.decoded
    if first and not reader.is_json(first):
        values = reader.read_values(start)
        if values is not None:
            return values
    return reader.read_lines(start)


def decode_json_lines(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """One object a line, whatever the first looks like: for lines of senders who do not know of each other."""
    return _Reader(body, limits, now_us).read_lines(0)


def _first_line(body: bytes, start: int) -> bytes:
    """The first line that is not blank, without the blanks around it."""
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        line = body[start:end].strip(_BLANKS)
        if line:
            return line
        start = end + 1
    return b""


@dataclass(frozen=True, slots=True)
class _Array:
    decoded: Decoded
    whole: bool


class _Reader:
    """One body, read in one framing or another."""

    def __init__(self, body: bytes, limits: IngestSettings, now_us: int) -> None:
        self._body = body
        self._limits = limits
        self._now_us = now_us
        earliest_us, latest_us = believable_us(limits, now_us)
        self._bounds = Bounds(
            now_us, earliest_us, latest_us, limits.line_bytes_max, limits.fields_max, limits.nesting_max
        )

    def is_json(self, raw: bytes) -> bool:
        """Whether it is one JSON value, be it an event or not."""
        try:
            self._decode(raw)
        except NotJson:
            return False
        except NotAnEvent:
            return True
        return True

    def read_lines(self, start: int) -> Decoded:
        scanned = self._scan(start, Framing.LINES)
        slow = SlowRows(self._now_us)
        bad = BadLines()
        for begin, end, number, before in places_of(scanned):
            raw = self._body[begin:end]
            if bad.full and not raw.startswith(b"{"):
                bad.add(number, "", raw)
                continue
            try:
                slow.add(self._decode(raw), before)
            except (NotJson, NotAnEvent) as error:
                bad.add(number, str(error), raw)
        return Decoded(self._join(scanned, slow), bad.rejected())

    def read_values(self, start: int) -> Decoded | None:
        """None when something is wrong with the syntax."""
        scanned = self._scan(start, Framing.VALUES)
        slow = SlowRows(self._now_us)
        bad = BadLines()
        for begin, end, number, before in places_of(scanned):
            raw = self._body[begin:end]
            try:
                slow.add(self._decode(raw), before)
            except (NotJson, NotParsed):
                return None
            except NotAnEvent as error:
                bad.add(number, str(error), raw)
        return Decoded(self._join(scanned, slow), bad.rejected())

    def read_array(self, start: int) -> _Array:
        scanned = self._scan(start, Framing.ARRAY)
        slow = SlowRows(self._now_us)
        bad = BadLines()
        for begin, end, number, before in places_of(scanned):
            raw = self._body[begin:end]
            try:
                slow.add(self._decode(raw), before)
            except NotAnEvent as error:
                bad.add(number, str(error), raw)
            except NotJson as error:
                reason = (
                    f"{error} of element {number}, at byte {begin + 1} of the body; the array is not read further"
                )
                rest = Rejected(number, reason, self._body[begin:])
                return _Array(Decoded(self._join(scanned, slow, before), [*bad.rejected(), rest]), whole=False)
        events = self._join(scanned, slow)
        if scanned.ending is Ending.COMPLETE:
            return _Array(Decoded(events, bad.rejected()), whole=True)
        reason = (
            "the array has no closing bracket; the body was cut off"
            if scanned.ending is Ending.UNCLOSED
            else f"not JSON: unexpected text behind element {scanned.numbers}, at byte {scanned.end + 1}"
        )
        rest = Rejected(scanned.numbers + 1, reason, self._body[scanned.end :])
        return _Array(Decoded(events, [*bad.rejected(), rest]), whole=False)

    def _scan(self, start: int, framing: Framing) -> Scanned:
        return scan(self._body, NAMES, self._bounds, framing=framing, start=start)

    def _decode(self, raw: bytes) -> Row:
        return decode_event(raw, limits=self._limits, now_us=self._now_us)

    def _join(self, scanned: Scanned, slow: SlowRows, rows: int | None = None) -> pa.RecordBatch:
        """The first `rows` of the kernel's events, and the slow ones in their places among them."""
        return slow.joined(scanned.events if rows is None else scanned.events.slice(0, rows))


class SlowRows:
    """Events that took the slow path, each with the number of the kernel's events before it."""

    def __init__(self, now_us: int) -> None:
        self.before: list[int] = []
        self._now_us = now_us
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Row, before: int) -> None:
        self.before.append(before)
        self._rows.append(row)
        if len(self._rows) == _SLOW_ROWS:
            self._pack()

    def joined(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The kernel's events with these in their places among them."""
        self._pack()
        if not self._batches:
            return events
        count = events.num_rows
        places = np.arange(count, count + len(self.before))
        return pa.concat_batches([events, *self._batches]).take(np.insert(np.arange(count), self.before, places))

    def _pack(self) -> None:
        if self._rows:
            self._batches.append(batch_of_slow_rows(self._rows, self._now_us))
            self._rows = []


class BadLines:
    """The rejected lines or elements of a body; those past REJECTED_MAX as one."""

    def __init__(self) -> None:
        self._rejected: list[Rejected] = []
        self._surplus_first = 0
        self._surplus_count = 0
        self._surplus_raw = bytearray()

    @property
    def full(self) -> bool:
        """From here on nobody reads the reasons."""
        return len(self._rejected) >= REJECTED_MAX

    def add(self, number: int, reason: str, raw: bytes) -> None:
        if not self.full:
            self._rejected.append(Rejected(number, reason, raw))
            return
        self._surplus_first = self._surplus_first or number
        self._surplus_count += 1
        self._surplus_raw += raw
        self._surplus_raw += b"\n"

    def rejected(self) -> list[Rejected]:
        if self._surplus_count == 0:
            return self._rejected
        reason = f"{self._surplus_count:,} more, from number {self._surplus_first} on, are not events"
        return [*self._rejected, Rejected(self._surplus_first, reason, bytes(self._surplus_raw[:-1]))]


def places_of(scanned: Scanned) -> Iterator[tuple[int, int, int, int]]:
    """The rows of `scanned.others`, some thousands of Python objects at a time."""
    for first in range(0, len(scanned.others), _SLOW_ROWS):
        yield from scanned.others[first : first + _SLOW_ROWS].tolist()


def batch_of_slow_rows(rows: list[Row], now_us: int) -> pa.RecordBatch:
    """A batch of EVENT_SCHEMA."""
    return batch_of_rows(
        {**row._asdict(), "observed_timestamp": now_us, "attributes": list(row.attributes.items())} for row in rows
    )
