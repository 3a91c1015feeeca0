"""Hot and store together answer as one place that holds everything would."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import RetryLater
from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.query.tree import Exists, Phrase
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import Cursor, Order, Searchable, Selection, Snapshot
from tailrace.store.union import Union, merge_ordered

START_US = 1_763_726_400_000_000
ORDERS: tuple[Order, Order] = ("asc", "desc")


def events(offset: int) -> pa.RecordBatch:
    """The events of one record: few times, so that many rows of both places share one."""
    chance = random.Random(offset)
    rows = [
        {
            "timestamp": START_US + chance.randrange(20) * 7_000_000,
            "observed_timestamp": START_US,
            "level": chance.choice(["INFO", "ERROR", None]),
            "service": f"svc-{chance.randrange(4)}",
            "message": f"event {offset} {row}",
            "attributes": {"n": str(chance.randrange(9))} if chance.random() < 0.5 else {},
        }
        for row in range(chance.randrange(1, 40))
    ]
    return with_identity(batch_of_rows(rows), offset % 2, offset)


def memory(offsets: Sequence[int]) -> HotMemory:
    place = HotMemory(1 << 30)
    for offset in offsets:
        place.put([events(offset)])
    return place


@pytest.fixture(scope="module")
def whole() -> HotMemory:
    return memory(range(60))


@pytest.fixture(scope="module")
def union() -> Union:
    """The store has the first 40 records, and hot still holds half of those beside the newest."""
    return Union(memory(range(20, 60)), memory(range(40)))


SELECTIONS = [
    Selection(),
    Selection(Phrase("level", "ERROR")),
    Selection(Exists("n"), START_US + 20_000_000, START_US + 90_000_000),
    Selection(Phrase(None, "absent")),
]


def identities(table: pa.Table | pa.RecordBatch) -> list[tuple[int, ...]]:
    columns = ("log_partition", "log_offset", "log_row")
    return list(zip(*(table.column(name).to_pylist() for name in columns), strict=True))


@contextmanager
def both(union: Union, whole: HotMemory) -> Iterator[tuple[Snapshot, Snapshot]]:
    with union.snapshot() as one, whole.snapshot() as other:
        yield one, other


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_pages_of_both_places_are_one_list(
    union: Union, whole: HotMemory, selection: Selection, order: Order
) -> None:
    """Page by page with a cursor, every event comes once and in the total order."""
    with both(union, whole) as (one, other):
        expected = identities(other.search(selection, order=order, limit=10_000, after=None))
        found: list[tuple[int, ...]] = []
        after: Cursor | None = None
        while True:
            page = one.search(selection, order=order, limit=97, after=after)
            assert page.schema == STORED_SCHEMA
            if page.num_rows == 0:
                break
            found += identities(page)
            time_us = page.column("timestamp")[-1].value
            after = Cursor(time_us, *found[-1])
        assert found == expected


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_stream_is_every_event_in_order(
    union: Union, whole: HotMemory, selection: Selection, order: Order
) -> None:
    """Two ordered streams become one."""
    with both(union, whole) as (one, other):
        expected = identities(other.search(selection, order=order, limit=10_000, after=None))
        found = [identity for batch in one.stream(selection, order=order) for identity in identities(batch)]
        assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
def test_figures_are_sums(union: Union, whole: HotMemory, selection: Selection) -> None:
    """Counts, bars, fields and values are those of one place that holds everything."""
    with both(union, whole) as (one, other):
        assert one.count(selection) == other.count(selection)
        for by in (None, "level", "n"):
            bars = one.histogram(selection, interval_us=60_000_000, by=by)
            assert set(bars) == set(other.histogram(selection, interval_us=60_000_000, by=by))
            assert len(set(bars)) == len(bars)
        assert counts(one.fields(selection)) == counts(other.fields(selection))
        for field in ("service", "n"):
            values = one.values(selection, field=field, limit=100)
            assert {v.value: v.count for v in values} == {
                v.value: v.count for v in other.values(selection, field=field, limit=100)
            }
            assert [v.count for v in values] == sorted((v.count for v in values), reverse=True)
            assert one.values(selection, field=field, limit=2) == values[:2]


def counts(figures: Sequence[Any]) -> dict[str, int]:
    return {figure.name: figure.count for figure in figures}


def test_the_view_has_reached_what_the_further_place_has(union: Union, whole: HotMemory) -> None:
    """For each partition, the higher of the two."""
    with both(union, whole) as (one, other):
        assert dict(one.reached) == dict(other.reached)


class _Watched:
    """A place that runs something just before its view is taken."""

    def __init__(self, place: Searchable, before: Callable[[], None]) -> None:
        self._place, self._before = place, before

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self._before()
        with self._place.snapshot() as taken:
            yield taken


def test_an_event_that_moves_while_the_view_is_taken_is_in_it_once() -> None:
    """Between the two views a flush ends: the store has the events now, and hot has let them go."""
    hot, store = memory(range(4, 8)), memory(range(4))

    def flush() -> None:
        store.put([events(offset) for offset in range(4, 8)])
        hot.settle({0: 8, 1: 8})

    with Union(hot, _Watched(store, flush)).snapshot() as view, memory(range(8)).snapshot() as expected:
        assert view.count(Selection()) == expected.count(Selection())


def test_while_hot_is_away_the_store_answers_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A query is answered without the newest events, and that is logged."""

    class Away(HotMemory):
        @contextmanager
        def snapshot(self) -> Iterator[Any]:
            raise RetryLater("hot is away")
            yield

    store = memory(range(4))
    with Union(Away(1), store).snapshot() as view, store.snapshot() as expected:
        assert view.count(Selection()) == expected.count(Selection())
    assert "hot is away" in caplog.text


def stream_of(keys: list[tuple[int, int]], sizes: list[int]) -> Iterator[pa.RecordBatch]:
    """Rows of these (time, offset), in batches of these sizes, empty ones among them."""
    rest = keys
    for size in [*sizes, len(keys)]:
        part, rest = rest[:size], rest[size:]
        rows = [
            {"timestamp": time_us, "observed_timestamp": 0, "message": "", "log_partition": 0, "log_offset": offset}
            | {"log_row": 0}
            for time_us, offset in part
        ]
        yield batch_of_rows(rows, STORED_SCHEMA)


@given(
    times=st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=40),
    sizes=st.lists(st.integers(0, 6), max_size=12),
    order=st.sampled_from(ORDERS),
)
def test_merging_two_ordered_streams_orders_all_their_rows(
    times: list[tuple[int, bool]], sizes: list[int], order: Order
) -> None:
    """However the rows are spread over the streams and their batches; no batch is empty."""
    rows = [(time_us, offset, is_left) for offset, (time_us, is_left) in enumerate(times)]
    rows.sort(reverse=order == "desc")
    left = [row[:2] for row in rows if row[2]]
    right = [row[:2] for row in rows if not row[2]]
    merged = list(merge_ordered(stream_of(left, sizes), stream_of(right, sizes[::-1]), order))
    assert all(batch.num_rows for batch in merged)
    found = [
        (time.value, offset.as_py())
        for batch in merged
        for time, offset in zip(batch["timestamp"], batch["log_offset"], strict=True)
    ]
    assert found == [row[:2] for row in rows]
