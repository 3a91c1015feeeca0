"""The shapes of the JSON answers, as OpenAPI shows them. Bodies are written from batches, not from these models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tailrace.serve.places import DEMO_EVENTS_PER_S

_EVENT: dict[str, JsonValue] = {
    "timestamp": "2025-03-28T10:00:00.000000Z",
    "level": "ERROR",
    "message": "Something failed",
    "service": "auth-service",
    "host": "web-1",
    "trace_id": None,
    "span_id": None,
    "attributes": {"latency_ms": "251", "http.status": "500"},
    "id": "0-42-7",
    "observed_timestamp": "2025-03-28T10:00:00.120000Z",
}


class Answer(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Event(Answer):
    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_extra={"examples": [_EVENT]})

    timestamp: str
    """When it happened: ISO 8601 in UTC, microseconds."""
    level: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None
    message: str
    service: str | None
    host: str | None
    trace_id: str | None
    span_id: str | None
    attributes: dict[str, str]
    """Everything else; nested keys are joined by dots."""
    id: str
    """The event's identity, PARTITION-OFFSET-ROW."""
    observed_timestamp: str
    """When it came in."""


class LogsPage(Answer):
    logs: list[Event]
    count: int
    """Events on this page."""
    next_cursor: str | None = Field(examples=["AAYxZ1sNQAAAAAAAAAAAAAAAACoAAAAHx0Xr4g"])
    """Ask again with it for the next page; null behind the last event."""


class EventsPage(Answer):
    events: list[Event]
    count: int
    """Events on this page."""
    next_cursor: str | None = Field(examples=["AAYxZ1sNQAAAAAAAAAAAAAAAACoAAAAHx0Xr4g"])
    """Ask again with it for the next page; null behind the last event."""


class Count(Answer):
    count: int = Field(examples=[1234])


class Series(Answer):
    kind: Literal["value", "absent", "others"]
    """`absent`: events without the field; `others`: all values that are too rare for a series of their own."""
    value: str | None = Field(examples=["ERROR"])
    count: int


class HistogramBucket(Answer):
    start: str = Field(examples=["2025-03-28T10:00:00.000000Z"])
    end: str = Field(examples=["2025-03-28T10:00:59.999999Z"])
    """The last microsecond of the bucket, so that `start` and `end` select just its events."""
    count: int
    counts: list[int] = Field(examples=[[40, 2]])
    """One for each series, in their order."""


class Histogram(Answer):
    interval_s: float = Field(examples=[60])
    by: str | None = Field(examples=["level"])
    count: int
    series: list[Series]
    buckets: list[HistogramBucket]
    """Without gaps, oldest first."""


class FieldCount(Answer):
    name: str = Field(examples=["http.status"])
    count: int


class Fields(Answer):
    fields: list[FieldCount]


class ValueCount(Answer):
    value: str = Field(examples=["500"])
    count: int


class Values(Answer):
    field: str = Field(examples=["http.status"])
    values: list[ValueCount]


class Context(Answer):
    before: list[Event]
    """Oldest first."""
    event: Event
    after: list[Event]


class SqlRequest(Answer):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    query: str = Field(examples=["SELECT service, count(*) AS n FROM logs GROUP BY ALL ORDER BY n DESC"])
    """One SELECT in DuckDB's SQL over the table `logs`."""
    format: Literal["json", "ndjson", "csv", "arrow"] = "json"


class SqlColumn(Answer):
    name: str = Field(examples=["service"])
    type: str = Field(examples=["string"])
    """The Arrow type."""


class SqlRows(Answer):
    columns: list[SqlColumn]
    rows: list[list[Any]] = Field(examples=[[["auth-service"]]])
    count: int
    truncated: bool = Field(examples=[False])
    """Whether there were more rows than a JSON answer holds; the other formats have no cap."""
    elapsed_s: float = Field(examples=[0.31])
    """From the moment the statement was taken up to its last row here; waiting for a free thread is not in it."""
    bytes_read: int | None = Field(examples=[1_250_000])
    """What was read of the lake's files on this machine, from the disk or the system's cache, compressed as they are.
    The newest events, which are in memory, are not in it. None where the system does not tell.
    """


class SavedRequest(Answer):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=200, examples=["Failed payments"])
    kind: Literal["search", "sql"]
    state: dict[str, Any] = Field(examples=[{"q": "level:ERROR AND service:pay*", "range": "1h"}])
    """What the dashboard needs to show it again; up to 65,536 bytes of JSON."""


class Saved(Answer):
    id: str = Field(examples=["pV3kT9xQz-1m"])
    """For links; it never changes."""
    name: str = Field(examples=["Failed payments"])
    kind: Literal["search", "sql"]
    state: dict[str, Any] = Field(examples=[{"q": "level:ERROR AND service:pay*", "range": "1h"}])
    created: str = Field(examples=["2025-03-28T10:00:00.000000Z"])
    updated: str = Field(examples=["2025-03-28T10:00:00.000000Z"])
    """When it was last changed."""


class SavedList(Answer):
    saved: list[Saved]
    """The last changed first."""


class DemoRequest(Answer):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    rate: int = Field(DEMO_EVENTS_PER_S, ge=1, le=5000)
    """Events a second, on average."""


class DemoFigures(Answer):
    running: bool
    rate: int = Field(examples=[DEMO_EVENTS_PER_S])
    """Events a second, on average: those that are made, or were when it last ran."""
    sent: int = Field(examples=[12_000])
    """Events that this server has made since its start."""


class Problem(Answer):
    """An RFC 9457 problem document."""

    type: str = "about:blank"
    title: str = Field(examples=["Bad Request"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["column 7: a value is missing after ':'"])
    column: int | None = Field(None, examples=[7])
    """For queries: where, counted from 1."""


class ReadinessOfPlace(Answer):
    name: str = Field(examples=["log"])
    ready: bool
    detail: str = Field(examples=[""])


class Ready(Answer):
    ready: bool
    places: list[ReadinessOfPlace]


class Healthy(Answer):
    status: Literal["ok"] = "ok"


class Status(Answer):
    version: str = Field(examples=["0.1.0"])
    now: str = Field(examples=["2025-03-28T10:00:00.000000Z"])
    log: dict[str, Any]
    """Bytes and records of the log, and what each group has not read yet."""
    stores: dict[str, dict[str, Any]]
    dead_letters: int | None
    """None: this role keeps none."""
    settings: dict[str, Any]
    """What is in force; secrets are masked."""


class DeadLetterSummary(Answer):
    id: str = Field(examples=["0-17-0"])
    observed_timestamp: str = Field(examples=["2025-03-28T10:00:00.000000Z"])
    source: str = Field(examples=["POST /logs from 127.0.0.1"])
    line: int
    reason: str = Field(examples=["not JSON: unexpected end of data"])
    content_type: str = Field(examples=["application/json"])
    bytes: int
    replayed_as: str | None = Field(examples=[None])
    """The log record, PARTITION-OFFSET, that was made of it already; null while there is none."""


class DeadLetterPage(Answer):
    dead_letters: list[DeadLetterSummary]
    count: int
    """All dead letters there are."""
    next_before: str | None = Field(examples=["0-17-0"])
    """Ask with `before` for those behind the last one here; null when there are none."""


class DeadLetterWhole(DeadLetterSummary):
    raw_base64: str = Field(examples=["e2JhZA=="])
    """The bytes as they came in."""
    text: str | None = Field(examples=["{bad"])
    """The same as text; null when they are not UTF-8."""


class Replayed(Answer):
    accepted: int
    """Events that are in the log now; the dead letter is gone."""
