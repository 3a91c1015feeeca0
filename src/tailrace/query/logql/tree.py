"""What a LogQL query says, as frozen values; `parse` makes them.

Durations are in nanoseconds, as Loki counts time. A pipeline is a tuple of stages in the order they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MatchOperator = Literal["=", "!=", "=~", "!~"]
LineOperator = Literal["|=", "!=", "|~", "!~", "|>", "!>"]
CompareOperator = Literal["==", "!=", ">", ">=", "<", "<="]
Unit = Literal["number", "duration", "bytes"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label beside a text; an absent label is the empty text. A regex covers the whole value."""

    name: str
    operator: MatchOperator
    value: str


@dataclass(frozen=True, slots=True)
class LineFilter:
    """The line has (or lacks) at least one of the texts."""

    operator: LineOperator
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Json:
    """Every field of an object; with `paths`, just those: pairs of a label and a path of keys and indices."""

    paths: tuple[tuple[str, tuple[str | int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Logfmt:
    """Every pair of the line; with `names`, just those: pairs of a label and the line's key."""

    names: tuple[tuple[str, str], ...] = ()
    strict: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class Regexp:
    regex: str


@dataclass(frozen=True, slots=True)
class Pattern:
    pattern: str


@dataclass(frozen=True, slots=True)
class Unpack:
    pass


@dataclass(frozen=True, slots=True)
class Comparison:
    """The label's value, read as `unit`, beside a number; seconds for durations."""

    name: str
    operator: CompareOperator
    value: float
    unit: Unit


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


Condition = Matcher | Comparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class LabelFilter:
    condition: Condition


@dataclass(frozen=True, slots=True)
class LineFormat:
    template: str


@dataclass(frozen=True, slots=True)
class Rename:
    to: str
    name: str


@dataclass(frozen=True, slots=True)
class Render:
    to: str
    template: str


@dataclass(frozen=True, slots=True)
class LabelFormat:
    formats: tuple[Rename | Render, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Labels by name, or those that match."""

    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Decolorize:
    pass


Stage = (
    LineFilter
    | Json
    | Logfmt
    | Regexp
    | Pattern
    | Unpack
    | LabelFilter
    | LineFormat
    | LabelFormat
    | Drop
    | Keep
    | Decolorize
)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A stream selector and what is done with its lines."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


Conversion = Literal["", "bytes", "duration"]


@dataclass(frozen=True, slots=True)
class Unwrap:
    """The label that is the sample's value; the filters see the conversion's error."""

    name: str
    conversion: Conversion = ""
    filters: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    names: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """A sample for each series and step, over the lines of `(step - offset - range, step - offset]`."""

    operation: str
    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    operation: str
    of: Metric
    grouping: Grouping = Grouping(())
    parameter: int | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    """Which series of two vectors belong together; `many` names the side that may have several, "" for neither."""

    on: bool = False
    names: tuple[str, ...] = ()
    many: Literal["", "left", "right"] = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Metric
    right: Metric
    matching: Matching = Matching()
    as_bool: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A number by itself."""

    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """`vector(1)`: one series without labels."""

    value: float


@dataclass(frozen=True, slots=True)
class LabelReplace:
    of: Metric
    to: str
    replacement: str
    name: str
    regex: str


Metric = RangeAggregation | VectorAggregation | Binary | Number | Vector | LabelReplace
Query = LogQuery | Metric
