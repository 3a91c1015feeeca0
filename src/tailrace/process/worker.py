"""The worker of one store: from the log into it, and the offset committed last.

    log ──read──> decode ──> hot (visible now) ──collect──> store (durable) ──> settle hot ──> commit

Each store has a worker, and a group of the log, of its own: one that is down delays only itself. Two threads: the
*reader* takes events in while the *flusher* writes the ones before them. What they share is one `Pending` behind a
condition, bounded by `worker.unstored_bytes_max`: past it the reader waits, and the backlog stays in the log.

Partitions come and go while other workers do. The store's own progress decides where reading starts, and leaves out
what is there already; so a worker that was thought dead and wakes up changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import pyarrow as pa

from tailrace.broker.port import Log, LogLines, LogReader, LogRecord
from tailrace.config import IngestSettings, WorkerSettings
from tailrace.errors import RetryLater, Stop
from tailrace.ingest.shape import Shape
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.process.claimed import Claim, claim_of, is_for_store, row_claims_of
from tailrace.process.decode import Decoded, decode
from tailrace.process.pending import Pending
from tailrace.process.shaping import is_foreign, shaped
from tailrace.store.port import Claims, DeadLetterBox, HotWriter, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

# Enough that the overhead of a poll does not show; little enough that its memory is used again while it is in cache.
_POLL_BYTES_MAX = 1 << 20
# How soon a reader that waits notices that it is to stop or to commit.
_POLL_TIMEOUT_S = 0.1
# When nothing more comes, so many rows are worth a file of their own; a trickle waits for its interval.
_WORTH_A_FILE_ROWS = 8192
# How often a reader that waits for room asks the log whether its partitions are still its own.
_KEEP_ALIVE_S = 1.0
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 10.0
# A partition that is taken away waits so long for its events to be stored; then the next worker reads them again.
_HAND_OVER_S = 3.0

OpenStore = Callable[[threading.Event], Store]
"""Opens the store; raises `RetryLater` while it is away. May wait until the event is set."""


class Worker:
    """Started once, stopped once; between the two `problems()` says what holds it up.

    `name` is the store's and the group's. `hot` and `dead_letters` are given to one worker of a process: the one
    whose store answers queries.
    """

    def __init__(
        self,
        name: str,
        from_log: Log,
        open_store: OpenStore,
        *,
        hot: HotWriter | None,
        dead_letters: DeadLetterBox | None,
        claims: Claims,
        settings: WorkerSettings,
        limits: IngestSettings,
        clock: Clock,
        metrics: Metrics,
        shape: Shape | None = None,
    ) -> None:
        self.name = name
        self._log = from_log
        self._open_store = open_store
        self._hot = hot
        self._dead_letters = dead_letters
        self._claims = claims
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._shape = shape
        self._metrics = metrics
        self._store: Store | None = None
        self._reader: LogReader | None = None
        self._changed = threading.Condition()
        self._pending = Pending()
        self._flushing = Pending()
        self._hurry = False
        self._flushed: dict[int, int] = {}
        # Which partitions are ours, and how often that has changed: what was read before is not ours to store.
        self._turns: dict[int, int] = {}
        self._owned: set[int] = set()
        self._stopping = threading.Event()
        self._read_everything = False
        self._problems: dict[str, str] = {}
        self._reading = threading.Thread(target=self._guard, args=(self._read_loop,), name=f"{name} reader")
        self._flusher = threading.Thread(target=self._guard, args=(self._flush_loop,), name=f"{name} flusher")

    def start(self) -> None:
        self._reading.start()
        self._flusher.start()

    def stop(self) -> None:
        """Writes and commits what was read, then ends. Does not wait for a store that is away."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._reading.join()
        self._flusher.join()
        # What cannot be committed is read again by whoever comes next, and the store leaves it out.
        with contextlib.suppress(_Stopping):
            self._commit()
        if self._reader is not None:
            self._reader.close()
        if self._store is not None:
            self._store.close()

    def problems(self) -> list[str]:
        """What keeps events from getting on, one sentence a place; empty when all is well."""
        return [f"{place}: {reason}" for place, reason in list(self._problems.items())]

    def _guard(self, run: Callable[[], None]) -> None:
        """A thread that dies is said loudly: nothing else would tell that events have stopped to flow."""
        try:
            run()
        except _Stopping:
            pass
        except Exception as error:
            name = threading.current_thread().name
            self._problems[name] = f"the worker's {name} ended: {error}"
            log.exception("the worker's %s ended; restart after mending the cause", name)

    # The reader.

    def _read_loop(self) -> None:
        try:
            store = self._store = self._retry(lambda: self._open_store(self._stopping), place=self.name)
            assignments = _Assignments(self, store)
            reader = self._reader = self._retry(lambda: self._log.reader(self.name, assignments))
            while not self._stopping.is_set():
                items = self._retry(lambda: reader.poll(bytes_max=_POLL_BYTES_MAX, timeout_s=_POLL_TIMEOUT_S))
                if items:
                    self._take(items)
                else:
                    with self._changed:
                        self._pending.quiet = True
                        self._changed.notify_all()
                self._commit()
        finally:
            with self._changed:
                self._read_everything = True
                self._changed.notify_all()

    def _take(self, items: Sequence[LogRecord | LogLines]) -> None:
        turns = dict(self._turns)
        claimed = self._claimed(items)
        decoded = [self._decode(item).events if held else None for item, held in zip(items, claimed, strict=True)]
        taken = list(zip(items, self._without_repeated_rows(items, decoded), strict=True))
        self._wait_for_room(sum(events.nbytes for _, events in taken if events is not None))
        batches: list[pa.RecordBatch] = []
        with self._changed:
            for item, events in taken:
                # While this thread waited, the partition may have gone to another worker.
                if self._turns.get(item.partition, 0) != turns.get(item.partition, 0):
                    continue
                self._pending.add(item.partition, events, _next_offset(item), time.monotonic())
                if events is not None:
                    batches.append(events)
        if self._hot is not None:
            self._hot.put(batches)
        self._metrics.events_read.labels(self.name).inc(sum(batch.num_rows for batch in batches))
        with self._changed:
            self._changed.notify_all()

    def _claimed(self, items: Sequence[LogRecord | LogLines]) -> list[bool]:
        """Which items are to be stored: all, but for repetitions, and for what is not for this store."""
        held = [is_for_store(item, self.name) for item in items]
        keyed = {number: claim for number, item in enumerate(items) if held[number] and (claim := claim_of(item))}
        for number, answer in zip(keyed, self._ask(list(keyed.values())), strict=True):
            held[number] = answer
        return held

    def _without_repeated_rows(
        self, items: Sequence[LogRecord | LogLines], decoded: Sequence[pa.RecordBatch | None]
    ) -> list[pa.RecordBatch | None]:
        """The same, without the events that are in the log twice and have claims of their own."""
        found = [row_claims_of(item, events) for item, events in zip(items, decoded, strict=True)]
        answers = iter(self._ask([claim for each in found if each is not None for claim in each.claims]))
        return [
            events if each is None else each.held([next(answers) for _ in each.claims])
            for each, events in zip(found, decoded, strict=True)
        ]

    def _ask(self, claims: Sequence[Claim]) -> Sequence[bool]:
        return self._retry(lambda: self._claims.claim(claims), place="claims") if claims else []

    def _decode(self, item: LogRecord | LogLines) -> Decoded:
        decoded = decode(item, limits=self._limits, now_us=self._clock())
        if self._shape is not None and is_foreign(item):
            decoded = shaped(decoded, store=self.name, shape=self._shape)
        letters, box = decoded.letters, self._dead_letters
        if letters is not None and letters.num_rows and box is not None:
            self._retry(lambda: box.add(letters, decoded.identities), place="dead letters")
            self._metrics.dead_letters.inc(letters.num_rows)
        return decoded

    def _wait_for_room(self, wanted_bytes: int) -> None:
        """Until the batches fit, or nothing else is held: one that is past the bound all alone must get in."""

        def is_room() -> bool:
            held_bytes = self._pending.bytes + self._flushing.bytes
            return not held_bytes or held_bytes + wanted_bytes <= self._settings.unstored_bytes_max

        while not self._stopping.is_set():
            with self._changed:
                if is_room():
                    return
                # Half a flush's rows may already pass the bound.
                self._hurry = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: is_room() or self._stopping.is_set(), _KEEP_ALIVE_S)
                if is_room():
                    return
            self._idle(0)
        raise _Stopping

    def _idle(self, timeout_s: float) -> None:
        """Wait as a member of the group; only for the reader's thread."""
        if self._reader is None:
            self._stopping.wait(timeout_s)
            return
        try:
            self._reader.keep_alive(timeout_s)
        except RetryLater:
            self._stopping.wait(timeout_s)

    def _commit(self) -> None:
        with self._changed:
            flushed, self._flushed = self._flushed, {}
            mine = {partition: offset for partition, offset in flushed.items() if partition in self._owned}
        if mine and (reader := self._reader) is not None:
            self._retry(lambda: reader.commit(mine))

    # Partitions that come and go: called in the reader's thread, from within its polls.

    def take_over(self, committed: Mapping[int, int], store: Store) -> Mapping[int, int]:
        """Where to read on: the store knows best, whatever was committed."""
        reached = self._retry(store.reached, place=self.name, in_poll=True)
        if self._hot is not None:
            self._hot.settle(reached)
        with self._changed:
            self._owned |= committed.keys()
            # What the store has beyond that is committed now: where nothing more comes, nobody else would.
            ahead = {p: reached[p] for p, offset in committed.items() if reached.get(p, 0) > offset}
            self._flushed.update(ahead)
        return {partition: max(offset, reached.get(partition, 0)) for partition, offset in committed.items()}

    def hand_over(self, partitions: Collection[int], *, lost: bool) -> None:
        """Store and commit what was read of them, if that can be done soon; leave the rest to the next worker."""
        if not lost:
            self._finish(partitions)
        with self._changed:
            for partition in partitions:
                self._turns[partition] = self._turns.get(partition, 0) + 1
                self._owned.discard(partition)
                self._flushed.pop(partition, None)
            self._pending = self._pending.without(partitions)
            self._changed.notify_all()

    def _finish(self, partitions: Collection[int]) -> None:
        def is_stored() -> bool:
            held = self._pending.through.keys() | self._flushing.through.keys()
            return held.isdisjoint(partitions) or not self._flusher.is_alive()

        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(is_stored, _HAND_OVER_S)
            self._hurry = False
            done = {partition: self._flushed[partition] for partition in partitions if partition in self._flushed}
        if done and self._reader is not None:
            with contextlib.suppress(RetryLater):
                self._reader.commit(done)

    # The flusher.

    def _flush_loop(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    if self._read_everything and not self._pending.through:
                        return
                    self._changed.wait(self._wait_s())
                self._flushing, self._pending = self._pending, Pending()
                self._hurry = False
            self._flush(self._flushing)
            with self._changed:
                self._flushed.update(self._flushing.through)
                self._flushing = Pending()
                self._changed.notify_all()

    def _flush(self, events: Pending) -> None:
        store = self._store
        assert store is not None, "nothing is read before the store is open"
        started = time.perf_counter()
        batches = [batch for _, batch in events.batches]
        self._retry(lambda: store.write(batches, events.through), place=self.name)
        if self._hot is not None:
            self._hot.settle(events.through)
        self._metrics.flush_seconds.labels(self.name).observe(time.perf_counter() - started)
        self._metrics.events_stored.labels(self.name).inc(events.rows)

    def _due(self) -> bool:
        pending = self._pending
        if not pending.through:
            return False
        if self._read_everything or self._hurry or pending.rows >= self._settings.flush_rows:
            return True
        if pending.quiet and pending.rows >= _WORTH_A_FILE_ROWS:
            return True
        return time.monotonic() - pending.since_s >= self._settings.flush_interval_s

    def _wait_s(self) -> float | None:
        if not self._pending.through:
            return None
        return max(0.0, self._pending.since_s + self._settings.flush_interval_s - time.monotonic())

    def _retry(self, call: Callable[[], T], *, place: str = "log", in_poll: bool = False) -> T:
        """Until it succeeds. An error nobody foresaw is retried too: the log keeps everything meanwhile.

        Raises `_Stopping` when the worker is to stop and the call still fails, and lets `Stop` through.
        """
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                result = call()
            except (Stop, _Stopping):
                raise
            except Exception as error:
                self._metrics.retries.labels(place).inc()
                self._problems[place] = str(error)
                if self._stopping.is_set():
                    raise _Stopping from error
                log.warning(
                    "%s: %s; trying again in %.1f s", place, error, wait_s, exc_info=not isinstance(error, RetryLater)
                )
                self._wait_to_retry(wait_s, is_member=not in_poll)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)
            else:
                if self._problems.pop(place, None) is not None:
                    log.info("%s: works again", place)
                return result

    def _wait_to_retry(self, wait_s: float, *, is_member: bool) -> None:
        if threading.current_thread() is not self._reading or not is_member:
            self._stopping.wait(wait_s)
            return
        until_s = time.monotonic() + wait_s
        while not self._stopping.is_set() and (left_s := until_s - time.monotonic()) > 0:
            self._idle(min(left_s, _POLL_TIMEOUT_S))


class _Assignments:
    """Implements `broker.port.Assignments` for a worker whose store is open."""

    def __init__(self, worker: Worker, store: Store) -> None:
        self._worker = worker
        self._store = store

    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        return self._worker.take_over(committed, self._store)

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        self._worker.hand_over(partitions, lost=lost)


def _next_offset(item: LogRecord | LogLines) -> int:
    return int(item.offsets[-1]) + 1 if isinstance(item, LogLines) else item.offset + 1


class _Stopping(Exception):
    """The worker is to stop, and the place that it waits for is still away."""
