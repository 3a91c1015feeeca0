"""What a query means, in plain Python: the words of `tailrace.query.tree` once more, without any thought of speed.

It shares no code with the engines but the reading of times and of level names, so that an engine and its oracle do
not err alike. Rows are dictionaries as `RecordBatch.to_pylist` gives them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tailrace.model.batch import LEVELS
from tailrace.model.level import level_of
from tailrace.query.times import parse_time
from tailrace.query.tree import All, And, Exists, Node, Not, Or, Phrase, Range, Regex, Wildcard

Row = dict[str, Any]

_COLUMNS = ("level", "service", "host", "trace_id", "span_id")
_SEARCHED = ("message", "service", "host", "trace_id", "span_id")
_TIMES = ("timestamp", "observed_timestamp")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def matches(node: Node, row: Row, *, now_us: int) -> bool:
    match node:
        case All():
            return True
        case And(parts):
            return all(matches(part, row, now_us=now_us) for part in parts)
        case Or(parts):
            return any(matches(part, row, now_us=now_us) for part in parts)
        case Not(part):
            return not matches(part, row, now_us=now_us)
        case Exists(field):
            return _value(row, field) is not None
        case Range():
            return _in_range(node, row, now_us)
        case Phrase(field, text) if field in _TIMES:
            start_us, end_us = parse_time(text, now_us=now_us)
            return start_us <= _time_us(row, field) < end_us
        case Phrase("level", text):
            return row["level"] is not None and row["level"] == level_of(text)
        case Phrase(field, text):
            return _looked_for(row, field, lambda t: _has_phrase(t, text), lambda v: _fold(v) == _fold(text))
        case Wildcard(field, pattern):
            return _looked_for(
                row, field, lambda t: _has_wildcard(t, pattern), lambda v: _is_like(_fold(v), _pieces(pattern), _any)
            )
        case Regex(field, pattern):
            return _looked_for(row, field, *[lambda t: re.search(pattern, t) is not None] * 2)


def _looked_for(row: Row, field: str | None, in_text: Callable[[str], bool], is_value: Callable[[str], bool]) -> bool:
    if field is None:
        return any(in_text(text) for text in _everywhere(row))
    value = _value(row, field)
    return value is not None and (in_text(value) if field == "message" else is_value(value))


def _everywhere(row: Row) -> Iterator[str]:
    for column in _SEARCHED:
        if row[column] is not None:
            yield row[column]
    yield from (value for _, value in row["attributes"] if value is not None)


def _value(row: Row, field: str) -> Any:
    if field == "message" or field in _COLUMNS or field in _TIMES:
        return row[field]
    return dict(row["attributes"]).get(field.removeprefix("attributes."))


def _time_us(row: Row, field: str) -> int:
    since: timedelta = row[field] - _EPOCH
    return since // timedelta(microseconds=1)


def _fold(text: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _is_token_character(character: str) -> bool:
    return character == "_" or ord(character) >= 0x80 or (character.isascii() and character.isalnum())


def _any(character: str) -> bool:
    return True


def cut(text: str) -> list[str]:
    """The tokens of a text, character by character."""
    found = [""]
    for character in _fold(text):
        if _is_token_character(character):
            found[-1] += character
        elif found[-1]:
            found.append("")
    return found if found[-1] else found[:-1]


def _has_phrase(text: str, phrase: str) -> bool:
    words, wanted = cut(text), cut(phrase)
    if not wanted:
        return phrase in text
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words)))


def _pieces(pattern: str) -> list[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    pieces, escaped = [], False
    for character in _fold(pattern):
        if character == "\\" and not escaped:
            escaped = True
            continue
        pieces.append((character, character in "*?" and not escaped))
        escaped = False
    return [*pieces, ("\\", False)] if escaped else pieces


def _is_like(text: str, pieces: list[tuple[str, bool]], fits: Callable[[str], bool]) -> bool:
    """Whether the pieces cover the whole text; a wildcard stands for characters that fit."""
    reached = {0}
    for character, is_wildcard in pieces:
        if not is_wildcard:
            reached = {at + 1 for at in reached if text[at : at + 1] == character}
        elif character == "?":
            reached = {at + 1 for at in reached if at < len(text) and fits(text[at])}
        else:
            reached = set(reached)
            for at in range(len(text)):
                if at in reached and fits(text[at]):
                    reached.add(at + 1)
    return len(text) in reached


def _has_wildcard(text: str, pattern: str) -> bool:
    folded = _fold(text)
    places = [at for at in range(len(folded) + 1) if _is_boundary(folded, at)]
    pieces = _pieces(pattern)
    return any(
        _is_like(folded[start:end], pieces, _is_token_character) for start in places for end in places if start <= end
    )


def _is_boundary(text: str, at: int) -> bool:
    return at in (0, len(text)) or not (_is_token_character(text[at - 1]) and _is_token_character(text[at]))


def _in_range(node: Range, row: Row, now_us: int) -> bool:
    value = _value(row, node.field)
    if value is None:
        return False
    if node.low is None and node.high is None:
        return True
    if node.field in _TIMES:
        time_us = _time_us(row, node.field)
        low = None if node.low is None else parse_time(node.low, now_us=now_us)
        high = None if node.high is None else parse_time(node.high, now_us=now_us)
        above = low is None or (time_us >= low[0] if node.include_low else time_us >= low[1])
        return above and (high is None or (time_us < high[1] if node.include_high else time_us < high[0]))
    if node.field == "level":
        return _between(LEVELS.index(value), node, lambda name: LEVELS.index(level_of(name) or ""))
    if all(_number(bound) is not None for bound in (node.low, node.high) if bound is not None):
        number = _number(value)
        return number is not None and _between(number, node, _number)
    return _between(value, node, str)


def _between(value: Any, node: Range, read: Callable[[str], Any]) -> bool:
    if node.low is not None and not (value >= read(node.low) if node.include_low else value > read(node.low)):
        return False
    return node.high is None or bool(value <= read(node.high) if node.include_high else value < read(node.high))


def _number(text: str) -> float | None:
    """A decimal number in ASCII digits, with sign, point and exponent, and nothing else around it."""
    if not text.isascii() or set(text) - set("0123456789+-.eE"):
        return None
    try:
        return float(text)
    except ValueError:
        return None
