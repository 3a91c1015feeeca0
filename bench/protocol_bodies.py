"""The same events in the words of each protocol, as its shippers send them; made before anything is measured."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgpack
import orjson
import pyarrow as pa
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

Event = dict[str, Any]
"""An event as the demo makes it, with `ns`, its time in nanoseconds since 1970."""

_COLUMNS = ("timestamp", "ns", "level", "service", "host", "message", "trace_id", "span_id")
_OTEL_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_SYSLOG_SEVERITIES = {"TRACE": 7, "DEBUG": 7, "INFO": 6, "WARN": 4, "ERROR": 3, "FATAL": 2}


@dataclass(frozen=True, slots=True)
class HttpProtocol:
    """`must` is the part of NDJSON's rate that it has to reach."""

    name: str
    path: str
    content_type: str
    encode: Callable[[Sequence[Event]], bytes]
    must: float


def events_of(ndjson: bytes) -> list[Event]:
    events = [orjson.loads(line) for line in ndjson.splitlines()]
    for event in events:
        moment = datetime.fromisoformat(event["timestamp"])
        event["ns"] = int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
    return events


def bulk(events: Sequence[Event]) -> bytes:
    lines: list[bytes] = []
    for event in events:
        document = {
            "@timestamp": event["timestamp"],
            **{k: v for k, v in event.items() if k not in ("timestamp", "ns")},
        }
        lines += [b'{"create":{"_index":"logs-app-default"}}', orjson.dumps(document)]
    return b"\n".join(lines) + b"\n"


def loki_json(events: Sequence[Event]) -> bytes:
    streams = [
        {"stream": labels, "values": [[str(event["ns"]), event["message"], _metadata(event)] for event in entries]}
        for labels, entries in _streams(events)
    ]
    return orjson.dumps({"streams": streams})


def loki_protobuf(events: Sequence[Event]) -> bytes:
    parts = []
    for labels, entries in _streams(events):
        text = "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
        stream = _field(1, text.encode())
        for event in entries:
            stamp = _number(1, event["ns"] // 1_000_000_000) + _number(2, event["ns"] % 1_000_000_000)
            entry = _field(1, stamp) + _field(2, event["message"].encode())
            for name, value in _metadata(event).items():
                entry += _field(3, _field(1, name.encode()) + _field(2, value.encode()))
            stream += _field(2, entry)
        parts.append(_field(1, stream))
    return bytes(pa.Codec("snappy").compress(b"".join(parts), asbytes=True))


def otlp_json(events: Sequence[Event]) -> bytes:
    resources = []
    for labels, entries in _streams(events, ("service", "host")):
        records = [
            {
                "timeUnixNano": str(event["ns"]),
                "severityNumber": _OTEL_SEVERITIES[event["level"]],
                "severityText": event["level"],
                "body": {"stringValue": event["message"]},
                "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in _rest(event).items()],
                "traceId": event.get("trace_id", ""),
                "spanId": event.get("span_id", ""),
            }
            for event in entries
        ]
        names = {"service.name": labels["service"], "host.name": labels["host"]}
        attributes = [{"key": k, "value": {"stringValue": v}} for k, v in names.items()]
        scope = {"scope": {"name": "bench"}, "logRecords": records}
        resources.append({"resource": {"attributes": attributes}, "scopeLogs": [scope]})
    return orjson.dumps({"resourceLogs": resources})


def otlp_protobuf(events: Sequence[Event]) -> bytes:
    request = ExportLogsServiceRequest()
    for labels, entries in _streams(events, ("service", "host")):
        resource = request.resource_logs.add()
        for name, value in (("service.name", labels["service"]), ("host.name", labels["host"])):
            resource.resource.attributes.add(key=name).value.string_value = value
        scope = resource.scope_logs.add()
        scope.scope.name = "bench"
        for event in entries:
            record = scope.log_records.add(
                time_unix_nano=event["ns"],
                severity_number=_OTEL_SEVERITIES[event["level"]],
                severity_text=event["level"],
                trace_id=bytes.fromhex(event.get("trace_id", "")),
                span_id=bytes.fromhex(event.get("span_id", "")),
            )
            record.body.string_value = event["message"]
            for name, value in _rest(event).items():
                record.attributes.add(key=name).value.string_value = value
    return bytes(request.SerializeToString())


def syslog(events: Sequence[Event]) -> bytes:
    """RFC 5424 with octet counting, as rsyslog forwards."""
    frames = []
    for event in events:
        data = "".join(f' {name}="{value}"' for name, value in _metadata(event).items())
        priority = 16 * 8 + _SYSLOG_SEVERITIES[event["level"]]
        head = f"<{priority}>1 {event['timestamp']} {event['host']} {event['service']} 4711 - "
        text = head + (f"[bench@32473{data}]" if data else "-") + " " + event["message"]
        frames.append(b"%d %b" % (len(text.encode()), text.encode()))
    return b"".join(frames)


def forward(events: Sequence[Event], chunk: str) -> bytes:
    """PackedForward, acknowledged under `chunk`."""
    packer = msgpack.Packer()
    entries = b"".join(
        packer.pack([_event_time(event["ns"]), {k: v for k, v in event.items() if k not in ("timestamp", "ns")}])
        for event in events
    )
    return bytes(msgpack.packb(["bench", entries, {"chunk": chunk, "size": len(events)}]))


HTTP_PROTOCOLS = (
    HttpProtocol("Elasticsearch bulk", "/_bulk", "application/x-ndjson", bulk, 0.6),
    HttpProtocol("Loki push, JSON", "/loki/api/v1/push", "application/json", loki_json, 0.5),
    HttpProtocol("Loki push, protobuf", "/loki/api/v1/push", "application/x-protobuf", loki_protobuf, 0.4),
    HttpProtocol("OTLP, protobuf", "/v1/logs", "application/x-protobuf", otlp_protobuf, 0.4),
    HttpProtocol("OTLP, JSON", "/v1/logs", "application/json", otlp_json, 0.3),
)


def _event_time(ns: int) -> msgpack.ExtType:
    return msgpack.ExtType(0, (ns // 1_000_000_000).to_bytes(4, "big") + (ns % 1_000_000_000).to_bytes(4, "big"))


def _rest(event: Event) -> dict[str, str]:
    """What has no column."""
    return {name: str(value) for name, value in event.items() if name not in _COLUMNS}


def _metadata(event: Event) -> dict[str, str]:
    ids: dict[str, str] = {name: event[name] for name in ("trace_id", "span_id") if name in event}
    return {**ids, **_rest(event)}


def _streams(
    events: Sequence[Event], names: tuple[str, ...] = ("service", "host", "level")
) -> list[tuple[dict[str, str], list[Event]]]:
    def key(event: Event) -> tuple[str, ...]:
        return tuple(event[name] for name in names)

    grouped = itertools.groupby(sorted(events, key=key), key)
    return [(dict(zip(names, values, strict=True)), list(entries)) for values, entries in grouped]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
