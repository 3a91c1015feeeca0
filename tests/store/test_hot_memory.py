"""The hot store in memory: what it keeps, what it lets go, and what live readers are given."""

from __future__ import annotations

import threading
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import Selection, Snapshot
from tests.store.lake_rig import event, numbered


def messages(snapshot: Snapshot) -> list[str]:
    found = snapshot.search(Selection(), order="asc", limit=1_000_000, after=None)
    return [str(text) for text in found["message"].to_pylist()]


def held(hot: HotMemory) -> list[str]:
    with hot.snapshot() as snapshot:
        return messages(snapshot)


def test_a_record_that_was_seen_is_left_out() -> None:
    """A replay changes nothing, also of a part of the records, and also twice in one call."""
    hot = HotMemory(1 << 20)
    hot.put([numbered(0), numbered(1)])
    hot.put([numbered(1), numbered(2), numbered(2)])
    assert held(hot) == ["0-0", "1-0", "2-0"]


def test_one_batch_may_hold_several_records() -> None:
    """Those that were seen are taken out of it: the offsets of a partition rise."""
    hot = HotMemory(1 << 20)
    hot.put([numbered(0), numbered(1, rows=2)])
    hot.put([pa.concat_batches([numbered(0), numbered(1, rows=2), numbered(2)])])
    assert held(hot) == ["0-0", "1-0", "1-1", "2-0"]


def test_settled_records_are_let_go() -> None:
    """Those and no others, also out of batches that were joined."""
    hot = HotMemory(1 << 20)
    hot.put([numbered(offset, rows=2) for offset in range(4)])
    assert len(held(hot)) == 8
    hot.settle({0: 3})
    assert held(hot) == ["3-0", "3-1"]
    hot.settle({0: 2})
    assert held(hot) == ["3-0", "3-1"]


def test_past_its_bound_the_oldest_are_let_go_and_counted() -> None:
    """Nothing waits: they are seen again when a store has them."""
    one = numbered(0, rows=9_000)
    hot = HotMemory(one.nbytes * 2)
    hot.put([one, numbered(1, rows=9_000)])
    assert (len(held(hot)), hot.let_go) == (18_000, 0)
    hot.put([numbered(2, rows=9_000)])
    assert {message.split("-")[0] for message in held(hot)} == {"1", "2"}
    assert hot.let_go == 9_000
    assert hot.bytes <= one.nbytes * 2


def test_the_newest_batch_stays_however_large() -> None:
    """Otherwise it would never be seen here."""
    hot = HotMemory(1000)
    hot.put([numbered(0, rows=500)])
    hot.put([numbered(1, rows=500)])
    assert {message.split("-")[0] for message in held(hot)} == {"1"}


def test_what_the_stores_have_is_not_taken_in_again() -> None:
    """After a restart the worker settles first, and replays then."""
    hot = HotMemory(1 << 20)
    hot.settle({0: 5})
    hot.put([numbered(4), numbered(5)])
    assert held(hot) == ["5-0"]


def test_a_view_does_not_change() -> None:
    """Neither by what is put after it, nor by what is let go."""
    hot = HotMemory(1000)
    hot.put([numbered(0)])
    with hot.snapshot() as before:
        hot.settle({0: 1})
        hot.put([numbered(1, rows=500)])
        assert messages(before) == ["0-0"]
        assert dict(before.reached) == {0: 1}


def test_above_leaves_out_what_a_store_has_reached() -> None:
    """By offset, also within batches that were joined, and for each partition by itself."""
    hot = HotMemory(1 << 20)
    hot.put([numbered(offset) for offset in range(6)])
    with hot.snapshot() as snapshot:
        assert messages(snapshot.above({0: 4})) == ["4-0", "5-0"]
        assert messages(snapshot.above({0: 6})) == []
        assert len(messages(snapshot.above({1: 9}))) == 6


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), max_size=40), cut=st.integers(0, 45), views=st.sets(st.integers(0, 40)))
def test_joining_keeps_every_row(sizes: list[int], cut: int, views: set[int]) -> None:
    """However puts and views alternate, the view holds what was put, and `above` cuts it exactly."""
    hot = HotMemory(1 << 26)
    expected = []
    for offset, rows in enumerate(sizes):
        hot.put([numbered(offset, rows)])
        expected += [(offset, f"{offset}-{row}") for row in range(rows)]
        if offset in views:
            with hot.snapshot():
                pass
    assert held(hot) == [message for _, message in expected]
    with hot.snapshot() as snapshot:
        assert messages(snapshot.above({0: cut})) == [message for offset, message in expected if offset >= cut]


@pytest.mark.slow
def test_thousands_of_single_events_are_few_batches() -> None:
    """A query must not meet a batch an event."""
    hot = HotMemory(1 << 26)
    for offset in range(3000):
        hot.put([numbered(offset)])
    with hot.snapshot() as snapshot:
        assert snapshot.count(Selection()) == 3000
        assert len(snapshot.table.to_batches()) < 20


def test_a_live_reader_gets_what_comes_after_it_asked() -> None:
    """Each batch once, and replays not at all."""
    hot = HotMemory(1 << 20)
    hot.put([numbered(0)])
    feed = hot.subscribe()
    hot.put([numbered(0), numbered(1)])
    hot.put([numbered(2)])
    taken = [batch["message"][0].as_py() for batch in feed.take(1)]
    assert taken == ["1-0", "2-0"]
    assert feed.take(0) == []
    feed.close()
    hot.put([numbered(3)])
    assert feed.take(0) == []


def test_a_slow_reader_misses_the_oldest_and_is_told_how_many() -> None:
    """What it misses and what it gets is all there was."""
    hot = HotMemory(1 << 30)
    feed = hot.subscribe()
    events = batch_of_rows([event("a message of some length", attributes={"key": "value"})] * 20_000)
    puts = (32 << 20) // events.nbytes + 3
    for offset in range(puts):
        hot.put([with_identity(events, 0, offset)])
    taken = feed.take(0)
    assert feed.missed > 0
    assert feed.missed + sum(batch.num_rows for batch in taken) == puts * 20_000
    offsets = [batch["log_offset"][0].as_py() for batch in taken]
    assert offsets[-1] == puts - 1
    assert all(b == a + 1 for a, b in pairwise(offsets))


def test_closing_wakes_those_who_wait() -> None:
    """A live tail ends at once when the server stops."""
    hot = HotMemory(1 << 20)
    feed = hot.subscribe()
    waiting = threading.Thread(target=feed.take, args=(60,))
    waiting.start()
    hot.close()
    waiting.join(10)
    assert not waiting.is_alive()
