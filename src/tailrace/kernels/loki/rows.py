"""The attributes of Loki's entries: those of their streams, repeated, and the metadata of each."""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled
from tailrace.kernels.key_bits import has_key, key_bit_of
from tailrace.kernels.name_table import find_name
from tailrace.kernels.ndjson.values import level_index
from tailrace.kernels.simd import copy_bytes

SUFFIX = b"_metadata"
"""Added to the name of metadata that has the name of a label."""

_SUFFIX = np.frombuffer(SUFFIX, np.uint8)


@compiled
def join_attributes(row_streams, streams, kept, pairs, names, said, out):
    """Write the attributes of each row to `out`; returns how many there are.

    `streams` is a tuple of five arrays for the attributes of the streams: where each stream's start, the offsets of
    the keys, their bytes, the offsets of the values, their bytes. The first `kept` of a stream's are written, the
    names of all of them are its own. `pairs` has the same of the rows' metadata; a row's pair with the name i of
    `names` is left out when bit i of its `said` is set. `out` has room for all that is written, and for SUFFIX at
    each pair. Of equal names the first one counts.
    """
    stream_rows, stream_key_offsets, stream_keys, stream_value_offsets, stream_values = streams
    pair_rows, pair_key_offsets, pair_keys, pair_value_offsets, pair_values = pairs
    rows, key_offsets, keys, value_offsets, values = out
    count, key_end, value_end = 0, 0, 0
    rows[0] = key_offsets[0] = value_offsets[0] = 0
    known, known_bits = -1, np.uint64(0)
    for row in range(len(row_streams)):
        stream = row_streams[row]
        labels, labels_end = np.int64(stream_rows[stream]), np.int64(stream_rows[stream + 1])
        last = labels + kept[stream]
        key, value = np.int64(stream_key_offsets[labels]), np.int64(stream_value_offsets[labels])
        size = np.int64(stream_key_offsets[last]) - key
        copy_bytes(keys, key_end, stream_keys, key, size, len(stream_keys))
        for i in range(labels + 1, last + 1):
            count += 1
            key_offsets[count] = key_end + stream_key_offsets[i] - key
            value_offsets[count] = value_end + stream_value_offsets[i] - value
        key_end += size
        size = np.int64(stream_value_offsets[last]) - value
        copy_bytes(values, value_end, stream_values, value, size, len(stream_values))
        value_end += size
        own = count
        first, last = np.int64(pair_rows[row]), np.int64(pair_rows[row + 1])
        if first < last and stream != known:
            # Rows of one stream mostly follow one another.
            known, known_bits = stream, np.uint64(0)
            for i in range(labels, labels_end):
                start = np.int64(stream_key_offsets[i])
                size = np.int64(stream_key_offsets[i + 1]) - start
                known_bits |= key_bit_of(stream_keys, len(stream_keys), start, size)
        bits = known_bits
        for i in range(first, last):
            start = np.int64(pair_key_offsets[i])
            size = np.int64(pair_key_offsets[i + 1]) - start
            if said[row] != 0:
                name = find_name(names, pair_keys, len(pair_keys), start, size)
                if name >= 0 and said[row] >> name & 1:
                    continue
            copy_bytes(keys, key_end, pair_keys, start, size, len(pair_keys))
            bit = key_bit_of(keys, len(keys), key_end, size)
            if known_bits & bit != 0 and has_key(
                keys, key_end, size, stream_keys, 0, stream_key_offsets, labels, labels_end
            ):
                copy_bytes(keys, key_end + size, _SUFFIX, 0, len(_SUFFIX), len(_SUFFIX))
                size += len(_SUFFIX)
                bit = key_bit_of(keys, len(keys), key_end, size)
            if bits & bit != 0 and (
                has_key(keys, key_end, size, stream_keys, 0, stream_key_offsets, labels, labels_end)
                or has_key(keys, key_end, size, keys, 0, key_offsets, own, count)
            ):
                continue
            bits |= bit
            key_end += size
            start = np.int64(pair_value_offsets[i])
            size = np.int64(pair_value_offsets[i + 1]) - start
            copy_bytes(values, value_end, pair_values, start, size, len(pair_values))
            value_end += size
            count += 1
            key_offsets[count] = key_end
            value_offsets[count] = value_end
        rows[row + 1] = count
    return count


@compiled
def copy_spans(d, spans, offsets, out):
    """Copy the texts that start and end in `d` as the rows of `spans` say, one behind the other."""
    end = 0
    offsets[0] = 0
    for i in range(len(spans)):
        size = spans[i, 1] - spans[i, 0]
        copy_bytes(out, end, d, spans[i, 0], size, len(d))
        end += size
        offsets[i + 1] = end


# Past so many slots a text is numbered anew: one who makes texts of one hash gains nothing.
_PROBES_MAX = 256


@compiled
def distinct_texts(d, spans, slots, indexes, firsts):
    """Number the texts that start and end in `d` as the rows of `spans` say: equal ones have one number, in a table
    that is not crowded.

    `indexes` gets the number of each, `firsts` the first row of each number; returns how many numbers there are, at
    most `len(firsts)`, or -1 when there are more. `slots` is a hash table of zeros, its length a power of two and
    more than that of `firsts`; linear probing.
    """
    count = 0
    for i in range(len(spans)):
        begin, size = np.int64(spans[i, 0]), np.int64(spans[i, 1] - spans[i, 0])
        # FNV-1a (Fowler, Noll, Vo), 64 bits.
        code = np.uint64(0xCBF29CE484222325)
        for j in range(begin, begin + size):
            code = (code ^ np.uint64(d[j])) * np.uint64(0x100000001B3)
        slot = np.int64((code ^ (code >> np.uint64(32))) & np.uint64(len(slots) - 1))
        found = -1
        probes = 0
        while slots[slot] > 0 and probes < _PROBES_MAX:
            probes += 1
            number = slots[slot] - 1
            other = np.int64(spans[firsts[number], 0])
            if np.int64(spans[firsts[number], 1]) - other == size:
                same = True
                for j in range(size):
                    if d[other + j] != d[begin + j]:
                        same = False
                        break
                if same:
                    found = number
                    break
            slot = (slot + 1) & (len(slots) - 1)
        if found < 0:
            if count == len(firsts):
                return -1
            found = count
            firsts[count] = i
            count += 1
            if slots[slot] == 0:
                slots[slot] = count
        indexes[i] = found
    return count


@compiled
def pick_columns(pairs, table, columns, scales, level_names, level_codes, scratch, levels, winners, best):
    """Which of a row's pairs are columns of their own.

    `table` finds a name's index into `columns` and `scales`; of the names of one column the lowest index wins.
    Column 0 is the level: its index in LEVELS, or -1, goes to `levels`. `winners[column - 1, row]` is the pair that
    another column has its text from, or -1. `best` is scratch, as long as there are columns.
    """
    pair_rows, key_offsets, keys, value_offsets, values = pairs
    for row in range(len(levels)):
        best[:] = len(columns)
        for i in range(pair_rows[row], pair_rows[row + 1]):
            start = np.int64(key_offsets[i])
            name = find_name(table, keys, len(keys), start, np.int64(key_offsets[i + 1]) - start)
            if name < 0:
                continue
            column = columns[name]
            if name >= best[column]:
                continue
            start, end = np.int64(value_offsets[i]), np.int64(value_offsets[i + 1])
            if column == 0:
                level = level_index(values, start, end, scales[name], level_names, level_codes, scratch)
                if level < 0:
                    continue
                levels[row] = level
            else:
                winners[column - 1, row] = i
            best[column] = name
