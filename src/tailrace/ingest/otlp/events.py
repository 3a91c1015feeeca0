"""What a log record of OpenTelemetry means as an event, in plain Python: the oracle of `kernels/otlp/`.

Source: OpenTelemetry's "Logs Data Model" (v1.0), and `opentelemetry/proto/logs/v1/logs.proto` (OTLP 1.x).

* The time is `time_unix_nano`, else `observed_time_unix_nano`, else the arrival; always nanoseconds.
* The level is that of `severity_number`, else what `severity_text` names. What these say beyond the level stays as
  the attributes `severity_text` and `severity_number`.
* A body that is a text, a number or a boolean is the message. An array is, as JSON text; so is an object, but that
  one with a text or a number under `message`, `msg` or `MESSAGE` gives that as the message, and the rest as
  attributes `body.KEY`.
* `service.name` and `host.name` of the resource are service and host; its other attributes have the prefix
  `resource.`, those of the scope `scope.`, those of the record none. Nested ones are joined by dots, arrays are JSON
  text, bytes base64. An attribute without a value is as good as absent; of equal names the last one counts.
* `flags`, `event_name` and `dropped_attributes_count` are attributes where they are not 0 or empty.

Schema URLs, the observed time beside a time, and dropped counts of resource and scope are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tailrace.config import IngestSettings
from tailrace.ingest.fields import ATTRIBUTES_PREFIX
from tailrace.ingest.json_slow import FLATTENED_GROWTH_MAX, Members, NotAnEvent, Row, clean, text_of
from tailrace.ingest.timestamps import ADJUSTED, ORIGINAL, oddity_of
from tailrace.model.batch import LEVELS
from tailrace.model.level import level_of

MESSAGE_KEYS = ("message", "msg", "MESSAGE")
"""Where the message stands in a body that is an object; the last is journald's."""

SEVERITIES_MAX = 24
"""Severity numbers go from 1 to this, four to a level."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record as it was sent. Values are those of `json_slow.parse_json`: texts, `Number`, booleans, lists,
    `Members` and None; bytes are base64 text. `size_bytes` is what it took in the body.
    """

    size_bytes: int
    time_ns: int = 0
    observed_ns: int = 0
    severity: int = 0
    severity_text: str = ""
    body: Any = None
    attributes: Members = field(default_factory=Members)
    dropped: int = 0
    flags: int = 0
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What records have in common: all of a resource, or those of one of its scopes.

    `fields` is how many fields it adds to each record; `size_bytes` is what it took in the body.
    """

    service: str | None = None
    host: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    fields: int = 0
    size_bytes: int = 0


def context_of_resource(attributes: Members, *, size_bytes: int, limits: IngestSettings) -> Context:
    """Raises `NotAnEvent` past a limit."""
    fields = _fields(attributes)
    _check_fields(fields, limits)
    leaves = _leaves(attributes, "resource.", size_bytes)
    service = leaves.pop("resource.service.name", None)
    host = leaves.pop("resource.host.name", None)
    return Context(service or None, host or None, leaves, fields, size_bytes)


def context_of_scope(
    resource: Context, name: str, version: str, attributes: Members, *, size_bytes: int, limits: IngestSettings
) -> Context:
    """That of the resource with what the scope adds. Raises `NotAnEvent` past a limit."""
    fields = resource.fields + _fields(attributes) + bool(name) + bool(version)
    _check_fields(fields, limits)
    leaves = dict(resource.attributes)
    if name:
        leaves["scope.name"] = name
    if version:
        leaves["scope.version"] = version
    leaves.update(_leaves(attributes, "scope.", size_bytes))
    return Context(resource.service, resource.host, leaves, fields, resource.size_bytes + size_bytes)


def row_of(record: LogRecord, context: Context, *, limits: IngestSettings, now_us: int) -> Row:
    """Raises `NotAnEvent` past a limit."""
    body = record.body if isinstance(record.body, list) else []
    _check_fields(context.fields + _fields(record.attributes) + _fields(body), limits)
    message, rest = _message(record.body)
    attributes = dict(context.attributes)
    attributes.update(_leaves(rest, "body.", record.size_bytes))
    for name, text in _leaves(record.attributes, "", record.size_bytes).items():
        attributes[name.removeprefix(ATTRIBUTES_PREFIX)] = text
    level = _level(record)
    attributes.update(_extras(record, level))
    timestamp_us, marks = _time(record, limits, now_us)
    attributes.update(marks)
    return Row(
        timestamp=timestamp_us,
        level=level,
        service=context.service,
        host=context.host,
        message=message,
        trace_id=record.trace_id if record.trace_id.strip("0") else None,
        span_id=record.span_id if record.span_id.strip("0") else None,
        attributes=attributes,
    )


def check_size(size_bytes: int, limits: IngestSettings) -> None:
    """Raises `NotAnEvent` for a record, or what its scope and resource take, past `ingest.line_bytes_max`."""
    if size_bytes > limits.line_bytes_max:
        raise NotAnEvent(f"{size_bytes:,} bytes are more than {limits.line_bytes_max:,} (ingest.line_bytes_max)")


def _check_fields(count: int, limits: IngestSettings) -> None:
    if count > limits.fields_max:
        raise NotAnEvent(f"more than {limits.fields_max} fields (ingest.fields_max)")


def _fields(container: list[Any]) -> int:
    """How many members there are, those of nested objects counted."""
    count = 0
    pending: list[list[Any]] = [container]
    while pending:
        values: list[Any] = pending.pop()
        if isinstance(values, Members):
            count += len(values)
            values = [value for _, value in values]
        pending.extend(value for value in values if isinstance(value, list))
    return count


def _leaves(members: Members, prefix: str, size_bytes: int) -> dict[str, str]:
    leaves: dict[str, str] = {}
    room = FLATTENED_GROWTH_MAX * size_bytes
    for name, value in _flat(members, prefix):
        room -= len(name.encode())
        if room < 0:
            raise NotAnEvent(f"its nested keys, joined, are over {FLATTENED_GROWTH_MAX} times as long as it was sent")
        leaves[name] = text_of(value)
    return leaves


def _flat(members: Members, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in members:
        name = prefix + clean(key)
        if isinstance(value, Members):
            yield from _flat(value, name + ".")
        elif value is not None:
            yield name, value


def _message(body: Any) -> tuple[str, Members]:
    """The message, and what else is in the body."""
    if body is None:
        return "", Members()
    if isinstance(body, Members):
        for name in MESSAGE_KEYS:
            for key, value in body:
                if key == name and isinstance(value, str):
                    return clean(value), Members(member for member in body if member[0] != name)
    return text_of(body), Members()


def _level(record: LogRecord) -> str | None:
    if 1 <= record.severity <= SEVERITIES_MAX:
        return LEVELS[(record.severity - 1) // 4]
    return level_of(record.severity_text)


def _extras(record: LogRecord, level: str | None) -> dict[str, str]:
    extras: dict[str, str] = {}
    if record.severity_text and record.severity_text.encode().upper() != (level or "").encode():
        extras["severity_text"] = record.severity_text
    if record.severity and not (1 <= record.severity <= SEVERITIES_MAX and record.severity % 4 == 1):
        extras["severity_number"] = str(record.severity)
    if record.dropped:
        extras["dropped_attributes_count"] = str(record.dropped)
    if record.flags:
        extras["flags"] = str(record.flags)
    if record.event_name:
        extras["event_name"] = record.event_name
    return extras


def _time(record: LogRecord, limits: IngestSettings, now_us: int) -> tuple[int, dict[str, str]]:
    time_ns = record.time_ns or record.observed_ns
    if time_ns == 0:
        return now_us, {}
    oddity = oddity_of(time_ns // 1000, limits=limits, now_us=now_us)
    if oddity is None:
        return time_ns // 1000, {}
    return now_us, {ORIGINAL: str(time_ns), ADJUSTED: oddity}
