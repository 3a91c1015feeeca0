"""A frozen view of the lake, and how it answers by reading little.

* Rows: the newest (or oldest) row groups first, more and more at a time, until no group that is left can hold a row
  that belongs before the last one found.
* Counts: row groups whose number of matching rows the token index knows are not read; counts by minute, level and
  service come from the sidecars.
* All else reads the row groups that the times and the token index leave.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa

from tailrace.model.clock import Clock
from tailrace.query.to_sql import to_sql
from tailrace.query.tokens import exact_tokens
from tailrace.query.tree import All
from tailrace.store import duck
from tailrace.store.duck import Duck
from tailrace.store.lake.counts import MINUTE_US, Scan, is_countable, overlapping, take_counts
from tailrace.store.lake.files import ROW_GROUP_ROWS, DataFile
from tailrace.store.lake.parts import Part, Parts
from tailrace.store.lake.scan import source_sql, windows
from tailrace.store.lake.search import Best, Queue
from tailrace.store.lake.table import TableState
from tailrace.store.port import Bucket, Cursor, FieldFigure, Order, Selection, ValueFigure

# What one step of a search reads at most: enough for both cores, not so much that the last step reads far too much.
_STEP_ROWS_MAX = 4_194_304


class LakeSnapshot:
    """Implements `port.Snapshot` over one version of the table."""

    def __init__(self, state: TableState, parts: Parts, engine: Duck, clock: Clock) -> None:
        self.reached: Mapping[int, int] = state.reached
        self.files = tuple(state.files.values())
        self._parts = parts
        self._engine = engine
        self._clock = clock

    @contextlib.contextmanager
    def paths(self) -> Iterator[list[str]]:
        """The data files, as paths on this machine, but for those that were found damaged.

        Raises `QueryError` when there is no room for all of them here.
        """
        place = self._parts.place
        while True:
            sound = [file for file in self.files if self._parts.is_sound(file)]
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(place.held({file.path: file.size_bytes for file in sound}))
                except FileNotFoundError:
                    if not any(self._parts.examine(file) for file in sound):
                        raise
                    continue
                yield [str(place.local(file.path)) for file in sound]
                return

    def search(self, selection: Selection, *, order: Order, limit: int, after: Cursor | None) -> pa.Table:
        selection = _narrowed(selection, order, after)
        where = self._where(selection)
        if after is not None:
            where += f" AND {duck.behind(after, order)}"
        best = Best(order, limit)
        queue = Queue(self._parts, selection, order, self._overlapping(selection))
        step_rows = ROW_GROUP_ROWS
        while limit > 0 and (parts := queue.take(step_rows, best.bound_us)):
            for share in self._shares(parts):
                bounded = f"{where} AND {best.bound_sql()}"
                best.add(self._read(share, partial(duck.rows_sql, where=bounded, order=order, limit=limit)))
            step_rows = min(4 * step_rows, _STEP_ROWS_MAX)
        return best.rows

    def stream(self, selection: Selection, *, order: Order) -> Iterator[pa.RecordBatch]:
        parts = self._select(self._overlapping(selection), selection)
        cut = windows(parts)
        for start_us, end_us in cut if order == "asc" else reversed(cut):
            window = replace(
                selection,
                start_us=start_us if selection.start_us is None else max(start_us, selection.start_us),
                end_us=end_us if selection.end_us is None else min(end_us, selection.end_us),
            )
            yield from self._stream_window(self._select(self._overlapping(window), window), window, order)

    def count(self, selection: Selection) -> int:
        tokens = exact_tokens(selection.where)
        if selection.where == All() or tokens is not None:
            return self._count_by_index(selection, tokens or ())
        if not is_countable(selection.where):
            return self._count_by_reading(self._select(self._overlapping(selection), selection), selection)
        counts, scans = take_counts(self._parts, self._overlapping(selection), selection)
        known = self._engine.table(
            f"SELECT coalesce(sum(count), 0)::BIGINT AS count FROM counts WHERE {self._condition(selection)}",
            {"counts": counts},
        )
        return duck.count_of(known) + sum(
            self._count_by_reading(self._select(scan.files, scan.selection), scan.selection) for scan in scans
        )

    def histogram(self, selection: Selection, *, interval_us: int, by: str | None) -> list[Bucket]:
        files = self._overlapping(selection)
        found: Counter[tuple[int, str | None]] = Counter()
        scans = [Scan(files, selection)]
        if interval_us > 0 and interval_us % MINUTE_US == 0 and is_countable(selection.where, by):
            counts, scans = take_counts(self._parts, files, selection)
            start = duck.bucket_start("minute_us", interval_us)
            known = self._engine.table(
                f"SELECT {start} AS start_us, {by or 'NULL::VARCHAR'} AS value, sum(count)::BIGINT AS count "
                f"FROM counts WHERE {self._condition(selection)} GROUP BY ALL",
                {"counts": counts},
            )
            found.update({(bucket.start_us, bucket.value): bucket.count for bucket in duck.buckets(known)})
        for scan in scans:
            histogram = partial(duck.histogram_sql, where=self._where(scan.selection), interval_us=interval_us, by=by)
            for read in self._read_scan(scan, histogram):
                found.update({(bucket.start_us, bucket.value): bucket.count for bucket in duck.buckets(read)})
        ordered = sorted(found.items(), key=lambda item: (item[0][0], item[0][1] is not None, item[0][1]))
        return [Bucket(start_us, value, number) for (start_us, value), number in ordered]

    def fields(self, selection: Selection) -> list[FieldFigure]:
        found: Counter[str] = Counter()
        scan = Scan(self._overlapping(selection), selection)
        for read in self._read_scan(scan, partial(duck.fields_sql, where=self._where(selection))):
            # An attribute may have the name of a column.
            for figure in duck.field_figures(read):
                found[figure.name] += figure.count
        return [FieldFigure(*item) for item in _most_frequent(found)]

    def values(self, selection: Selection, *, field: str, limit: int) -> list[ValueFigure]:
        files = self._overlapping(selection)
        found: Counter[str] = Counter()
        scans = [Scan(files, selection)]
        if is_countable(selection.where, field):
            counts, scans = take_counts(self._parts, files, selection)
            known = self._engine.table(
                f"SELECT {field} AS value, sum(count)::BIGINT AS count FROM counts "
                f"WHERE {self._condition(selection)} AND {field} IS NOT NULL GROUP BY ALL",
                {"counts": counts},
            )
            found.update({figure.value: figure.count for figure in duck.value_figures(known)})
        elif not self._parts.place.is_far:
            # In one piece: DuckDB cuts the rare values off, however many there are.
            where = self._where(selection)
            parts = self._select(files, selection)
            sql_of = partial(duck.values_sql, where=where, field=field, limit=limit)
            return duck.value_figures(self._read(parts, sql_of))
        for scan in scans:
            values = partial(duck.values_sql, where=self._where(scan.selection), field=field)
            for read in self._read_scan(scan, values):
                found.update({figure.value: figure.count for figure in duck.value_figures(read)})
        return [ValueFigure(*item) for item in _most_frequent(found)[:limit]]

    def _count_by_index(self, selection: Selection, tokens: tuple[str, ...]) -> int:
        """Rows that hold all of these tokens; all rows when there is none."""
        files = self._overlapping(selection)
        known = 0
        unknown: list[Part] = []
        if not tokens:
            known = sum(file.rows or 0 for file in files if self._is_within(file, selection))
            files = [file for file in files if not self._is_within(file, selection)]
        self._parts.look_into(files, selection)
        for file in files:
            part = self._parts.select(file, selection)
            if part is None:
                continue
            counts = self._exact_counts(part, tokens)
            within = part.footer.lies_within(selection.start_us, selection.end_us)
            sure = np.array([within[group] and counts[group] is not None for group in part.groups.tolist()])
            known += sum(counts[group] or 0 for group in part.groups[sure].tolist())
            if not sure.all():
                unknown.append(part.only(part.groups[~sure], exactly=True))
        return known + self._count_by_reading(unknown, selection)

    def _exact_counts(self, part: Part, tokens: tuple[str, ...]) -> Sequence[int | None]:
        if not tokens:
            return list(part.footer.rows.tolist())
        counts = self._parts.ask_index(part.file, lambda index: index.count_exact(tokens))
        groups = len(part.footer.rows)
        return counts if counts is not None and len(counts) == groups else [None] * groups

    def _is_within(self, file: DataFile, selection: Selection) -> bool:
        return (
            file.rows is not None
            and (selection.start_us is None or file.first_us >= selection.start_us)
            and (selection.end_us is None or file.last_us < selection.end_us)
            and self._parts.is_sound(file)
        )

    def _count_by_reading(self, parts: Sequence[Part], selection: Selection) -> int:
        if not parts:
            return 0
        count = partial(duck.count_sql, where=self._where(selection))
        return sum(duck.count_of(self._read(share, count)) for share in self._shares(parts))

    def _stream_window(self, parts: Sequence[Part], selection: Selection, order: Order) -> Iterator[pa.RecordBatch]:
        where = self._where(selection)
        after: Cursor | None = None
        while True:
            behind = "true" if after is None else duck.behind(after, order)
            sql = duck.rows_sql(source_sql(self._parts.place, parts), f"{where} AND {behind}", order=order)
            try:
                with self._held(parts):
                    for batch in self._engine.batches(sql):
                        if batch.num_rows:
                            after = duck.cursor_of(batch)
                            yield duck.stored_batch(batch)
                return
            except (duckdb.Error, FileNotFoundError) as error:
                parts = self._parts.sound(parts, error)

    def _read_scan(self, scan: Scan, sql_of: Callable[[str], str]) -> Iterator[pa.Table]:
        """The answers over shares of the rows."""
        for share in self._shares(self._select(scan.files, scan.selection)):
            yield self._read(share, sql_of)

    def _shares(self, parts: Sequence[Part]) -> list[Sequence[Part]]:
        """The parts cut, in order, so that the files of each share have room on this machine at once."""
        shares: list[list[Part]] = [[]]
        held = 0
        for part in parts:
            if shares[-1] and held + part.file.size_bytes > self._parts.place.room_bytes:
                shares.append([])
                held = 0
            shares[-1].append(part)
            held += part.file.size_bytes
        return list(shares)

    def _read(self, parts: Sequence[Part], sql_of: Callable[[str], str]) -> pa.Table:
        """The answer over the parts; over those that can be read, when some turn out to be damaged."""
        while True:
            try:
                with self._held(parts):
                    return self._engine.table(sql_of(source_sql(self._parts.place, parts)))
            except (duckdb.Error, FileNotFoundError) as error:
                parts = self._parts.sound(parts, error)

    def _held(self, parts: Sequence[Part]) -> AbstractContextManager[None]:
        return self._parts.place.held({part.file.path: part.file.size_bytes for part in parts})

    def _overlapping(self, selection: Selection) -> list[DataFile]:
        return overlapping(self.files, selection.start_us, selection.end_us)

    def _select(self, files: Sequence[DataFile], selection: Selection) -> list[Part]:
        self._parts.look_into(files, selection)
        return [part for file in files if (part := self._parts.select(file, selection)) is not None]

    def _where(self, selection: Selection) -> str:
        return duck.condition(selection, now_us=self._clock())

    def _condition(self, selection: Selection) -> str:
        return to_sql(selection.where, now_us=self._clock())


def _most_frequent(found: Counter[str]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _narrowed(selection: Selection, order: Order, after: Cursor | None) -> Selection:
    """The selection's time, as far as it lies behind the cursor: what is before it need not be looked at."""
    if after is None:
        return selection
    if order == "asc":
        start_us = selection.start_us
        from_us = after.timestamp_us
        return replace(selection, start_us=from_us if start_us is None else max(from_us, start_us))
    end_us = selection.end_us
    behind_us = after.timestamp_us + 1
    return replace(selection, end_us=behind_us if end_us is None else min(behind_us, end_us))
