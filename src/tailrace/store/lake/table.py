"""The Delta table of the lake: which files make it up, and how far each partition of the log has come.

Every commit of data names, as Delta application transactions, the progress that it completes:

    tailrace-<partition>     the next offset of that partition
    tailrace-partitions      how many partitions there are to look for
    tailrace-maintenance     counts the commits that replace files, so that two cleaners cannot replace the same ones

Source: the Delta transaction protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md. The table keeps to
reader version 1 and writer version 2, which every Delta reader knows.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from tailrace.store.lake.files import DataFile, index_path, sync

log = logging.getLogger(__name__)

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
    """The table at `lake`, made when it is not there. Shared between threads; other processes may commit too."""

    def __init__(self, lake: Path, *, clock: Clock) -> None:
        self.lake = lake
        self._clock = clock
        self._lock = threading.Lock()
        self._table = self._open()
        self._state = TableState(-1, {}, {}, 0)
        self._durable_version = -1
        with self._lock:
            self._take_in()
            # The process before this one may have died between a commit and its fsync.
            self._sync_log()

    def state(self) -> TableState:
        """The newest version. Raises `RetryLater` when the table cannot be read."""
        # Almost always nobody else has committed, and then one look for one name is all it takes.
        if self._commit_path(self._state.version + 1).exists():
            with self._lock:
                self._take_in()
        return self._state

    def append(self, files: Sequence[DataFile], through: Mapping[int, int], *, based_on: TableState) -> None:
        """Add files together with the progress they complete; durable on return.

        Raises `RetryLater` when the progress is no longer that of `based_on`, or the commit fails.
        """
        with self._lock:
            self._take_in()
            self._sync_log()
            if any(self._state.reached.get(p, 0) != based_on.reached.get(p, 0) for p in through):
                raise RetryLater(f"{self.lake}: another process has written the same partitions of the log meanwhile")
            transactions = {_app_id(partition): offset for partition, offset in through.items()}
            partitions = max(through, default=-1) + 1
            if partitions > max(self._state.reached, default=-1) + 1:
                transactions[_PARTITIONS] = partitions
            self._commit([_add(file, is_new=True) for file in files], transactions)

    def replace(
        self, old: Sequence[DataFile], new: Sequence[DataFile], *, is_same_data: bool, based_on: TableState
    ) -> bool:
        """Put `new` in the place of `old`; durable on return. False, and nothing happened, when another cleaner was
        quicker. `is_same_data` says that no row came or went. Raises `RetryLater`.
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

    def log_files(self) -> int:
        """How many commits are in the log."""
        return sum(1 for entry in os.scandir(self._log) if entry.name.endswith(".json"))

    @property
    def _log(self) -> Path:
        return self.lake / "_delta_log"

    def _commit_path(self, version: int) -> Path:
        return self._log / f"{version:020d}.json"

    def _open(self) -> DeltaTable:
        try:
            self.lake.mkdir(parents=True, exist_ok=True)
            self._set_aside_torn_commit()
            if DeltaTable.is_deltatable(str(self.lake)):
                table = DeltaTable(str(self.lake))
            else:
                table = DeltaTable.create(
                    str(self.lake),
                    _SCHEMA,
                    mode="ignore",
                    partition_by=_PARTITION_BY,
                    configuration=_CONFIGURATION,
                    name="logs",
                )
                for path in (self._commit_path(0), self._log, self.lake, self.lake.parent):
                    sync(path)
        except (OSError, DeltaError) as error:
            raise Stop(f"{self.lake}: the lake cannot be opened: {error}") from error
        missing = [field for field in _SCHEMA.names if field not in {f.name for f in table.schema().fields}]
        features = table.protocol().reader_features or []
        if missing or features:
            what = f"lacks the columns {', '.join(missing)}" if missing else f"needs {', '.join(features)}"
            raise Stop(f"{self.lake}: this Delta table {what}; give Tailrace a folder of its own")
        return table

    def _set_aside_torn_commit(self) -> None:
        """A power cut may leave the name of the newest commit without its bytes. It was never acknowledged, since
        that takes an fsync; with it in place nobody could read the table.
        """
        commits = sorted(self._log.glob("*.json"))
        if commits and not commits[-1].read_bytes().strip(b"\0"):
            log.warning("%s: is empty after a power cut; set aside", commits[-1])
            commits[-1].rename(commits[-1].with_suffix(".torn"))
            sync(self._log)

    # All below: with the lock held.

    def _commit(self, actions: list[AddAction | RemoveAction], transactions: Mapping[str, int]) -> None:
        try:
            self._translated(
                lambda: self._table.create_write_transaction(
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
            )
        finally:
            # Whether it came through or not: a commit that failed may have happened.
            self._take_in()
        self._sync_log()

    def _sync_log(self) -> None:
        if self._durable_version == self._state.version:
            return
        try:
            for version in range(self._durable_version + 1, self._state.version + 1):
                # Another process may have cleaned up a commit that a checkpoint holds.
                with contextlib.suppress(FileNotFoundError):
                    sync(self._commit_path(version))
            sync(self._log)
        except OSError as error:
            raise RetryLater(f"{self._log}: cannot be made durable: {error}") from error
        self._durable_version = self._state.version

    def _take_in(self) -> None:
        self._translated(self._table.update_incremental)
        version = self._table.version()
        if version == self._state.version:
            return
        state = self._translated(self._read_state)
        for path in self._state.files.keys() - state.files.keys():
            # From now on its age says how long nobody has needed it: the cleaner goes by that.
            _touch(self.lake / path)
            _touch(index_path(self.lake, path.rsplit("/", 1)[-1]))
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
            raise RetryLater(f"{self.lake}: {error}") from error


def _app_id(partition: int) -> str:
    return f"tailrace-{partition}"


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)


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
