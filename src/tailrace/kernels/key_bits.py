"""Keys of a map's entry: whether one stands twice."""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.name_table import name_hash


@inlined
def key_bit_of(data, size, key, count):
    """The key's bit in a Bloom filter of 64 bits; `size` is how much of `data` may be read."""
    return np.uint64(1) << ((name_hash(data, size, key, count) >> np.uint64(40)) & np.uint64(63))


@inlined
def has_key(data, key, count, others, base, key_offsets, first, last):
    """Whether one of the keys `first` to `last` of `others` is that of `count` bytes at `data[key]`.

    `base` is where in `others` the offsets count from.
    """
    for i in range(first, last):
        if key_offsets[i + 1] - key_offsets[i] != count:
            continue
        other = base + key_offsets[i]
        same = True
        for j in range(count):
            if others[other + j] != data[key + j]:
                same = False
                break
        if same:
            return True
    return False


@compiled
def repeats_key(row_offsets, key_offsets, data):
    """Whether a row of a map has a key twice: the map's offsets, and its keys' offsets and bytes.

    Quadratic in the keys of a row when their bits fall together; the caller bounds them.
    """
    for row in range(len(row_offsets) - 1):
        first, last = np.int64(row_offsets[row]), np.int64(row_offsets[row + 1])
        bits = np.uint64(0)
        for i in range(first, last):
            key = np.int64(key_offsets[i])
            count = np.int64(key_offsets[i + 1]) - key
            bit = key_bit_of(data, len(data), key, count)
            if bits & bit != 0 and has_key(data, key, count, data, 0, key_offsets, first, i):
                return True
            bits |= bit
    return False
