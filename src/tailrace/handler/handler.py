"""The `logging.Handler` itself: what the application's threads touch, and what happens at fork and exit."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import weakref
from pathlib import Path

from tailrace.handler.counters import Counters, Tally
from tailrace.handler.courier import Courier, CourierThread
from tailrace.handler.event import Captured, capture, render
from tailrace.handler.post import Poster
from tailrace.handler.queue import EventQueue
from tailrace.handler.spool import Spool


class TailraceHandler(logging.Handler):
    """Sends log records to a Tailrace server, in batches, in the background.

    `emit` takes microseconds, waits for nothing and raises nothing. Events are sent when `batch_events_max` of them
    wait, and at the latest `flush_interval_s` after they came. A server that is away (no connection, `timeout_s`
    without an answer, 5xx, 429) is tried again for ever, with exponential backoff, and not before its `Retry-After`.

    Meanwhile events wait in memory, up to `queue_events_max` and `queue_bytes_max`, or, when `spool_folder` names a
    folder, on disk, up to `spool_bytes_max`; processes may share the folder, and the next start sends what an
    earlier one has left there. Past all bounds, new events are dropped and counted. `counters` tells how many;
    the first trouble of each kind is also told on standard error.

    A batch whose answer got lost is sent again under the same Idempotency-Key, which the spool keeps too: the server
    stores it once.

    At exit (`logging.shutdown`, which Python calls itself) it waits up to `exit_timeout_s` for the server; what is
    left then goes to the spool, or is dropped. A forked child starts with an empty queue and threads of its own.

    `service` is by default `OTEL_SERVICE_NAME` or the program's name, `host` the machine's.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8001",
        *,
        service: str | None = None,
        host: str | None = None,
        level: int | str = logging.NOTSET,
        batch_events_max: int = 1_000,
        flush_interval_s: float = 0.5,
        queue_events_max: int = 20_000,
        queue_bytes_max: int = 16 << 20,
        spool_folder: str | os.PathLike[str] | None = None,
        spool_bytes_max: int = 256 << 20,
        timeout_s: float = 10.0,
        exit_timeout_s: float = 5.0,
    ) -> None:
        """Raises `ValueError` for a wrong URL or bound, `OSError` when the spool's folder cannot be made."""
        bounds = {
            "batch_events_max": batch_events_max,
            "flush_interval_s": flush_interval_s,
            "queue_events_max": queue_events_max,
            "queue_bytes_max": queue_bytes_max,
            "spool_bytes_max": spool_bytes_max,
            "timeout_s": timeout_s,
        }
        for name, value in bounds.items():
            if value <= 0:
                raise ValueError(f"{name} is {value!r}; it must be more than 0")
        self._spool = None if spool_folder is None else Spool(Path(spool_folder), bytes_max=spool_bytes_max)
        self._url = url
        self._service = service or _default_service()
        self._host = host or socket.gethostname()
        self._batch_events_max = batch_events_max
        self._flush_interval_s = flush_interval_s
        self._queue_events_max = queue_events_max
        self._queue_bytes_max = queue_bytes_max
        self._timeout_s = timeout_s
        self._exit_timeout_s = exit_timeout_s
        self._reported: set[str] = set()
        self._follows_multiprocessing = False
        self._set_up()
        # Last of what can fail: logging keeps a list of its handlers from here on.
        super().__init__(level)
        _register_at_fork(self)
        self._follow_multiprocessing()
        self._start()

    @property
    def counters(self) -> Counters:
        """How many events are queued, sent, spooled, dropped and rejected, in this process so far."""
        return self._tally.counters(queued=len(self._queue), refused=self._queue.refused)

    def createLock(self) -> None:  # noqa: N802 - logging's name
        # The queue has its own. logging's would be held during the flush at exit, and `emit` would wait for it.
        self.lock = None

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """A formatter of a class of its own, such as structlog's, makes the message.

        A plain `logging.Formatter` does not: `basicConfig` gives one to every handler, and what it would put in front
        of the message (time, level, logger) are fields of the event already.
        """
        super().setFormatter(None if type(fmt) is logging.Formatter else fmt)

    def handle(self, record: logging.LogRecord) -> bool:
        """As logging's own, without a lock."""
        verdict = self.filter(record)
        if isinstance(verdict, logging.LogRecord):
            record = verdict
        if verdict:
            self.emit(record)
        return bool(verdict)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record. When the queue is full it is dropped and counted."""
        if isinstance(threading.current_thread(), CourierThread):
            return
        try:
            if self._closed:
                self._tally.add(dropped=1)
                return
            if not self._started:
                self._start()
            self._queue.put(capture(record, self.formatter))
        except Exception:
            self._tally.add(dropped=1)
            self.handleError(record)

    def flush(self, timeout_s: float | None = None) -> bool:  # type: ignore[override] # logging's returns nothing
        """Wait until every event logged before is acknowledged by the server or durable in the spool.

        False when that takes longer than `timeout_s` (default: `exit_timeout_s`).
        """
        if self._closed:
            return len(self._queue) == 0
        flushed = self._courier.flush(self._exit_timeout_s if timeout_s is None else timeout_s)
        self._waited_in_vain = not flushed
        return flushed

    def close(self) -> None:
        """Flush for at most `exit_timeout_s`, spool or drop the rest, end the threads. Later records are dropped."""
        if not self._closed:
            self._closed = True
            # At exit logging calls `flush` first: when that has waited its time already, do not wait again.
            self._courier.close(0.0 if self._waited_in_vain else self._exit_timeout_s)
        super().close()

    def __enter__(self) -> TailraceHandler:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    _closed: bool
    _started: bool
    _waited_in_vain: bool
    _queue: EventQueue
    _courier: Courier

    def _set_up(self) -> None:
        self._closed = False
        self._started = False
        self._waited_in_vain = False
        self._start_lock = threading.RLock()
        self._tally = Tally()
        self._queue = EventQueue(
            events_max=self._queue_events_max,
            bytes_max=self._queue_bytes_max,
            batch_events_max=self._batch_events_max,
        )
        self._courier = Courier(
            self._queue,
            Poster(self._url, timeout_s=self._timeout_s),
            self._spool,
            render=self._render,
            tally=self._tally,
            report=self._report,
            flush_interval_s=self._flush_interval_s,
        )

    def _start(self) -> None:
        with self._start_lock:
            if not self._started:
                self._started = True
                self._courier.start()

    def _render(self, captured: Captured) -> bytes:
        return render(captured, self._service, self._host)

    def _report(self, kind: str, text: str) -> None:
        if kind not in self._reported and sys.stderr is not None:
            self._reported.add(kind)
            print(f"tailrace: {text} (told once; see the handler's counters)", file=sys.stderr)

    def _after_fork_in_child(self) -> None:
        if self._spool is not None:
            self._spool.forget_open_segments()
        closed = self._closed
        self._set_up()
        self._closed = closed
        self._follow_multiprocessing()

    def _follow_multiprocessing(self) -> None:
        """Children of multiprocessing may end without exit functions; they run finalizers of their own instead.

        Finalizers made before a child begins its work are forgotten, so they are made by what runs behind that. In
        the process that made the handler, logging's own exit function closes it, as late as can be.
        """
        util = sys.modules.get("multiprocessing.util")
        if util is not None and not self._follows_multiprocessing:
            self._follows_multiprocessing = True
            util.register_after_fork(self, _close_with_process)


def _close_with_process(handler: TailraceHandler) -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(handler, _close_if_alive, args=(weakref.ref(handler),), exitpriority=0)


def _register_at_fork(handler: TailraceHandler) -> None:
    # Python never forgets such a function, so it must not keep the handler alive.
    alive = weakref.ref(handler)

    def renew() -> None:
        if (found := alive()) is not None:
            found._after_fork_in_child()

    os.register_at_fork(after_in_child=renew)


def _close_if_alive(alive: weakref.ref[TailraceHandler]) -> None:
    if (handler := alive()) is not None:
        handler.close()


def _default_service() -> str:
    named = os.environ.get("OTEL_SERVICE_NAME")
    if named:
        return named
    program = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else Path("python")
    return program.parent.name if program.stem == "__main__" else program.stem
