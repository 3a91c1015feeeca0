"""The frequent tokens of a row group, and the patterns of them that its rows show.

A *pattern* of a column is the sequence of frequent tokens of a row's value. Templated logs have few: rows written by
one line of code share one. So a row's frequent tokens are kept as one small number, the number of its pattern.

Hashes find, bytes decide: tokens and patterns whose hashes are the same are compared, so that hashes made to collide
cost time and never truth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tailrace.kernels.tokens.cut import SKETCH_BITS, Bools, Int32s, Int64s, Tokens, Words, word_at

TABLE_SLOTS = 8192
"""Slots of the table of candidates; its hashes and numbers are 96 KiB and stay in a core's L2 cache."""

CANDIDATES_MAX = 4096
"""Half of the slots, so that a probe is short; tokens past it are not frequent, which costs speed, not truth."""

TOKEN_BYTES_MAX = 64
"""Longer tokens are never frequent: they are no words, and their texts would fill the directory."""

AMBIGUOUS = -1
"""Row count of a candidate whose hash two different tokens share."""

PROBES_MAX = 64
"""Steps in a table before a token or a pattern is given up: a bound for hashes made to collide."""

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Candidates(NamedTuple):
    """Tokens that may be frequent, by number: their first tokens' places, and how many rows hold them.

    `slot_numbers` (-1: free) and `slot_hashes` are the table that finds a number by its hash.
    """

    slot_hashes: Words
    slot_numbers: Int32s
    first_tokens: Int64s
    rows: Int64s
    last_rows: Int64s


class PatternTable(NamedTuple):
    """Finds a pattern's number by its hash; `first_rows` and `hashes` bound how many there may be.

    `slots` has a power of two of places, at least twice that bound, all -1 at first.
    """

    slots: Int32s
    hashes: Words
    first_rows: Int64s


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def _same_text(words: Words, one: int, other: int, length: int) -> bool:
    for done in range(0, length, 8):
        difference = word_at(words, one + done) ^ word_at(words, other + done)
        left = length - done
        if left < 8:
            difference &= (np.uint64(1) << np.uint64(left << 3)) - np.uint64(1)
        if difference != np.uint64(0):
            return False
    return True


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def _with_number(state: np.uint64, number: int) -> np.uint64:
    state = (state ^ np.uint64(number + 1)) * _SPREAD
    return state ^ (state >> np.uint64(29))


@njit(nogil=True, cache=True, boundscheck=False)
def number_candidates(
    words: Words,
    tokens: Tokens,
    row_tokens: Int64s,
    sketch: Int32s,
    rows_min: int,
    candidates: Candidates,
    known: int,
    rare: Words,
    rare_count: int,
    numbers: Int32s,
    number_count: int,
    row_numbers: Int64s,
    patterns: PatternTable,
    row_patterns: Int32s,
) -> tuple[int, int, int, int]:
    """Split one column's tokens into candidates, counted `rows_min` times or more by the sketch, and rare ones.

    The rows' tokens are `row_tokens[r]:row_tokens[r + 1]`. Appends each candidate's number to `numbers`, a row's
    being `row_numbers[r]:row_numbers[r + 1]`, and each rare token's hash to `rare`. Numbers the rows' sequences of
    candidates in `row_patterns`. `known` candidates come from earlier columns. Returns the new ends of
    `candidates`, `rare` and `numbers`, and how many patterns there are, or -1: too many.
    """
    mask = TABLE_SLOTS - 1
    pattern_mask = len(patterns.slots) - 1
    pattern_count = 0
    for row in range(len(row_tokens) - 1):
        row_numbers[row] = number_count
        state = np.uint64(0)
        for token in range(row_tokens[row], row_tokens[row + 1]):
            token_hash = tokens.hashes[token]
            length = tokens.lengths[token]
            number = -1
            if sketch[np.int64(token_hash >> np.uint64(64 - SKETCH_BITS))] >= rows_min and length <= TOKEN_BYTES_MAX:
                slot = np.int64(token_hash) & mask
                for _ in range(PROBES_MAX):
                    number = candidates.slot_numbers[slot]
                    if number < 0 or candidates.slot_hashes[slot] == token_hash:
                        break
                    number = -2
                    slot = (slot + 1) & mask
                if number == -1 and known < CANDIDATES_MAX:
                    number = known
                    known += 1
                    candidates.slot_hashes[slot] = token_hash
                    candidates.slot_numbers[slot] = number
                    candidates.first_tokens[number] = token
                    candidates.rows[number] = 1
                    candidates.last_rows[number] = row
                elif number >= 0:
                    first = candidates.first_tokens[number]
                    if length != tokens.lengths[first] or (
                        length > 8 and not _same_text(words, tokens.starts[token], tokens.starts[first], length)
                    ):
                        candidates.rows[number] = AMBIGUOUS
                        number = -1
                    elif candidates.last_rows[number] != row and candidates.rows[number] != AMBIGUOUS:
                        candidates.rows[number] += 1
                        candidates.last_rows[number] = row
            if number < 0:
                rare[rare_count] = token_hash
                rare_count += 1
            else:
                numbers[number_count] = number
                number_count += 1
                state = _with_number(state, number)
        row_numbers[row + 1] = number_count
        if pattern_count < 0:
            continue
        slot = np.int64(state) & pattern_mask
        start, size = row_numbers[row], number_count - row_numbers[row]
        probes = 0
        while True:
            pattern = patterns.slots[slot]
            if pattern < 0:
                if pattern_count == len(patterns.first_rows):
                    pattern_count = -1
                    break
                patterns.slots[slot] = pattern_count
                patterns.hashes[pattern_count] = state
                patterns.first_rows[pattern_count] = row
                row_patterns[row] = pattern_count
                pattern_count += 1
                break
            if patterns.hashes[pattern] == state:
                first = patterns.first_rows[pattern]
                other = row_numbers[first]
                same = row_numbers[first + 1] - other == size
                for index in range(size):
                    if not same:
                        break
                    same = numbers[start + index] == numbers[other + index]
                if same:
                    row_patterns[row] = pattern
                    break
            probes += 1
            if probes == PROBES_MAX:
                pattern_count = -1
                break
            slot = (slot + 1) & pattern_mask
    return known, rare_count, number_count, pattern_count


@njit(nogil=True, cache=True, boundscheck=False)
def number_patterns(
    numbers: Int32s, row_numbers: Int64s, kept: Int32s, rows: Int64s, patterns: PatternTable, found: Int32s
) -> int:
    """Number the patterns of some rows when only some candidates are kept; `found[i]` is that of `rows[i]`.

    `kept[n]` is candidate n's new number, or -1. Returns how many patterns there are, or -1: too many.
    `patterns.first_rows` gets the first row of each.
    """
    mask = len(patterns.slots) - 1
    count = 0
    for index in range(len(rows)):
        row = rows[index]
        state = np.uint64(0)
        for place in range(row_numbers[row], row_numbers[row + 1]):
            number = kept[numbers[place]]
            if number >= 0:
                state = _with_number(state, number)
        slot = np.int64(state) & mask
        probes = 0
        while True:
            pattern = patterns.slots[slot]
            if pattern < 0:
                if count == len(patterns.first_rows):
                    return -1
                patterns.slots[slot] = count
                patterns.hashes[count] = state
                patterns.first_rows[count] = row
                found[index] = count
                count += 1
                break
            if patterns.hashes[pattern] == state and _same_kept(
                numbers, row_numbers, kept, row, patterns.first_rows[pattern]
            ):
                found[index] = pattern
                break
            probes += 1
            if probes == PROBES_MAX:
                return -1
            slot = (slot + 1) & mask
    return count


@njit(nogil=True, cache=True, boundscheck=False, inline="always")
def _same_kept(numbers: Int32s, row_numbers: Int64s, kept: Int32s, one: int, other: int) -> bool:
    left, left_end = row_numbers[one], row_numbers[one + 1]
    right, right_end = row_numbers[other], row_numbers[other + 1]
    while True:
        while left < left_end and kept[numbers[left]] < 0:
            left += 1
        while right < right_end and kept[numbers[right]] < 0:
            right += 1
        if left == left_end or right == right_end:
            return bool(left == left_end and right == right_end)
        if numbers[left] != numbers[right]:
            return False
        left += 1
        right += 1


@njit(nogil=True, cache=True, boundscheck=False)
def join_patterns(one: Int32s, other: Int32s, others: int, pairs: Int32s, joined: Int32s, first_rows: Int64s) -> int:
    """Number the pairs of patterns that rows show; return how many, or -1 when they pass the size of `first_rows`.

    `pairs`, all -1, has a place for every pair: that of (a, b) is `a * others + b`. `first_rows` gets the first row
    of each pair.
    """
    count = 0
    for row in range(len(one)):
        place = np.int64(one[row]) * others + other[row]
        number = pairs[place]
        if number < 0:
            if count == len(first_rows):
                return -1
            number = count
            pairs[place] = number
            first_rows[number] = row
            count += 1
        joined[row] = number
    return count


@njit(nogil=True, cache=True, boundscheck=False)
def mark_held(numbers: Int32s, row_numbers: Int64s, kept: Int32s, rows: Int64s, holds: Bools) -> None:
    """Set `holds[t, i]` where row `rows[i]` holds the kept token t."""
    for index in range(len(rows)):
        for place in range(row_numbers[rows[index]], row_numbers[rows[index] + 1]):
            token = kept[numbers[place]]
            if token >= 0:
                holds[token, index] = True


def warm_up(words: Words, tokens: Tokens, sketch: Int32s) -> None:
    """Compile the kernels of this module, or load them from their cache."""
    numbers, bounds, rows = np.zeros(1, np.int32), np.zeros(2, np.int64), np.zeros(1, np.int64)
    candidates = Candidates(
        np.zeros(TABLE_SLOTS, np.uint64), np.full(TABLE_SLOTS, -1, np.int32), rows.copy(), rows.copy(), rows.copy()
    )
    table = PatternTable(np.full(2, -1, np.int32), np.zeros(1, np.uint64), rows.copy())
    rare = np.zeros(1, np.uint64)
    number_candidates(
        words, tokens, bounds, sketch, 1, candidates, 0, rare, 0, numbers, 0, bounds.copy(), table, numbers.copy()
    )
    table.slots[:] = -1
    number_patterns(numbers, bounds, numbers, rows, table, numbers.copy())
    join_patterns(numbers, numbers, 1, np.full(1, -1, np.int32), numbers.copy(), rows.copy())
    mark_held(numbers, bounds, numbers, rows, np.zeros((1, 1), np.bool_))
