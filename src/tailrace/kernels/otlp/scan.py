"""The loop of the OTLP kernel: see `read.py` for what it is for, and who calls it."""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.key_bits import has_key, key_bit_of
from tailrace.kernels.ndjson.values import LEVEL_UNKNOWN, LEVEL_UNSURE, SCALE_ANY, is_utf8, level_index
from tailrace.kernels.protobuf import read_size, read_varint, skip_field
from tailrace.kernels.simd import FALSE, TRUE, WIDTH, beyond_ascii, copy_bytes, has_literal, load_word
from tailrace.model.batch import LEVELS

MESSAGE, TRACE, SPAN, VALUES, KEYS = 0, 1, 2, 3, 4
TEXTS = 3
REGIONS = 5

_ATTRIBUTES = np.frombuffer(b"attributes.", np.uint8)
_SEVERITY_TEXT = np.frombuffer(b"severity_text", np.uint8)
_SEVERITY_NUMBER = np.frombuffer(b"severity_number", np.uint8)
_DROPPED = np.frombuffer(b"dropped_attributes_count", np.uint8)
_FLAGS = np.frombuffer(b"flags", np.uint8)
_EVENT_NAME = np.frombuffer(b"event_name", np.uint8)
_NO_NAME = np.frombuffer(b"?", np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_LEVEL_WORDS = np.array([list(name.ljust(8).encode()) for name in LEVELS], np.uint8)
_LEVEL_SIZES = np.array([len(name) for name in LEVELS])


@inlined
def put_text(data, q, d, p, count, n):
    """Copy a text of `count` bytes; the index behind it, or -1 when it is not UTF-8."""
    only_ascii = True
    i = 0
    while i < count:
        if p + i + WIDTH <= n:
            high = beyond_ascii(d, p + i)
            if count - i < WIDTH:
                high &= (1 << (count - i)) - 1
            if high != 0:
                only_ascii = False
                break
            i += WIDTH
        else:
            if d[p + i] >= 0x80:
                only_ascii = False
                break
            i += 1
    if not only_ascii and not is_utf8(d, p, p + count):
        return -1
    copy_bytes(data, q, d, p, count, n)
    return q + count


@inlined
def put_number(data, q, value):
    """The digits of an int64; the index behind them."""
    if value < 0:
        data[q] = 0x2D
        q += 1
    rest = np.uint64(-value) if value < 0 else np.uint64(value)
    ten = np.uint64(10)
    count = 1
    left = rest // ten
    while left != 0:
        left //= ten
        count += 1
    for i in range(count):
        data[q + count - 1 - i] = np.uint8(rest % ten) + 0x30
        rest //= ten
    return q + count


@inlined
def put_hex(data, q, d, p, count):
    """Bytes as lower-case hexadecimal digits; the index behind them, or `q` when all are 0."""
    seen = 0
    for i in range(count):
        c = np.int64(d[p + i])
        seen |= c
        data[q + 2 * i] = _HEX[c >> 4]
        data[q + 2 * i + 1] = _HEX[c & 15]
    return q + 2 * count if seen != 0 else q


@inlined
def says_level(d, p, count, level):
    """Whether a text is the name of the level with this index, in any case."""
    if level < 0 or count != _LEVEL_SIZES[level]:
        return False
    for i in range(count):
        c = np.int64(d[p + i])
        if (c - 0x20 if 0x61 <= c <= 0x7A else c) != _LEVEL_WORDS[level, i]:
            return False
    return True


# One long function on purpose: handed from function to function, its dozen arrays cost more than the parsing.
@compiled
def scan_records(
    d, records, blocks, bounds, level_names, level_codes, data, bases, times, levels, offsets, valid, groups,
    row_attributes, key_offsets, value_offsets, double_places, doubles, others, upper,
):  # fmt: skip
    """Read the records into the buffers.

    Returns how many rows were read, how many records are in `others`, and how many attributes are in `doubles`, whose
    texts are left empty. `data` is cut into REGIONS that start at `bases`.
    """
    n = len(d)
    size = len(data)
    values_base, keys_base = bases[VALUES], bases[KEYS]
    rows, others_count, doubles_count = 0, 0, 0
    shared_bits = np.uint64(0)
    shared_of = -1
    for record in range(len(records)):
        p, end, group = records[record, 0], records[record, 1], records[record, 2]
        good = p >= 0 and not blocks.odd[group] and end - p <= bounds.line_bytes_max
        first_attribute = np.int64(row_attributes[rows])
        attribute = first_attribute
        first_double = doubles_count
        first_shared, last_shared = blocks.first[group], blocks.first[group + 1]
        fields = blocks.fields[group]
        seen = 0
        time, observed = np.int64(0), np.int64(0)
        severity, dropped, flags = np.int64(0), np.int64(0), np.int64(0)
        text, text_size, event, event_size = 0, 0, 0, 0
        message = np.int64(offsets[MESSAGE, rows])
        trace, span = np.int64(offsets[TRACE, rows]), np.int64(offsets[SPAN, rows])
        message_end, trace_end, span_end = message, trace, span
        bits = np.uint64(0)

        # -- the attributes of resource and scope, as they are
        if good and last_shared > first_shared:
            keys, values = blocks.key_offsets[first_shared], blocks.value_offsets[first_shared]
            keys_size = blocks.key_offsets[last_shared] - keys
            values_size = blocks.value_offsets[last_shared] - values
            to_keys, to_values = np.int64(key_offsets[attribute]), np.int64(value_offsets[attribute])
            copy_bytes(data, keys_base + to_keys, blocks.keys, keys, keys_size, len(blocks.keys))
            copy_bytes(data, values_base + to_values, blocks.values, values, values_size, len(blocks.values))
            for i in range(first_shared, last_shared):
                attribute += 1
                key_offsets[attribute] = to_keys + blocks.key_offsets[i + 1] - keys
                value_offsets[attribute] = to_values + blocks.value_offsets[i + 1] - values
            if shared_of != group:
                shared_of = group
                shared_bits = np.uint64(0)
                for i in range(first_shared, last_shared):
                    key = blocks.key_offsets[i]
                    key_size = blocks.key_offsets[i + 1] - key
                    shared_bits |= key_bit_of(blocks.keys, len(blocks.keys), key, key_size)
            bits = shared_bits

        while good and p < end:
            tag, p = read_varint(d, p, end)
            if p < 0:
                good = False
                break
            if tag == 0x09 or tag == 0x59:  # time_unix_nano, observed_time_unix_nano
                if p + 8 > end:
                    good = False
                    break
                word = np.int64(load_word(d, p))
                p += 8
                if word < 0:
                    good = False
                    break
                if tag == 0x09:
                    time = word
                else:
                    observed = word
                continue
            if tag == 0x10 or tag == 0x38:  # severity_number, dropped_attributes_count
                word, p = read_varint(d, p, end)
                if p < 0 or word < 0 or word > 0x7FFFFFFF:
                    good = False
                    break
                if tag == 0x10:
                    severity = word
                else:
                    dropped = word
                continue
            if tag == 0x45:  # flags
                if p + 4 > end:
                    good = False
                    break
                flags = np.int64(d[p]) | np.int64(d[p + 1]) << 8 | np.int64(d[p + 2]) << 16 | np.int64(d[p + 3]) << 24
                p += 4
                continue
            if tag & 7 != 2:
                p = skip_field(d, p, end, tag)
                good = p >= 0
                continue
            count, p = read_size(d, p, end)
            if p < 0:
                good = False
                break
            if tag == 0x32:  # attributes: a key, then a value that is one field
                content_end = p + count
                fields += 1
                if fields > bounds.fields_max or count < 4 or d[p] != 0x0A:
                    good = False
                    break
                key_size, key_start = read_size(d, p + 1, content_end)
                if key_start < 0:
                    good = False
                    break
                p = key_start + key_size
                if p >= content_end or d[p] != 0x12:
                    good = False
                    break
                count, p = read_size(d, p + 1, content_end)
                if p < 0 or p + count != content_end:
                    good = False
                    break
                if count == 0:
                    continue
                key = keys_base + key_offsets[attribute]
                key_end = put_text(data, key, d, key_start, key_size, n)
                if key_end < 0 or has_literal(data, key, key_end, _ATTRIBUTES):
                    good = False
                    break
                key_bit = key_bit_of(data, size, key, key_size)
                if bits & key_bit != 0 and has_key(
                    data, key, key_size, data, keys_base, key_offsets, first_attribute, attribute
                ):
                    good = False
                    break
                region = values_base + value_offsets[attribute]
                kind = d[p]
                p += 1
                if kind == 0x0A:
                    count, p = read_size(d, p, content_end)
                    if p < 0:
                        good = False
                        break
                    region = put_text(data, region, d, p, count, n)
                    p += count
                elif kind == 0x10 or kind == 0x18:
                    word, p = read_varint(d, p, content_end)
                    if p < 0:
                        good = False
                        break
                    if kind == 0x18:
                        region = put_number(data, region, word)
                    elif word != 0:
                        for i in range(4):
                            data[region + i] = TRUE[i]
                        region += 4
                    else:
                        for i in range(5):
                            data[region + i] = FALSE[i]
                        region += 5
                elif kind == 0x21:
                    if p + 8 > content_end:
                        good = False
                        break
                    double_places[doubles_count] = attribute
                    doubles[doubles_count] = load_word(d, p)
                    doubles_count += 1
                    p += 8
                else:
                    good = False
                    break
                if region < 0 or p != content_end:
                    good = False
                    break
                bits |= key_bit
                attribute += 1
                key_offsets[attribute] = key_end - keys_base
                value_offsets[attribute] = region - values_base
                continue
            if tag == 0x2A:  # body: a value that is one field
                content_end = p + count
                if seen & 1 != 0:
                    good = False
                    break
                seen |= 1
                if count == 0:
                    continue
                region = bases[MESSAGE] + message
                kind = d[p]
                p += 1
                if kind == 0x0A:
                    count, p = read_size(d, p, content_end)
                    if p < 0:
                        good = False
                        break
                    region = put_text(data, region, d, p, count, n)
                    p += count
                elif kind == 0x18:
                    word, p = read_varint(d, p, content_end)
                    if p < 0:
                        good = False
                        break
                    region = put_number(data, region, word)
                else:
                    good = False
                    break
                if region < 0 or p != content_end:
                    good = False
                    break
                message_end = region - bases[MESSAGE]
                continue
            if tag == 0x4A or tag == 0x52:  # trace_id, span_id
                if count != 0 and count != (16 if tag == 0x4A else 8):
                    good = False
                    break
                if tag == 0x4A:
                    trace_end = put_hex(data, bases[TRACE] + trace, d, p, count) - bases[TRACE]
                else:
                    span_end = put_hex(data, bases[SPAN] + span, d, p, count) - bases[SPAN]
            elif tag == 0x1A:  # severity_text
                text, text_size = p, count
            elif tag == 0x62:  # event_name
                event, event_size = p, count
            elif tag < 0 or tag >> 3 >= 1 << 29 or tag >> 3 == 0:
                good = False
                break
            p += count

        # -- what it means
        level = LEVEL_UNKNOWN
        if good:
            if time == 0:
                time = observed
            time = time // 1000 if time != 0 else bounds.now_us
            good = bounds.earliest_us <= time <= bounds.latest_us
        if good:
            if severity == 0:
                if text_size > 0:
                    level = level_index(d, text, text + text_size, SCALE_ANY, level_names, level_codes, upper)
                    good = level != LEVEL_UNSURE
            elif severity <= 24:
                level = (severity - 1) // 4
            else:
                good = False
        if good and text_size > 0 and says_level(d, text, text_size, level):
            text_size = 0
        if good and (text_size > 0 or (severity & 3 != 1 and severity != 0) or dropped or flags or event_size > 0):
            for extra in range(5):
                name = _NO_NAME
                region = values_base + value_offsets[attribute]
                if extra == 0 and text_size > 0:
                    name = _SEVERITY_TEXT
                    region = put_text(data, region, d, text, text_size, n)
                elif extra == 1 and severity & 3 != 1 and severity != 0:
                    name = _SEVERITY_NUMBER
                    region = put_number(data, region, severity)
                elif extra == 2 and dropped != 0:
                    name = _DROPPED
                    region = put_number(data, region, dropped)
                elif extra == 3 and flags != 0:
                    name = _FLAGS
                    region = put_number(data, region, flags)
                elif extra == 4 and event_size > 0:
                    name = _EVENT_NAME
                    region = put_text(data, region, d, event, event_size, n)
                else:
                    continue
                key = keys_base + key_offsets[attribute]
                key_size = len(name)
                for i in range(key_size):
                    data[key + i] = name[i]
                key_bit = key_bit_of(data, size, key, key_size)
                if region < 0 or (
                    bits & key_bit != 0
                    and has_key(data, key, key_size, data, keys_base, key_offsets, first_attribute, attribute)
                ):
                    good = False
                    break
                bits |= key_bit
                attribute += 1
                key_offsets[attribute] = key + key_size - keys_base
                value_offsets[attribute] = region - values_base

        if not good:
            doubles_count = first_double
            others[others_count, 0] = record
            others[others_count, 1] = rows
            others_count += 1
            continue
        times[rows] = time
        levels[rows] = level
        groups[rows] = group
        valid[TRACE, rows] = trace_end > trace
        valid[SPAN, rows] = span_end > span
        rows += 1
        offsets[MESSAGE, rows] = message_end
        offsets[TRACE, rows] = trace_end
        offsets[SPAN, rows] = span_end
        row_attributes[rows] = attribute
    return rows, others_count, doubles_count
