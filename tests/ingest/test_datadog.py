"""Bodies of Datadog's intake: the names they use, tags, and what is wrong with some."""

from __future__ import annotations

import random
from typing import Any

from tailrace.config import IngestSettings
from tailrace.ingest.datadog import decode_datadog, decode_datadog_text
from tailrace.ingest.decoded import Decoded

NOW_US = 1_763_000_100_000_000
LIMITS = IngestSettings()

LOGS = (
    b'[{"message":"payment refused","ddsource":"nginx","ddtags":"env:prod,team:a,team:b,alone,host:other",'
    b'"hostname":"web-1","service":"checkout","status":"error","timestamp":1763000000123,"dd":{"trace_id":"77"},'
    b'"host":"kept"},{"message":"fine","status":"info"}]'
)


def decoded(body: bytes, **defaults: str) -> Decoded:
    return decode_datadog(body, limits=LIMITS, now_us=NOW_US, defaults=defaults)


def rows(body: bytes, **defaults: str) -> list[dict[str, Any]]:
    found = decoded(body, **defaults)
    assert found.rejected == []
    return [{**row, "attributes": dict(row["attributes"])} for row in found.events.to_pylist()]


def test_names_and_tags() -> None:
    """Tags become attributes beside the whole text, several values of one in a list; the event's own come first."""
    first, second = rows(LOGS)
    assert (first["message"], first["service"], first["host"]) == ("payment refused", "checkout", "kept")
    assert (first["level"], first["trace_id"]) == ("ERROR", "77")
    assert first["timestamp"].timestamp() == 1_763_000_000.123
    assert first["attributes"] == {
        "ddsource": "nginx",
        "ddtags": "env:prod,team:a,team:b,alone,host:other",
        "env": "prod",
        "team": "a,b",
        "hostname": "web-1",
    }
    assert (second["level"], second["attributes"]) == ("INFO", {})


def test_what_the_query_string_tells() -> None:
    """It is for events that do not tell it; its tags too become attributes."""
    (event,) = rows(b'{"message":"x","service":"own"}', service="told", ddsource="s", ddtags="env:q")
    assert event["service"] == "own"
    assert event["attributes"] == {"ddsource": "s", "ddtags": "env:q", "env": "q"}


def test_lines_of_text() -> None:
    """Each is a message."""
    found = decode_datadog_text(b"one\r\n\ntwo", limits=LIMITS, now_us=NOW_US, defaults={"service": "s"})
    assert found.events.column("message").to_pylist() == ["one", "two"]
    assert found.events.column("service").to_pylist() == ["s", "s"]


def test_good_events_of_a_bad_body_are_kept() -> None:
    """Bad elements have their number, the reason and their bytes; a body that was cut off keeps what is whole."""
    found = decoded(b'[{"message":"a","ddtags":"k:v"}, 5, {"message":"b"}, {"mess')
    assert found.events.column("message").to_pylist() == ["a", "b"]
    assert [(each.line, each.raw) for each in found.rejected] == [(2, b"5"), (4, b', {"mess')]


def test_damaged_bodies_never_raise() -> None:
    """Every outcome is events and rejected ones."""
    shuffled = random.Random(3)
    for _ in range(1_000):
        body = bytearray(LOGS)
        for _ in range(shuffled.randrange(1, 5)):
            body[shuffled.randrange(len(body))] = shuffled.choice((shuffled.randrange(256), 0x22, 0x5B, 0x7D))
        decoded(bytes(body)).events.validate(full=True)
        decode_datadog_text(bytes(body), limits=LIMITS, now_us=NOW_US).events.validate(full=True)
