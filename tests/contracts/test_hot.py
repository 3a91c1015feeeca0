"""What every hot store promises (`store.port.HotWriter`, `HotReader`), run on memory and on Redis."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import HotReader, HotWriter, Selection
from tests.store.hot_rig import eventually, held, messages, redis_log, taken

BYTES_MAX = 1 << 20


@dataclass
class Pair:
    """A writer and a reader of the same events. Partitions are given out, so that examples share the pair."""

    writer: HotWriter
    reader: HotReader
    partitions: Iterator[int] = field(default_factory=itertools.count)

    def shown(self, *batches: pa.RecordBatch) -> list[str]:
        """Puts, waits until a mark that is put behind is seen, and tells what is seen but for marks."""
        self.writer.put(batches)
        mark = f"mark {next(self.partitions)}"
        self.writer.put([record(int(mark[5:]), 0, text=mark)])
        eventually(lambda: mark in held(self.reader), mark)
        return self.held()

    def held(self) -> list[str]:
        return [message for message in held(self.reader) if not message.startswith("mark")]


@pytest.fixture(params=["memory", pytest.param("redis", marks=[pytest.mark.slow, pytest.mark.xdist_group("log")])])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "memory":
        with closing(HotMemory(BYTES_MAX)) as hot:
            yield Pair(hot, hot)
    else:
        with redis_log(request.getfixturevalue("redis").url) as log:
            yield Pair(log.writer(bytes_max=BYTES_MAX), log.mirror(bytes_max=BYTES_MAX))


def record(partition: int, offset: int, rows: int = 2, *, text: str | None = None) -> pa.RecordBatch:
    """The events of one log record; the message names the identity."""
    events = [
        {
            "timestamp": 1_700_000_000_000_000 + 1000 * offset + row,
            "observed_timestamp": 1_700_000_000_000_000,
            "level": "WARN" if row % 2 else None,
            "message": text or f"{partition}.{offset}.{row}",
            "attributes": {"row": str(row)},
        }
        for row in range(rows if text is None else 1)
    ]
    return with_identity(batch_of_rows(events), partition, offset)


def texts(partition: int, *offsets: int) -> list[str]:
    return [f"{partition}.{offset}.{row}" for offset in offsets for row in range(2)]


def test_every_column_comes_through(pair: Pair) -> None:
    """What is read is what was put, type by type."""
    batch = record(p := next(pair.partitions), 7, rows=50)
    pair.shown(batch)
    with pair.reader.snapshot() as snapshot:
        found = snapshot.search(Selection(), order="asc", limit=1000, after=None)
        assert snapshot.reached[p] == 8
    mine = found.filter(pa.compute.equal(found["log_partition"], p))
    assert mine.combine_chunks().equals(pa.Table.from_batches([batch], STORED_SCHEMA))


def test_nothing_was_put(pair: Pair) -> None:
    """An empty put shows nothing, and breaks nothing."""
    pair.writer.put([])
    pair.writer.put([record(0, 0).slice(0, 0)])
    assert pair.shown() == []


def test_a_replay_changes_nothing(pair: Pair) -> None:
    """Neither of a part of the records, nor twice in one put."""
    p = next(pair.partitions)
    pair.shown(record(p, 0), record(p, 1))
    assert pair.shown(record(p, 1), record(p, 2), record(p, 2)) == texts(p, 0, 1, 2)
    assert pair.shown(record(p, 0)) == texts(p, 0, 1, 2)


def test_a_batch_may_hold_several_records_and_partitions(pair: Pair) -> None:
    """They are told apart by their identities."""
    p, q = next(pair.partitions), next(pair.partitions)
    joined = pa.concat_batches([record(p, 3), record(q, 1), record(p, 4), record(q, 9)])
    assert sorted(pair.shown(joined)) == texts(p, 3, 4) + texts(q, 1, 9)
    again = pa.concat_batches([record(q, 9), record(p, 4), record(p, 5)])
    assert sorted(pair.shown(again)) == texts(p, 3, 4, 5) + texts(q, 1, 9)


@pytest.mark.slow
@given(cuts=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.integers(1, 3)), max_size=6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_replays_in_other_batchings_change_nothing(pair: Pair, cuts: list[tuple[int, int, int]]) -> None:
    """Whatever parts of a log are put again, cut and joined in other ways: each event is seen once."""
    p = next(pair.partitions)
    through = 0
    for start, count, joined in [*cuts, (0, 18, 4)]:
        # Without gaps, as a log is read: a replay begins at or below what was read already.
        offsets = range(min(start, through), min(start, through) + count)
        through = max(through, offsets.stop)
        records = [record(p, offset) for offset in offsets]
        pair.writer.put([pa.concat_batches(records[i : i + joined]) for i in range(0, count, joined)])
    seen = [message for message in pair.shown() if message.startswith(f"{p}.")]
    assert seen == texts(p, *range(through))


def test_above_leaves_out_what_a_store_has_reached(pair: Pair) -> None:
    """By partition and offset, so that an event is seen in one of hot and store."""
    p, q = next(pair.partitions), next(pair.partitions)
    pair.shown(record(p, 0), record(p, 1), record(p, 2), record(q, 0))
    with pair.reader.snapshot() as snapshot:
        above = messages(snapshot.above({p: 2}))
    assert sorted(message for message in above if not message.startswith("mark")) == texts(p, 2) + texts(q, 0)


def test_settled_events_are_in_the_store_or_still_here(pair: Pair) -> None:
    """What is not settled stays, and what is put behind it is seen."""
    p = next(pair.partitions)
    pair.shown(record(p, 0), record(p, 1))
    pair.writer.settle({p: 1})
    shown = pair.shown(record(p, 1), record(p, 2))
    assert [message for message in shown if message not in texts(p, 0)] == texts(p, 1, 2)


def test_a_view_does_not_change(pair: Pair) -> None:
    """Whatever is put after it."""
    p = next(pair.partitions)
    pair.shown(record(p, 0))
    with pair.reader.snapshot() as before:
        pair.shown(record(p, 1))
        assert [message for message in messages(before) if not message.startswith("mark")] == texts(p, 0)


def test_past_the_bound_the_oldest_events_go(pair: Pair) -> None:
    """A put is never refused, and the newest events are seen."""
    p = next(pair.partitions)
    one = record(p, 0, rows=500)
    for offset in range(BYTES_MAX // one.nbytes * 15):
        pair.writer.put([record(p, offset, rows=500)])
    shown = pair.shown(record(p, 1_000_000))
    assert f"{p}.0.0" not in shown
    assert shown[-2:] == texts(p, 1_000_000)


def test_a_live_reader_gets_what_comes_after_it_asked(pair: Pair) -> None:
    """Each event once, in order, and replays not at all."""
    p = next(pair.partitions)
    pair.shown(record(p, 0))
    feed = pair.reader.subscribe()
    pair.writer.put([record(p, 0), record(p, 1)])
    pair.writer.put([record(p, 2), record(p, 1)])
    pair.writer.put([record(p, 3, text="end")])
    assert taken(feed, "end") == [*texts(p, 1, 2), "end"]
    assert feed.missed == 0
    feed.close()


def test_closing_wakes_those_who_wait(pair: Pair) -> None:
    """A live tail ends at once when the server stops."""
    feed = pair.reader.subscribe()
    waiting = threading.Thread(target=feed.take, args=(600,))
    waiting.start()
    pair.reader.close()
    waiting.join(20)
    assert not waiting.is_alive()
