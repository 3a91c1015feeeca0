"""The fields of a sample of lines, with what they look like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from tailrace.query.logql.tree import Json, Logfmt
from tailrace.query.logql.values import bytes_of, number_of, seconds_of
from tailrace.serve.loki.frame import Frame, present
from tailrace.serve.loki.parsers import parsed

_PART_ROWS = 128
"""Lines that are looked at together: each of their fields is a column."""

Kind = Literal["int", "float", "boolean", "duration", "bytes", "string"]


@dataclass(slots=True)
class Field:
    """`parsers`: those that find it in lines; none of them: it is metadata."""

    name: str
    parsers: list[str]
    values: set[str] = field(default_factory=set)

    @property
    def kind(self) -> Kind:
        return kind_of(self.values)


def kind_of(values: set[str]) -> Kind:
    """What all of the values are."""
    if all(value in ("true", "false") for value in values):
        return "boolean"
    if all(value.lstrip("-").isdecimal() for value in values):
        return "int"
    if all(number_of(value) is not None for value in values):
        return "float"
    if all(seconds_of(value) is not None for value in values):
        return "duration"
    return "bytes" if all(bytes_of(value) is not None for value in values) else "string"


def detected(frames: Iterable[Frame]) -> list[Field]:
    """By name."""
    found: dict[str, Field] = {}
    for frame in (part for whole in frames for part in whole.parts(_PART_ROWS)):
        columns = {name: frame.metadata.column(name) for name in frame.metadata.names()}
        columns |= frame.parsed
        _add(found, "", columns)
        for parser, stage in (("json", Json()), ("logfmt", Logfmt(strict=True))):
            looked_at = parsed(frame, stage, None)
            # A line that is none of this parser's kind has no fields of it.
            sound = looked_at.filtered(~present(looked_at.errors))
            added = {name: column for name, column in sound.parsed.items() if name not in frame.parsed}
            _add(found, parser, added, at_least=2 if parser == "logfmt" else 1)
    return sorted(found.values(), key=lambda each: each.name)


def _add(found: dict[str, Field], parser: str, columns: dict[str, object], *, at_least: int = 1) -> None:
    for name, column in columns.items():
        values = {value for value in column.to_pylist() if value}  # type: ignore[attr-defined]
        if not values:
            continue
        each = found.setdefault(name, Field(name, []))
        each.values |= values
        if parser and parser not in each.parsers:
            each.parsers.append(parser)
