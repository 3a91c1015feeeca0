"""The lake: a Delta Lake table on local disk or on an object store, written by us and read by DuckDB.

    <lake>/_delta_log/            the table: which files it is made of, and how far the log has come
    <lake>/date=YYYY-MM-DD/       data files by the UTC day on which their events arrived
    <lake>/_index/                the token index of each data file

The day is that of `observed_timestamp`: whatever clients write into `timestamp`, a flush makes two files at most, and
what is kept for so long is counted from its arrival.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from tailrace.errors import RetryLater
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.lake.files import DataFile, date_of_day, split_by_day, write_file
from tailrace.store.lake.parts import Parts
from tailrace.store.lake.place_port import NotCommitted, Place
from tailrace.store.lake.snapshot import LakeSnapshot
from tailrace.store.lake.table import LakeTable, TableState


class Lake:
    """Implements `port.Store` and `port.Searchable`. Written by one thread, read by any number.

    `engine` answers the queries; it stays the caller's. Raises `Stop` when the place holds something else, or refuses
    for good; `RetryLater` while it is away. `close` closes the place too.
    """

    name = "lake"

    def __init__(self, place: Place, *, engine: Duck, clock: Clock, metrics: Metrics) -> None:
        self.place = place
        self.engine = engine
        self.metrics = metrics
        self.clock = clock
        self.table = LakeTable(place, clock=clock)
        self.parts = Parts(place, is_current=lambda file: file in self.table.state().files, metrics=metrics)
        self._lock = threading.Lock()
        self._held: dict[int, TableState] = {}
        self._show_size()

    def reached(self) -> Mapping[int, int]:
        return self.table.state(at_once=True).reached

    def write(self, batches: Sequence[pa.RecordBatch], through: Mapping[int, int]) -> None:
        state = self.table.state(at_once=True)
        ahead = {p: offset for p, offset in through.items() if offset > state.reached.get(p, 0)}
        fresh = [kept for batch in batches if (kept := _lacking(batch, state.reached)).num_rows]
        if not ahead:
            self.table.make_durable()
            return
        files = self._write_files(fresh)
        try:
            self.table.append(files, ahead, based_on=state)
        except NotCommitted:
            self._clean_up(files)
            raise
        self._show_size()

    def replace(
        self, old: Sequence[DataFile], new: Sequence[DataFile], *, is_same_data: bool, based_on: TableState
    ) -> bool:
        """As `LakeTable.replace`; the new files are deleted when it does not happen."""
        try:
            happened = self.table.replace(old, new, is_same_data=is_same_data, based_on=based_on)
        except NotCommitted:
            self._clean_up(new)
            raise
        if not happened:
            self._clean_up(new)
        self._show_size()
        return happened

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[LakeSnapshot]:
        state = self.table.state()
        with self._hold(state):
            yield LakeSnapshot(state, self.parts, self.engine, self.clock)

    def held_paths(self) -> set[str]:
        """The files that a query of this process may be reading."""
        with self._lock:
            held = list(self._held.values())
        return {path for state in held for path in state.files}

    def close(self) -> None:
        """Every write was durable when it returned."""
        self.place.close()

    @contextlib.contextmanager
    def _hold(self, state: TableState) -> Iterator[None]:
        ticket = object()
        with self._lock:
            self._held[id(ticket)] = state
        try:
            yield
        finally:
            with self._lock:
                del self._held[id(ticket)]

    def _write_files(self, batches: Sequence[pa.RecordBatch]) -> list[DataFile]:
        files: list[DataFile] = []
        try:
            for day, of_day in split_by_day(batches).items():
                files.append(write_file(self.place, date_of_day(day), of_day))
        except BaseException:
            self._clean_up(files)
            raise
        return files

    def _clean_up(self, files: Sequence[DataFile]) -> None:
        """Delete files that no commit names. When that cannot be known now, the cleaner does it later."""
        with contextlib.suppress(RetryLater, OSError):
            current = self.table.state(at_once=True).files
            for file in files:
                if file.path not in current:
                    self.place.discard(file.path)

    def _show_size(self) -> None:
        files = self.table.state().files.values()
        self.metrics.lake_files.set(len(files))
        self.metrics.lake_bytes.set(sum(file.size_bytes for file in files))


def _lacking(batch: pa.RecordBatch, reached: Mapping[int, int]) -> pa.RecordBatch:
    """The rows whose offsets the lake has not reached."""
    if batch.num_rows == 0:
        return batch
    partitions, offsets = (batch[name].to_numpy() for name in ("log_partition", "log_offset"))
    lacking = np.ones(batch.num_rows, np.bool_)
    for partition, offset in reached.items():
        lacking &= (partitions != partition) | (offsets >= offset)
    return batch if lacking.all() else batch.filter(pa.array(lacking))
