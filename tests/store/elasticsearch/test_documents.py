"""Which index, which requests, which bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.client.demo_events import DEMO_START_US, DemoEvents
from tailrace.config import IngestSettings
from tailrace.ingest.json_logs import decode_json
from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.store.elasticsearch.documents import (
    DAY_US,
    NAMES,
    as_sent,
    by_day,
    day_of,
    index_of,
    render,
    slices,
)
from tailrace.store.elasticsearch.mapping import properties
from tests.kernels.test_json_out import ROWS


def arrived(*times_us: int) -> pa.RecordBatch:
    rows = [{"timestamp": 0, "observed_timestamp": time_us, "message": ""} for time_us in times_us]
    return with_identity(batch_of_rows(rows), 0, 0)


def test_the_documents_have_the_fields_of_the_mapping() -> None:
    """Every key is mapped, for both servers, and nothing is mapped that no document has."""
    assert set(NAMES.values()) == set(properties("elasticsearch")) == set(properties("opensearch"))


@given(st.integers(0, 2_900_000))
def test_the_name_of_an_index_says_its_day(day: int) -> None:
    """There and back; from 1970 for as long as a year has four digits."""
    name = index_of("logs", day)
    assert name == f"logs-{datetime.fromtimestamp(day * 86400, UTC):%Y.%m.%d}"
    assert day_of("logs", name) == day


def test_other_indices_have_no_day() -> None:
    """Those of other stores, data streams, dates that are none."""
    others = [
        "logs-2026.01.01-x",
        "logs-app-default",
        "logs",
        "logsx-2026.01.01",
        "logs-2026.13.01",
        "logs-a-2026.01.01",
    ]
    assert [day_of("logs", name) for name in others] == [None] * len(others)


def test_the_day_is_that_of_arrival() -> None:
    """A day ends at midnight in UTC, for times before 1970 too; the order within it is kept."""
    batch = arrived(DAY_US, DAY_US - 1, -1, 2 * DAY_US - 1)
    assert {day: part.column("log_row").to_pylist() for day, part in by_day(batch)} == {1: [0, 3], 0: [1], -1: [2]}


@pytest.mark.slow
@given(rows=ROWS, bulk_bytes=st.integers(1, 4_000))
def test_requests_hold_every_row_once_and_are_not_too_large(rows: list[dict[str, Any]], bulk_bytes: int) -> None:
    """In order, none empty, whatever the bound."""
    batch = pa.RecordBatch.from_pylist(rows, schema=STORED_SCHEMA)
    parts = list(slices(batch, bulk_bytes, at_once=3))
    assert [row for part in parts for row in part.to_pylist()] == batch.to_pylist()
    assert all(part.num_rows > 0 for part in parts)


def ordinary(events: int) -> pa.RecordBatch:
    batch = DemoEvents(seed=1).batch(events, start_us=DEMO_START_US, end_us=DEMO_START_US + 1_000_000)
    return with_identity(batch, 0, 0)


def test_requests_have_about_the_size_that_was_asked_for() -> None:
    """The lines of ordinary events are estimated well enough, and no part is much smaller than the others."""
    sizes = [len(render(part)[0]) for part in slices(ordinary(20_000), 1_000_000, at_once=3)]
    assert max(sizes) < 1_300_000
    assert min(sizes) > 0.9 * max(sizes)
    assert len(sizes) % 3 == 0


@pytest.mark.parametrize(("events", "requests"), [(0, 0), (100, 1), (500, 1), (2_000, 3), (3_000, 3), (30_000, 3)])
def test_few_events_keep_several_requests_busy_too(events: int, requests: int) -> None:
    """Unless they are too few for more than one."""
    assert len(list(slices(ordinary(events), 8 << 20, at_once=3))) == requests


def test_a_refused_event_is_kept_as_it_was_sent() -> None:
    """Decoded again, its text is the same event."""
    row = {
        "timestamp": 1_743_156_000_000_001,
        "observed_timestamp": 1_743_156_000_000_000,
        "level": "WARN",
        "service": "a",
        "message": 'say "id":"1-2-3"} \n',
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "attributes": {"a.b": "1", "id": "x"},
    }
    batch = with_identity(batch_of_rows([row, {**row, "message": "other"}]), 7, 8)
    (text,) = as_sent(batch, [0])
    decoded = decode_json(text, now_us=1_743_156_000_000_000, limits=IngestSettings())
    (found,) = decoded.events.to_pylist(maps_as_pydicts="strict")
    assert found == batch.slice(0, 1).select(batch.schema.names[:-3]).to_pylist(maps_as_pydicts="strict")[0]
