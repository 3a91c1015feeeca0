"""OTLP log requests, made with OpenTelemetry's own protobuf classes, and what they mean by those classes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogRecordMessage
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs

from tailrace.config import IngestSettings
from tailrace.ingest.json_logs import batch_of_slow_rows
from tailrace.ingest.json_slow import Members, Number
from tailrace.ingest.otlp.events import Context, LogRecord, context_of_resource, context_of_scope, row_of

NOW_US = 1_743_156_000_000_000
NOW_NS = NOW_US * 1000
LIMITS = IngestSettings()


Pairs = dict[str, Any] | list[tuple[str, Any]]


def any_value(value: Any) -> AnyValue:
    """Python's value as OpenTelemetry's; an int beyond 64 bits is cut."""
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    found = AnyValue()
    if isinstance(value, dict):
        found.kvlist_value.SetInParent()
        found.kvlist_value.values.extend(key_values(value))
    elif isinstance(value, list):
        found.array_value.SetInParent()
        found.array_value.values.extend(any_value(item) for item in value)
    else:
        found.string_value = value
    return found


def key_values(pairs: Pairs) -> list[KeyValue]:
    items = pairs.items() if isinstance(pairs, dict) else pairs
    return [KeyValue(key=key, value=any_value(value)) for key, value in items]


def request(
    records: Sequence[LogRecordMessage], resource: dict[str, Any] | None = None, scope: str = ""
) -> ExportLogsServiceRequest:
    """All records under one resource and one scope."""
    scope_logs = ScopeLogs(log_records=records)
    if scope:
        scope_logs.scope.name = scope
    resource_logs = ResourceLogs(scope_logs=[scope_logs])
    resource_logs.resource.attributes.extend(key_values(resource or {}))
    return ExportLogsServiceRequest(resource_logs=[resource_logs])


def log_record(body: Any = "hello", attributes: Pairs | None = None, **fields: Any) -> LogRecordMessage:
    record = LogRecordMessage(**{"time_unix_nano": NOW_NS, **fields})
    if body is not None:
        record.body.CopyFrom(any_value(body))
    record.attributes.extend(key_values(attributes or {}))
    return record


def as_json(message: ExportLogsServiceRequest) -> bytes:
    """As OTLP has it: protobuf's JSON, but with hexadecimal identifiers and numbers for enums."""
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    for resource_logs in document.get("resourceLogs", ()):
        for scope_logs in resource_logs.get("scopeLogs", ()):
            for record in scope_logs.get("logRecords", ()):
                for name in ("traceId", "spanId"):
                    if name in record:
                        record[name] = base64.b64decode(record[name]).hex()
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def meaning(
    message: ExportLogsServiceRequest, text_of_double: Callable[[float], str], limits: IngestSettings = LIMITS
) -> pa.RecordBatch:
    """The events of a request whose records are all good, read by OpenTelemetry's classes."""
    rows = []
    for resource_logs in message.resource_logs:
        resource = context_of_resource(
            _members(resource_logs.resource.attributes, text_of_double), size_bytes=1 << 16, limits=limits
        )
        for scope_logs in resource_logs.scope_logs:
            context = context_of_scope(
                resource,
                scope_logs.scope.name,
                scope_logs.scope.version,
                _members(scope_logs.scope.attributes, text_of_double),
                size_bytes=1 << 16,
                limits=limits,
            )
            rows += [_row(record, context, text_of_double, limits) for record in scope_logs.log_records]
    return batch_of_slow_rows(rows, NOW_US)


def _row(record: LogRecordMessage, context: Context, text_of_double: Callable[[float], str], limits: Any) -> Any:
    read = LogRecord(
        1 << 16,
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity=record.severity_number,
        severity_text=record.severity_text,
        body=_value(record.body, text_of_double),
        attributes=_members(record.attributes, text_of_double),
        dropped=record.dropped_attributes_count,
        flags=record.flags,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        event_name=record.event_name,
    )
    return row_of(read, context, limits=limits, now_us=NOW_US)


def _members(pairs: Any, text_of_double: Callable[[float], str]) -> Members:
    return Members((pair.key, _value(pair.value, text_of_double)) for pair in pairs)


def _value(value: AnyValue, text_of_double: Callable[[float], str]) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    content = getattr(value, kind)
    if kind == "int_value":
        return Number(content)
    if kind == "double_value":
        return text_of_double(content)
    if kind == "bytes_value":
        return base64.b64encode(content).decode()
    if kind == "array_value":
        return [_value(item, text_of_double) for item in content.values]
    if kind == "kvlist_value":
        return _members(content.values, text_of_double)
    return content


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.one_of(
    st.sampled_from(["http.method", "service.name", "host.name", "attributes.x", "flags", "scope.name", "message"]),
    texts,
)
scalars = st.one_of(
    texts, st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-300, 300), st.floats(), st.none()
)
values = st.recursive(
    scalars | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
times = st.one_of(st.just(0), st.integers(NOW_NS - 10**15, NOW_NS + 10**12), st.integers(0, (1 << 64) - 1))
identifiers = st.sampled_from([b"", b"\0" * 8, b"\0" * 16, bytes(range(8)), bytes(range(16)), b"abc"])
messages = st.builds(
    log_record,
    values,
    st.lists(st.tuples(keys, scalars | values), max_size=5),
    time_unix_nano=times,
    observed_time_unix_nano=times,
    severity_number=st.integers(0, 24),
    severity_text=st.sampled_from(["", "INFO", "info", "Warning", "NOTICE", "loud", "7", " error", "Größe"]),
    dropped_attributes_count=st.sampled_from([0, 0, 1, 1 << 31]),
    flags=st.sampled_from([0, 1, (1 << 32) - 1]),
    trace_id=identifiers,
    span_id=identifiers,
    event_name=st.just("") | texts,
)


@st.composite
def requests(draw: st.DrawFn) -> ExportLogsServiceRequest:
    """Requests of several resources and scopes."""
    found = ExportLogsServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        resource_logs = found.resource_logs.add()
        resource_logs.resource.attributes.extend(key_values(draw(st.dictionaries(keys, values, max_size=3))))
        for _ in range(draw(st.integers(0, 2))):
            scope_logs = resource_logs.scope_logs.add()
            scope_logs.scope.name = draw(texts)
            scope_logs.scope.version = draw(st.sampled_from(["", "1.0"]))
            scope_logs.scope.attributes.extend(key_values(draw(st.dictionaries(keys, values, max_size=2))))
            scope_logs.log_records.extend(draw(st.lists(messages, max_size=4)))
    return found
