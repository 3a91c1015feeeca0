"""What both forms of a Loki push are read into: the buffers of its entries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tailrace.kernels.simd import WIDTH

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]

BROKEN_LINE, BROKEN_KEY, BROKEN_VALUE = 1, 2, 4
"""Bits: some line, metadata name or metadata value is not UTF-8."""

TOO_FAR_PAST, TOO_FAR_FUTURE = 1, 2
"""Values of `Buffers.odd`."""


class Bounds(NamedTuple):
    """`now_us` stands in for a timestamp outside of earliest and latest. The others are those of `IngestSettings`."""

    now_us: int
    earliest_us: int
    latest_us: int
    line_bytes_max: int
    fields_max: int


class Buffers(NamedTuple):
    """A row an entry: its time, the index of its stream, its line, and its metadata as pairs of key and value.

    `pairs[row]` to `pairs[row + 1]` are a row's pairs. `originals` holds what an odd time was: for JSON where its
    text starts and ends in the body, for protobuf its seconds and nanoseconds.
    """

    times: Integers
    streams: Offsets
    odd: Bytes
    originals: Integers
    lines: Bytes
    line_offsets: Offsets
    pairs: Offsets
    keys: Bytes
    key_offsets: Offsets
    values: Bytes
    value_offsets: Offsets


def buffers(rows: int, pairs: int, size: int) -> Buffers:
    """Room for so many rows and pairs of a body of `size` bytes: no text is longer than its source.

    Copies may write one vector past their end. Memory that is not written to is never touched.
    """
    line_offsets, pair_ends = np.empty(rows + 1, np.int32), np.empty(rows + 1, np.int32)
    key_offsets, value_offsets = np.empty(pairs + 1, np.int32), np.empty(pairs + 1, np.int32)
    line_offsets[0] = pair_ends[0] = key_offsets[0] = value_offsets[0] = 0
    return Buffers(
        times=np.empty(rows, np.int64),
        streams=np.empty(rows, np.int32),
        odd=np.empty(rows, np.uint8),
        originals=np.empty((rows, 2), np.int64),
        lines=np.empty(size + WIDTH, np.uint8),
        line_offsets=line_offsets,
        pairs=pair_ends,
        keys=np.empty(size + WIDTH, np.uint8),
        key_offsets=key_offsets,
        values=np.empty(size + WIDTH, np.uint8),
        value_offsets=value_offsets,
    )
