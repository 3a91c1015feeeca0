"""Protobuf's wire format: numbers and fields, from bytes.

Source: "Encoding" of the Protocol Buffers documentation.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import inlined

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@inlined
def read_varint(d, p, end):
    """The number at `p`, in 64 bits, and the index behind it; -1 when it does not end before `end` or is too long."""
    value = np.int64(0)
    shift = 0
    while p < end and shift < 70:
        c = np.int64(d[p])
        p += 1
        if shift < 63:
            value |= (c & 0x7F) << shift
        else:
            value |= (c & 1) << 63
        if c < 0x80:
            return value, p
        shift += 7
    return np.int64(0), -1


@inlined
def read_size(d, p, end):
    """The length at `p`, and where what it tells of starts; -1 when that goes past `end`."""
    size, p = read_varint(d, p, end)
    if p < 0 or size < 0 or size > end - p:
        return np.int64(0), -1
    return size, p


@inlined
def skip_field(d, p, end, tag):
    """The index behind the content at `p` of a field with this tag; -1 when there is no such field."""
    wire = tag & 7
    number = tag >> 3
    if number <= 0 or number >= 1 << 29:
        return -1
    if wire == VARINT:
        _, p = read_varint(d, p, end)
        return p
    if wire == BYTES:
        size, p = read_size(d, p, end)
        return p + size if p >= 0 else -1
    if wire == FIXED64:
        return p + 8 if p + 8 <= end else -1
    if wire == FIXED32:
        return p + 4 if p + 4 <= end else -1
    return -1
