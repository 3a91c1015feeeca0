"""Steps by which events are left out: drop_events and sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import Stop
from tailrace.kernels.text_hash import hash_texts
from tests.steps.rig import ARRIVAL_US, Dropped, Event, batch, pipeline, run

WORD = (1 << 64) - 1


def twin(text: str, seed: int) -> int:
    """FNV-1a and MurmurHash3's finaliser, as their authors write them."""
    state = 0xCBF29CE484222325 ^ seed
    for byte in text.encode():
        state = ((state ^ byte) * 0x100000001B3) & WORD
    state ^= state >> 33
    state = (state * 0xFF51AFD7ED558CCD) & WORD
    state ^= state >> 33
    state = (state * 0xC4CEB9FE1A85EC53) & WORD
    return state ^ (state >> 33)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.integers(0, WORD)), min_size=1, max_size=5))
def test_the_hash_is_that_of_its_twin(texts: list[tuple[str, int]]) -> None:
    """Text by text, also of an array that is a part of another."""
    column = pa.array(["other", *(text for text, _ in texts)], pa.string())[1:]
    seeds = np.array([seed for _, seed in texts], np.uint64)
    assert hash_texts(column, seeds).tolist() == [twin(text, seed) for text, seed in texts]


def test_events_are_dropped_and_counted(tmp_path: Path) -> None:
    """Only those that `where` means; each drop is counted under the step's name."""
    dropped = Dropped()
    toml = """
[[step]]
kind = "drop_events"
name = "health"
where = 'path:"/healthz" OR level:DEBUG'
"""
    events: list[Event] = [
        {"message": "a", "attributes": {"path": "/healthz"}},
        {"message": "b", "level": "DEBUG"},
        {"message": "c", "level": "INFO", "attributes": {"path": "/healthz/x"}},
    ]
    found = run(pipeline(tmp_path, toml, dropped=dropped), *events)
    assert [event["message"] for event in found] == ["c"]
    assert dropped == {"health": 2}


def test_all_events_may_go(tmp_path: Path) -> None:
    """A batch of nothing but noise becomes nothing, also where steps follow."""
    dropped = Dropped()
    toml = '[[step]]\nkind = "drop_events"\nwhere = "*"\n[[step]]\nkind = "json"'
    assert pipeline(tmp_path, toml, dropped=dropped).apply(batch([{}, {}])) == []
    assert dropped == {"drop_events-1": 2}


SAMPLE = '[[step]]\nkind = "sample"\nkeep_one_of = 10'


def test_one_of_ten_is_kept_and_says_so(tmp_path: Path) -> None:
    """Of 20,000 about 2,000 (within 5 standard deviations), each of which says for how many it stands: so the sum of
    what they say comes near the number that there were. The rest is counted.
    """
    dropped = Dropped()
    events: list[Event] = [{"timestamp": ARRIVAL_US - n, "message": "GET /"} for n in range(20_000)]
    found = run(pipeline(tmp_path, SAMPLE, dropped=dropped), *events)
    assert abs(len(found) - 2_000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    assert all(event["attributes"] == {"sample_rate": "10"} for event in found)
    assert dropped == {"sample-1": 20_000 - len(found)}


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(40)), st.integers(1, 39))
def test_an_event_is_decided_alike_whatever_comes_with_it(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cut: int
) -> None:
    """In another order, in two batches, in another process: the same ones are kept."""
    pipe = pipeline(tmp_path_factory.getbasetemp(), SAMPLE.replace("10", "3"))
    events: list[Event] = [{"timestamp": ARRIVAL_US - n, "message": f"m{n}"} for n in range(40)]
    kept = {event["message"] for event in run(pipe, *events)}
    assert kept == {
        f"m{n}" for n in range(40) if twin(f"m{n}", ARRIVAL_US - n) % 3 == 0
    }  # the twin knows of no batch
    shuffled = [events[n] for n in order]
    again = run(pipe, *shuffled[:cut]) + run(pipe, *shuffled[cut:])
    assert {event["message"] for event in again} == kept


def test_what_is_kept_stays_in_its_order(tmp_path: Path) -> None:
    """Also where a step is for every second event, and keeps some of these."""
    events = batch([{"timestamp": ARRIVAL_US - n, "message": f"m{n}", "host": "ab"[n % 2]} for n in range(200)])
    (shaped,) = pipeline(tmp_path, f"{SAMPLE.replace('10', '3')}\nwhere = 'host:a'").apply(events)
    rows = shaped.events.column("log_row").to_pylist()
    assert rows == sorted(rows)
    assert set(range(1, 200, 2)) < set(rows) < set(range(200))


def test_a_trace_is_kept_or_dropped_as_a_whole(tmp_path: Path) -> None:
    """Its id decides, not the messages and times of its events."""
    events: list[Event] = [
        {"timestamp": ARRIVAL_US - 7 * n, "message": f"m{n}", "trace_id": f"trace{n % 50}"} for n in range(1_000)
    ]
    found = run(pipeline(tmp_path, SAMPLE.replace("10", "4")), *events)
    traces = [event["trace_id"] for event in found]
    assert 0 < len(set(traces)) < 50
    assert len(traces) == 20 * len(set(traces))


def test_rates_by_the_value_of_a_field(tmp_path: Path) -> None:
    """Values with a rate of their own; 1 keeps all and marks none; steps one after the other multiply."""
    toml = """
[[step]]
kind = "sample"
by = "service"
rates = { chatty = 5, quiet = 1 }
keep_one_of = 2
[[step]]
kind = "sample"
where = "service:chatty"
keep_one_of = 3
"""
    events: list[Event] = [
        {"timestamp": ARRIVAL_US - n, "service": service}
        for n in range(3_000)
        for service in ("chatty", "quiet", "x")
    ]
    found = run(pipeline(tmp_path, toml), *events)
    counts = {service: sum(event["service"] == service for event in found) for service in ("chatty", "quiet", "x")}
    assert counts["quiet"] == 3_000
    assert abs(counts["x"] - 1_500) < 140
    rates = {(event["service"], event["attributes"].get("sample_rate")) for event in found}
    assert rates == {("chatty", "15"), ("quiet", None), ("x", "2")}


def test_samples_of_a_sample_are_a_sample(tmp_path: Path) -> None:
    """The second of two equal steps keeps one of ten of what the first has kept, and not all of it."""
    events: list[Event] = [{"timestamp": ARRIVAL_US - n, "message": "GET /"} for n in range(20_000)]
    found = run(pipeline(tmp_path, f"{SAMPLE}\n{SAMPLE}"), *events)
    assert abs(len(found) - 200) < 5 * (20_000 * 0.01 * 0.99) ** 0.5
    assert all(event["attributes"] == {"sample_rate": "100"} for event in found)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("kind = 'drop_events'", "`where` has to say which events"),
        ("kind = 'drop_events'\nwhere = 'level:('", "where: column 7"),
        ("kind = 'sample'\nkeep_one_of = 0", "keep_one_of: Input should be greater"),
        ("kind = 'sample'\nrates = { a = 2 }", "`by` and `rates` go together"),
        ("kind = 'sample'\nby = 'timestamp'\nrates = { a = 2 }", "by: timestamp is a time"),
    ],
)
def test_what_is_refused_at_the_start(tmp_path: Path, step: str, reason: str) -> None:
    """The place and the reason are told."""
    with pytest.raises(Stop, match="step 1") as caught:
        pipeline(tmp_path, f"[[step]]\n{step}")
    assert reason in str(caught.value)
