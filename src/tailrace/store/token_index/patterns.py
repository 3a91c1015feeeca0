"""Which tokens of a row group are frequent, and which rows hold them, in about a byte a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tailrace.kernels.tokens.cut import Bools, Int32s, Int64s, Words
from tailrace.kernels.tokens.frequent import (
    CANDIDATES_MAX,
    TABLE_SLOTS,
    Candidates,
    PatternTable,
    join_patterns,
    mark_held,
    number_candidates,
    number_patterns,
)
from tailrace.store.token_index.format import Part
from tailrace.store.token_index.text import Cut, Scratch

FREQUENT_SHARE = 1 / 512
"""A token in at least this share of a group's rows is frequent. Counting a rarer one by reading finds few rows."""

FREQUENT_ROWS_MIN = 8
"""In small groups: below this, chance collisions in the sketch would make candidates of everything."""

FREQUENT_MAX = 1024
"""Frequent tokens of a group; the most frequent are taken. Templated logs have one or two hundred."""

PATTERNS_MAX = 1024
"""Patterns of a part: two bytes a row at most, and a directory of at most 128 KiB before compression."""

FINE_PATTERNS_MAX = 4096
"""Patterns of a column while all candidates count; past it they are numbered again with fewer tokens."""

PATTERN_BITS_MAX = 10.0
"""Entropy of a row's patterns, 1.25 bytes a row. Past it the tokens that vary most are given up."""

DIGITS_SHARE_MIN = 1 / 8
"""Tokens with digits are mostly variables (seconds, ports, numbers of hosts): rarer ones are given up first."""


class Found(NamedTuple):
    """What the tokens of a group are: rare ones, by hash, and candidates, by number.

    `numbers[row_numbers[c][r]:row_numbers[c][r + 1]]` are the candidates of row r in column c. `rows` counts for each
    candidate the rows that hold it (about: a row is counted once a column). `fine[c]` numbers the rows by their
    sequences of candidates and gives each sequence's first row; None where there are too many.
    """

    rare: Words
    numbers: Int32s
    row_numbers: list[Int64s]
    hashes: Words
    rows: Int64s
    texts: list[bytes]
    fine: list[tuple[Int32s, Int64s] | None]


class RowPatterns(NamedTuple):
    """Patterns of one column, or of several joined: each row's pattern, each pattern's first row and rows."""

    columns: tuple[int, ...]
    numbers: Int32s
    first_rows: Int64s
    rows: Int64s

    @property
    def entropy(self) -> float:
        """Bits a row."""
        share = self.rows / len(self.numbers)
        return float(-(share * np.log2(share)).sum())


def frequent_rows_min(rows: int) -> int:
    return max(FREQUENT_ROWS_MIN, int(rows * FREQUENT_SHARE))


def find_candidates(cut: Cut, rows: int, scratch: Scratch) -> Found:
    """Split the tokens of a group into rare ones and candidates."""
    amount = len(cut.tokens.hashes)
    rare = scratch.take("rare", amount, np.uint64)
    numbers = scratch.take("numbers", amount, np.int32)
    candidates = Candidates(
        scratch.take("slot hashes", TABLE_SLOTS, np.uint64),
        scratch.take("slot numbers", TABLE_SLOTS, np.int32),
        scratch.take("first tokens", CANDIDATES_MAX, np.int64),
        scratch.take("candidate rows", CANDIDATES_MAX, np.int64),
        scratch.take("last rows", CANDIDATES_MAX, np.int64),
    )
    candidates.slot_numbers[:] = -1
    row_numbers: list[Int64s] = []
    fine: list[tuple[Int32s, Int64s] | None] = []
    known = rare_count = number_count = 0
    for column, row_tokens in enumerate(cut.row_tokens):
        bounds = scratch.take(f"row numbers of column {column}", rows + 1, np.int64)
        row_patterns = scratch.take(f"row patterns of column {column}", rows, np.int32)
        table = _pattern_table(FINE_PATTERNS_MAX, scratch)
        known, rare_count, number_count, patterns = number_candidates(
            cut.words,
            cut.tokens,
            row_tokens,
            cut.sketch,
            frequent_rows_min(rows),
            candidates,
            known,
            rare,
            rare_count,
            numbers,
            number_count,
            bounds,
            table,
            row_patterns,
        )
        row_numbers.append(bounds)
        fine.append((row_patterns, table.first_rows[:patterns].copy()) if patterns >= 0 else None)
    firsts = candidates.first_tokens[:known]
    folded = cut.words.view(np.uint8)
    texts = [
        folded[start : start + length].tobytes()
        for start, length in zip(cut.tokens.starts[firsts].tolist(), cut.tokens.lengths[firsts].tolist(), strict=True)
    ]
    hashes = cut.tokens.hashes[firsts]
    return Found(rare[:rare_count], numbers[:number_count], row_numbers, hashes, candidates.rows[:known], texts, fine)


def _pattern_table(patterns_max: int, scratch: Scratch) -> PatternTable:
    table = PatternTable(
        scratch.take("pattern slots", 4 * patterns_max, np.int32),
        scratch.take("pattern hashes", patterns_max, np.uint64),
        scratch.take("pattern rows", patterns_max, np.int64),
    )
    table.slots[:] = -1
    return table


def find_patterns(found: Found, rows: int, scratch: Scratch) -> tuple[tuple[bytes, ...], tuple[Part, ...]]:
    """The frequent tokens in the order of their first rows, and the parts that tell which rows hold them.

    When the patterns are too many or cost too much, tokens are given up until they are not: exact counts of the
    others stay exact.
    """
    for frequent in _choices(found, rows):
        kept = np.where(frequent, np.cumsum(frequent) - 1, -1).astype(np.int32)
        parts = _row_patterns(found, kept, rows, scratch)
        if parts is not None and sum(part.entropy for part in parts) <= PATTERN_BITS_MAX:
            tokens = tuple(text for text, keep in zip(found.texts, frequent, strict=True) if keep)
            return tokens, tuple(_part(part, found, kept, len(tokens)) for part in parts)
    return (), ()


def _choices(found: Found, rows: int) -> Iterator[Bools]:
    """Which candidates to keep, in falling number: first all frequent ones, at last those in nearly every row."""
    rows_min = frequent_rows_min(rows)
    frequent = found.rows >= rows_min
    if np.count_nonzero(frequent) > FREQUENT_MAX:
        frequent[np.argsort(-found.rows, kind="stable")[FREQUENT_MAX:]] = False
    yield frequent
    digits = np.array([any(48 <= byte < 58 for byte in text) for text in found.texts], np.bool_)
    frequent = frequent & ~(digits & (found.rows < rows * DIGITS_SHARE_MIN))
    yield frequent
    # Words of messages are what people search for; hosts and attributes have filters of their own in a query.
    for column in range(len(found.row_numbers) - 1, 0, -1):
        bounds = found.row_numbers[column]
        inside = np.zeros(len(frequent), np.bool_)
        inside[found.numbers[bounds[0] : bounds[-1]]] = True
        if np.any(frequent & inside & (found.rows < rows)):
            frequent = frequent & ~(inside & (found.rows < rows))
            yield frequent
    while rows_min < rows:
        rows_min *= 2
        frequent = frequent & (found.rows >= rows_min)
        yield frequent


def _row_patterns(found: Found, kept: Int32s, rows: int, scratch: Scratch) -> list[RowPatterns] | None:
    """The patterns of all columns that hold kept tokens, joined where that is cheap; None: a column has too many."""
    parts: list[RowPatterns] = []
    for column, (bounds, fine) in enumerate(zip(found.row_numbers, found.fine, strict=True)):
        table = _pattern_table(PATTERNS_MAX, scratch)
        considered = np.arange(rows) if fine is None else fine[1]
        numbers = np.empty(len(considered), np.int32)
        amount = number_patterns(found.numbers, bounds, kept, considered, table, numbers)
        if amount < 0:
            return None
        first_rows = table.first_rows[:amount].copy()
        if amount <= 1 and not np.any(kept[found.numbers[_span(bounds, first_rows)]] >= 0):
            continue
        if fine is not None:
            numbers = numbers[fine[0]]
        part = RowPatterns((column,), numbers, first_rows, np.bincount(numbers, minlength=amount))
        joined = _joined(parts[-1], part) if parts else None
        if joined is None:
            parts.append(part)
        else:
            parts[-1] = joined
    return parts


def _span(bounds: Int64s, first_rows: Int64s) -> slice:
    return slice(bounds[first_rows[0]], bounds[first_rows[0] + 1]) if len(first_rows) else slice(0, 0)


def _joined(one: RowPatterns, other: RowPatterns) -> RowPatterns | None:
    """Both as one, unless they make too many pairs: joined, what they have in common is kept once."""
    others = len(other.rows)
    pairs = np.full(len(one.rows) * others, -1, np.int32)
    numbers = np.empty(len(one.numbers), np.int32)
    first_rows = np.empty(PATTERNS_MAX, np.int64)
    amount = join_patterns(one.numbers, other.numbers, others, pairs, numbers, first_rows)
    if amount < 0:
        return None
    columns = one.columns + other.columns
    return RowPatterns(columns, numbers, first_rows[:amount], np.bincount(numbers, minlength=amount))


def _part(part: RowPatterns, found: Found, kept: Int32s, tokens: int) -> Part:
    """Number the patterns by falling frequency, so that the high bytes of many patterns are mostly zero."""
    order = np.argsort(-part.rows, kind="stable")
    rank = np.empty(len(order), np.uint16)
    rank[order] = np.arange(len(order), dtype=np.uint16)
    holds = np.zeros((tokens, len(order)), np.bool_)
    for column in part.columns:
        mark_held(found.numbers, found.row_numbers[column], kept, part.first_rows[order], holds)
    numbers = rank[part.numbers]
    if len(order) == 1:
        planes = b""
    elif len(order) <= 256:
        planes = numbers.astype(np.uint8).tobytes()
    else:
        planes = (numbers & 255).astype(np.uint8).tobytes() + (numbers >> 8).astype(np.uint8).tobytes()
    return Part(part.rows[order].astype(np.uint32), np.packbits(holds, axis=1, bitorder="little"), planes)
