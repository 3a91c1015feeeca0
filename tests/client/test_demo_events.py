"""The made-up events: valid, real enough, and the same for the same seed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.client.demo_catalogue import SERVICES, TEMPLATES
from tailrace.client.demo_events import DEMO_START_US, DemoEvents, incident_service, ndjson_bodies, to_ndjson
from tailrace.model.batch import EVENT_SCHEMA

MINUTE_US = 60_000_000


def calm_batch(events: int = 20_000, seed: int = 3) -> pa.RecordBatch:
    """Before the incident of the period that holds the start."""
    return DemoEvents(seed).batch(events, start_us=DEMO_START_US, end_us=DEMO_START_US + 1_000_000)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3_000), st.integers(0, 1 << 62), st.integers(1, 10_000_000), st.integers(0, 1 << 40))
def test_any_call_gives_a_valid_batch(events: int, start_us: int, length_us: int, seed: int) -> None:
    """The schema, the number of rows, the bounds of time and their order hold for any arguments."""
    start_us = min(start_us, 4_000_000_000_000_000)
    batch = DemoEvents(seed).batch(events, start_us=start_us, end_us=start_us + length_us)
    batch.validate(full=True)
    assert batch.schema == EVENT_SCHEMA
    times = batch["timestamp"].cast(pa.int64()).to_pylist()
    assert len(times) == events
    assert times == sorted(times)
    assert all(start_us <= time < start_us + length_us for time in times)


def test_the_same_seed_gives_the_same_bytes() -> None:
    """In batches and as NDJSON; another seed gives others."""
    assert calm_batch().equals(calm_batch())
    assert not calm_batch().equals(calm_batch(seed=4))
    assert list(ndjson_bodies(30_000, seed=5)) == list(ndjson_bodies(30_000, seed=5))
    assert list(ndjson_bodies(100, seed=5)) != list(ndjson_bodies(100, seed=6))


def test_levels_have_their_usual_shares() -> None:
    """Most events are INFO, and few are errors."""
    counts = Counter(calm_batch()["level"].to_pylist())
    shares = {level: count / 20_000 for level, count in counts.items()}
    expected = {"TRACE": 0.008, "DEBUG": 0.12, "INFO": 0.74, "WARN": 0.08, "ERROR": 0.05, "FATAL": 0.002}
    assert shares == pytest.approx(expected, abs=0.01)


def test_traces_go_through_several_services() -> None:
    """Events of one trace share its id, spread over services, and within a service share the span."""
    services, spans = defaultdict(set), defaultdict(set)
    batch = calm_batch().select(["trace_id", "span_id", "service"])
    for event in batch.to_pylist():
        if event["trace_id"] is not None:
            assert len(event["trace_id"]) == 32
            assert len(event["span_id"]) == 16
            services[event["trace_id"]].add(event["service"])
            spans[event["trace_id"], event["service"]].add(event["span_id"])
    assert len(services) > 1_000
    assert sum(len(found) > 1 for found in services.values()) > len(services) / 2
    assert all(len(found) == 1 for found in spans.values())


def test_an_incident_raises_one_services_errors() -> None:
    """In its time the service in trouble fails several times as often as the others, and not before."""
    source = DemoEvents(3)
    period = DEMO_START_US // (4 * MINUTE_US)
    start_us = period * 4 * MINUTE_US
    troubled = SERVICES[incident_service(3, period)]

    def error_share(minute: float, *, of_troubled: bool) -> float:
        first_us = start_us + int(minute * MINUTE_US)
        batch = source.batch(40_000, start_us=first_us, end_us=first_us + 1_000_000)
        mine = pc.equal(batch["service"], troubled)
        levels = batch["level"].filter(mine if of_troubled else pc.invert(mine))
        return float(pc.mean(pc.equal(levels, "ERROR").cast(pa.float64())).as_py())

    assert error_share(0.5, of_troubled=True) < 0.1
    assert error_share(1.2, of_troubled=True) > 0.3
    assert error_share(1.2, of_troubled=False) < 0.1


def test_messages_and_attributes_belong_together() -> None:
    """A latency in the message is the attribute's, every message is filled in, and there are thousands of them."""
    events = calm_batch().to_pylist()
    assert not any("{" in event["message"] for event in events)
    assert len({event["message"] for event in events}) > 10_000
    with_latency = 0
    for event in events:
        attributes = dict(event["attributes"])
        assert len(attributes) == len(event["attributes"])
        if "latency_ms" in attributes:
            assert attributes["latency_ms"] in event["message"]
            with_latency += 1
        if "exception.type" in attributes:
            assert event["level"] in ("ERROR", "FATAL")
            assert attributes["exception.stacktrace"]
    assert with_latency > 3_000


def test_every_service_has_something_to_say_at_every_level() -> None:
    """No pair of service and level is without a template, and a template without a service is a misprint."""
    said = {(template.service, template.level) for template in TEMPLATES}
    assert said == {
        (service, level) for service in SERVICES for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    }


@pytest.mark.parametrize("attributes", [False, True])
def test_ndjson_says_what_the_batch_says(attributes: bool) -> None:
    """Every line is JSON and its members are the row's, escapes included."""
    batch = calm_batch(5_000)
    lines = to_ndjson(batch, attributes=attributes).splitlines()
    for line, row in zip(lines, batch.to_pylist(), strict=True):
        event = json.loads(line)
        expected = {name: row[name] for name in ("level", "service", "host", "message")}
        expected["timestamp"] = row["timestamp"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        expected |= {
            name: row[name] for name in ("trace_id", "span_id") if row[name] and (attributes or name[0] == "t")
        }
        if attributes:
            numbers = ("latency_ms", "http.status_code")
            expected |= {name: int(value) if name in numbers else value for name, value in row["attributes"]}
        assert event == expected


@pytest.mark.slow
def test_bodies_have_the_size_asked_for() -> None:
    """The last one may be smaller; an event is about 175 bytes; the times go on from body to body."""
    bodies = list(ndjson_bodies(142_001, body_events=5_000, seed=1))
    assert [body.count(b"\n") for body in bodies] == [5_000] * 28 + [2_001]
    assert 165 < sum(map(len, bodies)) / 142_001 < 185
    first, last = (json.loads(bodies[place].splitlines()[place])["timestamp"] for place in (0, -1))
    assert first.startswith("2025-03-28T10:00:00")
    assert last.startswith("2025-03-28T10:00:01.4")
    assert list(ndjson_bodies(0)) == []
