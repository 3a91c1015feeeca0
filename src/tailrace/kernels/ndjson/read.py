"""JSON events to Arrow buffers, in one pass over the bytes of a body.

The kernel reads objects, flat or nested, straight into the buffers of EVENT_SCHEMA. What it is not sure of it leaves
out, with the place: a key with escapes, a key that stands twice, a timestamp it cannot read, whatever is wrong or
past a limit. Those events take the plain-Python path (`ingest/json_slow.py`), which is its twin and oracle.

Buffers are sized by the body, once: a text is never longer than its JSON, and joined keys of nested objects are
held to KEY_GROWTH_MAX times the length of their event. Memory that is not written to is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.key_bits import repeats_key
from tailrace.kernels.name_table import name_table
from tailrace.kernels.ndjson.scan import COLUMNS, KEY_GROWTH_MAX, PREFIX_BYTES_MAX, TEXTS, scan_events
from tailrace.kernels.simd import WIDTH, count_byte
from tailrace.model.batch import EVENT_SCHEMA, LEVELS
from tailrace.model.level import LEVEL_ALIASES

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


class Framing(IntEnum):
    """What stands between two events."""

    LINES = 0
    ARRAY = 1
    """Commas, up to the closing bracket; the opening one is behind us."""
    VALUES = 2
    """Nothing but blanks; an event may take several lines."""


class Ending(IntEnum):
    """How a body ended."""

    COMPLETE = 0
    UNCLOSED = 1
    """An array without its closing bracket."""
    GOES_ON = 2
    """Something stands behind an element that is no comma or closing bracket, or behind that bracket."""


_TEXT_NAMES = ("level", "service", "host", "message", "trace_id", "span_id")
_LEVEL_NAMES = name_table(tuple(LEVEL_ALIASES))
_LEVEL_CODES = np.array([LEVELS.index(level) for level in LEVEL_ALIASES.values()])


class Names(NamedTuple):
    """Under which keys the event's own fields stand, index by index. Within a column, the one that wins is first."""

    table: npt.NDArray[np.uint64]
    columns: Integers
    scales: Integers
    """How numbers are read as levels: SCALE_… of `values.py`."""
    holds_object: npt.NDArray[np.bool_]
    """Whether an object under this name is a value, and not flattened."""


class Bounds(NamedTuple):
    """`now_us` stands in for a missing timestamp; one outside of earliest and latest is not the kernel's."""

    now_us: int
    earliest_us: int
    latest_us: int
    line_bytes_max: int
    fields_max: int
    nesting_max: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """`events`: those the kernel read, in EVENT_SCHEMA. `others`: an array of 4 columns for those it did not.

    Of the others: where they start and end in the body, their number (of the line, or of the element), and how many
    events of the kernel's stand before them. `numbers` is the highest number that was given.
    """

    events: pa.RecordBatch
    others: Integers
    numbers: int
    ending: Ending
    end: int
    """Where the reading ended; for GOES_ON, where what should not be there starts."""


def scan(body: bytes | memoryview, names: Names, bounds: Bounds, *, framing: Framing, start: int = 0) -> Scanned:
    """Read the events of `body[start:]`. The body is at most 512 MiB, so that 32-bit offsets do."""
    d = np.frombuffer(body, np.uint8)
    size = len(d) - start
    rows_max = _rows_max(d[start:], framing)
    attributes_max = size // len('"":0,') + 1
    # One allocation, cut into a region a column; copies may write one vector past their end.
    region = size + WIDTH
    level_region = rows_max * 5 + 8
    bases = np.array([0, *(level_region + i * region for i in range(TEXTS + 1))])
    data = np.empty(level_region + (TEXTS + KEY_GROWTH_MAX) * region, np.uint8)
    times = np.empty(rows_max, np.int64)
    offsets = np.zeros((TEXTS, rows_max + 1), np.int32)
    valid = np.zeros((TEXTS, rows_max), np.bool_)
    row_attributes = np.zeros(rows_max + 1, np.int32)
    # Sized for a body of nothing but attributes, and mostly left as they are.
    key_offsets = np.empty(attributes_max + 1, np.int32)
    value_offsets = np.empty(attributes_max + 1, np.int32)
    key_offsets[0] = value_offsets[0] = 0
    others = np.empty((rows_max, 4), np.int64)
    rows, others_count, numbers, ending, end = scan_events(
        d, start, int(framing), names, bounds, _LEVEL_NAMES, _LEVEL_CODES, data, bases, times, offsets, valid,
        row_attributes, key_offsets, value_offsets, others,
        np.zeros(TEXTS, np.int64), np.zeros(COLUMNS, np.int64), np.zeros(PREFIX_BYTES_MAX + 2 * WIDTH, np.uint8),
        np.zeros(bounds.nesting_max + 2, np.int64), np.zeros(32, np.uint8),
    )  # fmt: skip
    attributes = int(row_attributes[rows])
    texts = {
        name: _text_array(rows, offsets[i], data, bases[i], None if name == "message" else valid[i, :rows])
        for i, name in enumerate(_TEXT_NAMES)
    }
    keys = _text_array(attributes, key_offsets, data, bases[TEXTS + 1], None)
    values = _text_array(attributes, value_offsets, data, bases[TEXTS], None)
    timestamp_type = EVENT_SCHEMA.field("timestamp").type
    columns = [
        pa.Array.from_buffers(timestamp_type, rows, [None, pa.py_buffer(times)]),
        pa.array(np.full(rows, bounds.now_us, np.int64)).view(timestamp_type),
        *texts.values(),
        pa.MapArray.from_arrays(pa.array(row_attributes[: rows + 1]), keys, values),
    ]
    events = pa.RecordBatch.from_arrays(columns, schema=EVENT_SCHEMA)
    return Scanned(events, others[:others_count].copy(), numbers, Ending(ending), end)


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    nothing = Names(name_table(()), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    scan(b"{}", nothing, Bounds(0, 0, 0, 0, 0, 0), framing=Framing.LINES)
    # Arrays over Arrow's buffers are read-only, and numba compiles anew for those that are not.
    no_offsets = np.frombuffer(bytes(4), np.int32)
    repeats_key(no_offsets, no_offsets, np.frombuffer(bytes(1), np.uint8))


def _rows_max(d: Bytes, framing: Framing) -> int:
    if framing is Framing.LINES:
        return int(count_byte(d, 0x0A)) + 1
    # Elements are parted by commas; events one after the other each have a brace.
    return int(count_byte(d, 0x2C if framing is Framing.ARRAY else 0x7B)) + 1


def _text_array(
    count: int, offsets: npt.NDArray[np.int32], data: Bytes, base: int, valid: npt.NDArray[np.bool_] | None
) -> pa.StringArray:
    nulls = 0 if valid is None else count - int(np.count_nonzero(valid))
    bitmap = None if valid is None or nulls == 0 else pa.py_buffer(np.packbits(valid, bitorder="little"))
    text = pa.py_buffer(data[base : base + int(offsets[count])])
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets[: count + 1]), text, bitmap, nulls)
