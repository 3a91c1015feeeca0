"""The protobuf of a Loki push, walked in two passes: where its streams and entries are, then what each entry says.

    PushRequest   1 streams: StreamAdapter
    StreamAdapter 1 labels: string   2 entries: EntryAdapter   3 hash: uint64
    EntryAdapter  1 timestamp: google.protobuf.Timestamp   2 line: string   3 structuredMetadata: LabelPairAdapter
    LabelPairAdapter 1 name: string   2 value: string

(Loki's `pkg/push/push.proto`; the encoding is protobuf.dev's.) Unknown fields are passed over. Of a field that stands
twice the last one counts. The plain-Python twin is `ingest/loki/entry.py`.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.loki.entries import BROKEN_KEY, BROKEN_LINE, BROKEN_VALUE
from tailrace.kernels.loki.json_find import COMPLETE, WRONG
from tailrace.kernels.ndjson.values import is_utf8
from tailrace.kernels.simd import WIDTH, beyond_ascii, copy_wide

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_VARINT_BYTES_MAX = 10

# Year 1 to year 9999, as google.protobuf.Timestamp has it.
SECONDS_MIN, SECONDS_MAX = -62_135_596_800, 253_402_300_799


@inlined
def varint(d, p, n):
    """The varint at `p` as a signed 64-bit number, and the index behind it, or -1."""
    value = np.uint64(0)
    shift = np.uint64(0)
    for _ in range(_VARINT_BYTES_MAX):
        if p >= n:
            return np.int64(0), -1
        c = np.uint64(d[p])
        p += 1
        value |= (c & np.uint64(0x7F)) << shift
        if c < np.uint64(0x80):
            return np.int64(value), p
        shift += np.uint64(7)
    return np.int64(0), -1


@inlined
def field_at(d, p, n):
    """The field at `p`: its number, its wire type, where its value starts and ends, and a varint's value.

    The end is -1 when the field is wrong or does not lie within `d[p:n]`.
    """
    tag, p = varint(d, p, n)
    wire = tag & 7
    number = tag >> 3
    if p < 0 or number <= 0 or number >= 1 << 29:
        return 0, wire, 0, -1, 0
    value = 0
    begin = p
    if wire == _VARINT:
        value, p = varint(d, p, n)
    elif wire == _BYTES:
        size, begin = varint(d, p, n)
        p = begin + size if begin >= 0 and 0 <= size <= n - begin else -1
    elif wire == _FIXED64:
        p = p + 8 if p + 8 <= n else -1
    elif wire == _FIXED32:
        p = p + 4 if p + 4 <= n else -1
    else:
        p = -1
    return number, wire, begin, p, value


@compiled
def _find_stream(d, p, n, stream, streams, entries, count):
    """The stream `d[p:n]`. Returns where its reading ended, and the count of entries."""
    while p < n:
        number, wire, begin, end, _ = field_at(d, p, n)
        if end < 0:
            return p, count
        if number == 1 and wire == _BYTES:
            streams[stream, 2] = begin
            streams[stream, 3] = end
        elif number == 2 and wire == _BYTES:
            entries[count, 0] = begin
            entries[count, 1] = end
            entries[count, 2] = stream
            count += 1
        elif number <= 2:
            return p, count
        p = end
    return p, count


@compiled
def find_protobuf(d, streams, entries):
    """Find the streams and entries of the body `d`.

    A row of `streams`: where it starts and ends, where its labels do (-1: it has none), the number of entries before
    it, and where in it the reading ended. A row of `entries`: where it starts and ends, and its stream. Returns how
    many of both there are, the ending, and where that is.
    """
    n = len(d)
    # Of a literal 0 numba would compile what is called once more.
    streams_count = count = p = np.int64(0)
    while p < n:
        number, wire, begin, end, _ = field_at(d, p, n)
        if end < 0 or (number == 1 and wire != _BYTES):
            return streams_count, count, WRONG, p
        if number == 1:
            streams[streams_count, 0] = begin
            streams[streams_count, 1] = end
            streams[streams_count, 2] = -1
            streams[streams_count, 4] = count
            reached, count = _find_stream(d, begin, end, streams_count, streams, entries, count)
            streams[streams_count, 5] = reached
            streams_count += 1
        p = end
    return streams_count, count, COMPLETE, p


@compiled
def _copy(d, p, end, w, q):
    """Copy `d[p:end]` to `w` at `q`; whether it is UTF-8. Up to WIDTH - 1 bytes behind the copy are overwritten."""
    begin = q
    stop = q + end - p
    high = 0
    while q < stop:
        if p + WIDTH <= len(d):
            copy_wide(w, q, d, p)
            bits = beyond_ascii(d, p)
            if stop - q < WIDTH:
                bits &= (1 << (stop - q)) - 1
            high |= bits
        else:
            for i in range(end - p):
                w[q + i] = d[p + i]
                high |= np.int64(d[p + i] >= 0x80)
            break
        p += WIDTH
        q += WIDTH
    return high == 0 or is_utf8(w, begin, stop)


@inlined
def _read_pair(d, p, n, pair, out):
    """The name and value `d[p:n]`. Returns whether they are good, and BROKEN_…."""
    key_begin, key_end, value_begin, value_end = 0, 0, 0, 0
    while p < n:
        number, wire, begin, end, _ = field_at(d, p, n)
        if end < 0 or (number <= 2 and wire != _BYTES):
            return False, 0
        if number == 1:
            key_begin, key_end = begin, end
        elif number == 2:
            value_begin, value_end = begin, end
        p = end
    broken = 0
    key, value = np.int64(out.key_offsets[pair]), np.int64(out.value_offsets[pair])
    if not _copy(d, key_begin, key_end, out.keys, key):
        broken |= BROKEN_KEY
    if not _copy(d, value_begin, value_end, out.values, value):
        broken |= BROKEN_VALUE
    out.key_offsets[pair + 1] = key + key_end - key_begin
    out.value_offsets[pair + 1] = value + value_end - value_begin
    return True, broken


@inlined
def _read_entry(d, p, n, row, pair, out):
    """The entry `d[p:n]`. Returns whether it is good, its pairs' end, and BROKEN_…."""
    seconds, nanos = np.int64(0), np.int64(0)
    line_begin, line_end, broken = 0, 0, 0
    while p < n:
        number, wire, begin, end, _ = field_at(d, p, n)
        if end < 0 or (number <= 3 and wire != _BYTES):
            return False, pair, 0
        if number == 1:
            # Of a message that stands twice the parts are joined.
            while begin < end:
                part, part_wire, _, begin, value = field_at(d, begin, end)
                if begin < 0 or (part <= 2 and part_wire != _VARINT):
                    return False, pair, 0
                if part == 1:
                    seconds = value
                elif part == 2:
                    nanos = value
        elif number == 2:
            line_begin, line_end = begin, end
        elif number == 3:
            good, broken_pair = _read_pair(d, begin, end, pair, out)
            if not good:
                return False, pair, 0
            pair += 1
            broken |= broken_pair
        p = end
    if seconds < SECONDS_MIN or seconds > SECONDS_MAX or nanos < 0 or nanos > 999_999_999:
        return False, pair, 0
    line = np.int64(out.line_offsets[row])
    if not _copy(d, line_begin, line_end, out.lines, line):
        broken |= BROKEN_LINE
    out.line_offsets[row + 1] = line + line_end - line_begin
    out.originals[row, 0] = seconds
    out.originals[row, 1] = nanos
    return True, pair, broken


@compiled
def read_protobuf(d, entries, bounds, out, bad):
    """Read the entries into the buffers of `out`. Returns the rows, how many are in `bad`, and BROKEN_… of all.

    `bad` gets the indexes of the entries that are not good.
    """
    # Of a literal 0 numba would compile what is called once more.
    row = bad_count = pair = broken = np.int64(0)
    for i in range(len(entries)):
        begin, end = np.int64(entries[i, 0]), np.int64(entries[i, 1])
        good = end - begin <= bounds.line_bytes_max
        pair_end, entry_broken = pair, 0
        if good:
            good, pair_end, entry_broken = _read_entry(d, begin, end, row, pair, out)
        if not good or pair_end - pair > bounds.fields_max:
            bad[bad_count] = i
            bad_count += 1
            continue
        time = out.originals[row, 0] * 1_000_000 + out.originals[row, 1] // 1000
        odd = 1 if time < bounds.earliest_us else (2 if time > bounds.latest_us else 0)
        out.odd[row] = odd
        out.times[row] = bounds.now_us if odd != 0 else time
        out.streams[row] = entries[i, 2]
        broken |= entry_broken
        pair = pair_end
        row += 1
        out.pairs[row] = pair
    return row, bad_count, broken
