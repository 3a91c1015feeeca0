"""A log of operations in memory, for tests that need to hold it up: real in its order, durable in nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from tailrace.broker.port import LogLines, LogRecord, Record
from tailrace.errors import RetryLater


class ListLog:
    """`away` refuses appends; `paused` keeps followers from reading on."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.away = False
        self.paused = False
        self.changed = threading.Condition()

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        answer: Future[list[tuple[int, int]]] = Future()
        with self.changed:
            if self.away:
                answer.set_exception(RetryLater("the broker is away"))
                return answer
            places = [(0, len(self.records) + number) for number in range(len(records))]
            self.records += records
            self.changed.notify_all()
        answer.set_result(places)
        return answer

    def follower(self, start: Mapping[int, int]) -> Follower:
        return Follower(self, start.get(0, 0))

    def resume(self) -> None:
        with self.changed:
            self.away = self.paused = False
            self.changed.notify_all()


class Follower:
    def __init__(self, log: ListLog, offset: int) -> None:
        self._log = log
        self._offset = offset
        self._closed = False

    def poll(self, *, bytes_max: int, timeout_s: float) -> list[LogRecord | LogLines]:
        log = self._log
        with log.changed:
            log.changed.wait_for(lambda: self._closed or (self._has_more() and not log.paused), timeout_s)
            if self._closed or log.paused or not self._has_more():
                return []
            # A few at a time, so that reading ends in the middle of what was appended at once.
            found = [
                LogRecord(0, offset, log.records[offset])
                for offset in range(self._offset, min(self._offset + 3, len(log.records)))
            ]
            self._offset += len(found)
        return list(found)

    def _has_more(self) -> bool:
        return self._offset < len(self._log.records)

    def keep_alive(self, timeout_s: float) -> None:
        raise AssertionError

    def commit(self, offsets: Mapping[int, int]) -> None:
        raise AssertionError

    def close(self) -> None:
        with self._log.changed:
            self._closed = True
            self._log.changed.notify_all()
