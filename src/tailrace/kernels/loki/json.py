"""The JSON of a Loki push, walked in two passes: where its streams and entries are, then what each entry says.

    {"streams": [{"stream": {"app": "web"}, "values": [["1763726400000000000", "line", {"trace_id": "1f"}]]}]}
    {"streams": [{"labels": "{app=\\"web\\"}", "entries": [{"ts": "2025-11-21T12:00:00Z", "line": "line"}]}]}

The first pass only follows brackets and quotes, so that one bad entry does not hide those behind it; the second one
is strict, and says of each entry whether it is good. Like Loki's own reader, both let raw control characters in texts
pass. The plain-Python twin is `ingest/loki/entry.py`.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.loki.entries import BROKEN_KEY, BROKEN_LINE, BROKEN_VALUE
from tailrace.kernels.loki.json_find import COMPLETE, behind, is_key, member, text_end, value_end
from tailrace.kernels.ndjson.values import UNSURE, copy_string, number_end, timestamp_us
from tailrace.kernels.simd import (
    FALSE,
    NULL,
    TRUE,
    copy_bytes,
    has_literal,
    skip_blanks,
)

_TIME_KEYS = (np.frombuffer(b"ts", np.uint8), np.frombuffer(b"timestamp", np.uint8))
_LINE = np.frombuffer(b"line", np.uint8)
_METADATA = np.frombuffer(b"structuredMetadata", np.uint8)


@compiled
def _copy_loose(d, n, p, w, q):
    """Loki's reader lets raw control characters pass, and mends what is not UTF-8."""
    return copy_string(d, n, p, w, q, True)


@inlined
def _read_metadata(d, p, n, pair, out):
    """The object whose brace is at `p`. Returns the index behind it or -1, its pairs' end, and BROKEN_…."""
    keys, values, key_offsets, value_offsets = out.keys, out.values, out.key_offsets, out.value_offsets
    broken = 0
    p = skip_blanks(d, p + 1, n, False)
    if p < n and d[p] == 0x7D:
        return p + 1, pair, broken
    closed = False
    while not closed:
        if p >= n or d[p] != 0x22:
            return -1, pair, broken
        p, key_end, is_text = _copy_loose(d, len(d), p + 1, keys, np.int64(key_offsets[pair]))
        if p < 0:
            return -1, pair, broken
        if not is_text:
            broken |= BROKEN_KEY
        p = skip_blanks(d, p, n, False)
        if p >= n or d[p] != 0x3A:
            return -1, pair, broken
        p = skip_blanks(d, p + 1, n, False)
        if p >= n:
            return -1, pair, broken
        target = np.int64(value_offsets[pair])
        c = d[p]
        if c == 0x22:
            p, value, is_text = _copy_loose(d, len(d), p + 1, values, target)
            if p < 0:
                return -1, pair, broken
            if not is_text:
                broken |= BROKEN_VALUE
        elif c == 0x6E:
            if not has_literal(d, p, n, NULL):
                return -1, pair, broken
            p += 4
            value = -1
        else:
            source = p
            if c == 0x74:
                p = p + 4 if has_literal(d, p, n, TRUE) else -1
            elif c == 0x66:
                p = p + 5 if has_literal(d, p, n, FALSE) else -1
            else:
                p = number_end(d, n, p)
            if p < 0:
                return -1, pair, broken
            copy_bytes(values, target, d, source, p - source, len(d))
            value = target + p - source
        if value >= 0:
            pair += 1
            key_offsets[pair] = key_end
            value_offsets[pair] = value
        p, closed, ending = behind(d, p, n, 0x7D)
        if ending != COMPLETE:
            return -1, pair, broken
    return p, pair, broken


@inlined
def _time_text(d, p, n):
    """Where the text of the timestamp at `p`, quoted or a number, starts and ends; the index behind it, or -1."""
    if d[p] == 0x22:
        end = text_end(d, p + 1, n)
        return p + 1, end - 1, end
    end = number_end(d, n, p)
    return p, end, end


@inlined
def _read_entry(d, p, n, row, pair, out):
    """The entry `d[p:n]`. Returns its time or UNSURE, whether it is good, its pairs' end, and `broken`."""
    is_array = d[p] == 0x5B
    if not is_array and d[p] != 0x7B:
        return UNSURE, False, pair, 0
    close = 0x5D if is_array else 0x7D
    time, broken = UNSURE, 0
    has_line = False
    first_pair = pair
    element = 0
    p = skip_blanks(d, p + 1, n, False)
    if p < n and d[p] == close:
        return UNSURE, False, pair, 0
    closed = False
    while not closed:
        if is_array:
            part = element
            element += 1
            if part > 2 or p >= n:
                return UNSURE, False, pair, 0
        else:
            key, key_end, p, ending = member(d, p, n)
            if p < 0:
                return UNSURE, False, pair, 0
            part = 3
            if is_key(d, key, key_end, _TIME_KEYS[0]) or is_key(d, key, key_end, _TIME_KEYS[1]):
                part = 0
            elif is_key(d, key, key_end, _LINE):
                part = 1
            elif is_key(d, key, key_end, _METADATA):
                part = 2
        if part == 0:
            begin, end, p = _time_text(d, p, n)
            if p < 0:
                return UNSURE, False, pair, 0
            time = timestamp_us(d, begin, end)
            out.originals[row, 0] = begin
            out.originals[row, 1] = end
        elif part == 1:
            if d[p] != 0x22:
                return UNSURE, False, pair, 0
            p, line_end, is_text = _copy_loose(d, len(d), p + 1, out.lines, np.int64(out.line_offsets[row]))
            if p < 0:
                return UNSURE, False, pair, 0
            out.line_offsets[row + 1] = line_end
            broken = broken & ~BROKEN_LINE if is_text else broken | BROKEN_LINE
            has_line = True
        elif part == 2 and d[p] == 0x7B:
            p, pair, broken_pairs = _read_metadata(d, p, n, first_pair, out)
            if p < 0:
                return UNSURE, False, pair, 0
            broken |= broken_pairs
        elif part == 2:
            if not has_literal(d, p, n, NULL):
                return UNSURE, False, pair, 0
            p += 4
        else:
            end = value_end(d, p, n)
            if end < 0 or end == p:
                return UNSURE, False, pair, 0
            p = end
        p, closed, ending = behind(d, p, n, close)
        if ending != COMPLETE:
            return UNSURE, False, pair, 0
    return time, p == n and has_line and time != UNSURE, pair, broken


@compiled
def read_json(d, entries, bounds, out, bad):
    """Read the entries into the buffers of `out`. Returns the rows, how many are in `bad`, and BROKEN_… of all.

    `bad` gets the indexes of the entries that are not good.
    """
    # Of a literal 0 numba would compile what is called once more.
    row = bad_count = pair = broken = np.int64(0)
    for i in range(len(entries)):
        begin, end = np.int64(entries[i, 0]), np.int64(entries[i, 1])
        good = end - begin <= bounds.line_bytes_max
        pair_end, entry_broken, time = pair, 0, UNSURE
        if good:
            time, good, pair_end, entry_broken = _read_entry(d, begin, end, row, pair, out)
        if not good or pair_end - pair > bounds.fields_max:
            bad[bad_count] = i
            bad_count += 1
            continue
        odd = 1 if time < bounds.earliest_us else (2 if time > bounds.latest_us else 0)
        out.odd[row] = odd
        out.times[row] = bounds.now_us if odd != 0 else time
        out.streams[row] = entries[i, 2]
        broken |= entry_broken
        pair = pair_end
        row += 1
        out.pairs[row] = pair
    return row, bad_count, broken
