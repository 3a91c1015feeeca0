"""Regular expressions of a pipeline: RE2 alone, so that their time is linear in the text, whatever they say.

What an expression may be is bounded too, since RE2's time also grows with the size of its program: LENGTH_MAX
characters, and SIZE_MAX after counted repetitions are written out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import BadInput
from tailrace.ingest.text.attributes import attribute_map
from tailrace.steps.fields import Bools, Entries, entries_of_map, numpy_bools

LENGTH_MAX = 16_384
"""Characters of an expression, grok patterns written out: ten times the combined access log's."""

SIZE_MAX = 20_000
"""Characters once `x{100}` is written out as a hundred x."""

_PIECE = re.compile(
    r"\\Q.*?(?:\\E|$)|\\[xpP]\{[^}]*\}|\\."  # escapes
    r"|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]"  # a class
    r"|\(\?P?<(?!\d)[\w@\[][\w.@\[\]-]*>|.",  # the opening of a named group
    re.DOTALL,
)
_GROUP_NAME = re.compile(r"<(.+)>")
FIELD_NAME_FORM = "letters, digits (not first), _ . - @, or [a][b]"
_ELASTIC_FIELD = re.compile(r"\[([^\]]+)\]")
_REPEAT = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")


class BadExpression(BadInput):
    """The expression is not one that RE2 knows, or too large."""


@dataclass(frozen=True, slots=True)
class Expression:
    """`pattern` is RE2's, its capturing groups all named; `fields` says which field a group fills."""

    pattern: str
    fields: Mapping[str, str]

    def read(self, texts: pa.StringArray) -> tuple[dict[str, pa.StringArray], Bools]:
        """What each field's group matched, "" where it took no part; and which texts matched."""
        found = pc.extract_regex(texts, self.pattern)
        values: dict[str, pa.StringArray] = {}
        for number, group in enumerate(found.type):
            field = self.fields[group.name]
            part = found.field(number)
            values[field] = pc.if_else(pc.equal(values[field], ""), part, values[field]) if field in values else part
        return values, numpy_bools(found.is_valid())


def entries_of(values: Mapping[str, pa.StringArray], matched: Bools) -> Entries:
    """The columns of values that are there and not empty, of the rows that matched."""
    entries = entries_of_map(attribute_map(values, len(matched)))
    return entries.filter(matched[entries.rows])


def compile_expression(pattern: str) -> Expression:
    """Check an expression with named groups, `(?P<name>…)` or `(?<name>…)`; groups without a name do not capture.

    A name may have dots, and stand in several groups; `[http][status]` is `http.status`. Raises `BadExpression`.
    """
    text, fields = _with_plain_groups(pattern)
    if not fields:
        raise BadExpression("it names no field: write (?P<name>…) around what is to be read out")
    checked(text)
    for group in _try(text, capturing=True):
        if group not in fields:
            raise BadExpression(f"{group!r} is not a field's name: {FIELD_NAME_FORM}")
    return Expression(text, fields)


def field_of_group(name: str) -> str:
    """`[http][status]`, as Logstash writes it, is `http.status`."""
    return ".".join(_ELASTIC_FIELD.findall(name)) if name.startswith("[") else name


def checked(pattern: str) -> str:
    """The expression itself, when it is bounded and RE2 knows it. Raises `BadExpression`."""
    if len(pattern) > LENGTH_MAX:
        raise BadExpression(f"it has {len(pattern):,} characters; {LENGTH_MAX:,} are the most")
    size = _size(pattern)
    if size > SIZE_MAX:
        raise BadExpression(f"its repetitions written out are {size:,} characters; {SIZE_MAX:,} are the most")
    _try(pattern, capturing=False)
    return pattern


def matches_nothing(pattern: str) -> bool:
    """Whether the expression is found in an empty text."""
    return bool(pc.match_substring_regex(pa.array([""]), pattern)[0].as_py())


def _try(pattern: str, *, capturing: bool) -> Sequence[str]:
    """The names of its groups, when they capture."""
    try:
        if capturing:
            return tuple(group.name for group in pc.extract_regex(pa.array([""]), pattern).type)
        pc.match_substring_regex(pa.array([""]), pattern)
        return ()
    except pa.ArrowInvalid as error:
        raise BadExpression(f"not a regular expression that RE2 knows: {error}") from error


def _with_plain_groups(pattern: str) -> tuple[str, dict[str, str]]:
    """The pattern with g0, g1… for the names of its groups, and what these were; others capture nothing.

    RE2 has neither dots in a name nor a name twice.
    """
    pieces = _PIECE.findall(pattern)
    fields: dict[str, str] = {}
    written = []
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if len(piece) > 1 and piece.startswith("("):
            name = _GROUP_NAME.search(piece)
            assert name is not None, "_PIECE finds no other opening that is as long"
            group = f"g{len(fields)}"
            fields[group] = field_of_group(name[1])
            written.append(f"(?P<{group}>")
        else:
            written.append("(?:" if piece == "(" and following != "?" else piece)
    return "".join(written), fields


def _size(pattern: str) -> int:
    """About how many characters the expression has with its counted repetitions written out."""
    sizes, last = [0], 0
    position = 0
    pieces = _PIECE.findall(pattern)
    places = []
    for piece in pieces:
        places.append(position)
        position += len(piece)
    skip_to = 0
    for piece, place in zip(pieces, places, strict=True):
        if place < skip_to:
            continue
        repeat = _REPEAT.match(pattern, place) if piece == "{" else None
        if repeat is not None:
            times = max(int(repeat[1]), int(repeat[2] or 0), 1)
            sizes[-1] += last * (times - 1)
            last *= times
            skip_to = repeat.end()
        elif piece.startswith("("):
            sizes.append(0)
        elif piece == ")" and len(sizes) > 1:
            last = sizes.pop() + 1
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += 1
        if sum(sizes) > SIZE_MAX:
            break
    return sum(sizes)
