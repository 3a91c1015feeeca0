"""The entries of a Loki push, from its bytes to Arrow arrays: allocation around the other modules here.

body ──find──> streams and entries by their places ──read──> rows and bad entries ──join──> attributes, levels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.kernels.json_text import starts_of, view_of
from tailrace.kernels.loki.entries import (
    BROKEN_KEY,
    BROKEN_LINE,
    BROKEN_VALUE,
    Bounds,
    Buffers,
    Bytes,
    Integers,
    Offsets,
    buffers,
)
from tailrace.kernels.loki.json import read_json
from tailrace.kernels.loki.json_find import find_json
from tailrace.kernels.loki.level import LEVEL_WORDS, find_levels
from tailrace.kernels.loki.protobuf import find_protobuf, read_protobuf
from tailrace.kernels.loki.rows import SUFFIX, copy_spans, distinct_texts, join_attributes, pick_columns
from tailrace.kernels.name_table import name_table
from tailrace.kernels.simd import WIDTH, count_byte
from tailrace.model.batch import ATTRIBUTES, LEVELS
from tailrace.model.level import LEVEL_ALIASES

_LEVEL_NAMES = name_table(tuple(LEVEL_ALIASES))
_LEVEL_CODES = np.array([LEVELS.index(level) for level in LEVEL_ALIASES.values()])
_WORD_CODES = np.array([LEVELS.index(LEVEL_ALIASES[word]) for word in LEVEL_WORDS])


class Form(IntEnum):
    JSON = 0
    PROTOBUF = 1


class Ending(IntEnum):
    """How the body ended."""

    COMPLETE = 0
    CUT_OFF = 1
    """Inside of something."""
    WRONG = 2
    """With a byte that cannot stand where it does."""


class Names(NamedTuple):
    """Names of metadata that are columns of their own, the first of a column's names wins.

    `columns` says which: 0 is the level, the others count on. `scales`: how numbers are read as levels, SCALE_….
    """

    table: npt.NDArray[np.uint64]
    columns: Integers
    scales: Integers


@dataclass(frozen=True, slots=True)
class Entries:
    """What a body holds.

    `streams`, a row a stream: where it starts and ends, where its labels do (-1: it has none), the number of
    entries before it, and, in protobuf, where in it the reading ended, in JSON, whether it is no stream at all.
    `places`, a row an entry: where it starts and ends, and its stream; `bad` are the indexes of those that are not
    good. The good ones are the rows of the others: their times, streams, lines, metadata.
    """

    streams: Offsets
    places: Offsets
    bad: Offsets
    ending: Ending
    end: int
    times: Integers
    row_streams: Offsets
    lines: pa.StringArray
    pair_rows: Offsets
    keys: pa.StringArray
    values: pa.StringArray
    odd: Integers
    """Rows whose time is too far from now, and is `now_us` instead."""
    oddities: Bytes
    """Which way: TOO_FAR_…, one for each of `odd`."""
    originals: Integers
    """For each of `odd` what its time was: see `entries.Buffers`."""


def read_entries(body: bytes, form: Form, bounds: Bounds) -> Entries:
    """All entries of a body of at most 512 MiB, so that 32-bit offsets do."""
    d = np.frombuffer(body, np.uint8)
    if form is Form.JSON:
        # Elements are parted by commas; a pair of metadata is `"":0,` or longer.
        count_max, pairs_max = int(count_byte(d, 0x2C)) + 2, len(d) // 5 + 1
    else:
        # A tag and a length.
        count_max, pairs_max = len(d) // 2 + 1, len(d) // 2 + 1
    streams, places = np.empty((count_max, 6), np.int32), np.empty((count_max, 3), np.int32)
    find = find_json if form is Form.JSON else find_protobuf
    streams_count, count, ending, end = find(d, streams, places)
    streams, places = streams[:streams_count], places[:count]
    out = buffers(count, pairs_max, len(d))
    bad = np.empty(count, np.int32)
    read = read_json if form is Form.JSON else read_protobuf
    rows, bad_count, broken = read(d, places, bounds, out, bad)
    pairs = int(out.pairs[rows])
    odd = np.flatnonzero(out.odd[:rows])
    return Entries(
        streams=streams,
        places=places,
        bad=bad[:bad_count],
        ending=Ending(ending),
        end=end,
        times=out.times[:rows],
        row_streams=out.streams[:rows],
        lines=_texts(rows, out.line_offsets, out.lines, broken & BROKEN_LINE != 0),
        pair_rows=out.pairs[: rows + 1],
        keys=_texts(pairs, out.key_offsets, out.keys, broken & BROKEN_KEY != 0),
        values=_texts(pairs, out.value_offsets, out.values, broken & BROKEN_VALUE != 0),
        odd=odd,
        oddities=out.odd[odd],
        originals=out.originals[odd],
    )


@dataclass(frozen=True, slots=True)
class Distinct:
    """The streams of a body that have entries, by their labels.

    `indexes`, for each stream of the body: which of the different labels it has, or -1 without entries. `firsts`, for
    each of the different labels: the first stream that has it.
    """

    indexes: Offsets
    firsts: Offsets


def distinct_streams(body: bytes, entries: Entries, count_max: int) -> Distinct | None:
    """None when there are more than `count_max` different ones."""
    used = np.flatnonzero(np.bincount(entries.places[:, 2], minlength=len(entries.streams)))
    spans = np.maximum(entries.streams[used, 2:4], 0)
    spans[entries.streams[used, 2] < 0] = 0
    firsts = np.empty(min(count_max, len(used)), np.int32)
    slots = np.zeros(1 << (2 * len(firsts)).bit_length(), np.int32)
    numbers = np.empty(len(used), np.int32)
    count = distinct_texts(np.frombuffer(body, np.uint8), spans, slots, numbers, firsts)
    if count < 0:
        return None
    indexes = np.full(len(entries.streams), -1, np.int32)
    indexes[used] = numbers
    return Distinct(indexes, used[firsts[:count]].astype(np.int32))


@dataclass(frozen=True, slots=True)
class StreamAttributes:
    """The attributes of streams. Only the first `kept` of each are written to its rows; a column has the others."""

    all: pa.MapArray
    kept: Offsets


def attributes_of(
    row_streams: Offsets, streams: StreamAttributes, pairs: pa.MapArray, names: Sequence[str], said: Bytes
) -> pa.MapArray:
    """The attributes of each row: those of its stream, an index into `streams`, and its own `pairs`.

    A pair with the name i of `names` is left out where bit i of the row's `said` is set. A name of a pair that the
    stream has gets SUFFIX. Of equal names the first one counts.
    """
    joined, own = _map_buffers(streams.all), _map_buffers(pairs)
    counts, key_sizes, value_sizes = _kept_sizes(streams)
    own_count = int(own[0][-1])
    rows = len(row_streams)
    count_max = int(counts[row_streams].sum(dtype=np.int64)) + own_count
    keys_size = int(key_sizes[row_streams].sum(dtype=np.int64)) + int(own[1][-1]) + own_count * len(SUFFIX)
    values_size = int(value_sizes[row_streams].sum(dtype=np.int64)) + int(own[3][-1])
    out = (
        np.empty(rows + 1, np.int32),
        np.empty(count_max + 1, np.int32),
        np.empty(keys_size + WIDTH, np.uint8),
        np.empty(count_max + 1, np.int32),
        np.empty(values_size + WIDTH, np.uint8),
    )
    count = join_attributes(
        _read_only(row_streams), joined, _read_only(streams.kept), own, name_table(names), said, out
    )
    return pa.MapArray.from_arrays(
        pa.array(out[0]), _string_array(count, out[1], out[2]), _string_array(count, out[3], out[4]), ATTRIBUTES
    )


def attributes_bytes(row_streams: Offsets, streams: StreamAttributes) -> int:
    """How many bytes the attributes of the rows' streams take when each row has its own, offsets included."""
    counts, key_sizes, value_sizes = _kept_sizes(streams)
    return int((key_sizes + value_sizes + 2 * streams.kept.itemsize * counts)[row_streams].sum())


@dataclass(frozen=True, slots=True)
class Picked:
    """`levels`: an index of LEVELS a row, or -1. `texts`: the other columns, None where no row has one."""

    levels: npt.NDArray[np.int8]
    texts: list[pa.StringArray | None]


def columns_of(pairs: pa.MapArray, names: Names) -> Picked:
    """The columns that stand among the rows' pairs."""
    rows = len(pairs)
    levels = np.full(rows, -1, np.int8)
    others = int(names.columns.max(initial=0))
    if len(pairs.items) == 0:
        return Picked(levels, [None] * others)
    winners = np.full((others, rows), -1, np.int32)
    pick_columns(
        _map_buffers(pairs), names.table, names.columns, names.scales, _LEVEL_NAMES, _LEVEL_CODES,
        np.zeros(32, np.uint8), levels, winners, np.zeros(others + 1, np.int64),
    )  # fmt: skip
    texts = [
        pairs.items.take(pa.array(winner, mask=winner < 0)) if (winner >= 0).any() else None for winner in winners
    ]
    return Picked(levels, texts)


def complete_levels(
    levels: npt.NDArray[np.int8], row_streams: Offsets, stream_levels: npt.NDArray[np.int8], lines: pa.StringArray
) -> None:
    """Give the rows without a level that of their stream, or else the one that their line states, in place."""
    find_levels(
        _read_only(row_streams), stream_levels, view_of(lines.buffers()[2], np.uint8), starts_of(lines),
        _LEVEL_NAMES, _LEVEL_CODES, _WORD_CODES, np.zeros(32, np.uint8), levels,
    )  # fmt: skip


def original_times(body: bytes, form: Form, originals: Integers) -> pa.StringArray:
    """What `Entries.originals` says, as text: as it was sent, or the seconds of protobuf with their fraction."""
    if form is Form.PROTOBUF:
        seconds, nanos = (pa.array(part).cast(pa.string()) for part in originals.T)
        return pc.binary_join_element_wise(seconds, pc.utf8_lpad(nanos, 9, "0"), ".")
    offsets = np.empty(len(originals) + 1, np.int32)
    out = np.empty(int((originals[:, 1] - originals[:, 0]).sum()) + WIDTH, np.uint8)
    copy_spans(np.frombuffer(body, np.uint8), originals, offsets, out)
    return _string_array(len(originals), offsets, out)


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    bounds = Bounds(0, -1 << 62, 1 << 62, 64, 8)
    for body, form in (
        (b'{"streams":[{"stream":{},"values":[["1","",{"a":"b"}]]}]}', Form.JSON),
        (b"\x0a\x0d\x0a\x00\x12\x09\x12\x00\x1a\x05\x0a\x01a\x12\x00", Form.PROTOBUF),
    ):
        entries = read_entries(body, form, bounds)
        pairs = pa.MapArray.from_arrays(pa.array(entries.pair_rows), entries.keys, entries.values, ATTRIBUTES)
        distinct_streams(body, entries, 1)
        original_times(body, form, np.zeros((1, 2), np.int64))
        picked = columns_of(pairs, Names(name_table(("a",)), np.zeros(1, np.int64), np.zeros(1, np.int64)))
        complete_levels(picked.levels, entries.row_streams, np.full(1, -1, np.int8), entries.lines)
        streams = StreamAttributes(pairs, np.ones(1, np.int32))
        attributes_of(entries.row_streams, streams, pairs, ("a",), np.zeros(1, np.uint8))


def _texts(count: int, offsets: Offsets, data: Bytes, broken: bool) -> pa.StringArray:
    texts = _string_array(count, offsets, data)
    if not broken:
        return texts
    return pa.array([each.decode(errors="replace") for each in texts.cast(pa.binary()).to_pylist()], pa.string())


def _string_array(count: int, offsets: Offsets, data: Bytes) -> pa.StringArray:
    text = pa.py_buffer(data[: int(offsets[count])])
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets[: count + 1]), text)


def _kept_sizes(streams: StreamAttributes) -> tuple[Integers, Integers, Integers]:
    """For each stream how many attributes are written, and the bytes of their keys and of their values."""
    rows, key_offsets, _, value_offsets, _ = _map_buffers(streams.all)
    first, last = rows[:-1], rows[:-1] + streams.kept
    return (
        streams.kept.astype(np.int64),
        key_offsets[last].astype(np.int64) - key_offsets[first],
        value_offsets[last].astype(np.int64) - value_offsets[first],
    )


def _map_buffers(array: pa.MapArray) -> tuple[Offsets, Offsets, Bytes, Offsets, Bytes]:
    """Rows, offsets and bytes of the keys, offsets and bytes of the values; none of them writable."""
    keys, values = array.keys, array.items
    rows = view_of(array.offsets.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    return (
        rows,
        starts_of(keys),
        view_of(keys.buffers()[2], np.uint8),
        starts_of(values),
        view_of(values.buffers()[2], np.uint8),
    )


def _read_only(array: Offsets) -> Offsets:
    view = array.view()
    view.flags.writeable = False
    return view


__all__ = [
    "Bounds",
    "Buffers",
    "Distinct",
    "Ending",
    "Entries",
    "Form",
    "Names",
    "Picked",
    "StreamAttributes",
    "attributes_bytes",
    "attributes_of",
    "columns_of",
    "complete_levels",
    "distinct_streams",
    "original_times",
    "read_entries",
    "warm_up",
]
