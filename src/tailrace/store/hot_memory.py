"""The hot store in memory: the newest of the events that the stores lack, with live feeds.

Small batches are joined as they age, each time into one at least twice as long, so that a row is copied a few times
at most and a query meets few batches, even when every record of the log held a single event.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tailrace.config import QuerySettings
from tailrace.model.batch import STORED_SCHEMA
from tailrace.model.clock import Clock, system_clock_us
from tailrace.store import duck
from tailrace.store.duck import Duck
from tailrace.store.port import Bucket, Cursor, FieldFigure, Order, Selection, Subscription, ValueFigure

# A chunk of so many rows is not joined further: a copy of it takes some milliseconds.
_CHUNK_ROWS = 32_768
# Batches that wait to be joined; an Arrow batch of one row takes some kilobytes beside its data.
_LOOSE_BATCHES_MAX = 256
# What a slow reader of the live feed is behind at most. Queues share their batches with each other, so this is the
# bound for all of them together.
_FEED_BYTES_MAX = 32 << 20
_FEED_BATCHES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows that are kept and let go together. Their offsets lie from `first` to below `through`, by partition."""

    rows: pa.RecordBatch
    bytes: int
    first: Mapping[int, int]
    through: Mapping[int, int]

    def is_below(self, reached: Mapping[int, int]) -> bool:
        return all(through <= reached.get(partition, 0) for partition, through in self.through.items())

    def is_above(self, reached: Mapping[int, int]) -> bool:
        return all(first >= reached.get(partition, 0) for partition, first in self.first.items())


class HotMemory:
    """Implements `port.Hot`; shared between threads.

    `bytes_max` counts Arrow data; past it the oldest chunks go, and are seen again when a store has them. `let_go`
    counts their events. The newest chunk stays, however large.
    """

    def __init__(self, bytes_max: int, *, engine: Duck | None = None, clock: Clock = system_clock_us) -> None:
        self.let_go = 0
        self._bytes_max = bytes_max
        self._engine = engine or Duck(QuerySettings())
        self._clock = clock
        self._lock = threading.Lock()
        self._chunks: list[_Chunk] = []
        self._loose: list[_Chunk] = []
        self._reached: dict[int, int] = {}
        self._settled: dict[int, int] = {}
        self._feeds: list[_Feed] = []

    def put(self, batches: Sequence[pa.RecordBatch]) -> None:
        with self._lock:
            chunks = []
            for batch in batches:
                chunk = self._unseen(batch)
                if chunk is not None:
                    chunks.append(chunk)
                    self._keep(chunk)
            if not chunks:
                return
            self._make_room()
            feeds = list(self._feeds)
        for feed in feeds:
            feed.offer(chunks)

    def settle(self, reached: Mapping[int, int]) -> None:
        with self._lock:
            for partition, offset in reached.items():
                if offset > self._settled.get(partition, 0):
                    self._settled[partition] = offset
                    self._reached[partition] = max(offset, self._reached.get(partition, 0))
            # The store answers for them from now on; views that were taken before keep theirs.
            self._chunks = _unsettled(self._chunks, self._settled)
            self._loose = _unsettled(self._loose, self._settled)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[HotMemorySnapshot]:
        with self._lock:
            self._join_loose()
            taken = HotMemorySnapshot(dict(self._reached), tuple(self._chunks), self._engine, self._clock, {})
        yield taken

    def subscribe(self) -> Subscription:
        with self._lock:
            feed = _Feed(self._unsubscribe)
            self._feeds.append(feed)
        return feed

    def close(self) -> None:
        with self._lock:
            feeds, self._feeds = self._feeds, []
        for feed in feeds:
            feed.end()

    def _unsubscribe(self, feed: _Feed) -> None:
        with self._lock:
            self._feeds = [other for other in self._feeds if other is not feed]

    @property
    def bytes(self) -> int:
        """Arrow data that is held."""
        with self._lock:
            return self._held_bytes()

    # All below: with the lock held.

    def _held_bytes(self) -> int:
        return sum(chunk.bytes for chunk in self._chunks) + sum(chunk.bytes for chunk in self._loose)

    def _unseen(self, batch: pa.RecordBatch) -> _Chunk | None:
        """The rows that were neither put nor settled before: offsets of a partition come in rising order."""
        if batch.num_rows == 0:
            return None
        partitions, offsets = (batch[name].to_numpy() for name in ("log_partition", "log_offset"))
        fresh = np.ones(batch.num_rows, np.bool_)
        found = np.unique(partitions).tolist()
        for partition in found:
            fresh &= (partitions != partition) | (offsets >= self._reached.get(partition, 0))
        if not fresh.all():
            batch, partitions, offsets = batch.filter(pa.array(fresh)), partitions[fresh], offsets[fresh]
        if batch.num_rows == 0:
            return None
        spans = {partition: of_it for partition in found if len(of_it := offsets[partitions == partition])}
        first = {partition: int(of_it.min()) for partition, of_it in spans.items()}
        through = {partition: int(of_it.max()) + 1 for partition, of_it in spans.items()}
        return _Chunk(batch, batch.nbytes, first, through)

    def _make_room(self) -> None:
        excess_bytes = self._held_bytes() - self._bytes_max
        while excess_bytes > 0 and len(self._chunks) + len(self._loose) > 1:
            oldest = (self._chunks or self._loose).pop(0)
            excess_bytes -= oldest.bytes
            self.let_go += oldest.rows.num_rows

    def _keep(self, chunk: _Chunk) -> None:
        for partition, through in chunk.through.items():
            self._reached[partition] = max(through, self._reached.get(partition, 0))
        if chunk.rows.num_rows >= _CHUNK_ROWS // 4:
            self._chunks.append(chunk)
        else:
            self._loose.append(chunk)
            if len(self._loose) >= _LOOSE_BATCHES_MAX:
                self._join_loose()

    def _join_loose(self) -> None:
        """Join the loose batches, and the youngest chunks as long as those are not much longer."""
        if not self._loose:
            return
        joined, self._loose = self._loose, []
        rows = sum(chunk.rows.num_rows for chunk in joined)
        while self._chunks and (last := self._chunks[-1].rows.num_rows) <= 2 * rows and last + rows <= _CHUNK_ROWS:
            joined.insert(0, self._chunks.pop())
            rows += last
        self._chunks.append(_joined(joined))


def _unsettled(chunks: Sequence[_Chunk], settled: Mapping[int, int]) -> list[_Chunk]:
    """What the stores lack of the chunks."""
    kept = []
    for chunk in chunks:
        if chunk.is_above(settled):
            kept.append(chunk)
        elif not chunk.is_below(settled):
            rows = _above(chunk, settled)
            first = {partition: max(offset, settled.get(partition, 0)) for partition, offset in chunk.first.items()}
            kept.append(_Chunk(rows, rows.nbytes, first, chunk.through))
    return kept


def _joined(chunks: Sequence[_Chunk]) -> _Chunk:
    first: dict[int, int] = {}
    through: dict[int, int] = {}
    for chunk in chunks:
        for partition, offset in chunk.first.items():
            first[partition] = min(offset, first.get(partition, offset))
        for partition, offset in chunk.through.items():
            through[partition] = max(offset, through.get(partition, 0))
    rows = pa.concat_batches([chunk.rows for chunk in chunks])
    return _Chunk(rows, rows.nbytes, first, through)


class HotMemorySnapshot:
    """Implements `port.HotSnapshot` over batches that nobody changes."""

    def __init__(
        self,
        reached: Mapping[int, int],
        chunks: Sequence[_Chunk],
        engine: Duck,
        clock: Clock,
        floor: Mapping[int, int],
    ) -> None:
        self.reached = reached
        self._chunks = chunks
        self._engine = engine
        self._clock = clock
        # All rows of the view, in no order.
        self.table = pa.Table.from_batches([_above(chunk, floor) for chunk in chunks], STORED_SCHEMA)

    def above(self, reached: Mapping[int, int]) -> HotMemorySnapshot:
        chunks = [chunk for chunk in self._chunks if not chunk.is_below(reached)]
        return HotMemorySnapshot(self.reached, chunks, self._engine, self._clock, reached)

    def search(self, selection: Selection, *, order: Order, limit: int, after: Cursor | None) -> pa.Table:
        where = self._where(selection)
        if after is not None:
            where += f" AND {duck.behind(after, order)}"
        return duck.stored(self._run(duck.rows_sql("hot", where, order=order, limit=limit)))

    def stream(self, selection: Selection, *, order: Order) -> Iterator[pa.RecordBatch]:
        sql = duck.rows_sql("hot", self._where(selection), order=order)
        return map(duck.stored_batch, self._engine.batches(sql, {"hot": self.table}))

    def count(self, selection: Selection) -> int:
        return duck.count_of(self._run(duck.count_sql("hot", self._where(selection))))

    def histogram(self, selection: Selection, *, interval_us: int, by: str | None) -> list[Bucket]:
        return duck.buckets(
            self._run(duck.histogram_sql("hot", self._where(selection), interval_us=interval_us, by=by))
        )

    def fields(self, selection: Selection) -> list[FieldFigure]:
        return duck.field_figures(self._run(duck.fields_sql("hot", self._where(selection))))

    def values(self, selection: Selection, *, field: str, limit: int) -> list[ValueFigure]:
        return duck.value_figures(self._run(duck.values_sql("hot", self._where(selection), field=field, limit=limit)))

    def _where(self, selection: Selection) -> str:
        return duck.condition(selection, now_us=self._clock())

    def _run(self, sql: str) -> pa.Table:
        return self._engine.table(sql, {"hot": self.table})


def _above(chunk: _Chunk, floor: Mapping[int, int]) -> pa.RecordBatch:
    """The chunk's rows at or above the floor."""
    if chunk.is_above(floor):
        return chunk.rows
    partitions, offsets = (chunk.rows[name].to_numpy() for name in ("log_partition", "log_offset"))
    below = np.zeros(chunk.rows.num_rows, bool)
    for partition, reached in floor.items():
        below |= (partitions == partition) & (offsets < reached)
    return chunk.rows.filter(pa.array(~below))


class _Feed:
    """Implements `port.Subscription`. The oldest batches go first when the reader is slow."""

    def __init__(self, unsubscribe: Callable[[_Feed], None]) -> None:
        self.missed = 0
        self._unsubscribe = unsubscribe
        self._changed = threading.Condition()
        self._queue: deque[_Chunk] = deque()
        self._bytes = 0
        self._ended = False

    def offer(self, chunks: Sequence[_Chunk]) -> None:
        with self._changed:
            self._queue.extend(chunks)
            self._bytes += sum(chunk.bytes for chunk in chunks)
            while self._queue and (self._bytes > _FEED_BYTES_MAX or len(self._queue) > _FEED_BATCHES_MAX):
                dropped = self._queue.popleft()
                self._bytes -= dropped.bytes
                self.missed += dropped.rows.num_rows
            self._changed.notify()

    def take(self, timeout_s: float) -> list[pa.RecordBatch]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ended, timeout_s)
            taken = [chunk.rows for chunk in self._queue]
            self._queue.clear()
            self._bytes = 0
            return taken

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        self._unsubscribe(self)
        self.end()
