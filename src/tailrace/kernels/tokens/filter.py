"""Binary fuse filters over token hashes: is this token surely absent from a row group?

Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters" (2022), with three places a key and
fingerprints of eight bits: 1/256 of the absent tokens pass, at 9.0 to 9.6 bits a distinct token. A blocked Bloom
filter of 512-bit blocks needs 12 bits for that rate. The three places of a key lie in neighbouring segments, so a
look-up touches two pages of the file, and a build that takes its keys in the order of their hashes stays in the
core's cache.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from tailrace.kernels.tokens.cut import Bools, Bytes, Int64s, Words, read_only

ATTEMPTS_MAX = 64
"""An attempt fails for about one set of keys in a hundred; this many failures in a row are not chance."""

PROBES_MAX = 64
"""Steps in the table of distinct hashes. Hashes made to collide run into it, and are sorted instead."""

_REMIX = np.uint64(0x9E3779B97F4A7C15)
_FINGERPRINT = np.uint64(0xC2B2AE3D27D4EB4F)


class FilterShape(NamedTuple):
    """The array's `segments + 2` segments have `segment_size` (a power of two) places of one byte each."""

    segment_size: int
    segments: int

    @property
    def size(self) -> int:
        return (self.segments + 2) * self.segment_size


def filter_shape(keys: int) -> FilterShape:
    """The paper's figures for three places a key (section 3)."""
    if keys == 0:
        return FilterShape(0, 0)
    segment_size = 1 << min(18, int(math.log(keys) / math.log(3.33) + 2.25))
    factor = max(1.125, 0.875 + 0.25 * math.log(1e6) / math.log(max(keys, 2)))
    return FilterShape(segment_size, max(1, math.ceil(keys * factor / segment_size) - 2))


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def _remixed(key: np.uint64, attempt: np.uint64) -> np.uint64:
    """Attempt 0 takes the hashes as they are, so that their order is that of the places."""
    if attempt == np.uint64(0):
        return key
    key = (key ^ (attempt * _REMIX)) * _FINGERPRINT
    key ^= key >> np.uint64(31)
    key *= _REMIX
    return key ^ (key >> np.uint64(33))


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def _places(key: np.uint64, segment_size: np.uint64, span: np.uint64) -> tuple[np.int64, np.int64, np.int64]:
    mask = segment_size - np.uint64(1)
    first = ((key >> np.uint64(32)) * span) >> np.uint64(32)
    second = (first + segment_size) ^ ((key >> np.uint64(18)) & mask)
    third = (first + segment_size + segment_size) ^ (key & mask)
    return np.int64(first), np.int64(second), np.int64(third)


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def _fingerprint(key: np.uint64) -> np.uint8:
    return np.uint8((key * _FINGERPRINT) >> np.uint64(56))


@njit(nogil=True, cache=True, boundscheck=False)
def collect_distinct(hashes: Words, table: Words, shift: int) -> bool:
    """Put the hashes into `table`, each once; False when it gets crowded.

    A hash's slot is given by its upper bits, `hash >> shift`, so the table comes to lie nearly in order. Its last
    PROBES_MAX places are a margin that no hash starts in.
    """
    for token in range(len(hashes)):
        key = hashes[token]
        slot = np.int64(key >> np.uint64(shift))
        last = slot + PROBES_MAX
        while table[slot] != np.uint64(0) and table[slot] != key:
            slot += 1
            if slot == last:
                return False
        table[slot] = key
    return True


@njit(nogil=True, cache=True, boundscheck=False)
def drain(table: Words, keys: Words) -> int:
    """Move what is in the table to `keys`, in order, and leave the table empty."""
    count = 0
    for slot in range(len(table)):
        key = table[slot]
        if key != np.uint64(0):
            keys[count] = key
            count += 1
            table[slot] = np.uint64(0)
    return count


@njit(nogil=True, cache=True, boundscheck=False)
def fill_filter(
    keys: Words, segment_size: int, segments: int, counts: Bytes, sums: Words, queue: Int64s, order: Words, out: Bytes
) -> int:
    """Fill `out` so that every key passes; return the attempt that succeeded, or -1.

    `counts`, `sums` and `queue` are scratch of the filter's size, `order` of twice the number of keys.
    """
    size = np.uint64(segment_size)
    span = np.uint64(segments) * size
    length = len(out)
    amount = len(keys)
    for attempt in range(ATTEMPTS_MAX):
        for place in range(length):
            counts[place] = 0
            sums[place] = np.uint64(0)
        crowded = np.uint8(0)
        for index in range(amount):
            key = _remixed(keys[index], np.uint64(attempt))
            one, two, three = _places(key, size, span)
            # Upper six bits: how many keys; lower two: the exclusive or of which of its three places this is.
            counts[one] += np.uint8(4)
            sums[one] ^= key
            counts[two] = np.uint8(counts[two] + np.uint8(4)) ^ np.uint8(1)
            sums[two] ^= key
            counts[three] = np.uint8(counts[three] + np.uint8(4)) ^ np.uint8(2)
            sums[three] ^= key
            crowded |= counts[one] | counts[two] | counts[three]
        if crowded >= np.uint8(128):
            continue  # 32 keys or more in one place: before the six bits run over
        waiting = 0
        for place in range(length):
            queue[waiting] = place
            if counts[place] >> np.uint8(2) == np.uint8(1):
                waiting += 1
        taken = 0
        while waiting > 0:
            waiting -= 1
            place = queue[waiting]
            if counts[place] >> np.uint8(2) != np.uint8(1):
                continue
            key = sums[place]
            which = counts[place] & np.uint8(3)
            order[2 * taken] = key
            order[2 * taken + 1] = np.uint64(which)
            taken += 1
            one, two, three = _places(key, size, span)
            for number in range(3):
                if number == which:
                    continue
                neighbour = one if number == 0 else (two if number == 1 else three)
                sums[neighbour] ^= key
                counts[neighbour] = np.uint8(counts[neighbour] - np.uint8(4)) ^ np.uint8(number)
                if counts[neighbour] >> np.uint8(2) == np.uint8(1):
                    queue[waiting] = neighbour
                    waiting += 1
        if taken != amount:
            continue
        for place in range(length):
            out[place] = 0
        for index in range(taken - 1, -1, -1):
            key = order[2 * index]
            which = np.int64(order[2 * index + 1])
            one, two, three = _places(key, size, span)
            value = _fingerprint(key) ^ out[one] ^ out[two] ^ out[three]
            if which == 0:
                out[one] = value
            elif which == 1:
                out[two] = value
            else:
                out[three] = value
        return attempt
    return -1


@njit(nogil=True, cache=True, boundscheck=False)
def filters_pass(
    key: np.uint64,
    payload: Bytes,
    offsets: Int64s,
    segment_sizes: Int64s,
    segments: Int64s,
    attempts: Int64s,
    passed: Bools,
) -> None:
    """For each filter, laid out in `payload` from `offsets[i]` on: may it hold the key?

    A filter of segment size 0 holds nothing; one of attempt -1 may hold anything.
    """
    for index in range(len(offsets)):
        if attempts[index] < 0:
            passed[index] = True
        elif segment_sizes[index] == 0:
            passed[index] = False
        else:
            mixed = _remixed(key, np.uint64(attempts[index]))
            size = np.uint64(segment_sizes[index])
            one, two, three = _places(mixed, size, np.uint64(segments[index]) * size)
            base = offsets[index]
            value = payload[base + one] ^ payload[base + two] ^ payload[base + three]
            passed[index] = value == _fingerprint(mixed)


def warm_up(key: np.uint64) -> None:
    """Compile the kernels of this module, or load them from their cache."""
    keys = np.array([key], np.uint64)
    table = np.zeros(2 + PROBES_MAX, np.uint64)
    collect_distinct(keys, table, 63)
    drain(table, keys)
    shape = filter_shape(1)
    out = np.zeros(shape.size, np.uint8)
    sums, queue, order = np.empty(shape.size, np.uint64), np.empty(shape.size, np.int64), np.empty(2, np.uint64)
    fill_filter(keys, shape.segment_size, shape.segments, np.empty(shape.size, np.uint8), sums, queue, order, out)
    zero = np.zeros(1, np.int64)
    filters_pass(key, read_only(out.tobytes(), np.uint8), zero, zero, zero, zero, np.empty(1, np.bool_))
