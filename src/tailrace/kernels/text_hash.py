"""A hash of each text of an Arrow column: FNV-1a (Fowler, Noll, Vo), mixed once more so that every bit counts.

It is not keyed and keeps nothing secret; it is the same on every machine and for ever, as decisions made by it are.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.compiling import compiled

Words = npt.NDArray[np.uint64]

_PRIME = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_MIX_FIRST, _MIX_SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@compiled
def _hash(data, offsets, seeds, hashes):
    for row in range(len(hashes)):
        state = _BASIS ^ seeds[row]
        for place in range(offsets[row], offsets[row + 1]):
            state = (state ^ np.uint64(data[place])) * _PRIME
        # The finaliser of MurmurHash3 (Appleby).
        state ^= state >> _SHIFT
        state *= _MIX_FIRST
        state ^= state >> _SHIFT
        state *= _MIX_SECOND
        hashes[row] = state ^ (state >> _SHIFT)


def hash_texts(texts: pa.StringArray, seeds: Words) -> Words:
    """A hash each; null is hashed as "". `seeds`, one a text, are a part of what is hashed."""
    hashes = np.empty(len(texts), np.uint64)
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, 4 * texts.offset)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    _hash(data, offsets, np.ascontiguousarray(seeds, np.uint64), hashes)
    return hashes


def warm_up() -> None:
    hash_texts(pa.array(["a"]), np.zeros(1, np.uint64))
