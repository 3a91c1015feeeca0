"""Where MessagePack values end, from bytes (github.com/msgpack/msgpack/blob/master/spec.md).

A value is walked without a stack: a container only adds its elements to those that are still to come. So a walk may
stop where the bytes end, and go on from there when more have come.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined

BROKEN = -1
"""Instead of a count: the byte 0xc1, which MessagePack never uses."""

# By format, from 0xc0 on: how many bytes of length follow it, and how many bytes behind those belong to the value
# beside what the length says. An extension has a byte for its type.
_LENGTH_BYTES = np.zeros(32, np.int64)
_FIXED_BYTES = np.zeros(32, np.int64)
for _first, _more in ((0xC4, 0), (0xC7, 1)):
    for _power in range(3):
        _LENGTH_BYTES[_first - 0xC0 + _power] = 1 << _power
        _FIXED_BYTES[_first - 0xC0 + _power] = _more
for _first in (0xCC, 0xD0):
    _FIXED_BYTES[_first - 0xC0 : _first - 0xC0 + 4] = (1, 2, 4, 8)
_FIXED_BYTES[0xCA - 0xC0 : 0xCC - 0xC0] = (4, 8)
_FIXED_BYTES[0xD4 - 0xC0 : 0xD9 - 0xC0] = (2, 3, 5, 9, 17)
_LENGTH_BYTES[0xD9 - 0xC0 : 0xDC - 0xC0] = (1, 2, 4)
_LENGTH_BYTES[0xDC - 0xC0 : 0xE0 - 0xC0] = (2, 4, 2, 4)


@inlined
def big_endian(d, p, count):
    """The unsigned number in `count` bytes, at most 7 of which are used to their full, as int64."""
    value = 0
    for i in range(p, p + count):
        value = (value << 8) | np.int64(d[i])
    return value


@inlined
def header(d, p, n):
    """What stands at `p`: the size of the header, that of the payload behind it, and how many values follow that.

    The size of the header is BROKEN for what is not MessagePack, and 0 when it does not end before `n`.
    """
    c = np.int64(d[p])
    if c <= 0x7F or c >= 0xE0:
        return 1, 0, 0
    if c <= 0x8F:
        return 1, 0, 2 * (c & 0x0F)
    if c <= 0x9F:
        return 1, 0, c & 0x0F
    if c <= 0xBF:
        return 1, c & 0x1F, 0
    if c == 0xC1:
        return BROKEN, 0, 0
    length_bytes = _LENGTH_BYTES[c - 0xC0]
    fixed = _FIXED_BYTES[c - 0xC0]
    if length_bytes == 0:
        return 1, fixed, 0
    if p + 1 + length_bytes > n:
        return 0, 0, 0
    length = big_endian(d, p + 1, length_bytes)
    if c >= 0xDE:
        return 1 + length_bytes, 0, 2 * length
    if c >= 0xDC:
        return 1 + length_bytes, 0, length
    return 1 + length_bytes, fixed + length, 0


@compiled
def skip_values(d, p, n, pending):
    """Walk over `pending` values of `d[p:n]`, with all that they hold.

    Returns the index behind the last value that is whole, or whose elements have begun, and how many values are
    still to come: 0 when all are behind us, BROKEN when what stands at the index is not MessagePack.
    """
    while pending > 0:
        if p >= n:
            break
        head, payload, children = header(d, p, n)
        if head == BROKEN:
            return p, BROKEN
        if head == 0 or p + head + payload > n:
            break
        p += head + payload
        pending += children - 1
    return p, pending
