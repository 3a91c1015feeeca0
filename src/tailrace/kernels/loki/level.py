"""The level that a line of text states, as Loki's `detected_level` looks for it, but by its place only.

1. A line in braces is looked through as JSON for the first key of a level with a level for its value, at any depth.
2. A line with a `=` is looked through as logfmt, likewise.
3. Else the first word in the line's head that is a level and is marked as one: `ERROR`, `error:`, `[error]`.

Loki takes any line that has "info" in it somewhere as INFO; here a word in a sentence is no level.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.loki.json_find import text_end
from tailrace.kernels.name_table import find_name, name_table
from tailrace.kernels.ndjson.values import SCALE_ANY, level_index
from tailrace.kernels.simd import load_word, lowest_bit, skip_blanks

LEVEL_KEYS = ("level", "lvl", "log.level", "loglevel", "severity", "severitytext", "severity_text", "detected_level")
"""In lower case; any case is taken."""

LEVEL_WORDS = (
    "TRACE", "TRC", "DEBUG", "DBG", "INFO", "INF", "INFORMATION", "NOTICE", "WARN", "WRN", "WARNING", "ERROR", "ERR",
    "CRITICAL", "CRIT", "SEVERE", "FATAL", "PANIC",
)  # fmt: skip
"""Words that are levels without a key in front."""

HEAD_BYTES = 128
"""A word in the place of a level stands in the first so many bytes of a line."""

_KEYS = name_table(LEVEL_KEYS)
_WORDS = name_table(LEVEL_WORDS)
_NONE = -1
_EQUALS = np.uint64(0x3D3D_3D3D_3D3D_3D3D)
_ONES = np.uint64(0x0101_0101_0101_0101)
_HIGHS = np.uint64(0x8080_8080_8080_8080)
_WORD_BYTES_MAX = 16
_KEY_BYTES_MAX = 16


# Bits by byte: what words of levels are made of, and what else words are.
_LETTER, _OTHER = 1, 2
_CLASSES = np.array(
    [_LETTER * chr(c).isalpha() | _OTHER * (chr(c) in "0123456789_") if c < 0x80 else _OTHER for c in range(256)],
    np.uint8,
)


@inlined
def _is_level_key(w, begin, end, scratch):
    count = end - begin
    if count < 3 or count > _KEY_BYTES_MAX:
        return False
    for i in range(count):
        c = w[begin + i]
        scratch[i] = c | 0x20 if 0x41 <= c <= 0x5A else c
    return find_name(_KEYS, scratch, len(scratch), 0, count) >= 0


@compiled
def _json_level(w, p, end, names, codes, scratch):
    while p < end:
        if w[p] != 0x22:
            p += 1
            continue
        key = p + 1
        p = text_end(w, key, end)
        if p < 0:
            return _NONE
        key_end = p - 1
        p = skip_blanks(w, p, end, False)
        if p >= end or w[p] != 0x3A:
            continue
        p = skip_blanks(w, p + 1, end, False)
        if p >= end or not _is_level_key(w, key, key_end, scratch):
            if p < end and w[p] == 0x22:
                p = text_end(w, p + 1, end)
                if p < 0:
                    return _NONE
            continue
        begin = p
        if w[p] == 0x22:
            begin += 1
            p = text_end(w, begin, end)
            if p < 0:
                return _NONE
            value_end = p - 1
        else:
            while p < end and 0x30 <= w[p] <= 0x39:
                p += 1
            value_end = p
            # Behind `1` of `1.5` or `1e3` nothing is a level.
            if p < end and w[p] != 0x2C and w[p] != 0x7D and w[p] > 0x20:
                continue
        level = level_index(w, begin, value_end, SCALE_ANY, names, codes, scratch)
        if level >= 0:
            return level
    return _NONE


@inlined
def _next_equals(w, p, end):
    """The index of the first `=` in `w[p:end]`, or `end`; eight bytes at a time."""
    while p < end:
        if p + 8 <= len(w):
            # A byte of `same` is zero where there is one; the lowest bit of `found` belongs to the first of them.
            same = load_word(w, p) ^ _EQUALS
            found = (same - _ONES) & ~same & _HIGHS
            if found == 0:
                p += 8
                continue
            p += lowest_bit(np.int64(found)) >> 3
            return min(p, end)
        if w[p] == 0x3D:
            return p
        p += 1
    return end


@compiled
def _logfmt_level(w, begin, end, names, codes, scratch):
    # From each `=` backwards: few keys end like a level's, so that hardly a word is looked at.
    seen, quoted = begin, False
    p = _next_equals(w, begin, end)
    while p < end:
        last = w[p - 1] | 0x20
        key = p
        if p - begin > 2 and (last == 0x6C or last == 0x79 or last == 0x74):
            while key > begin and w[key - 1] > 0x20 and p - key <= _KEY_BYTES_MAX:
                key -= 1
        if not _is_level_key(w, key, p, scratch):
            p = _next_equals(w, p + 1, end)
            continue
        # A key in a quoted value is text.
        while seen < key:
            if w[seen] == 0x22 and (seen == begin or w[seen - 1] != 0x5C):
                quoted = not quoted
            seen += 1
        p += 1
        if quoted:
            p = _next_equals(w, p, end)
            continue
        if p < end and w[p] == 0x22:
            value = p + 1
            value_end = text_end(w, value, end) - 1
            if value_end < 0:
                return _NONE
        else:
            value, value_end = p, p
            while value_end < end and w[value_end] > 0x20:
                value_end += 1
        level = level_index(w, value, value_end, SCALE_ANY, names, codes, scratch)
        if level >= 0:
            return level
        p = _next_equals(w, value_end, end)
    return _NONE


@compiled
def _word_level(w, begin, end, codes, scratch):
    p = begin
    stop = min(end, begin + HEAD_BYTES)
    while p < stop:
        if _CLASSES[w[p]] == 0:
            p += 1
            continue
        word = p
        both, kinds = np.uint8(0), np.uint8(0)
        while p < end and _CLASSES[w[p]] != 0:
            both |= w[p]
            kinds |= _CLASSES[w[p]]
            p += 1
        count = p - word
        if count < 3 or count > _WORD_BYTES_MAX or kinds != _LETTER:
            continue
        is_upper = both & 0x20 == 0
        closes = w[p] if p < end else np.uint8(0)
        if is_upper or closes == 0x3A or (closes == 0x5D and word > begin and w[word - 1] == 0x5B):
            for i in range(count):
                scratch[i] = w[word + i] & 0xDF
            found = find_name(_WORDS, scratch, len(scratch), 0, count)
            if found >= 0:
                return codes[found]
    return _NONE


@compiled
def find_levels(streams, stream_levels, lines, offsets, level_names, level_codes, word_codes, scratch, levels):
    """Find the levels of the rows whose `levels` is negative; of those, first the stream's is taken.

    Levels are indexes of LEVELS, or -1. `level_names` finds the index into `level_codes` of a name.
    """
    for row in range(len(streams)):
        if levels[row] >= 0:
            continue
        level = np.int64(stream_levels[streams[row]])
        if level >= 0:
            levels[row] = level
            continue
        end = np.int64(offsets[row + 1])
        begin = skip_blanks(lines, np.int64(offsets[row]), end, False)
        last = end
        while last > begin and lines[last - 1] <= 0x20:
            last -= 1
        if begin == last:
            continue
        if lines[begin] == 0x7B and lines[last - 1] == 0x7D:
            level = _json_level(lines, begin, last, level_names, level_codes, scratch)
        else:
            level = _logfmt_level(lines, begin, last, level_names, level_codes, scratch)
        if level < 0:
            level = _word_level(lines, begin, last, word_codes, scratch)
        levels[row] = level
