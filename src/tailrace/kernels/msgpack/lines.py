"""Entries of Fluent's forward protocol, from MessagePack to JSON lines, one line an entry.

The lines are read by the NDJSON kernel, so that an event means the same however it came in. What this kernel is not
sure of it leaves out, with the place: extensions, keys that are no text, text that is not UTF-8, times it does not
know. Those entries take the plain-Python path (`ingest/forward/slow.py`), its twin and oracle.

    entry    [time, record] or [[time, metadata], record]
    line     {"timestamp":TIME,MEMBERS OF THE RECORD,"metadata":{…},"tag":TAG}

A record's own `timestamp` becomes `attributes.timestamp`, which is never the event's time, and likewise a `source`
that is `stdout` or `stderr`, as Docker's driver has it; where there is a `tag`, the protocol's is `forward_tag`.
Numbers with a fraction are written behind the kernel, into room that it leaves for them: Arrow knows their shortest
digits.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.msgpack.values import UNSURE, is_text, put, put_integer, put_text, put_time, unsigned
from tailrace.kernels.msgpack.walk import big_endian, header, skip_values
from tailrace.kernels.simd import FALSE, NULL, TRUE, WIDTH, has_literal

# How a run of the kernel ended.
DONE, FULL, BROKEN, OTHER = 0, 1, 2, 3

GROWTH_MAX = 6
"""Bytes of JSON for a byte of MessagePack, at most: `false,` in an array, an escaped control character."""

ENTRY_BYTES = 160
"""Bytes of a line beside those of its record, its metadata and its tag."""

FLOAT_BYTES = 24
"""Room for the digits of a 64-bit float: -1.2345678901234567e-300."""

_MAP, _ARRAY = 1, 0

_TIMESTAMP = np.frombuffer(b"timestamp", np.uint8)
_TAG = np.frombuffer(b"tag", np.uint8)
_START = np.frombuffer(b'{"timestamp":', np.uint8)
_SOURCE = np.frombuffer(b"source", np.uint8)
# The key and what Docker's driver has under it: where the container wrote to, and not which service it is.
_STDOUT = np.frombuffer(b"source\xa6stdout", np.uint8)
_STDERR = np.frombuffer(b"source\xa6stderr", np.uint8)
_OWN_TIMESTAMP = np.frombuffer(b'"attributes.timestamp"', np.uint8)
_STREAM = np.frombuffer(b'"attributes.source"', np.uint8)
_METADATA = np.frombuffer(b',"metadata":', np.uint8)
_TAG_KEY = np.frombuffer(b',"tag":', np.uint8)
_FORWARD_TAG_KEY = np.frombuffer(b',"forward_tag":', np.uint8)


@inlined
def _is_stream(d, p, n):
    return has_literal(d, p, n, _STDOUT) or has_literal(d, p, n, _STDERR)


@compiled
def _put_map(d, p, n, w, q, is_record, stack, floats, float_places, float_values):
    """The map at `p` as JSON; a record's without its braces, and with a comma before each member.

    Returns the index behind it in `w` or UNSURE, the count of floats, and whether it has a key `tag`. `stack` has
    two columns, elements to come and kind, and a row for each level there may be.
    """
    has_tag = False
    depth = 0
    c = d[p]
    if not (0x80 <= c <= 0x8F or c >= 0xDE) or c >= 0xE0:
        return UNSURE, floats, has_tag
    head, _, children = header(d, p, n)
    p += head
    stack[0, 0] = children >> 1
    stack[0, 1] = _MAP
    first = not is_record
    if not is_record:
        w[q] = 0x7B
        q += 1
    while True:
        in_map = stack[depth, 1] == _MAP
        if stack[depth, 0] == 0:
            if depth > 0 or not is_record:
                w[q] = 0x7D if in_map else 0x5D
                q += 1
            if depth == 0:
                return q, floats, has_tag
            depth -= 1
            first = False
            continue
        stack[depth, 0] -= 1
        if not first:
            w[q] = 0x2C
            q += 1
        first = False
        if in_map:
            if not is_text(d[p]):
                return UNSURE, floats, has_tag
            head, payload, _ = header(d, p, n)
            p += head
            if depth == 0 and is_record and payload == len(_TIMESTAMP) and has_literal(d, p, n, _TIMESTAMP):
                q = put(w, q, _OWN_TIMESTAMP)
            elif depth == 0 and is_record and payload == len(_SOURCE) and _is_stream(d, p, n):
                q = put(w, q, _STREAM)
            else:
                if depth == 0 and is_record and payload == len(_TAG):
                    has_tag = has_tag or has_literal(d, p, n, _TAG)
                q = put_text(d, p, p + payload, w, q)
            if q < 0:
                return UNSURE, floats, has_tag
            p += payload
            w[q] = 0x3A
            q += 1
        c = d[p]
        head, payload, children = header(d, p, n)
        if is_text(c):
            q = put_text(d, p + head, p + head + payload, w, q)
        elif 0x80 <= c <= 0x9F or 0xDC <= c <= 0xDF:
            depth += 1
            if depth >= len(stack):
                return UNSURE, floats, has_tag
            is_map = c <= 0x8F or c == 0xDE or c == 0xDF
            stack[depth, 0] = children >> 1 if is_map else children
            stack[depth, 1] = _MAP if is_map else _ARRAY
            w[q] = 0x7B if is_map else 0x5B
            q += 1
            first = True
        elif c == 0xC0:
            q = put(w, q, NULL)
        elif c == 0xC2:
            q = put(w, q, FALSE)
        elif c == 0xC3:
            q = put(w, q, TRUE)
        elif c == 0xCA or c == 0xCB:
            float_places[floats] = q
            if c == 0xCA:
                float_values[floats] = np.uint32(big_endian(d, p + 1, 4)).view(np.float32)
            else:
                float_values[floats] = np.uint64(unsigned(d, p + 1, 8)).view(np.float64)
            if not np.isfinite(float_values[floats]):
                return UNSURE, floats, has_tag
            floats += 1
            for i in range(q, q + FLOAT_BYTES):
                w[i] = 0x20
            q += FLOAT_BYTES
        else:
            q = put_integer(d, p, w, q)
        if q < 0:
            return UNSURE, floats, has_tag
        p += head + payload


@inlined
def _put_entry(d, time, metadata, record, n, tags, tag, tag_end, w, q, stack, floats, float_places, float_values):
    """The line of one entry; `metadata` is negative where it has none."""
    q = put(w, q, _START)
    q = put_time(d, time, w, q)
    if q < 0:
        return UNSURE, floats
    q, floats, has_tag = _put_map(d, record, n, w, q, True, stack, floats, float_places, float_values)
    if q < 0:
        return UNSURE, floats
    if metadata >= 0 and d[metadata] != 0x80 and d[metadata] != 0xC0:
        q = put(w, q, _METADATA)
        q, floats, _ = _put_map(d, metadata, n, w, q, False, stack, floats, float_places, float_values)
        if q < 0:
            return UNSURE, floats
    q = put(w, q, _FORWARD_TAG_KEY) if has_tag else put(w, q, _TAG_KEY)
    q = put_text(tags, tag, tag_end, w, q)
    if q < 0:
        return UNSURE, floats
    w[q] = 0x7D
    w[q + 1] = 0x0A
    return q + 2, floats


@inlined
def _leave_out(others, row, start, end, q, number, tag, tag_end):
    """A row of `others`, as `write_entries` has them; returns how many there are."""
    others[row, 0] = start
    others[row, 1] = end
    others[row, 2] = q
    others[row, 3] = number
    others[row, 4] = tag
    others[row, 5] = tag_end
    return row + 1


@compiled
def write_entries(d, p, n, tags, tag, tag_end, w, entry_bytes_max, others, stack, float_places, float_values):
    """The lines of the entries in `d[p:n]`, one behind the other; all have the tag `tags[tag:tag_end]`.

    Returns how it ended (DONE, FULL when `w` or another array is, BROKEN when what follows is not MessagePack), the
    index of what was not read, the bytes written, how many entries were read, how many of them are in `others`, and
    how many floats are to be written. A row of `others`: where the entry starts and ends, where its line would be in
    `w`, its number from 0 on, and where its tag starts and ends.
    """
    q, entries, left_out, floats = 0, 0, 0, 0
    ending = DONE
    fixed = ENTRY_BYTES + GROWTH_MAX * (tag_end - tag) + WIDTH
    while p < n:
        end, pending = skip_values(d, p, n, 1)
        if pending != 0:
            ending = BROKEN
            break
        size = end - p
        fits = size <= entry_bytes_max
        room = GROWTH_MAX * size + fixed if fits else 0
        more_floats = size // 5 if fits else 0
        if q + room > len(w) or left_out == len(others) or floats + more_floats > len(float_places):
            ending = FULL
            break
        line_end = np.int64(UNSURE)
        line_floats = np.int64(floats)
        if fits and d[p] == 0x92:
            time = p + 1
            metadata = -1
            record, _ = skip_values(d, time, n, 1)
            if d[time] == 0x92:
                time += 1
                metadata, _ = skip_values(d, time, n, 1)
            line_end, line_floats = _put_entry(
                d, time, metadata, record, n, tags, tag, tag_end, w, q, stack, floats, float_places, float_values
            )
        if line_end < 0:
            left_out = _leave_out(others, left_out, p, end, q, entries, tag, tag_end)
        else:
            q = line_end
            floats = line_floats
        entries += 1
        p = end
    return ending, p, q, entries, left_out, floats


@compiled
def write_messages(d, p, n, w, entry_bytes_max, others, stack, float_places, float_values):
    """The same for messages `[tag, time, record]`, with no options or empty ones; OTHER where one is of another kind.

    A row of `others` is the time and the record of a message, which together are an entry without its first byte.
    """
    q, entries, left_out, floats = 0, 0, 0, 0
    ending = DONE
    while p < n:
        end, pending = skip_values(d, p, n, 1)
        if pending != 0:
            ending = BROKEN
            break
        size = end - p
        if (d[p] != 0x93 and d[p] != 0x94) or size > entry_bytes_max or not is_text(d[p + 1]):
            ending = OTHER
            break
        head, payload, _ = header(d, p + 1, n)
        tag = p + 1 + head
        time = tag + payload
        if d[time] != 0xD7 and d[time] != 0xC7 and not (0xCC <= d[time] <= 0xD3) and d[time] > 0x7F:
            ending = OTHER
            break
        record, _ = skip_values(d, time, n, 1)
        record_end, _ = skip_values(d, record, n, 1)
        # Behind the record are no options, or empty ones.
        if d[p] == 0x94 and d[record_end] != 0x80 and d[record_end] != 0xC0:
            ending = OTHER
            break
        if (
            q + GROWTH_MAX * size + ENTRY_BYTES + WIDTH > len(w)
            or left_out == len(others)
            or floats + size // 5 > len(float_places)
        ):
            ending = FULL
            break
        line_end, line_floats = _put_entry(
            d, time, -1, record, n, d, tag, time, w, q, stack, floats, float_places, float_values
        )
        if line_end < 0:
            left_out = _leave_out(others, left_out, time, record_end, q, entries, tag, time)
        else:
            q = line_end
            floats = line_floats
        entries += 1
        p = end
    return ending, p, q, entries, left_out, floats


@compiled
def write_floats(w, places, count, offsets, digits):
    """Write the texts of numbers into the room that was left for them; a whole number gets a fraction of 0."""
    for i in range(count):
        begin, end = offsets[i], offsets[i + 1]
        q = places[i]
        is_whole = True
        for j in range(begin, end):
            c = digits[j]
            is_whole = is_whole and c != 0x2E and c != 0x65
            w[q] = c
            q += 1
        if is_whole:
            w[q] = 0x2E
            w[q + 1] = 0x30


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    message = np.frombuffer(b"\x93\xa1t\x01\x80", np.uint8)
    w, others, stack = np.empty(4096, np.uint8), np.empty((1, 6), np.int64), np.empty((2, 2), np.int64)
    places, values = np.empty(8, np.int64), np.empty(8, np.float64)
    skip_values(message, 0, len(message), 1)
    write_messages(message, 0, len(message), w, 64, others, stack, places, values)
    write_entries(message, 0, len(message), message, 0, 0, w, 64, others, stack, places, values)
    write_floats(w, places, 0, np.frombuffer(bytes(4), np.int32), message)
