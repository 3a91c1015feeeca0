"""A table of short names, found by their bytes in a few instructions.

Names are at most NAME_BYTES_MAX long, so that three overlapping 8-byte words and the length hold all of one: two
names are equal when these four numbers are. The table is open-addressed with linear probing, and never full.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tailrace.kernels.compiling import inlined
from tailrace.kernels.simd import load_word

NAME_BYTES_MAX = 24

_SLOT_BITS = 9
_SLOTS = 1 << _SLOT_BITS
_WORD = (1 << 64) - 1
# Odd numbers with well-mixed bits: the golden ratio's, and one of splitmix64's (Steele et al., 2014).
_GOLDEN = 0x9E3779B97F4A7C15
_SPLITMIX = 0xBF58476D1CE4E5B9

_GOLDEN_64 = np.uint64(_GOLDEN)
_SPLITMIX_64 = np.uint64(_SPLITMIX)
_SLOT_SHIFT = np.uint64(64 - _SLOT_BITS)
_ALL_64 = np.uint64(_WORD)
_BITS_64 = np.uint64(64)
_EIGHT = np.uint64(8)


def name_table(names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The table in which `find_name` finds the index of each of `names`.

    A row is a slot: the first, middle and last word, the length (0: empty), and the index + 1.
    """
    if len(names) > _SLOTS // 4:
        raise ValueError(f"{len(names)} names are too many for {_SLOTS} slots")
    table = np.zeros((_SLOTS, 5), np.uint64)
    for index, name in enumerate(names):
        encoded = name.encode()
        if len(encoded) > NAME_BYTES_MAX:
            raise ValueError(f"the name {name!r} is longer than {NAME_BYTES_MAX} bytes")
        first = int.from_bytes(encoded[:8], "little")
        middle = int.from_bytes(encoded[8:16], "little") if len(encoded) > 16 else 0
        last = int.from_bytes(encoded[-8:], "little") if len(encoded) > 8 else 0
        slot = (((first + last * _SPLITMIX + len(encoded)) * _GOLDEN) & _WORD) >> (64 - _SLOT_BITS)
        while table[slot, 3]:
            slot = (slot + 1) % _SLOTS
        table[slot] = (first, middle, last, len(encoded), index + 1)
    return table


@inlined
def _first_word(buffer, size, start, length):
    if start + 8 <= size:
        word = load_word(buffer, start)
        if length < 8:
            if length == 0:
                return np.uint64(0)
            word &= _ALL_64 >> (_BITS_64 - np.uint64(length) * _EIGHT)
        return word
    word = np.uint64(0)
    for i in range(min(length, 8)):
        word |= np.uint64(buffer[start + i]) << (np.uint64(i) * _EIGHT)
    return word


@inlined
def name_hash(buffer, size, start, length):
    """A hash of `buffer[start:start + length]`; `size` is how much of `buffer` may be read."""
    last = load_word(buffer, start + length - 8) if length > 8 else np.uint64(0)
    return (_first_word(buffer, size, start, length) + last * _SPLITMIX_64 + np.uint64(length)) * _GOLDEN_64


@inlined
def find_name(table, buffer, size, start, length):
    """The index of the name `buffer[start:start + length]`, or -1."""
    if length == 0 or length > NAME_BYTES_MAX:
        return -1
    first = _first_word(buffer, size, start, length)
    last = load_word(buffer, start + length - 8) if length > 8 else np.uint64(0)
    count = np.uint64(length)
    slot = np.int64(((first + last * _SPLITMIX_64 + count) * _GOLDEN_64) >> _SLOT_SHIFT)
    while table[slot, 3] != 0:
        if table[slot, 0] == first and table[slot, 2] == last and table[slot, 3] == count:
            middle = load_word(buffer, start + 8) if length > 16 else np.uint64(0)
            if table[slot, 1] == middle:
                return np.int64(table[slot, 4]) - 1
        slot = (slot + 1) % _SLOTS
    return -1
