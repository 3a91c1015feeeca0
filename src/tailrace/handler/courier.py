"""The courier carries events from the queue to the server, or to the spool when the server is away.

Two daemon threads. The sender takes batches and posts them. While it waits for a server that does not answer, the
queue fills; past half, the reliever moves batches from the queue to the spool. Without a spool there is no
reliever: the sender keeps its batch in hand, the queue fills up, and then events are refused and counted.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tailrace.handler.counters import Tally
from tailrace.handler.event import Captured
from tailrace.handler.post import Away, Delivered, Poster, backoff_s
from tailrace.handler.queue import EventQueue, Taken
from tailrace.handler.spool import Spool

Render = Callable[[Captured], bytes]
Report = Callable[[str, str], None]
"""Tell a person, once for each kind: (kind, text)."""

# How long `close` waits for its own threads to see that they are to stop; one in a hanging request is left behind.
_JOIN_S = 0.2


class CourierThread(threading.Thread):
    """What is logged on such a thread (by urllib's relatives, say) is not sent: it would never end."""


@dataclass(slots=True)
class _Parcel:
    """Events in hand, rendered; `lines` are those that are not safe yet."""

    taken: Taken
    lines: list[bytes]


class Courier:
    def __init__(
        self,
        queue: EventQueue,
        poster: Poster,
        spool: Spool | None,
        *,
        render: Render,
        tally: Tally,
        report: Report,
        flush_interval_s: float,
    ) -> None:
        self._queue = queue
        self._poster = poster
        self._spool = spool
        self._render = render
        self._tally = tally
        self._report = report
        self._flush_interval_s = flush_interval_s
        self._threads: list[CourierThread] = []
        self._settled = threading.Condition()
        self._stop = threading.Event()
        self._flush_through = 0
        self._parcel: _Parcel | None = None
        self._failures = 0
        self._retry_at_s = 0.0
        self._not_before_s = 0.0
        # Segments of an earlier process may be there.
        self._spool_waits = spool is not None

    def start(self) -> None:
        """Raises `RuntimeError` when the interpreter is shutting down."""
        work = [("tailrace-sender", self._send_until_stopped)]
        if self._spool is not None:
            work.append(("tailrace-reliever", self._relieve_until_stopped))
        for name, target in work:
            thread = CourierThread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def flush(self, timeout_s: float) -> bool:
        """Until every event put so far is acknowledged, in the spool or refused; False when time runs out before."""
        target = self._queue.end()
        self._flush_through = max(self._flush_through, target)
        # One try at once, whatever the backoff says; a server that named a time is not asked before it.
        self._retry_at_s = min(self._retry_at_s, self._not_before_s)
        self._queue.wake()
        with self._settled:
            return self._settled.wait_for(lambda: self._queue.unsettled_from() >= target, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Flush; what is left then goes to the spool, or is dropped and counted."""
        self.flush(timeout_s)
        self._stop.set()
        self._queue.wake()
        for thread in self._threads:
            thread.join(_JOIN_S)
        left = self._queue.in_hand()
        while (taken := self._queue.take()) is not None:
            left.append(taken)
        dropped = 0
        for taken in left:
            if not self._put_aside(self._wrap(taken)) and self._queue.settle(taken):
                dropped += len(taken.events)
        if dropped:
            self._tally.add(dropped=dropped)
            self._report(
                "dropped", f"{dropped} events were dropped: the handler was closed while the server was away"
            )
        if self._spool is not None:
            self._spool.seal()

    # The sender

    def _send_until_stopped(self) -> None:
        while not self._stop.is_set():
            if self._parcel is None and (taken := self._queue.take()) is not None:
                self._parcel = self._wrap(taken)
            if self._parcel is not None:
                self._send(self._parcel)
            if self._spool is not None and self._spool_waits and self._may_send():
                self._send_segment(self._spool)
            if self._queue.refused:
                self._report("dropped", "the queue is full; new events are dropped and counted")
            self._rest()
        self._poster.close()

    def _rest(self) -> None:
        """Wait for what is next: a retry that is due, or a batch that is full or old enough."""
        retry_in_s = max(self._retry_at_s - time.monotonic(), 0.0)
        if self._parcel is not None:
            self._queue.wait(retry_in_s)
            return
        if self._spool_waits and retry_in_s == 0:
            return
        if self._queue.waiting() == 0:
            self._queue.wait(retry_in_s if self._spool_waits else None)
        if self._queue.waiting() and not self._queue.batch_ready() and not self._hurried():
            self._queue.wait(self._flush_interval_s)

    def _send(self, parcel: _Parcel) -> None:
        if self._may_send():
            parcel.lines = self._offer(parcel.lines)
            if not parcel.lines:
                self._parcel = None
                self._settle(parcel.taken)
                return
        if self._put_aside(parcel):
            self._parcel = None

    def _send_segment(self, spool: Spool) -> None:
        try:
            segment = spool.claim()
            if segment is None:
                self._spool_waits = False
                return
            with segment:
                lines = segment.lines()
                if not lines or not self._offer(lines):
                    segment.delete()
        except OSError as error:
            self._spool_waits = False
            self._report("spool", f"the spool cannot be read: {error}")

    def _offer(self, lines: list[bytes]) -> list[bytes]:
        """Post the lines; returns those that are still to be kept, because the server is away."""
        outcome = self._poster.post(lines)
        if isinstance(outcome, Away):
            self._failures += 1
            now_s = time.monotonic()
            self._not_before_s = now_s + outcome.retry_after_s
            self._retry_at_s = now_s + max(backoff_s(self._failures, random.random()), outcome.retry_after_s)
            self._report("away", f"{outcome.detail}; events wait in {'the spool' if self._spool else 'memory'}")
            return lines
        self._failures = 0
        self._retry_at_s = self._not_before_s = 0.0
        if isinstance(outcome, Delivered):
            self._tally.add(sent=len(lines) - outcome.rejected, rejected=outcome.rejected)
            if outcome.rejected:
                self._report("rejected", f"the server could not decode every event: {outcome.detail}")
            return []
        if outcome.too_large and len(lines) > 1:
            half = len(lines) // 2
            left = self._offer(lines[:half])
            return [*left, *lines[half:]] if left else self._offer(lines[half:])
        self._tally.add(rejected=len(lines))
        self._report("refused", f"the server refused {len(lines)} events for good: {outcome.detail}")
        return []

    def _may_send(self) -> bool:
        return time.monotonic() >= self._retry_at_s

    def _hurried(self) -> bool:
        return self._queue.unsettled_from() < self._flush_through

    # The reliever

    def _relieve_until_stopped(self) -> None:
        while not self._stop.is_set():
            self._queue.wait_pressed()
            while self._queue.pressed() and not self._stop.is_set():
                taken = self._queue.take()
                if taken is None:
                    break
                parcel = self._wrap(taken)
                # A full spool: hold on to the batch, and let the queue fill behind it.
                while not self._put_aside(parcel) and not self._stop.wait(self._flush_interval_s):
                    pass

    # Both

    def _wrap(self, taken: Taken) -> _Parcel:
        return _Parcel(taken, [self._render(event) for event in taken.events])

    def _put_aside(self, parcel: _Parcel) -> bool:
        """Into the spool, durable on return. False when there is none, or it is full or broken."""
        if self._spool is None:
            return False
        if not self._queue.is_in_hand(parcel.taken):
            return True  # `close` did not wait for this thread, and has put the events aside itself.
        try:
            kept = self._spool.append(parcel.lines)
        except OSError as error:
            self._report("spool", f"the spool cannot be written: {error}")
            return False
        if not kept:
            self._report("spool-full", "the spool is full; events wait in memory")
            return False
        self._tally.add(spooled=len(parcel.lines))
        self._spool_waits = True
        self._settle(parcel.taken)
        return True

    def _settle(self, taken: Taken) -> None:
        self._queue.settle(taken)
        with self._settled:
            self._settled.notify_all()
