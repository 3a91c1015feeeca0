"""State that many processes share: one log of operations, and a copy of its outcome in each.

    an operation ──append──> LOG of one partition ──read by every process──> its own SQLite file ──> answers

Every process applies the same operations in the same order, and what an operation does depends on the file and the
operation alone (its time is in it). So all have the same state: state machine replication, with the log as the
consensus (F. B. Schneider, "Implementing Fault-Tolerant Services Using the State Machine Approach", ACM Computing
Surveys 22(4), 1990).

Invariants
----------
* The file and the offset it has reached change in one transaction: an operation is applied once, whatever is killed.
* Whoever waited for an operation to be applied here has every one before it here, too.
* An operation that cannot be decoded is left out, by every process alike; a log line and a counter tell.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from tailrace.broker.port import LogLines, LogReader, LogRecord, Record
from tailrace.errors import RetryLater, SlowDown, Stop
from tailrace.ops.metrics import Metrics

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


class OperationLog(Protocol):
    """The log of operations: `broker.port.Log` as far as it is needed, of one partition."""

    def append(self, records: Sequence[Record]) -> Appended: ...

    def follower(self, start: Mapping[int, int]) -> LogReader:
        """Reads all partitions from these offsets on (0 where none is named), as a member of no group."""
        ...


class Changing(Protocol):
    """What can be done to the copy within a transaction."""

    def applied(self) -> int: ...

    def set_applied(self, offset: int) -> None: ...


C = TypeVar("C", bound=Changing)
C_co = TypeVar("C_co", bound=Changing, covariant=True)
C_contra = TypeVar("C_contra", bound=Changing, contravariant=True)


class Copy(Protocol[C_co]):
    """This process's copy."""

    def applied(self) -> int:
        """The offset of the next operation."""
        ...

    def changes(self) -> AbstractContextManager[C_co]:
        """A transaction; durable when the block is left."""
        ...

    def close(self) -> None: ...


class Operation(Protocol[C_contra]):
    def encode(self) -> tuple[Mapping[str, str], bytes]:
        """Headers and payload."""
        ...

    def apply(self, changes: C_contra) -> object: ...


class Replica(Generic[C]):
    """Appends operations, and applies everybody's to the copy.

    The copy is closed with the replica, the log is not. Several processes of one machine may share the copy's file.
    """

    def __init__(
        self,
        name: str,
        from_log: OperationLog,
        copy: Copy[C],
        *,
        content_type: str,
        decode: Callable[[str, Mapping[str, str], bytes], Operation[C]],
        meet: Operation[C],
        metrics: Metrics,
    ) -> None:
        """`name` stands in messages. `decode` raises `ValueError`; `meet` is an operation that changes nothing."""
        self._name = name
        self._log = from_log
        self._copy = copy
        self._content_type = content_type
        self._decode = decode
        self._meet = meet
        self._metrics = metrics
        self._started_at = copy.applied()
        self._applied = self._started_at
        self._problem = ""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._caught_up = False
        self._reader = from_log.follower({PARTITION: self._applied})
        self._thread = threading.Thread(target=self._follow, name=f"{name} follower", daemon=True)
        self._thread.start()

    def append(self, operation: Operation[C]) -> Appended:
        """Done when it is durable; `offset_of` waits for that. Raises `RetryLater` when the log takes no more."""
        headers, payload = operation.encode()
        try:
            return self._log.append([Record(self._content_type, payload, 0, headers)])
        except SlowDown as error:
            raise RetryLater(f"{self._name}: {error}", retry_after_s=error.retry_after_s) from error

    def offset_of(self, appended: Appended) -> int:
        """Once it is durable. Raises `RetryLater`, and `TooLarge` for what no message can hold."""
        try:
            [(_, offset)] = appended.result(_WAIT_S)
        except TimeoutError as error:
            raise RetryLater(f"{self._name}: their log has not answered in {_WAIT_S:g} s") from error
        return offset

    def wait_applied(self, offset: int) -> None:
        """Until the operation at this offset is applied here. Raises `RetryLater`."""
        self._wait(offset, _WAIT_S)

    def run(self, operation: Operation[C]) -> None:
        """Append it, and wait until it is applied here. Raises `RetryLater`."""
        self.wait_applied(self.offset_of(self.append(operation)))

    def catch_up(self) -> None:
        """Until all that was appended before this process started is applied here; at once ever after.

        Raises `RetryLater`, and `Stop` when the copy follows another log than this one.
        """
        if self._caught_up:
            return
        offset = self.offset_of(self.append(self._meet))
        if offset < self._started_at:
            raise Stop(
                f"the file of {self._name} has applied their log to offset {self._started_at}, but a new operation "
                f"got offset {offset}: the log was made anew; move the file away"
            )
        self._wait(offset, _CATCH_UP_S)
        self._caught_up = True

    def close(self) -> None:
        self._closing.set()
        self._reader.close()
        self._thread.join()
        self._copy.close()

    def _wait(self, offset: int, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._applied > offset or self._closing.is_set(), timeout_s)
            if self._applied <= offset:
                reason = (
                    self._problem or f"this process has not read operation {offset} of their log in {timeout_s:g} s"
                )
                raise RetryLater(f"{self._name}: {reason}")

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
            log.exception("%s: the follower of their log ended; restart after mending the cause", self._name)

    def _take(self, items: Sequence[LogRecord | LogLines]) -> None:
        applied = self._retry(lambda: self._apply(items))
        with self._changed:
            self._applied = applied
            self._changed.notify_all()

    def _apply(self, items: Sequence[LogRecord | LogLines]) -> int:
        with self._copy.changes() as changes:
            applied = changes.applied()
            for item in items:
                if not isinstance(item, LogRecord):
                    applied = self._skip(int(item.offsets[-1]), "it is text")
                # Below: read again after a reader began anew, or applied by another process that shares the file.
                elif item.offset >= applied:
                    record = item.record
                    try:
                        operation = self._decode(record.content_type, record.headers, record.payload)
                    except ValueError as error:
                        applied = self._skip(item.offset, str(error))
                    else:
                        operation.apply(changes)
                        applied = item.offset + 1
            changes.set_applied(applied)
        return applied

    def _skip(self, offset: int, reason: str) -> int:
        self._metrics.ledger_skipped.inc()
        log.error("%s: operation %d of their log is left out: %s", self._name, offset, reason)
        return offset + 1

    def _retry(self, call: Callable[[], T]) -> T:
        """Until it succeeds. Raises `_Closing` when this is closed first, and lets `Stop` through."""
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
                    "%s: %s; trying again in %.1f s",
                    self._name,
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
    """It is closed, and what it waits for is still away."""
