"""Where the streams and entries of a Loki push in JSON are: the first of two passes, see `json.py`.

It only follows brackets and quotes, so that one bad entry does not hide those behind it.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.simd import WIDTH, has_literal, lowest_bit, skip_blanks, text_ends

COMPLETE, CUT_OFF, WRONG = 0, 1, 2
"""How the first pass ended: whole, at the body's end inside of something, at a byte that cannot stand there."""

_STREAMS = np.frombuffer(b"streams", np.uint8)
_LABEL_KEYS = (np.frombuffer(b"stream", np.uint8), np.frombuffer(b"labels", np.uint8))
_ENTRY_KEYS = (np.frombuffer(b"values", np.uint8), np.frombuffer(b"entries", np.uint8))


@inlined
def text_end(d, p, n):
    """The index behind the closing quote of the text that starts at `p`, or -1 when it is not in `d[p:n]`."""
    while p < n:
        if p + WIDTH <= len(d):
            ends = text_ends(d, p)
            if ends == 0:
                p += WIDTH
                continue
            p += lowest_bit(ends)
        c = d[p]
        if c == 0x22:
            return p + 1 if p < n else -1
        p += 2 if c == 0x5C else 1
    return -1


@compiled
def value_end(d, p, n):
    """Where the value at `p`, right or wrong, ends: `p` itself when there is none, -1 when the body ends first."""
    begin = p
    depth = 0
    while p < n:
        c = d[p]
        if c == 0x22:
            p = text_end(d, p + 1, n)
            if p < 0:
                return -1
            if depth == 0:
                return p
            continue
        if c == 0x7B or c == 0x5B:
            depth += 1
        elif c == 0x7D or c == 0x5D:
            if depth == 0:
                return p
            depth -= 1
            if depth == 0:
                return p + 1
        elif depth == 0 and (c == 0x2C or c <= 0x20):
            return p
        p += 1
    return -1 if depth > 0 or p == begin else p


@inlined
def is_key(d, begin, end, key):
    return end - begin == len(key) and has_literal(d, begin, end, key)


@inlined
def member(d, p, n):
    """A member's key at `p`: where its text starts and ends, and where its value starts; or -1, and the ending."""
    if p >= n:
        return 0, 0, -1, CUT_OFF
    if d[p] != 0x22:
        return 0, 0, -1, WRONG
    key = p + 1
    p = text_end(d, key, n)
    if p < 0:
        return 0, 0, -1, CUT_OFF
    key_end = p - 1
    p = skip_blanks(d, p, n, False)
    if p < n and d[p] != 0x3A:
        return 0, 0, -1, WRONG
    p = skip_blanks(d, p + 1, n, False)
    if p >= n:
        return 0, 0, -1, CUT_OFF
    return key, key_end, p, COMPLETE


@inlined
def behind(d, p, n, close):
    """What follows a value: the index to go on at, whether the container is closed, and the ending."""
    p = skip_blanks(d, p, n, False)
    if p >= n:
        return p, True, CUT_OFF
    if d[p] == close:
        return p + 1, True, COMPLETE
    if d[p] != 0x2C:
        return p, True, WRONG
    return skip_blanks(d, p + 1, n, False), False, COMPLETE


@compiled
def _find_entries(d, p, n, stream, entries, count):
    """The elements of the array whose bracket is at `p`. Returns where to go on, their count, and the ending."""
    p = skip_blanks(d, p + 1, n, False)
    if p < n and d[p] == 0x5D:
        return p + 1, count, COMPLETE
    closed = False
    while not closed:
        end = value_end(d, p, n)
        if end < 0 or end == p:
            return p, count, CUT_OFF if end < 0 else WRONG
        entries[count, 0] = p
        entries[count, 1] = end
        entries[count, 2] = stream
        count += 1
        p, closed, ending = behind(d, end, n, 0x5D)
        if ending != COMPLETE:
            return p, count, ending
    return p, count, COMPLETE


@compiled
def _find_stream(d, p, n, stream, streams, entries, count):
    """The stream whose brace is at `p`. Returns like `_find_entries`."""
    p = skip_blanks(d, p + 1, n, False)
    if p < n and d[p] == 0x7D:
        return p + 1, count, COMPLETE
    closed = False
    while not closed:
        key, key_end, value, ending = member(d, p, n)
        if value < 0:
            return p, count, ending
        is_entries = is_key(d, key, key_end, _ENTRY_KEYS[0]) or is_key(d, key, key_end, _ENTRY_KEYS[1])
        if is_entries and d[value] == 0x5B:
            end, count, ending = _find_entries(d, value, n, stream, entries, count)
            if ending != COMPLETE:
                return end, count, ending
        else:
            end = value_end(d, value, n)
            if end < 0 or end == value:
                return p, count, CUT_OFF if end < 0 else WRONG
            if is_entries and d[value] != 0x6E:
                streams[stream, 5] = 1
            if is_key(d, key, key_end, _LABEL_KEYS[0]) or is_key(d, key, key_end, _LABEL_KEYS[1]):
                streams[stream, 2] = value
                streams[stream, 3] = end
        p, closed, ending = behind(d, end, n, 0x7D)
        if ending != COMPLETE:
            return p, count, ending
    return p, count, COMPLETE


@compiled
def _find_streams(d, p, n, streams, streams_count, entries, count):
    """The streams of the array whose bracket is at `p`."""
    p = skip_blanks(d, p + 1, n, False)
    if p < n and d[p] == 0x5D:
        return p + 1, streams_count, count, COMPLETE
    closed = False
    while not closed:
        if p >= n:
            return p, streams_count, count, CUT_OFF
        streams[streams_count, 0] = p
        streams[streams_count, 2] = -1
        streams[streams_count, 4] = count
        streams[streams_count, 5] = d[p] != 0x7B
        if d[p] == 0x7B:
            end, count, ending = _find_stream(d, p, n, streams_count, streams, entries, count)
        else:
            end = value_end(d, p, n)
            ending = COMPLETE
            if end < 0 or end == p:
                return p, streams_count, count, CUT_OFF if end < 0 else WRONG
        streams[streams_count, 1] = end
        streams_count += 1
        if ending != COMPLETE:
            return end, streams_count, count, ending
        p, closed, ending = behind(d, end, n, 0x5D)
        if ending != COMPLETE:
            return p, streams_count, count, ending
    return p, streams_count, count, COMPLETE


@compiled
def find_json(d, streams, entries):
    """Find the streams and entries of the body `d`.

    A row of `streams`: where it starts and ends, where its labels do (-1: it has none), the number of entries before
    it, and 1 when it is no object or has something else than entries in their place. A row of `entries`: where it
    starts and ends, and its stream. Returns how many of both there are, the ending, and where that is.
    """
    n = len(d)
    # Of a literal 0 numba would compile what is called once more.
    streams_count = count = np.int64(0)
    p = skip_blanks(d, 0, n, False)
    if p >= n or d[p] != 0x7B:
        return 0, 0, CUT_OFF if p >= n else WRONG, p
    p = skip_blanks(d, p + 1, n, False)
    closed = False
    if p < n and d[p] == 0x7D:
        p += 1
        closed = True
    while not closed:
        key, key_end, value, ending = member(d, p, n)
        if value < 0:
            return streams_count, count, ending, p
        if is_key(d, key, key_end, _STREAMS) and d[value] == 0x5B:
            end, streams_count, count, ending = _find_streams(d, value, n, streams, streams_count, entries, count)
            if ending != COMPLETE:
                return streams_count, count, ending, end
        else:
            end = value_end(d, value, n)
            if end < 0 or end == value:
                return streams_count, count, CUT_OFF if end < 0 else WRONG, value
        p, closed, ending = behind(d, end, n, 0x7D)
        if ending != COMPLETE:
            return streams_count, count, ending, p
    p = skip_blanks(d, p, n, False)
    return streams_count, count, COMPLETE if p >= n else WRONG, p
