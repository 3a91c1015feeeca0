"""The loop of the NDJSON kernel: see `read.py` for what it is for, and who calls it."""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.key_bits import has_key, key_bit_of
from tailrace.kernels.name_table import find_name
from tailrace.kernels.ndjson.nested import copy_nested
from tailrace.kernels.ndjson.values import (
    LEVEL_UNKNOWN,
    LEVEL_UNSURE,
    UNSURE,
    copy_text,
    level_index,
    number_end,
    timestamp_us,
)
from tailrace.kernels.simd import FALSE, NULL, TRUE, copy_bytes, has_literal, is_blank, line_end, skip_blanks
from tailrace.model.batch import LEVELS

# Columns as `Names.columns` numbers them: COLUMNS of `ingest/fields.py`, the order of EVENT_SCHEMA. All but the
# first are texts; text column c has region c - 1.
TIMESTAMP, LEVEL = 0, 1
COLUMNS = 7
TEXTS = COLUMNS - 1
_ATTRIBUTE = -1

KEY_GROWTH_MAX = 3
"""Bytes of an event's joined keys for each byte of its JSON. Past it the event takes the plain-Python path."""

PREFIX_BYTES_MAX = 1024
"""Longest joined key of an object; past it likewise."""

_ATTRIBUTES = np.frombuffer(b"attributes", np.uint8)
_LEVEL_WORDS = np.array([list(name.ljust(8).encode()) for name in LEVELS], np.uint8)
_LEVEL_SIZES = np.array([len(name) for name in LEVELS])


@inlined
def _value_end(d, p, n):
    """Where the value at `p`, right or wrong, ends: by its brackets, or by what stands behind it in an array."""
    depth = 0
    in_text = False
    while p < n:
        c = d[p]
        if in_text:
            if c == 0x5C:
                p += 1
            elif c == 0x22:
                in_text = False
        elif c == 0x22:
            in_text = True
        elif c == 0x7B or c == 0x5B:
            depth += 1
        elif c == 0x7D or c == 0x5D:
            if depth == 0:
                return p
            depth -= 1
            if depth == 0:
                return p + 1
        elif c == 0x2C and depth == 0:
            return p
        p += 1
    return n


# One long function on purpose: handed from function to function, its dozen arrays cost more than the parsing.
@compiled
def scan_events(
    d, start, framing, names, bounds, level_names, level_codes, data, bases, times, offsets, valid,
    row_attributes, key_offsets, value_offsets, others, position, winner, prefix, prefix_sizes, upper,
):  # fmt: skip
    """Read the events of `d[start:]` into the buffers.

    Returns how many events were read, how many are in `others`, the highest number given, the ending, and where the
    reading ended. `data` is cut into regions that start at `bases`: the text columns, the attributes' values and
    their keys. `position` to `upper` are scratch.
    """
    n = len(d)
    size = len(data)
    in_lines = framing == 0
    in_array = framing == 1
    table, columns, scales, holds_object = names.table, names.columns, names.scales, names.holds_object
    values_base = bases[TEXTS]
    keys_base = bases[TEXTS + 1]
    rows, others_count, number = 0, 0, 0
    ending = 0
    p = start
    while True:
        # -- to the next event
        p = skip_blanks(d, p, n, in_lines)
        if in_lines:
            number += 1
            if p >= n:
                break
            if d[p] == 0x0A:
                p += 1
                continue
        elif in_array:
            if p < n and d[p] == 0x5D and number == 0:
                p += 1
                break
            if p >= n:
                ending = 1
                break
            number += 1
        else:
            if p >= n:
                break
            number += 1

        # -- one event, unless `good` says otherwise
        begin = p
        good = d[p] == 0x7B
        p += 1
        depth = 1
        prefix_size = 0
        prefix_sizes[1] = 0
        plain_depth = 0  # the depth of the object under the key `attributes`, whose keys are never names
        fields = 0
        may_close, behind_value = True, False
        seen = np.uint64(0)  # names that stood in this event
        key_bits = np.uint64(0)  # a Bloom filter of its attributes' keys
        winner[:] = -1
        time = bounds.now_us
        first_attribute = np.int64(row_attributes[rows])
        attribute = first_attribute
        while good and depth > 0:
            if p < n and d[p] <= 0x20:
                p = skip_blanks(d, p, n, in_lines)
            if p >= n:
                good = False
                break
            c = d[p]
            if behind_value:
                p += 1
                if c == 0x2C:
                    behind_value = False
                    if p < n and d[p] <= 0x20:
                        p = skip_blanks(d, p, n, in_lines)
                    if p >= n:
                        good = False
                        break
                    c = d[p]
                    may_close = False
                elif c == 0x7D:
                    depth -= 1
                    if depth < plain_depth:
                        plain_depth = 0
                    prefix_size = prefix_sizes[depth]
                    continue
                else:
                    good = False
                    break
            if c == 0x7D and may_close:
                p += 1
                depth -= 1
                if depth < plain_depth:
                    plain_depth = 0
                prefix_size = prefix_sizes[depth]
                behind_value = True
                continue
            if c != 0x22:
                good = False
                break

            # -- the key, with what it is nested in, goes where an attribute's key would
            fields += 1
            key = keys_base + key_offsets[attribute]
            keys_size = key_offsets[attribute] - key_offsets[first_attribute] + prefix_size
            if fields > bounds.fields_max or keys_size > KEY_GROWTH_MAX * (p - begin):
                good = False
                break
            copy_bytes(data, key, prefix, 0, prefix_size, len(prefix))
            source = p + 1
            p, key_end = copy_text(d, n, source, data, key + prefix_size)
            if p < 0 or p - 1 - source != key_end - key - prefix_size:
                good = False  # an escape may hide a dot or an equal key; they are rare
                break
            key_size = key_end - key
            name = -1
            if plain_depth == 0:
                name = find_name(table, data, size, key, key_size)
            if p < n and d[p] <= 0x20:
                p = skip_blanks(d, p, n, in_lines)
            if p >= n or d[p] != 0x3A:
                good = False
                break
            p += 1
            if p < n and d[p] <= 0x20:
                p = skip_blanks(d, p, n, in_lines)
            if p >= n:
                good = False
                break

            # -- a value that is none, or an object
            c = d[p]
            behind_value = True
            if c == 0x6E:
                good = has_literal(d, p, n, NULL)
                p += 4
                continue
            if c == 0x7B and not (name >= 0 and holds_object[name]):
                p += 1
                if depth >= bounds.nesting_max:
                    good = False
                    break
                depth += 1
                is_prefix = plain_depth == 0 and has_literal(data, key, key_end, _ATTRIBUTES)
                if is_prefix and key_size > len(_ATTRIBUTES) and data[key + len(_ATTRIBUTES)] == 0x2E:
                    good = False
                    break
                if is_prefix and key_size == len(_ATTRIBUTES):
                    key_size = 0
                    plain_depth = depth
                elif key_size >= PREFIX_BYTES_MAX:
                    good = False
                    break
                else:
                    copy_bytes(prefix, prefix_size, data, key + prefix_size, key_size - prefix_size, size)
                    prefix[key_size] = 0x2E
                    key_size += 1
                prefix_size = key_size
                prefix_sizes[depth] = prefix_size
                may_close, behind_value = True, False
                continue

            # -- whose value it is: a column's or an attribute's
            column = _ATTRIBUTE
            if name >= 0:
                bit = np.uint64(1) << np.uint64(name)
                column = columns[name]
                if seen & bit != 0 or winner[column] > name:
                    good = False
                    break
                seen |= bit
                if winner[column] >= 0:
                    column = _ATTRIBUTE
            region = values_base + value_offsets[attribute]
            if column > LEVEL:
                region = bases[column - 1] + position[column - 1]

            # -- its text
            if c == 0x22:
                p, region_end = copy_text(d, n, p + 1, data, region)
                if p < 0:
                    good = False
                    break
            elif c == 0x5B or c == 0x7B:
                p, region_end, members = copy_nested(d, n, p, data, region, in_lines, bounds.nesting_max - depth)
                fields += members
                if p < 0 or fields > bounds.fields_max:
                    good = False
                    break
            else:
                source = p
                if c == 0x74:
                    p = p + 4 if has_literal(d, p, n, TRUE) else -1
                elif c == 0x66:
                    p = p + 5 if has_literal(d, p, n, FALSE) else -1
                else:
                    p = number_end(d, n, p)
                if p < 0:
                    good = False
                    break
                copy_bytes(data, region, d, source, p - source, n)
                region_end = region + p - source

            # -- what it means
            if column == TIMESTAMP:
                time = timestamp_us(data, region, region_end)
                if time == UNSURE or time < bounds.earliest_us or time > bounds.latest_us:
                    good = False
                    break
                winner[TIMESTAMP] = name
                continue
            if column == LEVEL:
                level = level_index(data, region, region_end, scales[name], level_names, level_codes, upper)
                if level == LEVEL_UNSURE:
                    good = False
                    break
                if level == LEVEL_UNKNOWN:
                    column = _ATTRIBUTE
                else:
                    for i in range(_LEVEL_SIZES[level]):
                        data[bases[0] + position[0] + i] = _LEVEL_WORDS[level, i]
                    position[0] += _LEVEL_SIZES[level]
                    winner[LEVEL] = name
                    continue
            if column > LEVEL:
                position[column - 1] = region_end - bases[column - 1]
                winner[column] = name
                continue
            if (
                plain_depth == 0
                and key_size > len(_ATTRIBUTES)
                and has_literal(data, key, key_end, _ATTRIBUTES)
                and data[key + len(_ATTRIBUTES)] == 0x2E
            ):
                key_size -= len(_ATTRIBUTES) + 1
                for i in range(key_size):
                    data[key + i] = data[key + len(_ATTRIBUTES) + 1 + i]
            key_bit = key_bit_of(data, size, key, key_size)
            if key_bits & key_bit != 0 and has_key(
                data, key, key_size, data, keys_base, key_offsets, first_attribute, attribute
            ):
                good = False
                break
            key_bits |= key_bit
            attribute += 1
            key_offsets[attribute] = key + key_size - keys_base
            value_offsets[attribute] = region_end - values_base

        # -- behind the event
        if good:
            good = p - begin <= bounds.line_bytes_max
            if in_lines:
                p = skip_blanks(d, p, n, in_lines)
                good = good and (p >= n or d[p] == 0x0A)
        if good:
            times[rows] = time
            for i in range(TEXTS):
                valid[i, rows] = winner[i + 1] >= 0
                offsets[i, rows + 1] = position[i]
            rows += 1
            row_attributes[rows] = attribute
        else:
            for i in range(TEXTS):
                position[i] = offsets[i, rows]
            if in_lines:
                p = line_end(d, begin, n)
            elif in_array or d[begin] == 0x7B:
                p = _value_end(d, begin, n)
            else:
                p = n  # no event: nobody can say where the next one starts
            event_end = p
            while event_end > begin and is_blank(d[event_end - 1]):
                event_end -= 1
            others[others_count, 0] = begin
            others[others_count, 1] = event_end
            others[others_count, 2] = number
            others[others_count, 3] = rows
            others_count += 1
        if in_lines:
            p = min(p + 1, n)
        elif in_array:
            p = skip_blanks(d, p, n, False)
            if p >= n:
                ending = 1
                break
            p += 1
            if d[p - 1] == 0x5D:
                break
            if d[p - 1] != 0x2C:
                p -= 1
                ending = 2
                break
    if in_array and ending == 0:
        p = skip_blanks(d, p, n, False)
        if p < n:
            ending = 2
    return rows, others_count, number, ending, p
