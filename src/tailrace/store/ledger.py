"""Dead letters and claims that many processes share: one log of operations, and a copy of its outcome in each.

    add, claim, drop ──append──> LOG of one partition ──read by every process──> its own SQLite file ──> answers

Every process applies the same operations in the same order, and what an operation does depends on the file and the
operation alone (its time is in it). So all have the same letters, and the same answer to who was first: state machine
replication, with the log as the consensus (F. B. Schneider, "Implementing Fault-Tolerant Services Using the State
Machine Approach", ACM Computing Surveys 22(4), 1990).

Invariants
----------
* The file and the offset it has reached change in one transaction: an operation is applied once, whatever is killed.
* `claim` and `drop` answer when their own operation was applied here, hence every one before it. What is decided in
  a copy stays decided, so a claim that the copy can answer needs no operation.
* An operation that cannot be decoded is left out, by every process alike; a log line and a counter tell.
* All processes must have the same `dead_letters.bytes_max` and `ingest.idempotency_window_s`: they decide what goes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.broker.port import LogLines, LogReader, LogRecord, Record
from tailrace.errors import RetryLater, SlowDown, Stop, TooLarge
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.claims import Answers
from tailrace.store.dead_letters import DeadLetter, DeadLetterFigures, DeadLetters, parse_id
from tailrace.store.ledger_operations import OPERATION, Add, Claim, Drop, Meet, Operation, decode_operation

log = logging.getLogger(__name__)

T = TypeVar("T")

Appended = Future[list[tuple[int, int]]]

PARTITION = 0

# A worker asks again; a person who waits for an answer should not wait longer than this.
_WAIT_S = 5.0
# What a start may take to read on to the end before whoever asks is sent away for a while.
_CATCH_UP_S = 10.0
_POLL_BYTES_MAX = 4 << 20
_POLL_S = 0.5
_RETRY_FIRST_S = 0.1
_RETRY_MAX_S = 5.0
# Well below the smallest limit that is usual for a message (1 MB), since one letter may pass it.
_ADD_BYTES_MAX = 512 << 10
# A few hundred kilobytes even when every key is as long as it may be.
_CLAIMS_MAX = 500


class OperationLog(Protocol):
    """The log of operations: `broker.port.Log` as far as it is needed, of one partition."""

    def append(self, records: Sequence[Record]) -> Appended: ...

    def follower(self, start: Mapping[int, int]) -> LogReader:
        """Reads all partitions from these offsets on (0 where none is named), as a member of no group."""
        ...


class Ledger:
    """Does what `DeadLetters` does, for many processes.

    `add` is durable when it is in the log, and seen a moment later.
    `local` is this process's copy; it is closed with the ledger, the log is not. Several processes of one machine may
    share the file. What needs the whole state (`list`, `get`, `drop`, `count`) raises `RetryLater` until this
    process has caught up after its start. Raises `Stop` when the file follows another log than this one.
    """

    def __init__(self, from_log: OperationLog, local: DeadLetters, *, clock: Clock, metrics: Metrics) -> None:
        self._log = from_log
        self._local = local
        self._clock = clock
        self._metrics = metrics
        self._started_at = local.applied()
        self._applied = self._started_at
        self._problem = ""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._caught_up = False
        self._reader = from_log.follower({PARTITION: self._applied})
        self._thread = threading.Thread(target=self._follow, name="ledger", daemon=True)
        self._thread.start()

    def add(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        rows = self._local.lacks(letters, identities)
        lacking = letters.take(pa.array(rows, pa.int64()))
        parts = list(_parts(lacking, [identities[row] for row in rows]))
        for part, appended in [(part, self._append(part)) for part in parts]:
            try:
                _offset(appended)
            except TooLarge as error:
                # One letter, of a record that is as large as a message may be. Its bytes are in the log of events.
                _offset(self._append(Add(_without_bytes(part.letters, str(error)), part.identities)))

    def claim(self, claims: Sequence[tuple[str, int, int]]) -> Answers:
        known = self._local.answers(claims)
        if known is None:
            waiting = [
                self._append(Claim(claims[start : start + _CLAIMS_MAX], self._clock()))
                for start in range(0, len(claims), _CLAIMS_MAX)
            ]
            self._wait_applied(max(_offset(each) for each in waiting), _WAIT_S)
            known = self._local.answers(claims)
            if known is None:
                raise RetryLater("the claims were forgotten while they were made; are the machines' clocks right?")
        return known

    def drop(self, id: str) -> None:
        self.get(id)
        self._wait_applied(_offset(self._append(Drop(parse_id(id)))), _WAIT_S)

    def list(self, *, limit: int, before: str | None = None) -> Sequence[DeadLetter]:
        self._catch_up()
        return self._local.list(limit=limit, before=before)

    def get(self, id: str) -> DeadLetter:
        self._catch_up()
        return self._local.get(id)

    def count(self) -> int:
        self._catch_up()
        return self._local.count()

    def figures(self) -> DeadLetterFigures:
        return self._local.figures()

    def close(self) -> None:
        self._closing.set()
        self._reader.close()
        self._thread.join()
        self._local.close()

    # What is asked of the log.

    def _append(self, operation: Operation) -> Appended:
        headers, payload = operation.encode()
        try:
            return self._log.append([Record(OPERATION, payload, 0, headers)])
        except SlowDown as error:
            raise RetryLater(f"dead letters: {error}", retry_after_s=error.retry_after_s) from error

    def _wait_applied(self, offset: int, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._applied > offset or self._closing.is_set(), timeout_s)
            if self._applied <= offset:
                reason = (
                    self._problem or f"this process has not read operation {offset} of their log in {timeout_s:g} s"
                )
                raise RetryLater(f"dead letters: {reason}")

    def _catch_up(self) -> None:
        if self._caught_up:
            return
        offset = _offset(self._append(Meet()))
        if offset < self._started_at:
            raise Stop(
                f"the file of dead letters has applied their log to offset {self._started_at}, but a new operation "
                f"got offset {offset}: the log was made anew; move the file away"
            )
        self._wait_applied(offset, _CATCH_UP_S)
        self._caught_up = True

    # The follower.

    def _follow(self) -> None:
        try:
            while not self._closing.is_set():
                items = self._retry(lambda: self._reader.poll(bytes_max=_POLL_BYTES_MAX, timeout_s=_POLL_S))
                if items:
                    self._take(items)
        except _Closing:
            pass
        except Exception as error:
            self._problem = f"what others do is not followed any more: {error}"
            log.exception("dead letters: the follower of their log ended; restart after mending the cause")

    def _take(self, items: Sequence[LogRecord | LogLines]) -> None:
        applied = self._retry(lambda: self._apply(items))
        with self._changed:
            self._applied = applied
            self._changed.notify_all()

    def _apply(self, items: Sequence[LogRecord | LogLines]) -> int:
        with self._local.changes() as changes:
            applied = changes.applied()
            for item in items:
                if not isinstance(item, LogRecord):
                    applied = self._skip(int(item.offsets[-1]), "it is text")
                # Below: read again after a reader began anew, or applied by another process that shares the file.
                elif item.offset >= applied:
                    record = item.record
                    try:
                        operation = decode_operation(record.content_type, record.headers, record.payload)
                    except ValueError as error:
                        applied = self._skip(item.offset, str(error))
                    else:
                        operation.apply(changes)
                        applied = item.offset + 1
            changes.set_applied(applied)
        return applied

    def _skip(self, offset: int, reason: str) -> int:
        self._metrics.ledger_skipped.inc()
        log.error("dead letters: operation %d of their log is left out: %s", offset, reason)
        return offset + 1

    def _retry(self, call: Callable[[], T]) -> T:
        """Until it succeeds. Raises `_Closing` when the ledger is closed first, and lets `Stop` through."""
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                result = call()
            except Stop:
                raise
            except Exception as error:
                if self._closing.is_set():
                    raise _Closing from error
                self._problem = str(error)
                log.warning(
                    "dead letters: %s; trying again in %.1f s",
                    error,
                    wait_s,
                    exc_info=not isinstance(error, RetryLater),
                )
                self._closing.wait(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)
            else:
                self._problem = ""
                return result


class _Closing(Exception):
    """The ledger is closed, and what it waits for is still away."""


def _offset(appended: Appended) -> int:
    """Once it is durable."""
    try:
        [(_, offset)] = appended.result(_WAIT_S)
    except TimeoutError as error:
        raise RetryLater(f"dead letters: their log has not answered in {_WAIT_S:g} s") from error
    return offset


def _without_bytes(letters: pa.RecordBatch, why: str) -> pa.RecordBatch:
    rows = [
        {**row, "raw": b"", "reason": f"{row['reason']} (without its bytes: {why})"} for row in letters.to_pylist()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=letters.schema)


def _parts(letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> Iterator[Add]:
    """The same letters in operations of a bounded size; a letter is never cut."""
    sizes = pc.binary_length(letters["raw"]).to_pylist()
    start = size_bytes = 0
    for row, raw_bytes in enumerate(sizes):
        if row > start and size_bytes + raw_bytes > _ADD_BYTES_MAX:
            yield Add(letters.slice(start, row - start), identities[start:row])
            start, size_bytes = row, 0
        size_bytes += raw_bytes
    if len(sizes) > start:
        yield Add(letters.slice(start), identities[start:])
