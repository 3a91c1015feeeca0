"""Bodies of Datadog's intake: the names they use, tags, and what is wrong with some."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
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


def test_what_the_query_string_tells_is_bounded() -> None:
    """Many small events under a long text would be a huge body."""
    limits = IngestSettings(body_bytes_max=10_000)
    told = {"ddtags": ",".join(f"k{number}:v" for number in range(50))}
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode_datadog(b'{"a":1}' * 1000, limits=limits, now_us=NOW_US, defaults=told)
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode_datadog_text(b"x\n" * 1000, limits=limits, now_us=NOW_US, defaults=told)


@pytest.mark.parametrize(("body", "events"), [(b"{}", 0), (b"{}\n", 0), (b"[]", 0), (b"[{}]", 1)])
def test_the_agents_probe_is_no_event(body: bytes, events: int) -> None:
    """At its start it sends an empty object, to see whether it could send logs."""
    for told in ({}, {"service": "s"}):
        found = decoded(body, **told)
        assert (found.events.num_rows, found.rejected) == (events, [])


def test_what_can_be_read_and_not_written_is_rejected() -> None:
    """It is one event past the limit; the others of its body are kept."""
    found = decoded(b'[{"message":"a","ddtags":"k:v"},{"x":%b1%b},{"message":"b"}]' % (b'{"k":' * 400, b"}" * 400))
    assert found.events.column("message").to_pylist() == ["a", "b"]
    assert [(each.line, "ingest.nesting_max" in each.reason) for each in found.rejected] == [(2, True)]


def test_lines_of_text() -> None:
    """Each is a message; only a line feed ends one."""
    told = "one\r\n\ntwo\rof\ffour\u2028and\x85\x1dparts\n".encode()
    found = decode_datadog_text(told, limits=LIMITS, now_us=NOW_US, defaults={"service": "s"})
    assert found.events.column("message").to_pylist() == ["one", "two\rof\ffour\u2028and\x85\x1dparts"]
    assert found.events.column("service").to_pylist() == ["s", "s"]


def test_good_events_of_a_bad_body_are_kept() -> None:
    """Bad elements have their number, the reason and their bytes; a body that was cut off keeps what is whole."""
    found = decoded(b'[{"message":"a","ddtags":"k:v"}, 5, {"message":"b"}, {"mess')
    assert found.events.column("message").to_pylist() == ["a", "b"]
    assert [(each.line, each.raw) for each in found.rejected] == [(2, b"5"), (4, b', {"mess')]


@pytest.mark.slow
def test_damaged_bodies_never_raise() -> None:
    """Every outcome is events and rejected ones."""
    shuffled = random.Random(3)
    for _ in range(1_000):
        body = bytearray(LOGS)
        for _ in range(shuffled.randrange(1, 5)):
            body[shuffled.randrange(len(body))] = shuffled.choice((shuffled.randrange(256), 0x22, 0x5B, 0x7D))
        decoded(bytes(body)).events.validate(full=True)
        decode_datadog_text(bytes(body), limits=LIMITS, now_us=NOW_US).events.validate(full=True)
