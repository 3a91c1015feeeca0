"""Cut the texts of an Arrow column into tokens and hash them, each byte looked at once.

The token rule is that of `tailrace.query.tree`: the longest runs of [0-9A-Za-z_] and bytes >= 0x80, compared after
ASCII lower-casing. The end of a text is the end of a token.

Two passes. `fold_bytes` has no branches, so the compiler turns it into vector code: it lower-cases token bytes and
makes all others zero. `cut_tokens` then reads eight bytes at a time, finds the token's end as the first zero byte of
the word, and mixes the word into the hash. A token of up to eight bytes is one word, its hash a bijection of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

PADDING_BYTES = 16
"""Zero bytes that must follow the folded text, so that a word may be read at its last byte."""

SKETCH_BITS = 15
"""The sketch counts tokens by the upper bits of their hash: 32,768 counters are 128 KiB, a part of any L2 cache."""


class Tokens(NamedTuple):
    """Tokens, one a place: hash, where the token starts in the folded text, and its length in bytes."""

    hashes: Words
    starts: Int64s
    lengths: Int32s


_SEED = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)


@njit(nogil=True, cache=True, boundscheck=False)
def fold_bytes(source: Bytes, folded: Bytes) -> int:
    """Lower-case the token bytes of `source` into `folded`, zero for all others; count the runs of token bytes."""
    runs = 0
    before = np.uint8(0)
    for place in range(len(source)):
        byte = source[place]
        lower = np.uint8(byte | np.uint8(0x20))
        letter = np.uint8(lower - np.uint8(97)) < np.uint8(26)
        digit = np.uint8(byte - np.uint8(48)) < np.uint8(10)
        other = (byte >= np.uint8(128)) | (byte == np.uint8(95))
        kept = lower if letter else (byte if digit | other else np.uint8(0))
        folded[place] = kept
    for place in range(len(source)):
        kept = folded[place]
        runs += (kept != np.uint8(0)) & (before == np.uint8(0))
        before = kept
    return runs


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def word_at(words: Words, place: int) -> np.uint64:
    """The eight bytes from `place` on, little-endian, from a view of the bytes as aligned words."""
    index = place >> 3
    shift = np.uint64((place & 7) << 3)
    return np.uint64((words[index] >> shift) | ((words[index + 1] << np.uint64(1)) << (np.uint64(63) - shift)))


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def mixed(state: np.uint64, word: np.uint64) -> np.uint64:
    state = (state ^ word) * _MULTIPLIER
    return state ^ (state >> np.uint64(32))


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def finished(state: np.uint64) -> np.uint64:
    state *= _MULTIPLIER
    state ^= state >> np.uint64(29)
    state *= _SEED
    state ^= state >> np.uint64(32)
    return state if state != np.uint64(0) else _SEED  # zero marks an empty slot in tables of hashes


@njit(nogil=True, cache=True, boundscheck=False)
def cut_tokens(
    folded: Bytes,
    words: Words,
    base: int,
    offsets: Int32s,
    validity: Bytes,
    validity_offset: int,
    tokens: Tokens,
    position: int,
    value_tokens: Int64s,
    sketch: Int32s,
) -> int:
    """Append every token of every value to `tokens`, from `position` on; return the new end.

    Value i lies in `folded` from `base + offsets[i] - offsets[0]` on; `words` is the same memory as aligned words.
    `validity` is Arrow's bitmap (empty: no nulls), its first bit at `validity_offset`; a null has no tokens.
    `value_tokens[i]:value_tokens[i + 1]` become the places of value i's tokens. `sketch` counts hashes by their
    upper SKETCH_BITS bits.
    """
    first = offsets[0]
    nullable = len(validity) > 0
    for value in range(len(offsets) - 1):
        value_tokens[value] = position
        if nullable:
            bit = value + validity_offset
            if not (validity[bit >> 3] >> np.uint8(bit & 7)) & np.uint8(1):
                continue
        place = base + int(offsets[value] - first)
        end = base + int(offsets[value + 1] - first)
        while True:
            while place < end and folded[place] == 0:
                place += 1
            if place >= end:
                break
            start = place
            state = _SEED
            while True:
                word = word_at(words, place)
                zeros = (word - _ONES) & ~word & _HIGHS
                left = end - place
                if zeros == np.uint64(0) and left >= 8:
                    state = mixed(state, word)
                    place += 8
                    continue
                size = 8
                if zeros != np.uint64(0):
                    # The lowest bit set is the upper one of the first zero byte; below it lie `size` whole bytes.
                    below = ((zeros & (~zeros + np.uint64(1))) - np.uint64(1)) & _ONES
                    size = int((below * _ONES) >> np.uint64(56)) - 1
                size = min(size, left)
                if size > 0:
                    state = mixed(state, word & ((np.uint64(1) << np.uint64(size << 3)) - np.uint64(1)))
                    place += size
                break
            token_hash = finished(state)
            tokens.hashes[position] = token_hash
            tokens.starts[position] = start
            tokens.lengths[position] = place - start
            position += 1
            sketch[np.int64(token_hash >> np.uint64(64 - SKETCH_BITS))] += 1
    value_tokens[len(offsets) - 1] = position
    return position


@njit(nogil=True, cache=True, boundscheck=False)
def _hash_folded(words: Words, size: int) -> np.uint64:
    state = _SEED
    for index in range((size + 7) >> 3):
        state = mixed(state, words[index])
    return finished(state)


def hash_token(token: str) -> np.uint64:
    """The hash of one token, as `cut_tokens` computes it. The token must be one, upper case allowed."""
    text = token.encode("utf-8", "surrogatepass").lower()
    words = read_only(text + bytes(-len(text) % 8 + 8), np.uint64)
    return np.uint64(_hash_folded(words, len(text)))


def read_only(buffer: Any, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """The content of a buffer, aligned and read-only, so that the kernels are compiled for one type only."""
    array = np.require(np.frombuffer(buffer, dtype), requirements="A")
    array.flags.writeable = False
    return array
