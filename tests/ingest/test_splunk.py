"""Bodies of Splunk's HTTP Event Collector: what an envelope means, and what is wrong with some."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.splunk import HecDecoded, decode_hec, decode_hec_raw

NOW_US = 1_763_000_100_000_000
LIMITS = IngestSettings()

# What splunk-handler 3 sent for two records.
SPLUNK_HANDLER = (
    b'{"event": "payment refused", "host": "web-1", "index": "main", "source": "checkout", "sourcetype": "text", '
    b'"time": 1763000000.25}{"event": "again", "host": "web-1", "index": "main", "source": "checkout", '
    b'"sourcetype": "text", "time": 1763000000.5}'
)
# What Docker's splunk driver sends for a line, in its default format.
DOCKER = (
    b'{"event":{"line":"it broke","source":"stderr","tag":"0123456789ab"},"time":"1763000000.250000","host":"node-1"}'
)


def decoded(body: bytes, limits: IngestSettings = LIMITS) -> HecDecoded:
    return decode_hec(body, limits=limits, now_us=NOW_US)


def only(body: bytes) -> dict[str, Any]:
    found = decoded(body)
    assert found.rejected == []
    (row,) = found.events.to_pylist()
    return {**row, "attributes": dict(row["attributes"])}


def test_what_splunk_handler_sends() -> None:
    """Objects with nothing between them; the source is the service."""
    first, second = decoded(SPLUNK_HANDLER).events.to_pylist()
    assert (first["message"], first["service"], first["host"]) == ("payment refused", "checkout", "web-1")
    assert dict(first["attributes"]) == {"index": "main", "sourcetype": "text"}
    assert second["timestamp"].timestamp() == 1_763_000_000.5


def test_what_docker_sends() -> None:
    """The line is the message, and `stderr` is no service."""
    event = only(DOCKER)
    assert (event["message"], event["service"], event["host"]) == ("it broke", None, "node-1")
    assert event["attributes"] == {"source": "stderr", "tag": "0123456789ab"}


def test_an_event_that_is_an_object() -> None:
    """Its members are the event's, `fields` too; what the envelope says wins, and the other stays an attribute."""
    event = only(
        b'{"host":"outer","time":1763000000,"event":{"msg":"x","host":"inner","n":1.50,"user":{"id":7}},'
        b'"fields":{"level":"warn","region":"eu"}}'
    )
    assert (event["message"], event["host"], event["level"]) == ("x", "outer", "WARN")
    assert event["attributes"] == {"host": "inner", "n": "1.50", "user.id": "7", "region": "eu"}


@pytest.mark.parametrize(
    ("event", "message"), [("5", "5"), ("true", "true"), ("[1, 2]", "[1,2]"), ('"\\u00e9\\ud800"', "é\ufffd")]
)
def test_events_of_other_types(event: str, message: str) -> None:
    """What is not an object is the message."""
    assert only(b'{"event":%b}' % event.encode())["message"] == message


@pytest.mark.parametrize("time", ['""', "null"])
def test_no_time(time: str) -> None:
    """An empty time is none: the event's is its arrival, without a mark."""
    event = only(b'{"event":"x","time":%b}' % time.encode())
    assert event["timestamp"].timestamp() == NOW_US / 1e6
    assert event["attributes"] == {}


@pytest.mark.parametrize(
    ("body", "failure", "accepted"),
    [
        (b'{"event":"a"}{"host":"h"}{"event":"b"}', (12, 1), 2),
        (b'[{"event":"a"},{"event":""}]', (13, 1), 1),
        (b'{"event":"a","fields":[]}', (15, 0), 0),
        (b'{"event":"a"} 5 {"event":"b"}', (6, 1), 2),
        (b'{"event":"a"}{"event":', (6, 1), 1),
        (b'[{"event":"a"}', (6, 1), 1),
        (b'[{"event":"a"} {"event":"b"}]', (6, 1), 1),
        (b'{"event":NaN}', (6, 0), 0),
        (b"", None, 0),
        (b"[]\n", None, 0),
    ],
)
def test_what_is_wrong_is_told_as_splunk_does(body: bytes, failure: tuple[int, int] | None, accepted: int) -> None:
    """The number of what is wrong with the first bad event and its place from 0; the good ones are kept."""
    found = decoded(body)
    assert found.first_failure() == failure
    assert found.events.num_rows == accepted


def test_limits() -> None:
    """An event past a limit is rejected with the setting; so is what is nested so deep that nobody can read it."""
    body = b'{"event":"%b"}{"event":{"a":%b1%b}}{"event":"last"}' % (b"x" * (1 << 20), b'{"b":' * 40, b"}" * 40)
    found = decoded(body)
    assert found.events.column("message").to_pylist() == ["last"]
    assert [("line_bytes_max" in each.reason, "nesting_max" in each.reason) for each in found.rejected] == [
        (True, False),
        (False, True),
    ]
    deep = decoded(b'{"event":"a"}' + b'{"event":' * 100_000)
    assert (deep.events.num_rows, len(deep.rejected)) == (1, 1)


@pytest.mark.parametrize("depth", [100, 400, 900])
def test_what_can_be_read_and_not_written_is_rejected(depth: int) -> None:
    """It is one event past the limit; the others of its body are kept."""
    found = decoded(b'{"event":"a"}{"event":%b1%b}{"event":"b"}' % (b'{"k":' * depth, b"}" * depth))
    assert found.events.column("message").to_pylist() == ["a", "b"]
    assert found.first_failure() == (6, 1)
    assert "ingest.nesting_max" in found.rejected[0].reason


def test_bytes_that_are_not_utf8() -> None:
    """They become U+FFFD in an event, and are kept as they were in a dead letter."""
    found = decoded(b'\xef\xbb\xbf{"event":"caf\xe9"}{"x":"\xe9"}')
    assert found.events.column("message").to_pylist() == ["caf\ufffd"]
    assert found.rejected[0].raw == b'{"x":"\xe9"}'


def test_raw_lines() -> None:
    """Each line is an event; times and levels are found in it, and the query string tells the rest."""
    found = decode_hec_raw(
        b"2025-11-13T02:13:20Z ERROR it broke\r\n\r\n2025-11-13T02:13:21Z INFO better\n",
        limits=LIMITS, now_us=NOW_US, told={"host": "h", "source": "s", "sourcetype": "t"},
    )  # fmt: skip
    first, second = found.events.to_pylist()
    assert (first["level"], first["host"], first["service"]) == ("ERROR", "h", "s")
    assert (second["timestamp"] - first["timestamp"]).total_seconds() == 1
    assert dict(second["attributes"]) == {"sourcetype": "t"}
    found = decode_hec_raw(b'{"msg":"json"}\n', limits=LIMITS, now_us=NOW_US, told={})
    assert found.events["message"].to_pylist() == ["json"]


DEEP = b'{"msg":%b1%b}' % (b'{"k":' * 400, b"}" * 400)


def test_raw_lines_of_json() -> None:
    """The query string tells of them too; a line that is no JSON is a message, and nothing is rejected for it."""
    body = b'{"msg":"a"}\n{"msg":"b","host":"own","service":"own"}\n  at main.c:7\n{"msg":"cut\n' + DEEP + b"\n[1]"
    for told in ({"host": "h", "source": "s", "index": "i"}, {}):
        found = decode_hec_raw(body, limits=LIMITS, now_us=NOW_US, told=told)
        assert found.rejected == []
        rows = found.events.to_pylist()
        assert [row["message"] for row in rows] == ["a", "b", "  at main.c:7", '{"msg":"cut', DEEP.decode(), "[1]"]
        if told:
            assert [row["host"] for row in rows] == ["h", "own", "h", "h", "h", "h"]
            assert [row["service"] for row in rows] == ["s", "own", "s", "s", "s", "s"]
            assert dict(rows[0]["attributes"]) == {"index": "i"}
            assert dict(rows[1]["attributes"]) == {"source": "s", "index": "i"}


def test_raw_lines_that_are_long() -> None:
    """A line of JSON of any length is read as one, and what is past the limit is rejected."""
    body = b'{"msg":"%b"}\n' % (b"x" * 100_000)
    assert decode_hec_raw(body, limits=LIMITS, now_us=NOW_US, told={}).events.num_rows == 1
    found = decode_hec_raw(body * 2, limits=IngestSettings(line_bytes_max=1000), now_us=NOW_US, told={"host": "h"})
    assert [each.line for each in found.rejected] == [1, 2]
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode_hec_raw(
            b"x\n" * 1000, limits=IngestSettings(body_bytes_max=10_000), now_us=NOW_US, told={"host": "h" * 50}
        )


NAMES = st.sampled_from(["msg", "level", "a", "b", "status", "user"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5), min_size=1, max_size=4))
def test_an_object_means_what_it_means_as_a_native_event(events: list[dict[str, Any]]) -> None:
    """An envelope of nothing but an event is that event."""
    body = "".join(json.dumps({"event": event}) for event in events)
    native = decode_json(json.dumps(events).encode(), limits=LIMITS, now_us=NOW_US)
    assert decoded(body.encode()).events.to_pylist() == native.events.to_pylist()


@pytest.mark.slow
def test_damaged_bodies_never_raise() -> None:
    """Every outcome is events and rejected ones."""
    shuffled = random.Random(3)
    for _ in range(1_000):
        body = bytearray(SPLUNK_HANDLER + DOCKER)
        for _ in range(shuffled.randrange(1, 5)):
            body[shuffled.randrange(len(body))] = shuffled.choice((shuffled.randrange(256), 0x22, 0x5B, 0x7D))
        decoded(bytes(body)).events.validate(full=True)
        decode_hec_raw(bytes(body), limits=LIMITS, now_us=NOW_US, told={}).events.validate(full=True)
