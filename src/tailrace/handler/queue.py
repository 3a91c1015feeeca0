"""The bounded queue between the application's threads and the handler's own.

`put` never waits for anything but a few instructions of another thread: the lock is never held during I/O. The
lock can be entered again by its own thread and the wake-up is a `SimpleQueue`, so that a signal handler which logs
in the middle of a `put` cannot deadlock.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import NamedTuple

from tailrace.handler.event import Captured


class Taken(NamedTuple):
    """Events that left the queue; `first` is the number of the first since the queue was made."""

    first: int
    events: list[Captured]


class EventQueue:
    """First in, first out; bounded by events and by bytes."""

    def __init__(self, *, events_max: int, bytes_max: int, batch_events_max: int) -> None:
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._batch_events_max = batch_events_max
        self._lock = threading.RLock()
        self._events: deque[tuple[Captured, int]] = deque()
        self._bytes = 0
        self._taken = 0
        self._in_hand: dict[int, list[Captured]] = {}
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._pressed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.refused = 0
        """Events that found the queue full."""

    def put(self, event: Captured) -> None:
        """Queue the event, or count it in `refused` when either bound is reached."""
        size = event.bytes_estimate()
        with self._lock:
            count = len(self._events)
            if count >= self._events_max or self._bytes + size > self._bytes_max:
                self.refused += 1
                return
            self._events.append((event, size))
            half_before = self._half_full(count, self._bytes)
            self._bytes += size
            half_now = self._half_full(count + 1, self._bytes)
        if count == 0 or count + 1 == self._batch_events_max:
            self._wake.put(None)
        if half_now and not half_before:
            self._pressed.put(None)

    def take(self) -> Taken | None:
        """The oldest events, at most a batch; they count as in hand until `settle`. None when there are none."""
        with self._lock:
            count = min(len(self._events), self._batch_events_max)
            if count == 0:
                return None
            events = []
            for _ in range(count):
                event, size = self._events.popleft()
                self._bytes -= size
                events.append(event)
            taken = Taken(self._taken, events)
            self._taken += count
            self._in_hand[taken.first] = events
            return taken

    def settle(self, taken: Taken) -> bool:
        """These events are safe (or given up). False when somebody else has settled them already."""
        with self._lock:
            return self._in_hand.pop(taken.first, None) is not None

    def is_in_hand(self, taken: Taken) -> bool:
        with self._lock:
            return taken.first in self._in_hand

    def in_hand(self) -> list[Taken]:
        """What was taken and is not settled, oldest first."""
        with self._lock:
            return [Taken(first, events) for first, events in sorted(self._in_hand.items())]

    def end(self) -> int:
        """The number that the next event put would get."""
        with self._lock:
            return self._taken + len(self._events)

    def unsettled_from(self) -> int:
        """Every event of a smaller number is settled."""
        with self._lock:
            return min(self._in_hand, default=self._taken)

    def __len__(self) -> int:
        """Events waiting or in hand."""
        with self._lock:
            return len(self._events) + sum(len(events) for events in self._in_hand.values())

    def waiting(self) -> int:
        with self._lock:
            return len(self._events)

    def batch_ready(self) -> bool:
        return self.waiting() >= self._batch_events_max

    def pressed(self) -> bool:
        """More than half full."""
        with self._lock:
            return self._half_full(len(self._events), self._bytes)

    def wait(self, timeout_s: float | None) -> None:
        """Until the first event comes, a batch is full, somebody calls `wake`, or the time is over."""
        _wait(self._wake, timeout_s)

    def wait_pressed(self) -> None:
        """Until the queue gets more than half full, or somebody calls `wake`."""
        _wait(self._pressed, None)

    def wake(self) -> None:
        self._wake.put(None)
        self._pressed.put(None)

    def _half_full(self, events: int, size_bytes: int) -> bool:
        return events * 2 > self._events_max or size_bytes * 2 > self._bytes_max


def _wait(tokens: queue.SimpleQueue[None], timeout_s: float | None) -> None:
    try:
        tokens.get(timeout=timeout_s)
        while True:
            tokens.get_nowait()
    except queue.Empty:
        return
