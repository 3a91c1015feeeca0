"""Texts, numbers and times of MessagePack as JSON, from bytes.

What is not sure, text that is not UTF-8 say, is left by UNSURE to the plain-Python path.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.json_text import put_escaped
from tailrace.kernels.msgpack.walk import big_endian
from tailrace.kernels.ndjson.values import is_utf8
from tailrace.kernels.simd import WIDTH, beyond_ascii, copy_wide, lowest_bit, text_ends

UNSURE = -1


@inlined
def put(w, q, literal):
    """Write a few bytes; returns the index behind them."""
    for i in range(len(literal)):
        w[q + i] = literal[i]
    return q + len(literal)


@inlined
def put_digits(w, q, value):
    """An unsigned 64-bit number."""
    digits = 1
    rest = value // np.uint64(10)
    while rest > np.uint64(0):
        digits += 1
        rest //= np.uint64(10)
    for i in range(q + digits - 1, q - 1, -1):
        w[i] = 0x30 + np.int64(value % np.uint64(10))
        value //= np.uint64(10)
    return q + digits


@compiled
def put_text(d, p, end, w, q):
    """The JSON string of the text `d[p:end]`, and the index behind it; UNSURE when it is not UTF-8."""
    begin = p
    only_ascii = True
    w[q] = 0x22
    q += 1
    while p < end:
        if p + WIDTH <= len(d):
            copy_wide(w, q, d, p)
            count = min(end - p, WIDTH)
            inside = (1 << count) - 1
            ends = text_ends(d, p) & inside
            high = beyond_ascii(d, p) & inside
            if high != 0:
                only_ascii = False
            if ends == 0:
                p += count
                q += count
                continue
            count = lowest_bit(ends)
            p += count
            q += count
        only_ascii = only_ascii and d[p] < 0x80
        q = put_escaped(w, q, d[p])
        p += 1
    w[q] = 0x22
    if not only_ascii and not is_utf8(d, begin, end):
        return UNSURE
    return q + 1


@inlined
def is_text(c):
    """Whether a text starts with this byte, or binary data, which loggers have for text."""
    return 0xA0 <= c <= 0xBF or 0xD9 <= c <= 0xDB or 0xC4 <= c <= 0xC6


@inlined
def unsigned(d, p, count):
    """The big-endian number in `count` bytes, up to 8, as uint64."""
    value = np.uint64(0)
    for i in range(p, p + count):
        value = (value << np.uint64(8)) | np.uint64(d[i])
    return value


@inlined
def put_integer(d, p, w, q):
    """The digits of the integer at `p`; UNSURE when there is none."""
    c = np.int64(d[p])
    if c <= 0x7F:
        return put_digits(w, q, np.uint64(c))
    if c >= 0xE0:
        w[q] = 0x2D
        return put_digits(w, q + 1, np.uint64(0x100 - c))
    if 0xCC <= c <= 0xCF:
        return put_digits(w, q, unsigned(d, p + 1, 1 << (c - 0xCC)))
    if 0xD0 <= c <= 0xD3:
        count = 1 << (c - 0xD0)
        value = unsigned(d, p + 1, count)
        if d[p + 1] & 0x80 == 0:
            return put_digits(w, q, value)
        # Two's complement: what is missing to the next power of two; for 64 bits the subtraction wraps around.
        power = np.uint64(0) if count == 8 else np.uint64(1) << np.uint64(8 * count)
        w[q] = 0x2D
        return put_digits(w, q + 1, power - value)
    return UNSURE


@inlined
def put_time(d, p, w, q):
    """Seconds since 1970: an integer, or an EventTime (extension 0: seconds and nanoseconds, 32 bits each)."""
    c = d[p]
    if c == 0xD7 and d[p + 1] == 0:
        p += 2
    elif c == 0xC7 and d[p + 1] == 8 and d[p + 2] == 0:
        p += 3
    else:
        return put_integer(d, p, w, q)
    seconds = big_endian(d, p, 4)
    nanoseconds = big_endian(d, p + 4, 4)
    # The highest seconds are Fluent Bit's marks of groups.
    if seconds >= 0xFFFFFF00 or nanoseconds >= 1_000_000_000:
        return UNSURE
    q = put_digits(w, q, np.uint64(seconds))
    w[q] = 0x2E
    for i in range(q + 9, q, -1):
        w[i] = 0x30 + nanoseconds % 10
        nanoseconds //= 10
    return q + 10
