"""Hot and store as one place: each event once, whichever holds it.

The view of the hot store is taken first and then cut at what the store's view has reached; an event that moves from
one to the other in between is then in the store's part, and in that part only.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.errors import RetryLater
from tailrace.model.batch import STORED_SCHEMA
from tailrace.store.port import (
    Bucket,
    Cursor,
    FieldFigure,
    HotReader,
    HotSnapshot,
    Order,
    Searchable,
    Selection,
    Snapshot,
    ValueFigure,
)

# Each part gives so many values more than were asked for, so that one that is rare in both parts and frequent in
# their sum is found. The answer is exact when a field has no more values than this in either part.
_MORE_VALUES = 1_000

_log = logging.getLogger(__name__)


class Union:
    """Implements `store.port.Searchable`. While the hot store is away, answers come from the store alone."""

    def __init__(self, hot: HotReader, store: Searchable) -> None:
        self._hot = hot
        self._store = store

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with ExitStack() as held:
            hot = self._hot_snapshot(held)
            store = held.enter_context(self._store.snapshot())
            yield store if hot is None else _UnionSnapshot(hot, store)

    def _hot_snapshot(self, held: ExitStack) -> HotSnapshot | None:
        try:
            return held.enter_context(self._hot.snapshot())
        except RetryLater as error:
            _log.warning("queries are answered without the newest events: %s", error)
            return None


class _UnionSnapshot:
    reached: Mapping[int, int]

    def __init__(self, hot: HotSnapshot, store: Snapshot) -> None:
        self._parts = (hot.above(store.reached), store)
        partitions = {*hot.reached, *store.reached}
        self.reached = {p: max(hot.reached.get(p, 0), store.reached.get(p, 0)) for p in partitions}

    def search(self, selection: Selection, *, order: Order, limit: int, after: Cursor | None) -> pa.Table:
        tables = [part.search(selection, order=order, limit=limit, after=after) for part in self._parts]
        filled = [table for table in tables if table.num_rows]
        if len(filled) < 2:
            return filled[0] if filled else tables[0]
        table = pa.concat_tables(filled).combine_chunks()
        return table.take(pa.array(_sorting(table, order)[:limit]))

    def stream(self, selection: Selection, *, order: Order) -> Iterator[pa.RecordBatch]:
        return merge_ordered(
            self._parts[0].stream(selection, order=order), self._parts[1].stream(selection, order=order), order
        )

    def count(self, selection: Selection) -> int:
        return sum(part.count(selection) for part in self._parts)

    def histogram(self, selection: Selection, *, interval_us: int, by: str | None) -> list[Bucket]:
        counts: Counter[tuple[int, str | None]] = Counter()
        for part in self._parts:
            for bucket in part.histogram(selection, interval_us=interval_us, by=by):
                counts[bucket.start_us, bucket.value] += bucket.count
        ordered = sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1] or ""))
        return [Bucket(start_us, value, count) for (start_us, value), count in ordered]

    def fields(self, selection: Selection) -> list[FieldFigure]:
        counts: Counter[str] = Counter()
        for part in self._parts:
            for figure in part.fields(selection):
                counts[figure.name] += figure.count
        return [FieldFigure(name, count) for name, count in _most_frequent(counts)]

    def values(self, selection: Selection, *, field: str, limit: int) -> list[ValueFigure]:
        counts: Counter[str] = Counter()
        for part in self._parts:
            for figure in part.values(selection, field=field, limit=limit + _MORE_VALUES):
                counts[figure.value] += figure.count
        return [ValueFigure(value, count) for value, count in _most_frequent(counts)[:limit]]


def _most_frequent(counts: Counter[str]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


_KEYS = ("timestamp", "log_partition", "log_offset", "log_row")


def merge_ordered(
    left: Iterator[pa.RecordBatch], right: Iterator[pa.RecordBatch], order: Order
) -> Iterator[pa.RecordBatch]:
    """Merge two streams that are in order into one; holds one batch of each.

    The stream whose batch ends first is used up, beside the part of the other's batch that comes before that end.
    """
    one, other = _next(left), _next(right)
    while one is not None and other is not None:
        if _place(other, other.num_rows - 1, order) < _place(one, one.num_rows - 1, order):
            left, right, one, other = right, left, other, one
        split = _split(other, _place(one, one.num_rows - 1, order), order)
        yield one if split == 0 else _merged(one, other.slice(0, split), order)
        one = _next(left)
        other = other.slice(split) if split < other.num_rows else _next(right)
    for batch, rest in ((one, left), (other, right)):
        if batch is not None:
            yield batch
            yield from filter(len, rest)


def _next(stream: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    return next((batch for batch in stream if batch.num_rows), None)


def _place(batch: pa.RecordBatch, row: int, order: Order) -> tuple[int, ...]:
    """Where the row stands: smaller comes first in the stream."""
    sign = 1 if order == "asc" else -1
    return tuple(
        sign * (column[row].value if name == "timestamp" else column[row].as_py()) for name, column in _keys(batch)
    )


def _split(batch: pa.RecordBatch, end: tuple[int, ...], order: Order) -> int:
    """How many rows come before `end`: some twenty looks, whatever the size of the batch."""
    return bisect_right(range(batch.num_rows), end, key=lambda row: _place(batch, row, order))


def _keys(batch: pa.RecordBatch | pa.Table) -> list[tuple[str, pa.Array | pa.ChunkedArray]]:
    return [(name, batch.column(name)) for name in _KEYS]


def _merged(one: pa.RecordBatch, other: pa.RecordBatch, order: Order) -> pa.RecordBatch:
    both = pa.concat_batches([one.cast(STORED_SCHEMA), other.cast(STORED_SCHEMA)])
    return both.take(pa.array(_sorting(both, order)))


def _sorting(rows: pa.RecordBatch | pa.Table, order: Order) -> npt.NDArray[np.int64]:
    """The rows' numbers in the total order."""
    keys = [(column.cast(pa.int64())).to_numpy() for _, column in _keys(rows)]
    ascending: npt.NDArray[np.int64] = np.lexsort(keys[::-1])
    return ascending if order == "asc" else ascending[::-1]
