"""The `where` of a step: a query in the syntax of the search box, evaluated on a batch by Arrow and RE2.

What the nodes mean is said in `query.tree`; this is one more engine for it. It needs no database, so that a batch of
one event costs microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.leaves import (
    NUMBER_PATTERN,
    Sign,
    ascii_lower,
    is_any,
    is_numeric,
    level_named,
    levels_between,
    levels_like,
    number,
    wildcard_parts,
)
from tailrace.query.times import parse_time
from tailrace.query.tokens import TOKEN, tokens
from tailrace.query.tree import (
    EVERYWHERE,
    TEXT_FIELDS,
    TIME_FIELDS,
    All,
    And,
    Exists,
    Node,
    Not,
    Or,
    Phrase,
    Range,
    Regex,
    Wildcard,
)
from tailrace.steps.fields import Bools, attributes_of, numpy_bools, text_of

Finder = Callable[[pa.StringArray], pa.BooleanArray]
"""Which texts match; null may stand for no."""

_BREAK = r"[\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
_TOKEN_CHARACTER = r"[0-9A-Za-z_\x{80}-\x{10ffff}]"
_START, _END = rf"(?:\A|{_BREAK})", rf"(?:\z|{_BREAK})"


def matching(node: Node, events: pa.RecordBatch, *, now_us: int) -> Bools:
    """Which events the condition means; `now_us` is what its relative times count from."""
    match node:
        case All():
            return np.ones(events.num_rows, bool)
        case And(parts):
            return reduce(np.logical_and, (matching(part, events, now_us=now_us) for part in parts))
        case Or(parts):
            return reduce(np.logical_or, (matching(part, events, now_us=now_us) for part in parts))
        case Not(part):
            return ~matching(part, events, now_us=now_us)
        case Exists(field):
            return _exists(field, events)
        case Range(field):
            return _in_range(node, field, events, now_us)
        case Phrase("level", text):
            return _is_one_of(events, (level_named(text),))
        case Wildcard("level", pattern):
            return _is_one_of(events, levels_like(pattern))
        case Phrase(field, text) if field in TIME_FIELDS:
            return _is_between(field, *parse_time(text, now_us=now_us), events)
        case Wildcard(str() as field, pattern) if is_any(pattern):
            return _exists(field, events)
        case Phrase(field, text):
            return _found(field, _phrase(text) if _is_text(field) else _equal(text), events)
        case Wildcard(field, pattern):
            return _found(field, _wildcard(pattern, whole=not _is_text(field)), events)
        case Regex(field, pattern):
            return _found(field, _regex(pattern), events)


def _is_text(field: str | None) -> bool:
    return field is None or field in TEXT_FIELDS


def _found(field: str | None, find: Finder, events: pa.RecordBatch) -> Bools:
    if field is not None:
        return numpy_bools(find(text_of(events, field)))
    found = np.zeros(events.num_rows, bool)
    for column in EVERYWHERE:
        found |= numpy_bools(find(events.column(column)))
    entries = attributes_of(events)
    if len(entries.rows):
        found[entries.rows[numpy_bools(find(entries.values))]] = True
    return found


def _phrase(text: str) -> Finder:
    words = tokens(text)
    if not words:
        return lambda texts: pc.match_substring(texts, text)
    return _regex(f"{_START}{f'{_BREAK}+'.join(map(_folded, words))}{_END}")


def _equal(text: str) -> Finder:
    return _regex(rf"\A{_folded(text)}\z")


def _wildcard(pattern: str, *, whole: bool) -> Finder:
    any_character = "(?s:.)" if whole else _TOKEN_CHARACTER
    signs = {Sign.ONE: any_character, Sign.RUN: f"{any_character}*"}
    parts = wildcard_parts(pattern)
    middle = "".join(signs[part] if isinstance(part, Sign) else _folded(part) for part in parts)
    if whole:
        return _regex(rf"\A{middle}\z")
    start = _START if not parts or _bounds_token(parts[0], 0) else ""
    end = _END if not parts or _bounds_token(parts[-1], -1) else ""
    return _regex(f"{start}{middle}{end}")


def _bounds_token(part: str | Sign, edge: int) -> bool:
    return isinstance(part, Sign) or TOKEN.fullmatch(part[edge]) is not None


def _regex(pattern: str) -> Finder:
    return lambda texts: pc.match_substring_regex(texts, pattern)


def _folded(text: str) -> str:
    """RE2 for the text, but for the case of ASCII letters."""
    written = []
    for character in ascii_lower(text):
        if character.isascii() and character.isalpha():
            written.append(f"[{character}{character.upper()}]")
        else:
            written.append(rf"\x{{{ord(character):x}}}")
    return "".join(written)


def _exists(field: str, events: pa.RecordBatch) -> Bools:
    if field in TIME_FIELDS or field in TEXT_FIELDS:
        return np.ones(events.num_rows, bool)
    return numpy_bools(text_of(events, field).is_valid())


def _is_one_of(events: pa.RecordBatch, levels: tuple[str, ...]) -> Bools:
    return numpy_bools(pc.is_in(events.column("level"), pa.array(levels, pa.string())))


def _in_range(node: Range, field: str, events: pa.RecordBatch, now_us: int) -> Bools:
    if node.low is None and node.high is None:
        return _exists(field, events)
    if field in TIME_FIELDS:
        low_us = None if node.low is None else parse_time(node.low, now_us=now_us)[0 if node.include_low else 1]
        high_us = None if node.high is None else parse_time(node.high, now_us=now_us)[1 if node.include_high else 0]
        return _is_between(field, low_us, high_us, events)
    if field == "level":
        return _is_one_of(events, levels_between(node))
    values = text_of(events, field)
    if not is_numeric(node):
        return _between(values, node.low, node.high, node)
    is_number = numpy_bools(pc.match_substring_regex(values, rf"\A(?:{NUMBER_PATTERN})\z"))
    numbers = np.full(events.num_rows, np.nan)
    rows = np.flatnonzero(is_number)
    encoded = values.take(pa.array(rows)).dictionary_encode()
    if len(rows):
        numbers[rows] = np.array([float(text) for text in encoded.dictionary.to_pylist()])[encoded.indices.to_numpy()]
    low = None if node.low is None else number(node.low)
    high = None if node.high is None else number(node.high)
    return is_number & _between(pa.array(numbers), low, high, node)


def _between(values: pa.Array, low: str | float | None, high: str | float | None, node: Range) -> Bools:
    found = numpy_bools(values.is_valid())
    if low is not None:
        found &= numpy_bools((pc.greater_equal if node.include_low else pc.greater)(values, low))
    if high is not None:
        found &= numpy_bools((pc.less_equal if node.include_high else pc.less)(values, high))
    return found


def _is_between(field: str | None, low_us: int | None, high_us: int | None, events: pa.RecordBatch) -> Bools:
    times_us = events.column(field).cast(pa.int64()).to_numpy()
    found = np.ones(events.num_rows, bool)
    if low_us is not None:
        found &= times_us >= low_us
    if high_us is not None:
        found &= times_us < high_us
    return found
