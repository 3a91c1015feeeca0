"""What single conditions mean, where every engine must read them alike: cases, numbers, levels, wildcards, regexes.

Nothing here knows of an engine. What cannot be understood raises `QueryError` without a column; the parser adds it.
"""

from __future__ import annotations

import re
from enum import Enum

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError
from tailrace.model.batch import LEVELS
from tailrace.model.level import level_of
from tailrace.query.tree import TEXT_FIELDS, TIME_FIELDS, VALUE_FIELDS, Range

COLUMN_FIELDS = TEXT_FIELDS | VALUE_FIELDS | TIME_FIELDS
"""Fields with a column of their own; every other name is an attribute."""

_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ATTRIBUTES_PREFIX = "attributes."

NUMBER_PATTERN = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""What counts as a number, in Python's and RE2's syntax alike. It is compared as a 64-bit float."""

_NUMBER = re.compile(NUMBER_PATTERN)
SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: no Unicode text, and so in no event."""


class Sign(Enum):
    """A wildcard in a pattern."""

    ONE = "?"
    RUN = "*"


def ascii_lower(text: str) -> str:
    """Fold the case of ASCII letters, and of no others."""
    return text.translate(_ASCII_LOWER)


def attribute_name(field: str) -> str | None:
    """The attribute that a field names, or None when it names a column.

    `attributes.NAME` is the attribute NAME even where a column has that name.
    """
    if field in COLUMN_FIELDS:
        return None
    return field.removeprefix(_ATTRIBUTES_PREFIX)


def check_text(text: str) -> None:
    """Raise `QueryError` for what is not Unicode text."""
    if SURROGATE.search(text):
        raise QueryError(f"{text!a} holds half of a surrogate pair, which is not a character")


def number(text: str) -> float | None:
    """The number that `text` is, or None."""
    return float(text) if _NUMBER.fullmatch(text) else None


def is_numeric(node: Range) -> bool:
    """Whether a range on a value compares numbers: every given bound is one."""
    given = [bound for bound in (node.low, node.high) if bound is not None]
    return bool(given) and all(number(bound) is not None for bound in given)


def level_named(text: str) -> str:
    """The level that a query's text names. Raises `QueryError` for a name that is none."""
    level = level_of(text)
    if level is None:
        raise QueryError(f"{text!r} is not a level; write one of {', '.join(LEVELS)} or a usual alias")
    return level


def levels_between(node: Range) -> tuple[str, ...]:
    """The levels within a range on `level`, least severe first. Raises `QueryError` for a bound that is none."""
    low = 0 if node.low is None else LEVELS.index(level_named(node.low)) + (not node.include_low)
    high = len(LEVELS) if node.high is None else LEVELS.index(level_named(node.high)) + node.include_high
    return LEVELS[low:high]


def levels_like(pattern: str) -> tuple[str, ...]:
    """The levels that a wildcard covers."""
    signs = {Sign.ONE: ".", Sign.RUN: ".*"}
    regex = "".join(
        signs[part] if isinstance(part, Sign) else re.escape(ascii_lower(part)) for part in wildcard_parts(pattern)
    )
    return tuple(level for level in LEVELS if re.fullmatch(regex, ascii_lower(level)))


def wildcard_parts(pattern: str) -> list[str | Sign]:
    """Cut a pattern into its wildcards and the literal texts between them, escapes taken away."""
    parts: list[str | Sign] = []
    literal: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character in "*?":
            if literal:
                parts.append("".join(literal))
                literal = []
            parts.append(Sign(character))
        else:
            # A backslash at the very end escapes nothing: it stands for itself.
            literal.append(next(characters, "\\") if character == "\\" else character)
    if literal:
        parts.append("".join(literal))
    return parts


def is_any(pattern: str) -> bool:
    """Whether a pattern is `*` alone, which any value fits."""
    return bool(pattern) and set(pattern) == {"*"}


def check_regex(pattern: str) -> None:
    """Raise `QueryError` when RE2 refuses the pattern."""
    # Arrow's RE2 is newer than DuckDB's and knows this way to name a group; all others know only `(?P<name>`.
    if "(?<" in pattern:
        raise QueryError("'(?<' is not understood in a regular expression; a named group is written (?P<name>…)")
    try:
        pc.match_substring_regex(pa.array([""]), pattern=pattern)
    except pa.ArrowInvalid as error:
        raise QueryError(f"not a regular expression that RE2 knows: {error}") from error
