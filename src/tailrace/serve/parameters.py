"""The parameters of the query routes, as models: typed, described, and closed, so that a misspelt one is an error
instead of a filter that does not filter."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tailrace.errors import BadInput
from tailrace.model.batch import LEVELS
from tailrace.model.level import level_of
from tailrace.query.lucene import parse
from tailrace.query.times import parse_time
from tailrace.query.tree import All, And, Node, Or, Phrase
from tailrace.store.port import Selection

PAGE_ROWS_MAX = 10_000
"""Events of one JSON page: some 5 MB. More come by the cursor, or at once in a streaming format."""

Query = Annotated[
    str,
    Field(
        description="Lucene query; empty: every event", examples=['level:ERROR AND service:pay* AND "card declined"']
    ),
]
Start = Annotated[
    str | None,
    Field(
        description="From this time on: ISO 8601, epoch, or back from now", examples=["15m", "2025-03-28T10:00:00"]
    ),
]
End = Annotated[
    str | None,
    Field(
        description="Up to this time, which is included to the precision written: `2025-03-28` is the whole day",
        examples=["now", "2025-03-28"],
    ),
]
PageCursor = Annotated[str | None, Field(description="`next_cursor` of the answer before")]
PageLimit = Annotated[int, Field(ge=1, le=PAGE_ROWS_MAX, description="Events in the answer")]


class Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Selecting(Parameters):
    """Which events."""

    q: Query = ""
    start: Start = None
    end: End = None

    def selection(self, now_us: int) -> Selection:
        """Raises `QueryError`."""
        return selection_of(parse(self.q) if self.q.strip() else All(), self.start, self.end, now_us)


class LogsParameters(Selecting):
    service: Annotated[
        list[str], Field(description="Only these services; may be repeated", examples=[["auth-service"]])
    ] = []
    level: Annotated[
        list[str], Field(description=f"Only these levels ({', '.join(LEVELS)}, or an alias); may be repeated")
    ] = []
    limit: PageLimit = 100
    cursor: PageCursor = None

    def selection(self, now_us: int) -> Selection:
        parts: list[Node] = [parse(self.q)] if self.q.strip() else []
        if self.service:
            parts.append(_any_of("service", self.service))
        if self.level:
            parts.append(_any_of("level", [_level(text) for text in self.level]))
        return selection_of(And(tuple(parts)) if parts else All(), self.start, self.end, now_us)

    def normalised(self) -> dict[str, object]:
        """What two requests must have in common to have the same answer."""
        return {
            "service": sorted({text.casefold() for text in self.service}),
            "level": sorted({_level(text) for text in self.level}),
            "start": (self.start or "").strip(),
            "end": (self.end or "").strip(),
            "q": self.q.strip(),
            "limit": self.limit,
            "cursor": self.cursor or "",
        }


Format = Literal["json", "ndjson", "csv", "parquet", "arrow"]


class SearchParameters(Selecting):
    order: Annotated[Literal["desc", "asc"], Field(description="By time: newest or oldest first")] = "desc"
    limit: Annotated[
        int | None,
        Field(
            ge=1,
            description=f"Events in the answer. JSON: up to {PAGE_ROWS_MAX:,}, 100 when not given. "
            "The other formats: every match when not given",
        ),
    ] = None
    cursor: PageCursor = None
    format: Annotated[Format, Field(description="`json` answers in pages; the others stream every match")] = "json"


class HistogramParameters(Selecting):
    interval: Annotated[
        str | None,
        Field(description="Width of a bucket; by default chosen for about 60 buckets", examples=["30s", "5m", "1d"]),
    ] = None
    by: Annotated[str, Field(description="Field to split by; empty: none", examples=["level", "service"])] = "level"


class ValuesParameters(Selecting):
    limit: Annotated[int, Field(ge=1, le=1000, description="Values in the answer, most frequent first")] = 10


class ContextParameters(Parameters):
    id: Annotated[str, Field(description="`id` of the event", examples=["0-42-7"])]
    at: Annotated[
        str, Field(description="`timestamp` of the event, as it was given", examples=["2025-03-28T10:00:00.000000Z"])
    ]
    before: Annotated[int, Field(ge=0, le=1000, description="Events before it")] = 10
    after: Annotated[int, Field(ge=0, le=1000, description="Events after it")] = 10
    same: Annotated[
        str,
        Field(description="Fields, by commas, in which the events around it must be equal to it; empty: all events"),
    ] = "service,host"


class TailParameters(Parameters):
    q: Query = ""

    def where(self) -> Node:
        return parse(self.q) if self.q.strip() else All()


def selection_of(where: Node, start: str | None, end: str | None, now_us: int) -> Selection:
    """Raises `QueryError` for a text that is no time, `BadInput` for a start behind the end."""
    start_us = parse_time(start, now_us=now_us)[0] if start else None
    end_us = parse_time(end, now_us=now_us)[1] if end else None
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise BadInput(f"start ({start}) is after end ({end})")
    return Selection(where, start_us, end_us)


_UNITS_US = {
    "ms": 1000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)", re.ASCII)


def duration_us(text: str) -> int:
    """`30s`, `5m`, `1h`, … in microseconds; raises `BadInput`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise BadInput(
            f"interval {text!r} is not a duration: write a number and one of {', '.join(_UNITS_US)}, like 5m"
        )
    return int(match[1]) * _UNITS_US[match[2]]


def _any_of(field: str, values: list[str]) -> Node:
    nodes = tuple(Phrase(field, value) for value in dict.fromkeys(values))
    return nodes[0] if len(nodes) == 1 else Or(nodes)


def _level(text: str) -> str:
    level = level_of(text)
    if level is None:
        raise BadInput(f"level {text!r} is not one of {', '.join(LEVELS)}")
    return level
