"""Where the messages of a syslog stream start and end (RFC 6587), many in one pass.

A message is either counted (`LEN SP <…`) or ends at a line feed or a NUL; each message may be framed in its own way.
Its plain-Python twin is in `tests/ingest/test_syslog_frames.py`.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled
from tailrace.kernels.simd import WIDTH, lowest_bit, text_ends

COUNT_DIGITS_MAX = 10

_LF, _NUL, _SPACE, _ZERO, _NINE, _LESS = 0x0A, 0x00, 0x20, 0x30, 0x39, 0x3C


@compiled
def line_or_nul(d, p, n):
    """The index of the first line feed or NUL in `d[p:n]`, or `n`."""
    while p + WIDTH <= n:
        # Control characters, quotes and backslashes: few enough to look at each.
        mask = text_ends(d, p)
        while mask != 0:
            at = p + lowest_bit(mask)
            if d[at] == _LF or d[at] == _NUL:
                return at
            mask &= mask - 1
        p += WIDTH
    while p < n and d[p] != _LF and d[p] != _NUL:
        p += 1
    return p


@compiled
def scan_frames(d, bytes_max, starts, ends):
    """The frames that are complete in `d`, which starts where a frame starts.

    Fills `starts` and `ends`, without what ends a frame and without empty ones. A frame of more than `bytes_max` is
    cut one byte past that. Returns how many there are, where the first frame that is not complete starts, and how
    many bytes that needs from there on: 0 where only its end will tell.
    """
    n = len(d)
    p = 0
    count = 0
    while p < n:
        # -- a count?
        q = p
        size = 0
        while q < n and q - p < COUNT_DIGITS_MAX and _ZERO <= d[q] <= _NINE:
            size = size * 10 + np.int64(d[q]) - _ZERO
            q += 1
        counted = False
        if q > p and d[p] != _ZERO:
            if q == n or (q + 1 == n and d[q] == _SPACE):
                return count, p, 0
            counted = d[q] == _SPACE and d[q + 1] == _LESS
        if counted:
            begin = q + 1
            if begin + size > n:
                return count, p, begin - p + size
            after = begin + size
            end = after
            # The count of some senders includes a line feed.
            while end > begin and (d[end - 1] == _LF or d[end - 1] == _NUL):
                end -= 1
        else:
            begin = p
            end = line_or_nul(d, p, n)
            if end == n:
                return count, p, 0
            after = end + 1
        if end > begin and d[end - 1] == 0x0D:
            end -= 1
        if end > begin:
            starts[count] = begin
            ends[count] = min(end, begin + bytes_max + 1)
            count += 1
        p = after
    return count, p, 0


def warm_up() -> None:
    """Compile the kernel, or load it from its cache."""
    places = np.zeros(2, np.int64)
    scan_frames(np.frombuffer(b"<1>a\n", np.uint8), 1, places, places.copy())
