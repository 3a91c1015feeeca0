"""grok: expressions put together from named patterns, `%{IP:client} %{WORD:verb} %{NUMBER:took_ms:float}`.

Written out into one RE2 expression with a group for each place that names a field. A field may stand in several
places, in alternatives say; the first that matched something counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.steps.fields import Bools
from tailrace.steps.grok_patterns import PATTERNS
from tailrace.steps.regex import (
    FIELD_NAME_FORM,
    LENGTH_MAX,
    BadExpression,
    Expression,
    compile_expression,
    field_of_group,
)

DEPTH_MAX = 16
"""Patterns within patterns. The library needs six."""

_REFERENCE = re.compile(r"%\{(\w+)(?::([^}:]+))?(?::(\w+))?\}")
_FIELD = re.compile(r"(?!\d)[\w@\[][\w.@\[\]-]*")
_CASTS = {"int": r"^[+-]?\d+", "long": r"^[+-]?\d+", "float": "", "double": "", "string": ""}
_NUMBER = r"^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$"


@dataclass(frozen=True, slots=True)
class Grok:
    """`casts` says which fields are numbers: their values are checked, and cut to whole ones for `int`."""

    expression: Expression
    casts: Mapping[str, str]

    def read(self, texts: pa.StringArray) -> tuple[dict[str, pa.StringArray], Bools]:
        """As `Expression.read`; a value that is not the number it should be stays out."""
        values, matched = self.expression.read(texts)
        for field, cast in self.casts.items():
            if cast == "string" or field not in values:
                continue
            number = pc.if_else(pc.match_substring_regex(values[field], _NUMBER), values[field], "")
            if _CASTS[cast]:
                number = pc.extract_regex(number, f"(?P<whole>{_CASTS[cast]})").field(0)
            values[field] = number
        return values, matched


def compile_grok(pattern: str, definitions: Mapping[str, str]) -> Grok:
    """`definitions` are patterns of the step's own; they go before those of the library.

    Raises `BadExpression` for a name that is not defined, a pattern that holds itself, and what is too large.
    """
    writer = _Writer({**PATTERNS, **definitions})
    text = writer.write(pattern, ())
    return Grok(compile_expression(text), writer.casts)


class _Writer:
    """Writes out one expression; `casts` fills while it does."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = patterns
        self._written = 0
        self.casts: dict[str, str] = {}

    def write(self, pattern: str, inside: tuple[str, ...]) -> str:
        if len(inside) > DEPTH_MAX:
            raise BadExpression(f"patterns are more than {DEPTH_MAX} deep: {' > '.join(inside)}")
        # Each pattern that is named adds to the length, or fifteen levels of doubling would fill the memory.
        self._written += len(pattern)
        if self._written > LENGTH_MAX:
            raise BadExpression(f"written out it has more than {LENGTH_MAX:,} characters")
        if "%{" in _REFERENCE.sub(" ", pattern):
            raise BadExpression(f"a reference is written %{{PATTERN:field}} or %{{PATTERN:field:int}}: {pattern!r}")
        return _REFERENCE.sub(lambda found: self._reference(found, inside), pattern)

    def _reference(self, found: re.Match[str], inside: tuple[str, ...]) -> str:
        name, field, cast = found[1], found[2], found[3]
        if name not in self._patterns:
            raise BadExpression(f"there is no pattern {name}; define it in `definitions`")
        if name in inside:
            raise BadExpression(f"the pattern {name} holds itself: {' > '.join((*inside, name))}")
        if cast is not None and cast not in _CASTS:
            raise BadExpression(f"{found[0]}: {cast!r} is not one of {', '.join(_CASTS)}")
        text = self.write(self._patterns[name], (*inside, name))
        if field is None:
            return f"(?:{text})"
        if not _FIELD.fullmatch(field):
            raise BadExpression(f"{found[0]}: {field!r} is not a field's name: {FIELD_NAME_FORM}")
        if cast is not None:
            self.casts[field_of_group(field)] = cast
        return f"(?P<{field}>{text})"
