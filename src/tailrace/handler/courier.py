"""The courier carries events from the queue to the server, or to the spool when the server is away.

Two daemon threads. The sender takes batches and posts them. While it waits for a server that does not answer, the
queue fills; past half, the reliever moves batches from the queue to the spool. Without a spool there is no
reliever: the sender keeps its batch in hand, the queue fills up, and then events are refused and counted.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tailrace.handler.counters import Tally
from tailrace.handler.event import Captured
from tailrace.handler.post import Away, Delivered, Poster, Refused, backoff_s
from tailrace.handler.queue import EventQueue, Taken
from tailrace.handler.spool import Spool

Render = Callable[[Captured], bytes]
Report = Callable[[str, str], None]
"""Tell a person, once for each kind: (kind, text)."""

# How long `close` waits for its own threads to see that they are to stop; one in a hanging request is left behind.
_JOIN_S = 0.2


class CourierThread(threading.Thread):
    """What is logged on such a thread (by urllib's relatives, say) is not sent: it would never end."""


class _Body(NamedTuple):
    """What is one request, however often it is tried: `key` tells the server that it is the same one."""

    key: str | None
    lines: list[bytes]

    def halves(self) -> list[_Body]:
        """The same halves under the same keys, whenever the body is halved."""
        half = len(self.lines) // 2
        first, second = (self.key and f"{self.key}.{number}" for number in (1, 2))
        return [_Body(first, self.lines[:half]), _Body(second, self.lines[half:])]


@dataclass(slots=True)
class _Parcel:
    """Events in hand, rendered; `bodies` are those that are not safe yet. `tried`: some may have arrived."""

    taken: Taken
    bodies: list[_Body]
    tried: bool = False


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
            parcel = self._parcel_of(taken)
            if not self._put_aside(parcel) and self._queue.settle(taken):
                dropped += sum(len(body.lines) for body in parcel.bodies)
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
            parcel.tried = True
            if self._offer(parcel.bodies):
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
                if not lines or self._offer([_Body(segment.key, lines)]):
                    segment.delete()
        except OSError as error:
            self._spool_waits = False
            self._report("spool", f"the spool cannot be read: {error}")

    def _offer(self, bodies: list[_Body]) -> bool:
        """Post the bodies, and take from the list what need not be kept. False when the server is away."""
        while bodies:
            body = bodies[0]
            outcome = self._poster.post(body.lines, body.key)
            if isinstance(outcome, Away):
                self._wait_for_server(outcome)
                return False
            self._failures = 0
            self._retry_at_s = self._not_before_s = 0.0
            if isinstance(outcome, Refused) and outcome.too_large and len(body.lines) > 1:
                bodies[:1] = body.halves()
                continue
            if isinstance(outcome, Delivered):
                self._tally.add(sent=len(body.lines) - outcome.rejected, rejected=outcome.rejected)
                if outcome.rejected:
                    self._report("rejected", f"the server could not decode every event: {outcome.detail}")
            else:
                self._tally.add(rejected=len(body.lines))
                self._report("refused", f"the server refused {len(body.lines)} events for good: {outcome.detail}")
            _take_out(bodies, body)
        return True

    def _wait_for_server(self, away: Away) -> None:
        self._failures += 1
        now_s = time.monotonic()
        self._not_before_s = now_s + away.retry_after_s
        self._retry_at_s = now_s + max(backoff_s(self._failures, random.random()), away.retry_after_s)
        self._report("away", f"{away.detail}; events wait in {'the spool' if self._spool else 'memory'}")

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
        return _Parcel(taken, [_Body(str(uuid.uuid4()), [self._render(event) for event in taken.events])])

    def _parcel_of(self, taken: Taken) -> _Parcel:
        """The one that the sender still holds, when it is that, with the keys that it has tried."""
        held = self._parcel
        return held if held is not None and held.taken.first == taken.first else self._wrap(taken)

    def _put_aside(self, parcel: _Parcel) -> bool:
        """Into the spool, durable on return. False when there is none, or it is full or broken."""
        if self._spool is None:
            return False
        if not self._queue.is_in_hand(parcel.taken):
            return True  # `close` did not wait for this thread, and has put the events aside itself.
        # When this is `close`, the sender may still be waiting for the answer to one of them.
        for body in list(parcel.bodies):
            try:
                kept = self._spool.append(body.lines, key=body.key if parcel.tried else None)
            except OSError as error:
                self._report("spool", f"the spool cannot be written: {error}")
                return False
            if not kept:
                self._report("spool-full", "the spool is full; events wait in memory")
                return False
            self._tally.add(spooled=len(body.lines))
            _take_out(parcel.bodies, body)
        self._spool_waits = True
        self._settle(parcel.taken)
        return True

    def _settle(self, taken: Taken) -> None:
        self._queue.settle(taken)
        with self._settled:
            self._settled.notify_all()


def _take_out(bodies: list[_Body], body: _Body) -> None:
    """Unless the other thread that holds the list has done so already."""
    with contextlib.suppress(ValueError):
        bodies.remove(body)
