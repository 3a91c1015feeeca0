"""The thread that makes every change of the embedded log: it commits whatever waits, all of it at once.

One fsync is shared by all that came in while the one before was under way, so many small appends cost about as
much as one. Checkpoints (copying the WAL into the file) are made by a second thread while commits go on; only the
short rest is copied between two commits, which lets the WAL begin anew instead of growing without end.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tailrace.broker.port import Record
from tailrace.broker.sqlite_file import PAGE_BYTES, PARTITION, WAL_BYTES, LogFile, State, connect, translate
from tailrace.errors import RetryLater, TailraceError
from tailrace.model.clock import Clock

COMMIT_BYTES_MAX = 16 << 20
"""Payload of one group commit: some tens of milliseconds of a fast disk, so that nobody waits long behind others."""

_TRIM_INTERVAL_S = 0.1
_TRIM_BYTES = 32 << 20  # a step each interval frees faster than any disk here fills
_SHORT_PASS_S = 0.03  # the copy between two commits may hold them up for about so long
_CHECKPOINT_PASSES = 4
_AFTER_FAILURE_S = 1.0  # a disk that is full stays so for a while

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Append:
    records: Sequence[Record]
    size_bytes: int
    future: Future[list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of groups or offsets, made in the same transaction as the appends beside it."""

    make: Callable[[LogFile], Any]
    future: Future[Any]
    size_bytes: int = 0


class Writer:
    """Owns the log file. `submit` from any thread; `state` is what was committed last.

    `committed(seconds, records)` is called in the writer's thread after each commit.
    """

    def __init__(
        self,
        file: LogFile,
        *,
        clock: Clock,
        keep_for_s: float,
        committed: Callable[[float, int], None],
    ) -> None:
        self._file = file
        self._clock = clock
        self._keep_for_us = int(keep_for_s * 1_000_000)
        self._committed = committed
        self._waiting: deque[Append | Change] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._trim_due_s = 0.0
        self._trim_works = True
        self._wal_bytes = 0
        self.queued_bytes = 0
        self.state: State = file.state
        self._checkpointer = _Checkpointer(file)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Append | Change, admit: Callable[[int, State], None]) -> None:
        """Queue the work. `admit(queued_bytes, state)` raises what keeps it out."""
        with self._wake:
            if self._closing:
                raise RetryLater(f"{self._file.path}: the log is closed")
            admit(self.queued_bytes, self.state)
            self.queued_bytes += work.size_bytes
            self._waiting.append(work)
            self._wake.notify()

    def close(self) -> None:
        """Finish what waits, then close the file."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            work = self._take()
            if work:
                self._commit(work)
            elif self._closing:
                break
            self._tend()
        self._checkpointer.close()
        try:
            self._file.close()
        except sqlite3.Error as error:
            _log.error("%s", translate(error, self._file.path))

    def _take(self) -> list[Append | Change]:
        """What waits, up to COMMIT_BYTES_MAX; nothing when it is time to tend the file."""
        with self._wake:
            if not self._waiting and not self._closing:
                self._wake.wait(_TRIM_INTERVAL_S)
            work: list[Append | Change] = []
            size_bytes = 0
            while self._waiting and (not work or size_bytes + self._waiting[0].size_bytes <= COMMIT_BYTES_MAX):
                work.append(self._waiting.popleft())
                size_bytes += work[-1].size_bytes
            return work

    def _commit(self, work: list[Append | Change]) -> None:
        # A future cannot be cancelled from here on.
        running = [one for one in work if one.future.set_running_or_notify_cancel()]
        began_s = time.monotonic()
        size_bytes = sum(one.size_bytes for one in work)
        results: list[Any] = []
        failure: TailraceError | None = None
        try:
            with self._file.transaction():
                now_us = self._clock()
                for one in running:
                    if isinstance(one, Append):
                        results.append([(PARTITION, offset) for offset in self._file.append(one.records, now_us)])
                    else:
                        results.append(one.make(self._file))
        except sqlite3.Error as error:
            failure = translate(error, self._file.path)
        except TailraceError as error:
            failure = error
        except BaseException as error:
            failure = RetryLater(f"{self._file.path}: a commit failed: {error!r}")
            _log.exception("%s", failure)
        with self._wake:
            self.queued_bytes -= size_bytes
            self.state = self._file.state
        if failure is not None:
            # Perhaps the disk is full: copying the WAL into the file lets its room be used again.
            self._wal_bytes = WAL_BYTES
            for one in running:
                one.future.set_exception(failure)
            return
        for one, result in zip(running, results, strict=True):
            one.future.set_result(result)
        self._wal_bytes += size_bytes + 2 * PAGE_BYTES
        self._report(began_s, sum(len(one.records) for one in running if isinstance(one, Append)))

    def _report(self, began_s: float, records: int) -> None:
        try:
            self._committed(time.monotonic() - began_s, records)
        except Exception:
            _log.exception("%s: reporting a commit failed", self._file.path)

    def _tend(self) -> None:
        """What is not urgent: trim a little, keep the WAL short, see other processes' commits."""
        try:
            if time.monotonic() >= self._trim_due_s:
                self._trim_due_s = time.monotonic() + _TRIM_INTERVAL_S
                self._file.refresh()
                self._trim()
                self.state = self._file.state
            if self._checkpointer.take_rest() and self._file.restart_wal():
                self._wal_bytes = 0
            if self._wal_bytes >= WAL_BYTES:
                self._checkpointer.start()
        except sqlite3.Error as error:
            _log.warning("%s", translate(error, self._file.path))
        except Exception:
            _log.exception("%s: tending the file failed", self._file.path)

    def _trim(self) -> None:
        state = self._file.state
        if state.read_by_all().before.records <= state.trimmed.records:
            return
        with self._file.transaction():
            self._file.trim(appended_before_us=self._clock() - self._keep_for_us, bytes_max=_TRIM_BYTES)


class _Checkpointer:
    """Copies the WAL into the file beside the writer, until little is left for it."""

    def __init__(self, file: LogFile) -> None:
        self._path = file.path
        self._db = connect(file.path)
        self._db.execute("PRAGMA synchronous = FULL")
        self._begin = threading.Event()
        self._busy = False
        self._rest = False
        self._closing = False
        self._not_before_s = 0.0
        self._thread = threading.Thread(target=self._run, name="log-checkpoint", daemon=True)
        self._thread.start()

    def start(self) -> None:
        if not self._busy and time.monotonic() >= self._not_before_s:
            self._busy = True
            self._begin.set()

    def take_rest(self) -> bool:
        """True once after each run: the writer should copy the rest now."""
        rest, self._rest = self._rest, False
        return rest

    def close(self) -> None:
        self._closing = True
        self._begin.set()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            self._begin.wait()
            self._begin.clear()
            if self._closing:
                return
            try:
                self._copy()
            except Exception as error:
                reason = translate(error, self._path) if isinstance(error, sqlite3.Error) else error
                _log.warning("copying the WAL failed: %s", reason)
                self._not_before_s = time.monotonic() + _AFTER_FAILURE_S
            finally:
                self._rest = True
                self._busy = False

    def _copy(self) -> None:
        """Each pass copies what was written during the one before; a short one says that little is left."""
        for _ in range(_CHECKPOINT_PASSES):
            began_s = time.monotonic()
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if self._closing or time.monotonic() - began_s < _SHORT_PASS_S:
                return
