"""The worker: from the log into every store, and the offset committed last.

    log ──read──> decode ──> hot (visible now) ──collect──> stores (durable) ──> settle hot ──> commit

Two threads: the *reader* makes events visible while the *flusher* writes the ones before them. What they share is one
`_Pending` behind a condition. Memory is bounded by the hot store: it refuses events while too many are not in the
stores yet, and the reader then waits, so that the backlog stays in the log.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import pyarrow as pa

from tailrace.broker.port import LogReader, LogRecord
from tailrace.config import LakeSettings
from tailrace.errors import RetryLater, SlowDown, Stop
from tailrace.model.clock import Clock
from tailrace.model.dead_letter import REPLAYS
from tailrace.ops.metrics import Metrics
from tailrace.process.decode import Events, decode_record
from tailrace.store.port import Hot, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

# Enough that the overhead of a poll does not show; little enough that its memory is used again while it is in cache.
_POLL_BYTES_MAX = 1 << 20
# How soon a reader that waits notices that it is to stop or to commit.
_POLL_TIMEOUT_S = 0.1
# When nothing more comes, so many rows are worth a file of their own; a trickle waits for its interval.
_WORTH_A_FILE_ROWS = 8192
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 10.0


class DeadLetterStore(Protocol):
    """What the worker needs of the dead letters; both are idempotent by identity, and durable on return."""

    def add(self, letters: pa.RecordBatch, partition: int, offset: int) -> None: ...

    def claim(self, letter_id: str, by: tuple[int, int]) -> bool: ...


@dataclass(slots=True)
class _Pending:
    """Events that hot shows and the stores lack, and the progress that they complete.

    `since_s` is when the first of them was read; `quiet` says that the log had nothing more behind them.
    """

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    through: dict[int, int] = field(default_factory=dict)
    since_s: float = 0.0
    quiet: bool = False


class Worker:
    """Started once, stopped once; between the two `problems()` says what holds it up."""

    def __init__(
        self,
        reader: LogReader,
        *,
        hot: Hot,
        stores: Sequence[Store],
        dead_letters: DeadLetterStore,
        settings: LakeSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._reader = reader
        self._hot = hot
        self._stores = stores
        self._dead_letters = dead_letters
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._changed = threading.Condition()
        self._pending = _Pending()
        self._flushed: dict[int, int] = {}
        self._stopping = threading.Event()
        self._read_everything = False
        self._problems: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._guard, args=(run,), name=name)
            for name, run in (("reader", self._read_loop), ("flusher", self._flush_loop))
        ]

    def start(self) -> None:
        reached = self._reached_by_all()
        self._hot.settle(reached)
        # The stores know best: what they all have need not be read again, whatever was committed.
        committed = self._reader.committed()
        self._reader.seek({p: max(offset, reached.get(p, 0)) for p, offset in committed.items()})
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Writes and commits what was read, then ends. Does not wait for a store that is away."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        # What cannot be committed is read again at the next start, and the stores leave it out.
        with contextlib.suppress(_Stopping):
            self._commit()

    def problems(self) -> list[str]:
        """What keeps events from getting on, one sentence a place; empty when all is well."""
        return [f"{place}: {reason}" for place, reason in list(self._problems.items())]

    def _guard(self, run: Callable[[], None]) -> None:
        """A thread that dies is said loudly: nothing else would tell that events have stopped to flow."""
        try:
            run()
        except Exception as error:
            name = threading.current_thread().name
            self._problems[name] = f"the worker's {name} ended: {error}"
            log.exception("the worker's %s ended; restart after mending the cause", name)

    def _reached_by_all(self) -> dict[int, int]:
        progress = [store.reached() for store in self._stores]
        partitions = set().union(*progress)
        return {p: min(reached.get(p, 0) for reached in progress) for p in partitions}

    # The reader.

    def _read_loop(self) -> None:
        try:
            while not self._stopping.is_set():
                items = self._retry(lambda: self._reader.poll(bytes_max=_POLL_BYTES_MAX, timeout_s=_POLL_TIMEOUT_S))
                if items:
                    self._take(items)
                else:
                    with self._changed:
                        self._pending.quiet = True
                        self._changed.notify_all()
                self._commit()
        except _Stopping:
            pass
        finally:
            with self._changed:
                self._read_everything = True
                self._changed.notify_all()

    def _take(self, items: list[LogRecord]) -> None:
        batches: list[pa.RecordBatch] = []
        through: dict[int, int] = {}
        for item in items:
            batch = self._decode(item)
            if batch is not None and batch.num_rows:
                batches.append(batch)
            through[item.partition] = item.offset + 1
        if batches and not self._show(batches):
            return
        rows = sum(batch.num_rows for batch in batches)
        self._metrics.events_read.inc(rows)
        with self._changed:
            pending = self._pending
            if not pending.through:
                pending.since_s = time.monotonic()
            pending.batches.extend(batches)
            pending.rows += rows
            pending.through.update(through)
            pending.quiet = False
            self._changed.notify_all()

    def _decode(self, item: LogRecord) -> pa.RecordBatch | None:
        decoded = decode_record(item, now_us=self._clock())
        if not isinstance(decoded, Events):
            self._retry(
                lambda: self._dead_letters.add(decoded.batch, item.partition, item.offset), place="dead letters"
            )
            self._metrics.dead_letters.inc(decoded.batch.num_rows)
            return None
        letter_id = item.record.headers.get(REPLAYS)
        if letter_id is not None:
            place = (item.partition, item.offset)
            if not self._retry(lambda: self._dead_letters.claim(letter_id, place), place="dead letters"):
                return None
        return decoded.batch

    def _show(self, batches: list[pa.RecordBatch]) -> bool:
        """False when the worker stops before there was room: the events are still in the log."""
        while True:
            try:
                self._hot.put(batches)
                return True
            except SlowDown:
                with self._changed:
                    # Half a flush's rows may already pass the bound: flush now, then try again.
                    self._pending.since_s = 0.0
                    self._changed.notify_all()
                    self._changed.wait(_POLL_TIMEOUT_S)
                if self._stopping.is_set():
                    return False

    def _commit(self) -> None:
        with self._changed:
            flushed, self._flushed = self._flushed, {}
        if flushed:
            self._retry(lambda: self._reader.commit(flushed))

    # The flusher.

    def _flush_loop(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    if self._read_everything and not self._pending.through:
                        return
                    self._changed.wait(self._wait_s())
                pending, self._pending = self._pending, _Pending()
            started = time.perf_counter()
            for store in self._stores:
                if not self._write(store, pending):
                    return
            self._hot.settle(pending.through)
            self._metrics.flush_seconds.observe(time.perf_counter() - started)
            self._metrics.events_stored.inc(pending.rows)
            with self._changed:
                self._flushed.update(pending.through)
                self._changed.notify_all()

    def _due(self) -> bool:
        pending = self._pending
        if not pending.through:
            return False
        if self._read_everything or pending.rows >= self._settings.flush_rows:
            return True
        if pending.quiet and pending.rows >= _WORTH_A_FILE_ROWS:
            return True
        return time.monotonic() - pending.since_s >= self._settings.flush_interval_s

    def _wait_s(self) -> float | None:
        if not self._pending.through:
            return None
        return max(0.0, self._pending.since_s + self._settings.flush_interval_s - time.monotonic())

    def _write(self, store: Store, pending: _Pending) -> bool:
        """Until the store has the events. False when the worker stops first: they are still in the log."""
        try:
            self._retry(lambda: store.write(pending.batches, pending.through), place=store.name)
        except _Stopping:
            return False
        return True

    def _retry(self, call: Callable[[], T], *, place: str = "log") -> T:
        """Until it succeeds. An error nobody foresaw is retried too: the log keeps everything meanwhile.

        Raises `_Stopping` when the worker is to stop and the call still fails, and lets `Stop` through.
        """
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                result = call()
            except Stop:
                raise
            except Exception as error:
                self._metrics.retries.labels(place).inc()
                self._problems[place] = str(error)
                if self._stopping.is_set():
                    raise _Stopping from error
                log.warning(
                    "%s: %s; trying again in %.1f s", place, error, wait_s, exc_info=not isinstance(error, RetryLater)
                )
                self._stopping.wait(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)
            else:
                if self._problems.pop(place, None) is not None:
                    log.info("%s: works again", place)
                return result


class _Stopping(Exception):
    """The worker is to stop, and the place that it waits for is still away."""
