"""The Delta table of the lake: which files make it up, and how far each partition of the log has come.

Every commit of data names, as Delta application transactions, the progress that it completes:

    tailrace-<partition>     the next offset of that partition
    tailrace-partitions      how many partitions there are to look for
    tailrace-maintenance     counts the commits that replace files, so that two cleaners cannot replace the same ones

Source: the Delta transaction protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md. The table keeps to
reader version 1 and writer version 2, which every Delta reader knows.
"""

from __future__ import annotations

import datetime
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    PostCommitHookProperties,
    RemoveAction,
    Transaction,
)

from tailrace.errors import RetryLater, Stop
from tailrace.model.batch import STORED_SCHEMA
from tailrace.model.clock import Clock
from tailrace.store.lake.files import DataFile
from tailrace.store.lake.place_port import NotCommitted, Place
from tailrace.store.lake.tombstones import read_tombstones

_SCHEMA = pa.schema([*STORED_SCHEMA, pa.field("date", pa.date32(), nullable=False)])
_PARTITION_BY = ["date"]
_CONFIGURATION = {
    # Checkpoints are written by maintenance, and the log before them goes after an hour: a commit every two
    # seconds would otherwise leave 43,200 files a day in one folder.
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.dataSkippingStatsColumns": "timestamp,observed_timestamp",
}
_PARTITIONS = "tailrace-partitions"
_MAINTENANCE = "tailrace-maintenance"

# Commits that a checkpoint makes needless are deleted after an hour: whoever looks more often than that sees each.
_UPDATE_INTERVAL_S = 600

_EARLIEST_US, _LATEST_US = -(1 << 63), (1 << 63) - 1
# Other writers cut the times of their statistics to milliseconds, as the protocol allows.
_TRUNCATION_US = 999


@dataclass(frozen=True, slots=True)
class TableState:
    """One version of the table. `replacements` counts the commits of cleaners."""

    version: int
    files: Mapping[str, DataFile]
    reached: Mapping[int, int]
    replacements: int


class LakeTable:
    """The table at `place`, made when it is not there. Shared between threads; other processes may commit too.

    Raises `Stop` when the place holds something else, or refuses for good; `RetryLater` while it is away.
    """

    def __init__(self, place: Place, *, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._lock = threading.Lock()
        self._table = self._open()
        self._state = TableState(-1, {}, {}, 0)
        self._durable_version = -1
        self._looked_s = self._updated_s = time.monotonic()
        with self._lock:
            self._take_in()
            # The process before this one may have died between a commit and its fsync.
            self._sync_log()

    def state(self, *, at_once: bool = False) -> TableState:
        """The newest version; on an object store, but for this process's own commits, one that was the newest a
        moment ago, unless it has to be `at_once`. Raises `RetryLater` when the table cannot be read.
        """
        now_s = time.monotonic()
        if at_once or now_s - self._looked_s >= self._place.look_interval_s:
            self._looked_s = now_s
            # Almost always nobody else has committed, and then one look for one name is all it takes. Where that name
            # may have come and gone, with a checkpoint in its place, it takes more.
            if self._place.has_commit(self._state.version + 1) or now_s - self._updated_s > _UPDATE_INTERVAL_S:
                with self._lock:
                    self._take_in()
        return self._state

    def append(self, files: Sequence[DataFile], through: Mapping[int, int], *, based_on: TableState) -> None:
        """Add files together with the progress they complete; durable on return.

        Raises `RetryLater` when the commit fails: `NotCommitted` when it surely did not happen, nor will, as when the
        progress is no longer that of `based_on`.
        """
        with self._lock:
            self._take_in()
            self._sync_log()
            if any(self._state.reached.get(p, 0) != based_on.reached.get(p, 0) for p in through):
                raise NotCommitted(
                    f"{self._place.name}: another process has written the same partitions of the log meanwhile"
                )
            transactions = {_app_id(partition): offset for partition, offset in through.items()}
            partitions = max(through, default=-1) + 1
            if partitions > max(self._state.reached, default=-1) + 1:
                transactions[_PARTITIONS] = partitions
            self._commit([_add(file, is_new=True) for file in files], transactions)

    def replace(
        self, old: Sequence[DataFile], new: Sequence[DataFile], *, is_same_data: bool, based_on: TableState
    ) -> bool:
        """Put `new` in the place of `old`; durable on return. False, and nothing happened, when another cleaner was
        quicker. `is_same_data` says that no row came or went. Raises `RetryLater`, as `append` does.
        """
        with self._lock:
            self._take_in()
            state = self._state
            if state.replacements != based_on.replacements or any(file.path not in state.files for file in old):
                return False
            removed_ms = self._clock() // 1000
            removes = [
                RemoveAction(file.path, not is_same_data, removed_ms, file.size_bytes, {"date": file.date})
                for file in old
            ]
            adds = [_add(file, is_new=not is_same_data) for file in new]
            self._commit([*adds, *removes], {_MAINTENANCE: state.replacements + 1})
            return True

    def make_durable(self) -> None:
        """Everything that `state` has shown survives the death of the machine on return. Raises `RetryLater`."""
        with self._lock:
            self._sync_log()

    def checkpoint(self) -> None:
        """Write the state down as one file, and delete the log that it and its age make needless."""
        with self._lock:
            self._take_in()
            self._translated(self._table.create_checkpoint)
            self._translated(self._table.cleanup_metadata)

    def removed_since(self, time_us: int) -> set[str]:
        """The data files that commits have removed at that time or later, by the clock of whoever did."""
        try:
            removed = read_tombstones(self._place.log_names(), self._place.read_log)
        except FileNotFoundError as error:
            raise RetryLater(f"{self._place.name}: its log was cleaned up while it was read: {error}") from error
        return {path for path, removed_ms in removed.items() if removed_ms * 1000 >= time_us}

    def _open(self) -> DeltaTable:
        place = self._place
        try:
            place.prepare()
            if DeltaTable.is_deltatable(place.table_uri, place.storage_options):
                table = DeltaTable(place.table_uri, storage_options=place.storage_options)
            else:
                table = DeltaTable.create(
                    place.table_uri,
                    _SCHEMA,
                    mode="ignore",
                    partition_by=_PARTITION_BY,
                    configuration=_CONFIGURATION,
                    name="logs",
                    storage_options=place.storage_options,
                )
        except (OSError, DeltaError) as error:
            raise place.refusal(error) from error
        missing = [field for field in _SCHEMA.names if field not in {f.name for f in table.schema().fields}]
        features = table.protocol().reader_features or []
        if missing or features:
            what = f"lacks the columns {', '.join(missing)}" if missing else f"needs {', '.join(features)}"
            raise Stop(f"{place.name}: this Delta table {what}; give Tailrace a folder of its own")
        return table

    # All below: with the lock held.

    def _commit(self, actions: list[AddAction | RemoveAction], transactions: Mapping[str, int]) -> None:
        try:
            self._table.create_write_transaction(
                actions,
                "append",
                _SCHEMA,
                _PARTITION_BY,
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()]
                ),
                # Maintenance does these; a commit must not fail, or take long, for them.
                post_commithook_properties=PostCommitHookProperties(
                    create_checkpoint=False, cleanup_expired_logs=False
                ),
            )
        except (OSError, DeltaError) as error:
            refusal = self._refusal(error)
            # It may have happened nonetheless: what is read from now on is not what was there before.
            self._looked_s = -math.inf
            if self._place.is_final(error):
                raise NotCommitted(str(refusal)) from error
            raise refusal from error
        self._take_in()
        self._sync_log()

    def _sync_log(self) -> None:
        if self._durable_version < self._state.version:
            self._place.make_durable(self._durable_version + 1, self._state.version)
            self._durable_version = self._state.version

    def _take_in(self) -> None:
        self._translated(self._table.update_incremental)
        self._looked_s = self._updated_s = time.monotonic()
        version = self._table.version()
        if version == self._state.version:
            return
        state = self._translated(self._read_state)
        for path in self._state.files.keys() - state.files.keys():
            self._place.released(path)
        self._state = state

    def _read_state(self) -> TableState:
        table = self._table
        partitions = table.transaction_version(_PARTITIONS) or 0
        reached = {p: table.transaction_version(_app_id(p)) for p in range(partitions)}
        return TableState(
            version=table.version(),
            files=_data_files(pa.table(table.get_add_actions(flatten=True)), self._state.files),
            reached={p: offset for p, offset in reached.items() if offset is not None},
            replacements=table.transaction_version(_MAINTENANCE) or 0,
        )

    def _translated(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (OSError, DeltaError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> RetryLater:
        """Once the table is open every refusal is taken for one that passes: rights and buckets come back too."""
        refusal = self._place.refusal(error)
        return refusal if isinstance(refusal, RetryLater) else RetryLater(str(refusal))


def _app_id(partition: int) -> str:
    return f"tailrace-{partition}"


def _add(file: DataFile, *, is_new: bool) -> AddAction:
    stats = {
        "numRecords": file.rows,
        "minValues": {"timestamp": _iso(file.first_us), "observed_timestamp": _iso(file.first_observed_us)},
        "maxValues": {"timestamp": _iso(file.last_us), "observed_timestamp": _iso(file.last_observed_us)},
        "nullCount": {"timestamp": 0, "observed_timestamp": 0},
    }
    return AddAction(
        file.path, file.size_bytes, {"date": file.date}, file.last_observed_us // 1000, is_new, json.dumps(stats)
    )


def _iso(time_us: int) -> str:
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=time_us)
    return time.isoformat(timespec="microseconds") + "Z"


def _data_files(adds: pa.Table, known: Mapping[str, DataFile]) -> dict[str, DataFile]:
    """The files of Delta's add actions; those that are known are not made anew."""
    paths = [unquote(path) for path in adds["path"].to_pylist()]
    fresh = [number for number, path in enumerate(paths) if path not in known]
    taken = adds.take(pa.array(fresh, pa.int64()))
    made = {
        paths[number]: DataFile(paths[number], str(date), size, rows, *times)
        for number, date, size, rows, *times in zip(
            fresh,
            taken["partition.date"].to_pylist(),
            taken["size_bytes"].to_pylist(),
            taken["num_records"].to_pylist(),
            _bounds(taken, "min.timestamp", _EARLIEST_US),
            _bounds(taken, "max.timestamp", _LATEST_US),
            _bounds(taken, "min.observed_timestamp", _EARLIEST_US),
            _bounds(taken, "max.observed_timestamp", _LATEST_US),
            strict=True,
        )
    }
    return {path: known[path] if path in known else made[path] for path in paths}


def _bounds(adds: pa.Table, column: str, unknown_us: int) -> list[int]:
    if column not in adds.column_names:
        return [unknown_us] * adds.num_rows
    times = adds[column].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    bounds = np.array(times.fill_null(unknown_us).to_numpy())
    if unknown_us == _LATEST_US:
        bounds = np.where(bounds == unknown_us, unknown_us, bounds + _TRUNCATION_US)
    return [int(bound) for bound in bounds]
