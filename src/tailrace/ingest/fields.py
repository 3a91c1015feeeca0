"""The names under which programs send an event's own fields.

A name is a flattened key, nested ones joined by dots. Of the names of one column the first in its list that has a
usable value wins; the others stay attributes. A null is as good as absent.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.model.level import NumberScale

TIMESTAMP_NAMES = (
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "_time",
    "timeUnixNano",
    "record.time.timestamp",  # loguru
)

LEVEL_NAMES = (
    "level",
    "levelname",
    "severity",
    "log.level",
    "severityText",
    "severity_text",
    "record.level.name",  # loguru
    "status",
    "PRIORITY",
    "severityNumber",
    "severity_number",
)

TEXT_NAMES = {
    "service": (
        "service",
        "service.name",
        "service_name",
        "source",
        "app",
        "application",
        "logger",
        "resource.service.name",
    ),
    "host": ("host", "hostname", "host.name", "resource.host.name"),
    "message": ("message", "msg", "event", "log", "body", "short_message", "_msg", "record.message"),
    "trace_id": ("trace_id", "traceId", "trace.id", "TraceId", "dd.trace_id"),
    "span_id": ("span_id", "spanId", "span.id", "SpanId", "dd.span_id"),
}

MESSAGE_OBJECTS = frozenset({"message", "msg", "body", "short_message", "_msg"})
"""Names whose object is the message, as JSON text. `event` and `log` are namespaces when they hold an object, as
in Elastic's common schema, and are flattened."""

ATTRIBUTES_PREFIX = "attributes."
"""Left out of an attribute's name: `attributes.NAME` means NAME, in queries too. What stands there is never a
column of its own."""

NUMBER_SCALES: dict[str, NumberScale] = {
    "PRIORITY": "syslog",
    "severityNumber": "otel",
    "severity_number": "otel",
}
"""How numbers are read as levels, where it is not `any`."""

COLUMNS = ("timestamp", "level", *TEXT_NAMES)
"""Columns that have names, in the order of `EVENT_SCHEMA`."""


@dataclass(frozen=True, slots=True)
class Alias:
    """`column` is an index into COLUMNS."""

    name: str
    column: int
    scale: NumberScale = "any"


ALIASES = tuple(
    Alias(name, column, NUMBER_SCALES.get(name, "any"))
    for column, names in enumerate((TIMESTAMP_NAMES, LEVEL_NAMES, *TEXT_NAMES.values()))
    for name in names
)
"""All names; within a column, the one that wins stands first."""
