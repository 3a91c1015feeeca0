"""OTLP log records to Arrow buffers, in one pass over their bytes in protobuf's wire format.

The kernel reads what nearly all programs send: texts, numbers and booleans. What it is not sure of it leaves out,
with the place: nested values, bytes, a key that stands twice, a text that is not UTF-8, an absurd time, whatever is
wrong or past a limit. Those records take the plain-Python path (`ingest/otlp/events.py`), its twin and oracle.

The attributes of resource and scope are read once for each scope, by that path, and copied for each record here. That
makes a body larger: the caller bounds by how much (`shared_bytes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.kernels.name_table import name_table
from tailrace.kernels.ndjson.read import Bounds
from tailrace.kernels.otlp.find import FOUND, TOO_MANY, find_records
from tailrace.kernels.otlp.json_find import find_json
from tailrace.kernels.otlp.scan import KEYS, MESSAGE, REGIONS, SPAN, TEXTS, TRACE, VALUES, scan_records
from tailrace.kernels.simd import WIDTH, count_byte
from tailrace.model.batch import EVENT_SCHEMA, LEVELS, TIMESTAMP
from tailrace.model.level import LEVEL_ALIASES

Integers = npt.NDArray[np.int64]

_LEVEL_NAMES = name_table(tuple(LEVEL_ALIASES))
_LEVEL_CODES = np.array([LEVELS.index(level) for level in LEVEL_ALIASES.values()])
_LEVELS = pa.array(LEVELS)

# An attribute is at least a tag and a length, of itself, its key and its value, each a byte.
_ATTRIBUTE_BYTES_MIN = 6
# The names of the attributes that are made of a record's other fields, together.
_MADE_KEYS_BYTES = 72
# Two bytes of a number are three digits, and a boolean is five letters.
_TEXT_GROWTH_MAX = 2


@dataclass(frozen=True, slots=True)
class Found:
    """`records` and `groups` as `find.py` has them."""

    records: Integers
    groups: Integers


@dataclass(frozen=True, slots=True)
class FoundInJson:
    """`messages` is the records in the wire format, to which `records` points; `spans`, two columns, to the body."""

    messages: npt.NDArray[np.uint8]
    records: Integers
    spans: Integers
    groups: Integers


class Blocks(NamedTuple):
    """What the records of each group have in common, as buffers: the attributes `first[g]` to `first[g + 1]`.

    `odd` groups, and all their records, are left to others. `fields` is how many fields count for each record.
    """

    odd: npt.NDArray[np.bool_]
    first: Integers
    fields: Integers
    keys: npt.NDArray[np.uint8]
    values: npt.NDArray[np.uint8]
    key_offsets: Integers
    value_offsets: Integers


@dataclass(frozen=True, slots=True)
class Scanned:
    """`events` lack service and host, which are null. `groups` is the group of each, and `others` an array of two
    columns for the records that were not read: their index, and how many events stand before them.
    """

    events: pa.RecordBatch
    groups: Integers
    others: Integers


def find(body: bytes, *, rows_max: int) -> Found | int | None:
    """The records of a request; None when there are more than `rows_max`, the byte where it is damaged when it is."""
    # A record is two bytes or more.
    capacity = min(rows_max, len(body) // 2)
    records = np.empty((capacity, 3), np.int64)
    groups = np.empty((capacity, 4), np.int64)
    rows, count, ending, place = find_records(np.frombuffer(body, np.uint8), records, groups)
    if ending == TOO_MANY:
        return None
    return Found(records[:rows], groups[:count]) if ending == FOUND else int(place)


def find_in_json(body: bytes, *, rows_max: int, line_bytes_max: int) -> FoundInJson | int | None:
    """The same for a request in JSON. A record of more than `line_bytes_max` is left to others."""
    d = np.frombuffer(body, np.uint8)
    # A record and a group each have a brace.
    capacity = min(rows_max, int(count_byte(d, 0x7B)))
    records = np.empty((capacity, 5), np.int64)
    groups = np.empty((capacity, 4), np.int64)
    messages = np.empty(len(body) + 4 * WIDTH, np.uint8)
    rows, count, ending, place = find_json(d, messages, records, groups, line_bytes_max)
    if ending == TOO_MANY:
        return None
    if ending != FOUND:
        return int(place)
    used = int(records[:rows, 4].max(initial=0))
    messages = messages[:used]
    messages.flags.writeable = False
    return FoundInJson(messages, np.ascontiguousarray(records[:rows, [3, 4, 2]]), records[:rows, :2], groups[:count])


def shared_bytes(rows: Integers, blocks: Blocks) -> int:
    """What the copies of the groups' attributes take, when each group has so many rows."""
    attributes = np.diff(blocks.first)
    texts = np.diff((blocks.key_offsets + blocks.value_offsets)[blocks.first])
    return int((rows * (texts + attributes * 2 * 4)).sum())


def scan(messages: npt.NDArray[np.uint8], records: Integers, blocks: Blocks, bounds: Bounds, shared: int) -> Scanned:
    """Read the records, `records` as `find.py` has them but that a start of -1 leaves one to others.

    `messages` is not writable; with `shared`, of `shared_bytes`, it stays below 1 GiB.
    """
    n, count = len(messages), len(records)
    own = _TEXT_GROWTH_MAX * n + WIDTH
    sizes = np.zeros(REGIONS, np.int64)
    sizes[[MESSAGE, VALUES, KEYS]] = own
    # What is not kept, because something later in its record is odd, is written all the same.
    sizes[KEYS] += _MADE_KEYS_BYTES * count
    sizes[[VALUES, KEYS]] += shared + int((blocks.key_offsets + blocks.value_offsets)[-1]) + 1024
    sizes[TRACE], sizes[SPAN] = 32 * (count + 1) + WIDTH, 16 * (count + 1) + WIDTH
    bases = np.concatenate([[0], np.cumsum(sizes)])
    data = np.empty(int(bases[-1]), np.uint8)
    # Each attribute of a record's own, five that may be made of its other fields, and the shared ones.
    attributes_max = n // _ATTRIBUTE_BYTES_MIN + 5 * count + shared // 8 + len(blocks.key_offsets) + 8
    times = np.empty(count, np.int64)
    levels = np.empty(count, np.int8)
    groups = np.empty(count, np.int64)
    offsets = np.zeros((TEXTS, count + 1), np.int32)
    valid = np.zeros((TEXTS, count), np.bool_)
    row_attributes = np.zeros(count + 1, np.int32)
    key_offsets = np.empty(attributes_max + 1, np.int32)
    value_offsets = np.empty(attributes_max + 1, np.int32)
    key_offsets[0] = value_offsets[0] = 0
    doubles_max = n // 8 + 1
    double_places = np.empty(doubles_max, np.int64)
    doubles = np.empty(doubles_max, np.uint64)
    others = np.empty((count, 2), np.int64)
    rows, others_count, doubles_count = scan_records(
        messages, records, blocks, bounds, _LEVEL_NAMES, _LEVEL_CODES, data, bases, times, levels, offsets, valid,
        groups, row_attributes, key_offsets, value_offsets, double_places, doubles, others,
        np.zeros(32, np.uint8),
    )  # fmt: skip
    attributes = int(row_attributes[rows])
    keys = _texts(attributes, key_offsets, data, bases[KEYS])
    values = _texts(attributes, value_offsets, data, bases[VALUES])
    if doubles_count:
        values = _with_doubles(values, double_places[:doubles_count], doubles[:doubles_count])
    nothing = pa.nulls(rows, pa.string())
    known = levels[:rows]
    columns = [
        pa.Array.from_buffers(TIMESTAMP, rows, [None, pa.py_buffer(times)]),
        pa.array(np.full(rows, bounds.now_us, np.int64)).view(TIMESTAMP),
        _LEVELS.take(pa.array(known, mask=known < 0)),
        nothing,
        nothing,
        _texts(rows, offsets[MESSAGE], data, bases[MESSAGE]),
        _texts(rows, offsets[TRACE], data, bases[TRACE], valid[TRACE, :rows]),
        _texts(rows, offsets[SPAN], data, bases[SPAN], valid[SPAN, :rows]),
        pa.MapArray.from_arrays(pa.array(row_attributes[: rows + 1]), keys, values),
    ]
    events = pa.RecordBatch.from_arrays(columns, schema=EVENT_SCHEMA)
    return Scanned(events, groups[:rows], others[:others_count])


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    body = b"\x0a\x06\x12\x04\x12\x02\x38\x01"
    found = find(body, rows_max=1)
    assert isinstance(found, Found)
    find_in_json(b"{}", rows_max=1, line_bytes_max=1)
    nothing = np.frombuffer(b"", np.uint8)
    zeros = np.zeros(2, np.int64)
    blocks = Blocks(np.zeros(1, np.bool_), zeros, zeros, nothing, nothing, zeros[:1], zeros[:1])
    scan(np.frombuffer(body, np.uint8), found.records, blocks, Bounds(0, 0, 0, 64, 64, 1), 0)


def _texts(
    count: int, offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], base: int,
    valid: npt.NDArray[np.bool_] | None = None,
) -> pa.StringArray:  # fmt: skip
    nulls = 0 if valid is None else count - int(np.count_nonzero(valid))
    bitmap = None if valid is None or nulls == 0 else pa.py_buffer(np.packbits(valid, bitorder="little"))
    text = pa.py_buffer(data[base : base + int(offsets[count])])
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets[: count + 1]), text, bitmap, nulls)


def _with_doubles(values: pa.StringArray, places: Integers, bits: npt.NDArray[np.uint64]) -> pa.StringArray:
    mask = np.zeros(len(values), np.bool_)
    mask[places] = True
    texts = pa.array(bits.view(np.float64)).cast(pa.string())
    return pc.replace_with_mask(values, pa.array(mask), texts)
