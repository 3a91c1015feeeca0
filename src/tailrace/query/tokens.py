"""Tokens of a text, and which tokens a query cannot do without.

An index that knows the tokens of a block of rows (a token filter of a row group, say) asks `required_tokens` what
must be there for any row to match, and skips the block when it is not. The tokens meant are those of `message`,
`service`, `host`, `trace_id`, `span_id` and of every attribute's value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tailrace.query.leaves import Sign, ascii_lower, level_named, levels_between, levels_like, wildcard_parts
from tailrace.query.tree import TIME_FIELDS, And, Node, Or, Phrase, Range, Wildcard

TOKEN = re.compile("[0-9A-Za-z_\u0080-\U0010ffff]+")
"""One token: the longest run of ASCII letters, ASCII digits, `_` and characters beyond ASCII."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, in ASCII lower case, that the block must hold."""

    text: str


@dataclass(frozen=True, slots=True)
class Level:
    """A level, one of LEVELS, that some row of the block must have."""

    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is required: any block may match."""


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Required, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part is required; of no parts: no row can match."""

    parts: tuple[Required, ...]


Required = Token | Level | Unknown | AllOf | AnyOf


def tokens(text: str) -> list[str]:
    """The tokens of `text` in order, in ASCII lower case."""
    return TOKEN.findall(ascii_lower(text))


def required_tokens(node: Node) -> Required:
    """What a block of rows must hold for any of its rows to match `node`. Raises `QueryError` like the engines."""
    match node:
        case And(parts):
            return _all_of(required_tokens(part) for part in parts)
        case Or(parts):
            return _any_of(required_tokens(part) for part in parts)
        case Phrase("level", text):
            return Level(level_named(text))
        case Wildcard("level", pattern):
            return _any_of(Level(level) for level in levels_like(pattern))
        case Range("level"):
            return _any_of(Level(level) for level in levels_between(node))
        case Phrase(field, text) if field not in TIME_FIELDS:
            return _all_of(Token(token) for token in tokens(text))
        case Wildcard(field, pattern) if field not in TIME_FIELDS:
            return _all_of(Token(token) for token in _certain_tokens(pattern))
        case _:
            return Unknown()


def exact_tokens(node: Node) -> tuple[str, ...] | None:
    """The tokens that a row must hold, when holding them is all that `node` asks; None for any other query."""
    match node:
        case Phrase(None, text):
            found = tokens(text)
            return (found[0],) if len(found) == 1 else None
        case And(parts):
            gathered: dict[str, None] = {}
            for part in parts:
                inner = exact_tokens(part)
                if inner is None:
                    return None
                gathered.update(dict.fromkeys(inner))
            return tuple(gathered)
        case _:
            return None


def _certain_tokens(pattern: str) -> list[str]:
    """The tokens that every text matching the pattern holds whole: those that do not touch a wildcard."""
    # A lone character beyond ASCII stands for each wildcard: being part of a token, it joins those it touches.
    # One that the pattern itself holds would be taken for a wildcard, which only makes fewer tokens certain.
    stand_in = "\U0010ffff"
    text = "".join(stand_in if isinstance(part, Sign) else part for part in wildcard_parts(pattern))
    return [token for token in tokens(text) if stand_in not in token]


def _all_of(parts: Iterable[Required]) -> Required:
    kept: dict[Required, None] = {}
    for part in parts:
        if isinstance(part, AllOf):
            kept.update(dict.fromkeys(part.parts))
        elif not isinstance(part, Unknown):
            kept[part] = None
    if not kept:
        return Unknown()
    return next(iter(kept)) if len(kept) == 1 else AllOf(tuple(kept))


def _any_of(parts: Iterable[Required]) -> Required:
    kept: dict[Required, None] = {}
    for part in parts:
        if isinstance(part, Unknown):
            return Unknown()
        kept.update(dict.fromkeys(part.parts if isinstance(part, AnyOf) else (part,)))
    return next(iter(kept)) if len(kept) == 1 else AnyOf(tuple(kept))
