"""The embedded log: `broker.port.Log` on one SQLite file in WAL mode, with `synchronous=FULL`.

An append is durable when its future resolves: its transaction's frames in the WAL were fsynced. One process
has the file (a lock file says which): on SQLite every role runs in it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tailrace.broker.port import Assignments, LogFigures, Record
from tailrace.broker.sqlite_file import LogFile, State, translate
from tailrace.broker.sqlite_reader import SqliteLogReader
from tailrace.broker.sqlite_writer import Append, Change, Writer
from tailrace.config import LogSettings
from tailrace.errors import RetryLater, SlowDown, Stop
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics


class SqliteLog:
    """Implements `broker.port.Log`; shared between threads.

    Raises `Stop` when another process has this log already, or when the file is damaged or not a log.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        settings: LogSettings,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self.path = Path(path)
        self._settings = settings
        self._metrics = metrics
        self._closed = False
        self._arrived = threading.Condition()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(self.path)
        try:
            file = LogFile(self.path)
            if file.unclean:
                with file.transaction():
                    file.skip_gap()
        except sqlite3.Error as error:
            os.close(self._lock_file)
            raise translate(error, self.path) from error
        except BaseException:
            os.close(self._lock_file)
            raise
        self._writer = Writer(file, clock=clock, keep_for_s=settings.keep_for_s, committed=self._on_commit)

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        size_bytes = sum(len(record.payload) for record in records)
        append = Append(tuple(records), size_bytes, Future())
        self._writer.submit(append, lambda queued_bytes, state: self._admit(size_bytes, queued_bytes, state))
        return append.future

    def _admit(self, size_bytes: int, queued_bytes: int, state: State) -> None:
        settings = self._settings
        # One append that is past the bound all alone must get in some time: it may wait with nothing beside it.
        if queued_bytes and queued_bytes + size_bytes > settings.append_queue_bytes_max:
            raise SlowDown(f"{queued_bytes} bytes wait to be written to the log (log.append_queue_bytes_max)")
        unread_bytes = state.unread_bytes() + queued_bytes
        if unread_bytes and unread_bytes + size_bytes > settings.backlog_bytes_max:
            raise SlowDown(
                f"the log holds {unread_bytes} bytes that the worker has not read (log.backlog_bytes_max)",
                retry_after_s=5,
            )

    def reader(self, group: str, assignments: Assignments | None = None) -> SqliteLogReader:
        committed: int = self._change(lambda file: file.join(group))
        return SqliteLogReader(self, group, committed, assignments)

    def keep_groups(self, groups: Collection[str]) -> None:
        """Forget every other group: a store that is not written to any more must not hold back the trimming."""
        self._change(lambda file: file.keep_groups(groups))

    def commit_group(self, group: str, offset: int) -> None:
        """Durable on return; raises `RetryLater`."""
        self._change(lambda file: file.commit(group, offset))

    def give_no_offset_below(self, offset: int) -> None:
        """Durable on return: new records get offsets above, if this one was never given."""
        if offset > self._writer.state.next_offset:
            self._change(lambda file: file.give_no_offset_below(offset))

    def _change(self, make: Callable[[LogFile], Any]) -> Any:
        change = Change(make, Future())
        self._writer.submit(change, lambda queued_bytes, state: None)
        return change.future.result()

    def appended(self) -> int:
        """How many records were ever appended, as far as this process knows."""
        return self._writer.state.end.records

    def wait_for_more(self, appended: int, until_s: float, stopped: Callable[[], bool]) -> None:
        """Return when more than `appended` records may be there, at the monotonic time `until_s`, or when stopped.

        Raises `RetryLater` when the log is closed.
        """
        with self._arrived:
            while not stopped() and self.appended() == appended:
                if self._closed:
                    raise RetryLater(f"{self.path}: the log is closed")
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return
                self._arrived.wait(left_s)

    def wake(self) -> None:
        """Let every waiting reader look at what it was told."""
        with self._arrived:
            self._arrived.notify_all()

    def _on_commit(self, seconds: float, records: int) -> None:
        if records:
            self.wake()
            if self._metrics is not None:
                self._metrics.log_commit_seconds.observe(seconds)
                self._metrics.log_commit_records.observe(records)

    def figures(self) -> LogFigures:
        state = self._writer.state
        return LogFigures(
            bytes=state.unread_bytes(),
            bytes_max=self._settings.backlog_bytes_max,
            records=state.end.records - state.trimmed.records,
            lag_records={name: state.end.records - group.before.records for name, group in state.groups.items()},
            lag_rows={name: state.end.rows - group.before.rows for name, group in state.groups.items()},
        )

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._writer.close()
            self.wake()
            os.close(self._lock_file)


def _lock(path: Path) -> int:
    """Take the right to append; the kernel gives it back when the process dies."""
    lock_path = path.with_name(path.name + ".lock")
    lock_file = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock_file, 32, 0).decode().strip() or "unknown"
        os.close(lock_file)
        raise Stop(
            f"{path}: process {holder} appends to this log already; stop it, or give this one another `data` folder"
        ) from None
    os.ftruncate(lock_file, 0)
    os.pwrite(lock_file, f"{os.getpid()}\n".encode(), 0)
    return lock_file
