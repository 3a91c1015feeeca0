"""A query tree as Elasticsearch's and OpenSearch's query DSL, for documents of `store.elasticsearch.mapping`.

Both understand every clause used here, and read it alike: terms, phrases, ranges, and regular expressions in
Lucene's syntax with all its extras turned off. Whatever depends on the case of letters is folded here and not by the
server, as only A to Z may be.

Not exact, and so to be looked at: RE2's regular expressions, signs in a text (the index has only its words), numbers
in `service`, `host` and the ids, and what a server would refuse for its size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError
from tailrace.model.batch import LEVELS
from tailrace.query.leaves import (
    Sign,
    ascii_lower,
    attribute_name,
    check_regex,
    check_text,
    is_any,
    is_numeric,
    level_named,
    levels_between,
    levels_like,
    number,
    wildcard_parts,
)
from tailrace.query.times import parse_time
from tailrace.query.to_elasticsearch_clauses import (
    ALL,
    NONE,
    Clause,
    Condition,
    at_most,
    every,
    every_clause,
    exactly,
    negate,
    size_of,
    some,
    some_clause,
)
from tailrace.query.to_elasticsearch_fields import (
    NAMES,
    NUMBERS,
    OBSERVED_US_MAX,
    OTHER_TEXT,
    PAIR_SIGN,
    PAIR_SIGN_NEXT,
    PAIRS,
    TOKEN_CHARACTERS_MAX,
    VALUE_BYTES_MAX,
    number_key,
)
from tailrace.query.tokens import TOKEN, tokens
from tailrace.query.tree import (
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

_EVERYWHERE = ("message", OTHER_TEXT)

# Servers take 1,024 clauses, and 20 within each other, of which whoever asks needs some; a condition is in a search
# as often as three times.
_CLAUSES_MAX = 300
_DEPTH_MAX = 12
# Longer ones may become automata of more states than the servers' 10,000.
_FOLDED_CHARACTERS_MAX = 1000
# An automaton has to remember what a `*` may have begun with: twice as many states for each `?` behind it.
_ONES_BEHIND_RUN_MAX = 6

_LETTER = re.compile("[A-Za-z]")

# `NUMBER_PATTERN` as Lucene writes it.
_NUMBER_SHAPE = r"[+\-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+\-]?[0-9]+)?"


def to_elasticsearch(node: Node, *, now_us: int) -> Condition:
    """The clauses of a query; `now_us` is what its relative times count from.

    Raises `QueryError` for what `tailrace.query.tree` says cannot be answered.
    """
    condition = _condition(node, now_us)
    for clause in (condition.necessary, condition.sufficient):
        count, depth = size_of(clause)
        if count > _CLAUSES_MAX or depth > _DEPTH_MAX:
            return at_most(ALL)
    return condition


def attribute_pairs_of(name: str) -> str:
    """A regular expression for the terms of PAIRS that are of one attribute."""
    # OpenSearch 2 sees a prefix in `a=.*` and then fails on shards that have no such term (OpenSearch issue 19636).
    return _literal(f"{name}{PAIR_SIGN}") + "(.*)?"


def _condition(node: Node, now_us: int) -> Condition:
    match node:
        case All():
            return exactly(ALL)
        case And(parts):
            return every([_condition(part, now_us) for part in parts])
        case Or(parts):
            return some([_condition(part, now_us) for part in parts])
        case Not(part):
            return negate(_condition(part, now_us))
        case Exists(field):
            return _exists(field)
        case Range():
            return _range(node, now_us)
        case Phrase("level", text):
            return _level_in([level_named(text)])
        case Wildcard("level", pattern):
            return _level_in(levels_like(pattern))
        case Regex("level", pattern):
            return _level_in(_levels_with(pattern))
        case Phrase(field, text) if field in TIME_FIELDS:
            return _time_between(field, *parse_time(text, now_us=now_us))
        case Wildcard(field) | Regex(field) if field in TIME_FIELDS:
            raise QueryError(f"{field} is a time: it takes no wildcard and no regular expression, but a range")
        case Wildcard(str() as field, pattern) if is_any(pattern):
            return _exists(field)
        case Phrase(field, text):
            check_text(f"{field} {text}")
            return _phrase(_texts(field), text) if _is_text(field) else _equal(str(field), text)
        case Wildcard(field, pattern):
            check_text(f"{field} {pattern}")
            return _text_like(_texts(field), pattern) if _is_text(field) else _value_like(str(field), pattern)
        case Regex(field, pattern):
            check_text(f"{field} {pattern}")
            check_regex(pattern)
            return at_most(ALL if field is None else _exists(field).necessary)


def _is_text(field: str | None) -> bool:
    return field is None or field in TEXT_FIELDS


def _texts(field: str | None) -> Sequence[str]:
    return _EVERYWHERE if field is None else (field,)


# Words.


def _phrase(fields: Sequence[str], text: str) -> Condition:
    words = tokens(text)
    if not words:
        return exactly(ALL) if not text else at_most(ALL)
    if max(map(len, words)) > TOKEN_CHARACTERS_MAX:
        return exactly(NONE, whole=True)
    if len(words) == 1:
        return exactly(some_clause([{"term": {field: words[0]}} for field in fields]), whole=True)
    return exactly(some_clause([{"match_phrase": {field: " ".join(words)}} for field in fields]), whole=True)


def _text_like(fields: Sequence[str], pattern: str) -> Condition:
    """The pattern's words are words of the text; where nothing stands between them, that is all."""
    parts = wildcard_parts(pattern)
    words, is_one_word = _words_like(parts)
    if not words:
        return exactly(ALL) if is_one_word else at_most(ALL)
    clauses = [every_clause([_word_like(field, word) for word in words]) for field in fields]
    return (
        exactly(some_clause(clauses), whole=True)
        if is_one_word and not _is_hard(parts)
        else at_most(some_clause(clauses))
    )


def _words_like(parts: Sequence[str | Sign]) -> tuple[list[Sequence[str | Sign]], bool]:
    """The pieces of a pattern that stand for one word each, and whether the pattern is nothing but one of them."""
    words: list[list[str | Sign]] = [[]]
    is_one_word = True
    for part in parts:
        if isinstance(part, Sign):
            words[-1].append(part)
            continue
        end = 0
        for found in TOKEN.finditer(part):
            if found.start() > end:
                words.append([])
            words[-1].append(found.group())
            end = found.end()
        if end < len(part):
            words.append([])
        is_one_word &= TOKEN.fullmatch(part) is not None
    # A run stands for nothing as well.
    return [word for word in words if any(part is not Sign.RUN for part in word)], is_one_word


def _word_like(field: str, word: Sequence[str | Sign]) -> Clause:
    if len(word) == 1 and isinstance(word[0], str):
        return {"term": {field: ascii_lower(word[0])}}
    text = "".join(part.value if isinstance(part, Sign) else ascii_lower(part) for part in _bearable(word))
    return {"wildcard": {field: {"value": text}}}


def _is_hard(parts: Sequence[str | Sign]) -> bool:
    return Sign.RUN in parts and parts.count(Sign.ONE) > _ONES_BEHIND_RUN_MAX


def _bearable(parts: Sequence[str | Sign]) -> Sequence[str | Sign]:
    """The same pattern, or a wider one where it would become too large an automaton."""
    return [Sign.RUN if part is Sign.ONE else part for part in parts] if _is_hard(parts) else parts


# Values.


def _equal(field: str, text: str) -> Condition:
    name = attribute_name(field)
    if name is not None and PAIR_SIGN in name:
        return exactly(NONE, whole=True)
    if len(text.encode()) > VALUE_BYTES_MAX:
        return exactly(NONE, whole=True)
    if _LETTER.search(text) is None:
        return exactly({"term": {field: text} if name is None else {PAIRS: f"{name}{PAIR_SIGN}{text}"}}, whole=True)
    return exactly(_matching(field, _folded(text)), whole=True) if _is_sendable(field, text) else _some_of(field)


def _value_like(field: str, pattern: str) -> Condition:
    name = attribute_name(field)
    if name is not None and PAIR_SIGN in name:
        return exactly(NONE, whole=True)
    parts = wildcard_parts(pattern)
    if not _is_sendable(field, pattern):
        return _some_of(field)
    signs = {Sign.ONE: ".", Sign.RUN: ".*"}
    regex = "".join(signs[part] if isinstance(part, Sign) else _folded(part) for part in _bearable(parts))
    clause = _matching(field, regex)
    return at_most(clause) if _is_hard(parts) else exactly(clause, whole=True)


def _some_of(field: str) -> Condition:
    return at_most(_exists(field).necessary)


def _is_sendable(field: str, text: str) -> bool:
    return len(text) + len(field) <= _FOLDED_CHARACTERS_MAX


def _matching(field: str, regex: str) -> Clause:
    """The whole value fits Lucene's regular expression."""
    name = attribute_name(field)
    target, whole = (field, regex) if name is None else (PAIRS, f"{_literal(name + PAIR_SIGN)}({regex})")
    return {"regexp": {target: {"value": whole, "flags": "NONE"}}}


def _folded(text: str) -> str:
    return "".join(
        f"[{character.lower()}{character.upper()}]"
        if character.isascii() and character.isalpha()
        else _literal(character)
        for character in text
    )


def _literal(text: str) -> str:
    """Lucene reads letters behind a backslash as classes, and whatever else is no letter as itself."""
    return "".join(
        character if not character.isascii() or character.isalnum() else f"\\{character}" for character in text
    )


def _exists(field: str) -> Condition:
    name = attribute_name(field)
    if name is not None:
        check_text(name)
        return exactly({"term": {NAMES: name}}, whole=True)
    if field in TEXT_FIELDS | TIME_FIELDS:
        return exactly(ALL)
    return exactly({"exists": {"field": field}}, whole=field != "level")


def _levels_with(pattern: str) -> Sequence[str]:
    check_text(pattern)
    check_regex(pattern)
    found = pc.match_substring_regex(pa.array(LEVELS), pattern=pattern).to_pylist()
    return [level for level, is_found in zip(LEVELS, found, strict=True) if is_found]


def _level_in(levels: Sequence[str]) -> Condition:
    return exactly({"terms": {"level": list(levels)}} if levels else NONE)


# Ranges.


def _range(node: Range, now_us: int) -> Condition:
    if node.field in TEXT_FIELDS:
        raise QueryError(f"{node.field} is text: it takes no range")
    if node.low is None and node.high is None:
        return _exists(node.field)
    if node.field in TIME_FIELDS:
        low_us = None if node.low is None else parse_time(node.low, now_us=now_us)[0 if node.include_low else 1]
        high_us = None if node.high is None else parse_time(node.high, now_us=now_us)[1 if node.include_high else 0]
        return _time_between(node.field, low_us, high_us)
    if node.field == "level":
        return _level_in(levels_between(node))
    check_text(f"{node.field} {node.low} {node.high}")
    return _value_range(node)


def _value_range(node: Range) -> Condition:
    name, numeric = attribute_name(node.field), is_numeric(node)
    if name is None:
        if numeric:
            return at_most(_matching(node.field, _NUMBER_SHAPE))
        return exactly({"range": {node.field: _bounds(node, node.low, node.high)}}, whole=True)
    if PAIR_SIGN in name:
        return exactly(NONE, whole=True)
    low, high = (_key(bound) if numeric else bound for bound in (node.low, node.high))
    before = name + PAIR_SIGN
    bounds = _bounds(node, None if low is None else before + low, None if high is None else before + high)
    if low is None:
        bounds["gte"] = before
    if high is None:
        bounds["lt"] = name + PAIR_SIGN_NEXT
    return exactly({"range": {NUMBERS if numeric else PAIRS: bounds}}, whole=True)


def _key(bound: str | None) -> str | None:
    value = None if bound is None else number(bound)
    return None if value is None else number_key(value)


def _bounds(node: Range, low: str | None, high: str | None) -> dict[str, str]:
    bounds = (("gte" if node.include_low else "gt", low), ("lte" if node.include_high else "lt", high))
    return {sign: bound for sign, bound in bounds if bound is not None}


def time_clause(start_us: int | None, end_us: int | None) -> Clause:
    """`start_us <= timestamp < end_us`."""
    bounds = {"gte": start_us, "lt": end_us}
    given = {sign: _long(bound) for sign, bound in bounds.items() if bound is not None}
    return {"range": {"timestamp_us": given}} if given else ALL


def _long(time_us: int) -> int:
    return min(max(time_us, -(1 << 63)), (1 << 63) - 1)


def _time_between(field: str, start_us: int | None, end_us: int | None) -> Condition:
    if field == "timestamp":
        return exactly(time_clause(start_us, end_us))
    # Documents that were observed outside the span of `date_nanos` are partial.
    if (start_us or 0) > OBSERVED_US_MAX or (end_us is not None and end_us <= 0):
        return exactly(NONE, whole=True)
    bounds = {}
    if start_us is not None and start_us > 0:
        bounds["gte"] = _iso(start_us)
    if end_us is not None and end_us <= OBSERVED_US_MAX:
        bounds["lt"] = _iso(end_us)
    return exactly({"range": {field: bounds}} if bounds else ALL, whole=True)


def _iso(time_us: int) -> str:
    return f"{datetime(1970, 1, 1) + timedelta(microseconds=time_us):%Y-%m-%dT%H:%M:%S.%f}Z"
