"""The newest events in Redis, written: the worker's side.

A put only queues; one thread sends what waits, all of it in one round trip, so that a slow Redis never slows the
worker, and a busy worker makes few round trips. While Redis is away the queue keeps the newest events and lets go of
the oldest: queries see those as soon as a store has them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

import pyarrow as pa

from tailrace.config import HotSettings
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.hot_redis_format import APPEND, Entry, Keys, entries_of
from tailrace.store.redis_client import AWAY_ERRORS, Breaker, open_client

# Arrow data that waits for Redis. The worker holds most of these batches for its store as well.
_WAITING_BYTES_MAX = 32 << 20
# Arrow data of one round trip: a megabyte or two when compressed, some milliseconds of Redis.
_ROUND_BYTES = 8 << 20
# The longest Redis may take for a round trip.
_TIMEOUT_S = 1.0
# What still waits is given so long at the end; a store has it, or will.
_CLOSE_S = 2.0
# Another writer of the same partition can get in between twice, but does not do so for long.
_TRIES = 5

_log = logging.getLogger(__name__)


class HotRedis:
    """Implements `port.HotWriter`; shared between threads.

    What was put is visible some milliseconds later. Events lost to an outage are counted in
    `tailrace_hot_events_skipped`, failed calls in `tailrace_retries{place="hot"}`.
    """

    def __init__(
        self, url: str, *, settings: HotSettings, clock: Clock, metrics: Metrics, name: str = "logs"
    ) -> None:
        """`name` is the log's: two logs in one Redis must have two. Raises `Stop` for a URL that cannot be one."""
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._keys = Keys(name)
        self._client = open_client(url, timeout_s=_TIMEOUT_S)
        self._append = self._client.register_script(APPEND)
        self._breaker = Breaker()
        self._changed = threading.Condition()
        self._waiting: deque[pa.RecordBatch] = deque()
        self._waiting_bytes = 0
        self._sending = False
        self._close_by_s: float | None = None
        self.bytes = 0
        """Bytes of all entries in Redis, as far as this writer knows."""
        # A daemon: nothing it holds is worth keeping a program alive for.
        self._thread = threading.Thread(target=self._run, name="hot-redis", daemon=True)
        self._thread.start()

    def put(self, batches: Sequence[pa.RecordBatch]) -> None:
        with self._changed:
            for batch in batches:
                self._waiting.append(batch)
                self._waiting_bytes += batch.nbytes
            self._let_go()
            self._changed.notify_all()

    def settle(self, reached: Mapping[int, int]) -> None:
        """Nothing to do: readers leave out what their store has, and people may want to look at it."""

    def problem(self) -> str | None:
        """What is wrong with Redis, None when nothing is."""
        return self._breaker.problem

    def flush(self, timeout_s: float) -> bool:
        """Waits until nothing waits; False when the time was over before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, timeout_s)

    def close(self) -> None:
        """Sends what waits, if that takes no longer than two seconds."""
        with self._changed:
            self._close_by_s = time.monotonic() + _CLOSE_S
            self._changed.notify_all()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while taken := self._take():
            try:
                self._send(entries_of(taken))
            except AWAY_ERRORS as error:
                self._failed(error, taken)
            except Exception:
                _log.exception("hot: some events cannot be shown; queries see them once a store has them")
                self._metrics.hot_events_skipped.inc(sum(batch.num_rows for batch in taken))
            else:
                if self._breaker.problem is not None:
                    self._breaker.worked()
                    _log.info("hot: Redis works again")

    def _take(self) -> list[pa.RecordBatch]:
        """What to send next, oldest first; waits for it. Empty at the end."""
        with self._changed:
            self._sending = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._close_by_s is not None)
            taken: list[pa.RecordBatch] = []
            taken_bytes = 0
            while self._waiting and taken_bytes < _ROUND_BYTES and not self._time_is_over():
                taken.append(self._waiting.popleft())
                taken_bytes += taken[-1].nbytes
            self._waiting_bytes -= taken_bytes
            self._sending = bool(taken)
            return taken

    def _send(self, entries: Sequence[Entry]) -> None:
        for _ in range(_TRIES):
            if not entries:
                return
            entries = self._send_once(entries)
        # Somebody else writes these partitions, and is ahead.
        self._metrics.hot_events_skipped.inc(sum(entry.rows.num_rows for entry in entries))

    def _send_once(self, entries: Sequence[Entry]) -> list[Entry]:
        """What is left of the entries that were refused, above what Redis has."""
        settings = self._settings
        now_ms, age_ms = self._clock() // 1000, int(settings.age_s * 1000)
        keys = [self._keys.state, self._keys.order, *(self._keys.stream(entry.partition) for entry in entries)]
        arguments = [now_ms, age_ms, settings.bytes_max, int(settings.age_s) + 1]
        self.bytes, *answers = self._append(keys, [*arguments, *(a for entry in entries for a in entry.arguments())])
        refused = [(entry, answer) for entry, answer in zip(entries, answers, strict=True) if answer]
        return [rest for entry, answer in refused if (rest := entry.above(int(answer))) is not None]

    def _failed(self, error: Exception, taken: Sequence[pa.RecordBatch]) -> None:
        self._metrics.retries.labels("hot").inc()
        if self._breaker.problem is None:
            _log.warning("hot: %s; events are seen once a store has them, until Redis is back", error)
        self._breaker.failed(f"the newest events are not in Redis: {error}")
        with self._changed:
            self._waiting.extendleft(reversed(taken))
            self._waiting_bytes += sum(batch.nbytes for batch in taken)
            self._let_go()
            self._changed.wait_for(lambda: self._close_by_s is not None, Breaker.OPEN_S)

    # Both below: with the lock held.

    def _let_go(self) -> None:
        while self._waiting_bytes > _WAITING_BYTES_MAX:
            oldest = self._waiting.popleft()
            self._waiting_bytes -= oldest.nbytes
            self._metrics.hot_events_skipped.inc(oldest.num_rows)

    def _time_is_over(self) -> bool:
        return self._close_by_s is not None and (
            self._breaker.problem is not None or time.monotonic() >= self._close_by_s
        )
