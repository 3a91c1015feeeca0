"""JSON strings, numbers, timestamps and levels, from bytes.

Each function is cautious: what it is not sure of it leaves, by a negative answer, to the plain-Python path, which is
the authority on what a value means.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import inlined
from tailrace.kernels.name_table import find_name
from tailrace.kernels.simd import WIDTH, beyond_ascii, copy_wide, lowest_bit, text_ends

UNSURE = -(1 << 63)
"""A timestamp that the kernel does not know."""

LEVEL_UNKNOWN = -1
LEVEL_UNSURE = -2

SCALE_ANY, SCALE_SYSLOG, SCALE_OTEL = 0, 1, 2

# RFC 5424, 6.2.1: emergency to debug, as indexes of LEVELS.
_SYSLOG_LEVELS = np.array([5, 5, 5, 4, 3, 2, 2, 1])

_LEVEL_BYTES_MAX = 16


@inlined
def copy_text(d, n, p, w, q):
    """Copy the JSON string whose opening quote is at `p - 1`, its escapes undone, to `w` at `q`.

    Returns the index behind the closing quote, or -1 when there is no such string or it is not valid UTF-8, and the
    index behind the copy. Up to WIDTH - 1 bytes of `w` behind the copy are overwritten.
    """
    p, q, is_text = copy_string(d, n, p, w, q, False)
    return p if is_text else -1, q


@inlined
def copy_string(d, n, p, w, q, loose):
    """The same for a string that may, when `loose`, have raw control characters, and bytes that are not UTF-8.

    Returns the index behind the closing quote, or -1 when there is no such string, the index behind the copy, and
    whether that is UTF-8.
    """
    begin = q
    only_ascii = True
    while True:
        if p + WIDTH <= n:
            copy_wide(w, q, d, p)
            ends = text_ends(d, p)
            high = beyond_ascii(d, p)
            if ends == 0:
                only_ascii = only_ascii and high == 0
                p += WIDTH
                q += WIDTH
                continue
            count = lowest_bit(ends)
            if high & ((1 << count) - 1) != 0:
                only_ascii = False
            p += count
            q += count
        elif p >= n:
            return -1, q, False
        c = d[p]
        if c == 0x22:
            break
        if c == 0x5C:
            p, q = copy_escape(d, n, p + 1, w, q)
            if p < 0:
                return -1, q, False
        elif c < 0x20 and not loose:
            return -1, q, False
        else:
            only_ascii = only_ascii and c < 0x80
            w[q] = c
            p += 1
            q += 1
    # An escape is written as UTF-8, so it needs no look.
    return p + 1, q, only_ascii or is_utf8(w, begin, q)


@inlined
def copy_escape(d, n, p, w, q):
    """The escape whose backslash is at `p - 1` (RFC 8259, 7); a lone surrogate becomes U+FFFD."""
    if p >= n:
        return -1, q
    c = d[p]
    p += 1
    if c == 0x75:  # u
        code = _hex4(d, n, p)
        if code < 0:
            return -1, q
        p += 4
        if 0xD800 <= code < 0xDC00 and p + 1 < n and d[p] == 0x5C and d[p + 1] == 0x75:
            low = _hex4(d, n, p + 2)
            if low < 0:
                return -1, q
            if 0xDC00 <= low < 0xE000:
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                p += 6
        if 0xD800 <= code < 0xE000:
            code = 0xFFFD
        return p, _put_utf8(w, q, code)
    if c == 0x22 or c == 0x5C or c == 0x2F:
        plain = np.int64(c)
    elif c == 0x6E:  # n
        plain = 0x0A
    elif c == 0x74:  # t
        plain = 0x09
    elif c == 0x72:  # r
        plain = 0x0D
    elif c == 0x62:  # b
        plain = 0x08
    elif c == 0x66:  # f
        plain = 0x0C
    else:
        return -1, q
    w[q] = plain
    return p, q + 1


@inlined
def _hex4(d, n, p):
    if p + 4 > n:
        return -1
    code = 0
    for i in range(p, p + 4):
        c = np.int64(d[i])
        if 0x30 <= c <= 0x39:
            code = code * 16 + c - 0x30
        elif 0x41 <= c <= 0x46:
            code = code * 16 + c - 0x37
        elif 0x61 <= c <= 0x66:
            code = code * 16 + c - 0x57
        else:
            return -1
    return code


@inlined
def _put_utf8(w, q, code):
    if code < 0x80:
        w[q] = code
        return q + 1
    if code < 0x800:
        w[q] = 0xC0 | code >> 6
        w[q + 1] = 0x80 | code & 0x3F
        return q + 2
    if code < 0x10000:
        w[q] = 0xE0 | code >> 12
        w[q + 1] = 0x80 | code >> 6 & 0x3F
        w[q + 2] = 0x80 | code & 0x3F
        return q + 3
    w[q] = 0xF0 | code >> 18
    w[q + 1] = 0x80 | code >> 12 & 0x3F
    w[q + 2] = 0x80 | code >> 6 & 0x3F
    w[q + 3] = 0x80 | code & 0x3F
    return q + 4


@inlined
def is_utf8(w, p, end):
    """Whether `w[p:end]` is well-formed (Unicode 15, table 3-7): no overlong forms, no surrogates."""
    while p < end:
        c = w[p]
        p += 1
        if c < 0x80:
            continue
        # How many bytes follow, and the bounds of the first of them.
        low, high = 0x80, 0xBF
        if 0xC2 <= c <= 0xDF:
            following = 1
        elif 0xE0 <= c <= 0xEF:
            following = 2
            if c == 0xE0:
                low = 0xA0
            elif c == 0xED:
                high = 0x9F
        elif 0xF0 <= c <= 0xF4:
            following = 3
            if c == 0xF0:
                low = 0x90
            elif c == 0xF4:
                high = 0x8F
        else:
            return False
        if p + following > end or w[p] < low or w[p] > high:
            return False
        for i in range(p + 1, p + following):
            if w[i] & 0xC0 != 0x80:
                return False
        p += following
    return True


@inlined
def number_end(d, n, p):
    """The index behind the JSON number at `p` (RFC 8259, 6), or -1 when there is none."""
    if p < n and d[p] == 0x2D:
        p += 1
    digits = p
    while p < n and 0x30 <= d[p] <= 0x39:
        p += 1
    if p == digits or (d[digits] == 0x30 and p > digits + 1):
        return -1
    if p < n and d[p] == 0x2E:
        p += 1
        digits = p
        while p < n and 0x30 <= d[p] <= 0x39:
            p += 1
        if p == digits:
            return -1
    if p < n and (d[p] == 0x65 or d[p] == 0x45):
        p += 1
        if p < n and (d[p] == 0x2B or d[p] == 0x2D):
            p += 1
        digits = p
        while p < n and 0x30 <= d[p] <= 0x39:
            p += 1
        if p == digits:
            return -1
    return p


@inlined
def _digits(w, p, count):
    """The number in `count` digits, or one so negative that no sum with others is positive again."""
    value = 0
    for i in range(p, p + count):
        c = np.int64(w[i]) - 0x30
        if c < 0 or c > 9:
            return -(1 << 40)
        value = value * 10 + c
    return value


@inlined
def timestamp_us(w, p, end):
    """Microseconds since 1970 of the text `w[p:end]`, or UNSURE."""
    if end - p >= 19 and w[p + 4] == 0x2D:
        return _iso_us(w, p, end)
    return _epoch_us(w, p, end)


@inlined
def _iso_us(w, p, end):
    separator = w[p + 10]
    if w[p + 7] != 0x2D or w[p + 13] != 0x3A or w[p + 16] != 0x3A or (separator != 0x54 and separator != 0x20):
        return UNSURE
    year, month, day = _digits(w, p, 4), _digits(w, p + 5, 2), _digits(w, p + 8, 2)
    hour, minute, second = _digits(w, p + 11, 2), _digits(w, p + 14, 2), _digits(w, p + 17, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or hour < 0 or minute < 0 or second < 0:
        return UNSURE
    if hour > 23 or minute > 59 or second > 59:
        return UNSURE
    month_days = 31 - (month == 4 or month == 6 or month == 9 or month == 11)
    if month == 2:
        month_days = 28 + (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    if day > month_days:
        return UNSURE
    # Days since 1970 in the proleptic Gregorian calendar, years starting in March (H. Hinnant, `days_from_civil`).
    march_year = year - (month <= 2)
    era = march_year // 400
    year_of_era = march_year - era * 400
    day_of_year = (153 * (month + 9 if month <= 2 else month - 3) + 2) // 5 + day - 1
    days = era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    p += 19
    micros = 0
    if p < end and (w[p] == 0x2E or w[p] == 0x2C):
        p += 1
        digits = p
        scale = 100_000
        while p < end and 0x30 <= w[p] <= 0x39:
            micros += (np.int64(w[p]) - 0x30) * scale
            scale //= 10
            p += 1
        if p == digits or p - digits > 9:
            return UNSURE
    if p < end:
        sign = w[p]
        if sign == 0x5A:
            if p + 1 != end:
                return UNSURE
        elif sign == 0x2B or sign == 0x2D:
            p += 1
            zone_hours, zone_minutes = -1, -1
            if end - p == 5 and w[p + 2] == 0x3A:
                zone_hours, zone_minutes = _digits(w, p, 2), _digits(w, p + 3, 2)
            elif end - p == 4:
                zone_hours, zone_minutes = _digits(w, p, 2), _digits(w, p + 2, 2)
            if zone_hours < 0 or zone_minutes < 0 or zone_hours > 23 or zone_minutes > 59:
                return UNSURE
            ahead = zone_hours * 3600 + zone_minutes * 60
            seconds += -ahead if sign == 0x2B else ahead
        else:
            return UNSURE
    return seconds * 1_000_000 + micros


@inlined
def _epoch_us(w, p, end):
    digits = p
    whole = 0
    while p < end and p - digits < 18 and 0x30 <= w[p] <= 0x39:
        whole = whole * 10 + np.int64(w[p]) - 0x30
        p += 1
    if p == digits:
        return UNSURE
    # Nanoseconds of today have 19 digits; those that start with an 8 or less fit 64 bits.
    if p < end and 0x30 <= w[p] <= 0x39 and w[digits] <= 0x38:
        whole = whole * 10 + np.int64(w[p]) - 0x30
        p += 1
    micros = 0
    if p < end and w[p] == 0x2E:
        p += 1
        scale = 100_000
        while p < end and 0x30 <= w[p] <= 0x39:
            micros += (np.int64(w[p]) - 0x30) * scale
            scale //= 10
            p += 1
    if p != end or p - digits > 40:
        return UNSURE
    # The bounds of `ingest/timestamps.py`.
    if whole < 100_000_000_000:
        return whole * 1_000_000 + micros
    if whole < 100_000_000_000_000:
        return whole * 1_000 + micros // 1_000
    if whole < 100_000_000_000_000_000:
        return whole
    return whole // 1_000


@inlined
def level_index(w, p, end, scale, names, levels, upper):
    """The index in LEVELS that the text `w[p:end]` names, LEVEL_UNKNOWN or LEVEL_UNSURE.

    `names` finds the index into `levels` of a level's name in upper case; `upper` is scratch of 16 bytes or more.
    """
    count = end - p
    for i in range(count):
        c = w[p + i]
        if c <= 0x20 or c >= 0x80:
            return LEVEL_UNSURE
        if i < _LEVEL_BYTES_MAX:
            upper[i] = c - 0x20 if 0x61 <= c <= 0x7A else c
    if count == 0 or count > _LEVEL_BYTES_MAX:
        return LEVEL_UNKNOWN
    if 0x30 <= w[p] <= 0x39:
        return _level_of_number(w, p, count, scale)
    found = find_name(names, upper, len(upper), 0, count)
    return levels[found] if found >= 0 else LEVEL_UNKNOWN


@inlined
def _level_of_number(w, p, count, scale):
    number = _digits(w, p, count)
    if count > 2 or number < 0:
        return LEVEL_UNKNOWN
    if scale == SCALE_OTEL:
        return (number - 1) // 4 if 1 <= number <= 24 else LEVEL_UNKNOWN
    if number <= 7:
        return _SYSLOG_LEVELS[number]
    if scale == SCALE_ANY and number % 10 == 0 and 10 <= number <= 60:
        return number // 10 - 1
    return LEVEL_UNKNOWN
