"""Every decoder, with bodies that are right: what is damaged, and by whom it has to be borne."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgpack
import orjson
from bench.protocol_bodies import (
    Event,
    bulk,
    events_of,
    forward,
    loki_json,
    loki_protobuf,
    otlp_json,
    otlp_protobuf,
    syslog,
)

from tailrace.client.demo_events import ndjson_bodies
from tailrace.ingest.arrow_logs import decode_arrow
from tailrace.ingest.bulk.decode import decode_bulk
from tailrace.ingest.datadog import decode_datadog
from tailrace.ingest.decoded import Decode, Decoded
from tailrace.ingest.forward.decode import decode_forward
from tailrace.ingest.gelf.decode import decode_gelf
from tailrace.ingest.journald.decode import decode_journal
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.loki.body import unsnapped
from tailrace.ingest.loki.decode import decode_loki_json, decode_loki_protobuf
from tailrace.ingest.otlp.decode import decode_otlp_json, decode_otlp_protobuf
from tailrace.ingest.splunk import decode_hec
from tailrace.ingest.syslog.decode import decode_syslog_stream
from tailrace.model.batch import encode_batch
from tests.fuzz.run import LIMITS, NOW_US

# Messages that the demo does not make: escapes, other scripts, and what looks like syntax.
_MESSAGES = (
    'said "no" \\ and left\t\n',
    "Grüße 日本語 😀 \u0000",
    '{"a": {"b": [1, 2.5e3, null, true]}} ]} <13>1 - ',
    "",
)


@dataclass(frozen=True, slots=True)
class Target:
    decode: Decode
    bodies: Sequence[bytes]


def targets() -> Mapping[str, Target]:
    """By the name of the protocol."""
    batches = _batches()

    def target(decode: Decode, encode: Callable[[Sequence[Event]], bytes]) -> Target:
        return Target(decode, [encode(batch) for batch in batches])

    return {
        "NDJSON": target(decode_json, _ndjson),
        "JSON array": target(decode_json, lambda events: b"[" + b",".join(_ndjson(events).split(b"\n")) + b"]"),
        "Arrow": target(decode_arrow, _arrow),
        "Elasticsearch bulk": target(decode_bulk, _bulk_with_ids),
        "Loki JSON": target(decode_loki_json, loki_json),
        "Loki protobuf": target(_loki_snappy, loki_protobuf),
        "Loki protobuf, uncompressed": target(decode_loki_protobuf, _unsnapped),
        "OTLP protobuf": target(decode_otlp_protobuf, otlp_protobuf),
        "OTLP JSON": target(decode_otlp_json, otlp_json),
        "syslog": target(decode_syslog_stream, syslog),
        "syslog, by lines": target(decode_syslog_stream, _rfc3164),
        "Forward": target(decode_forward, lambda events: forward(events, "chunk")),
        "Forward, message by message": target(decode_forward, _forward_messages),
        "Splunk HEC": target(decode_hec, _hec),
        "Datadog": target(decode_datadog, _datadog),
        "GELF": target(decode_gelf, lambda events: _gelf(events[0])),
        "journald": target(decode_journal, _journal),
    }


def _batches() -> list[list[Event]]:
    bodies = [next(iter(ndjson_bodies(6, body_events=6, seed=seed))) for seed in range(6)]
    batches = [events_of(body) for body in bodies]
    for batch in batches:
        for event, message in zip(batch, _MESSAGES, strict=False):
            event["message"] = message
            event["nested.key"] = message
    return batches


def _without_ns(event: Event) -> Event:
    return {name: value for name, value in event.items() if name != "ns"}


def _ndjson(events: Sequence[Event]) -> bytes:
    return b"\n".join(orjson.dumps({**_without_ns(event), "a": {"b": [1, None, {"c": 2.5}]}}) for event in events)


def _arrow(events: Sequence[Event]) -> bytes:
    return encode_batch(decode_json(_ndjson(events), limits=LIMITS, now_us=NOW_US).events)


def _bulk_with_ids(events: Sequence[Event]) -> bytes:
    lines = bulk(events).splitlines()
    lines[0::4] = [b'{"index":{"_index":"a","_id":"%d"}}' % number for number in range(len(lines[0::4]))]
    return b"\n".join(lines) + b"\n"


def _loki_snappy(body: bytes, *, limits: object, now_us: int) -> Decoded:
    plain = unsnapped(body, bytes_max=LIMITS.body_bytes_max)
    return decode_loki_protobuf(plain, limits=LIMITS, now_us=now_us)


def _unsnapped(events: Sequence[Event]) -> bytes:
    return unsnapped(loki_protobuf(events), bytes_max=LIMITS.body_bytes_max)


def _rfc3164(events: Sequence[Event]) -> bytes:
    lines = [f"<34>Oct 11 22:14:15 {each['host']} {each['service']}[42]: {each['message']}" for each in events]
    return "\n".join(lines).encode()


def _forward_messages(events: Sequence[Event]) -> bytes:
    packer = msgpack.Packer()
    seconds = [event["ns"] // 1_000_000_000 for event in events]
    single = [packer.pack(["tag", time, _without_ns(event)]) for time, event in zip(seconds, events, strict=True)]
    entries = [[time, {**event, "n": 1.5, "raw": b"\xff"}] for time, event in zip(seconds, events, strict=True)]
    return b"".join(single) + bytes(packer.pack(["tag", entries, {"chunk": "x"}]))


def _hec(events: Sequence[Event]) -> bytes:
    return b"".join(
        orjson.dumps({"time": each["ns"] / 1e9, "event": each["message"] or "-", "fields": {"level": each["level"]}})
        for each in events
    )


def _datadog(events: Sequence[Event]) -> bytes:
    return orjson.dumps([{**_without_ns(event), "ddtags": "env:prod,team:a", "ddsource": "py"} for event in events])


def _gelf(event: Event) -> bytes:
    return orjson.dumps(
        {"version": "1.1", "host": event["host"], "short_message": event["message"], "level": 3, "_user": "x"}
    )


def _journal(events: Sequence[Event]) -> bytes:
    entries = []
    for event in events:
        text = event["message"].encode()
        entries.append(
            b"__CURSOR=s=%d\n__REALTIME_TIMESTAMP=%d\nPRIORITY=3\n_HOSTNAME=h\nMESSAGE\n"
            % (event["ns"], event["ns"] // 1000)
            + len(text).to_bytes(8, "little")
            + text
            + b"\n\n"
        )
    return b"".join(entries)
