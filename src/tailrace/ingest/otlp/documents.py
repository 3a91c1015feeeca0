"""OTLP's messages as JSON documents, in plain Python.

Source: "JSON Protobuf Encoding" of the OTLP specification: identifiers are hexadecimal, enums numbers (names are
taken too), 64-bit numbers texts (or numbers); names that are not known are left out. Names may be lowerCamelCase or
snake_case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tailrace.config import IngestSettings
from tailrace.ingest.json_slow import Members, NotAnEvent, Number, clean, parse_json
from tailrace.ingest.otlp.events import Context, LogRecord, check_size, context_of_resource, context_of_scope
from tailrace.model.batch import LEVELS

_SEVERITY_NAMES = {
    f"SEVERITY_NUMBER_{level}{step or ''}": 4 * index + step + (1 if step == 0 else 0)
    for index, level in enumerate(LEVELS)
    for step in (0, 2, 3, 4)
} | {"SEVERITY_NUMBER_UNSPECIFIED": 0}
_SNAKE = re.compile("_([a-z])")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)


def read_record(document: bytes, *, limits: IngestSettings) -> LogRecord:
    """A `LogRecord`. Raises `NotJson`, and `NotAnEvent` for what cannot be one or is past a limit."""
    check_size(len(document), limits)
    members = _object(parse_json(document, limits), "a log record")
    return LogRecord(
        len(document),
        time_ns=_whole(members, "timeUnixNano"),
        observed_ns=_whole(members, "observedTimeUnixNano"),
        severity=_severity(members),
        severity_text=_text(members, "severityText"),
        body=_any_value(members.get("body"), limits, 1),
        attributes=_attributes(members, limits),
        dropped=_whole(members, "droppedAttributesCount"),
        flags=_whole(members, "flags"),
        trace_id=_text(members, "traceId").lower(),
        span_id=_text(members, "spanId").lower(),
        event_name=_text(members, "eventName"),
    )


def read_resource(document: bytes, *, limits: IngestSettings) -> Context:
    """A `Resource`; empty bytes where there is none. Raises as `read_record`."""
    check_size(len(document), limits)
    members = _object(parse_json(document or b"null", limits), "a resource")
    return context_of_resource(_attributes(members, limits), size_bytes=len(document), limits=limits)


def read_scope(document: bytes, resource: Context, *, limits: IngestSettings) -> Context:
    """An `InstrumentationScope` of the resource; empty bytes where there is none. Raises as `read_record`."""
    check_size(resource.size_bytes + len(document), limits)
    members = _object(parse_json(document or b"null", limits), "a scope")
    name, version = _text(members, "name"), _text(members, "version")
    attributes = _attributes(members, limits)
    return context_of_scope(resource, name, version, attributes, size_bytes=len(document), limits=limits)


def request_of(resource: bytes, scopes: Sequence[tuple[bytes, Sequence[bytes]]]) -> bytes:
    """An `ExportLogsServiceRequest` of one resource: its scopes, each with its records."""
    scope_logs = [
        b'{"scope":%b,"logRecords":[%b]}' % (scope or b"{}", b",".join(records)) for scope, records in scopes
    ]
    return b'{"resourceLogs":[{"resource":%b,"scopeLogs":[%b]}]}\n' % (resource or b"{}", b",".join(scope_logs))


def _object(value: Any, what: str) -> dict[str, Any]:
    """Members by their names in lowerCamelCase."""
    if value is None and what != "a log record":
        return {}
    if not isinstance(value, Members):
        raise NotAnEvent(f"not OTLP: {what} has to be an object")
    return {_SNAKE.sub(lambda found: found[1].upper(), name): item for name, item in value if item is not None}


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str):
        raise NotAnEvent(f"not OTLP: {name} has to be a string")
    return clean(str(value))


def _whole(members: dict[str, Any], name: str) -> int:
    value = members.get(name, "0")
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise NotAnEvent(f"not OTLP: {name} has to be a whole number")
    return int(value)


def _severity(members: dict[str, Any]) -> int:
    known = _SEVERITY_NAMES.get(str(members.get("severityNumber")))
    return _whole(members, "severityNumber") if known is None else known


def _attributes(members: dict[str, Any], limits: IngestSettings) -> Members:
    return _key_values(members.get("attributes", []), limits, 1)


def _key_values(items: Any, limits: IngestSettings, depth: int) -> Members:
    if not isinstance(items, list) or isinstance(items, Members):
        raise NotAnEvent("not OTLP: attributes have to be an array")
    found = Members()
    for item in items:
        pair = _object(item, "an attribute")
        found.append((_text(pair, "key"), _any_value(pair.get("value"), limits, depth)))
    return found


def _any_value(value: Any, limits: IngestSettings, depth: int) -> Any:
    if depth > limits.nesting_max:
        raise NotAnEvent(f"values are nested more than {limits.nesting_max} deep (ingest.nesting_max)")
    found: Any = None
    for name, item in _object(value, "a value").items():
        if name in ("stringValue", "bytesValue"):
            found = _text({name: item}, name)
        elif name in ("intValue", "doubleValue"):
            found = _number(item, name)
        elif name == "boolValue":
            if not isinstance(item, bool):
                raise NotAnEvent("not OTLP: boolValue has to be true or false")
            found = item
        elif name == "arrayValue":
            items = _object(item, "an arrayValue").get("values", [])
            if not isinstance(items, list) or isinstance(items, Members):
                raise NotAnEvent("not OTLP: values has to be an array")
            found = [_any_value(each, limits, depth + 1) for each in items]
        elif name == "kvlistValue":
            found = _key_values(_object(item, "a kvlistValue").get("values", []), limits, depth + 1)
    return found


def _number(item: Any, name: str) -> str:
    """With the digits it was written with; one that JSON has no number for (`NaN`) is a text."""
    if not isinstance(item, str):
        raise NotAnEvent(f"not OTLP: {name} has to be a number")
    return Number(item) if isinstance(item, Number) or _JSON_NUMBER.fullmatch(item) else clean(item)
