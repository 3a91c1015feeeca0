"""The demo at a rate: events are made a window ahead and appended as their time comes.

    DemoEvents ──a window of up to a second──> cut at "now" ──append──> wherever the caller says

An event's timestamp is the moment it was due, so that a histogram of them is as smooth, or as bursty, as asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tailrace.client.demo_events import DemoEvents
from tailrace.client.latencies import Latencies
from tailrace.errors import RetryLater, SlowDown
from tailrace.model.clock import Clock

# Often enough to look live, seldom enough that batches are worth it.
_TICK_S = 0.1

_WINDOW_EVENTS_MAX = 65_536
_WINDOW_MAX_US = 1_000_000

# A generator that was held up longer than this goes on from now: a flood of late events helps nobody.
_LATE_MAX_US = 2_000_000

_BURST_PERIOD_US = 30_000_000
_BURST_LENGTH_US = 3_000_000
_BURST_FACTOR = 3.0
_CALM_FACTOR = (_BURST_PERIOD_US - _BURST_FACTOR * _BURST_LENGTH_US) / (_BURST_PERIOD_US - _BURST_LENGTH_US)


@dataclass(frozen=True, slots=True)
class GeneratorFigures:
    """So far: events acknowledged, events left out because appending was too slow, and how long appends took."""

    events: int
    left_out: int
    latencies: Latencies


class DemoGenerator:
    """Calls `append` with batches of EVENT_SCHEMA until `stop` is set; run it in a thread of its own."""

    def __init__(
        self,
        append: Callable[[pa.RecordBatch], None],
        rate: float | None,
        clock: Clock,
        stop: threading.Event,
        *,
        seed: int = 0,
        bursts: bool = True,
    ) -> None:
        """`rate` is the mean number of events a second; None: as many as `append` takes.

        `append` returns when the events are acknowledged. When it raises `SlowDown` or `RetryLater`, the same batch
        is appended again after the time that the error names.
        """
        self._append = append
        self._rate = rate
        self._clock = clock
        self._stop = stop
        self._bursts = bursts
        self._source = DemoEvents(seed)
        self._lock = threading.Lock()
        self._events = 0
        self._left_out = 0
        self._latencies = Latencies()

    def run(self) -> None:
        """Until `stop` is set, or `append` raises anything else."""
        if self._rate is None:
            self._run_unbounded()
        else:
            self._run_at(self._rate)

    def take_figures(self) -> GeneratorFigures:
        """The totals, and the latencies since the last call. May be called from another thread."""
        with self._lock:
            latencies, self._latencies = self._latencies, Latencies()
            return GeneratorFigures(self._events, self._left_out, latencies)

    def _run_unbounded(self) -> None:
        end_us = self._clock()
        while not self._stop.is_set():
            start_us, end_us = end_us, max(self._clock(), end_us + 1)
            self._deliver(self._source.batch(_WINDOW_EVENTS_MAX, start_us=start_us, end_us=end_us))

    def _run_at(self, rate: float) -> None:
        window_us = max(min(_WINDOW_MAX_US, int(_WINDOW_EVENTS_MAX / rate * 1e6)), 1)
        start_us = self._clock()
        owed = 0.0
        while not self._stop.is_set():
            owed += rate * self._factor(start_us) * window_us / 1e6
            events, owed = int(owed), owed - int(owed)
            window = self._source.batch(events, start_us=start_us, end_us=start_us + window_us)
            self._deliver_as_due(window, start_us + window_us)
            start_us += window_us
            late_us = self._clock() - start_us
            if late_us > _LATE_MAX_US:
                with self._lock:
                    self._left_out += int(rate * late_us / 1e6)
                start_us += late_us

    def _deliver_as_due(self, window: pa.RecordBatch, end_us: int) -> None:
        """Append the window's events when their time has come; returns at its end."""
        times = window["timestamp"].cast(pa.int64()).to_numpy()
        sent = 0
        while not self._stop.is_set():
            now_us = self._clock()
            due = int(np.searchsorted(times, now_us, side="right"))
            if due > sent:
                self._deliver(window.slice(sent, due - sent))
                sent = due
            if now_us >= end_us:
                return
            self._stop.wait(min(_TICK_S, max((end_us - self._clock()) / 1e6, 0.0)))

    def _deliver(self, batch: pa.RecordBatch) -> None:
        started_s = time.perf_counter()
        while not self._stop.is_set():
            try:
                self._append(batch)
            except (SlowDown, RetryLater) as error:
                self._stop.wait(error.retry_after_s)
                continue
            with self._lock:
                self._events += batch.num_rows
                self._latencies.add(time.perf_counter() - started_s)
            return

    def _factor(self, now_us: int) -> float:
        """What the rate is multiplied with at this time; 1 on average over a period."""
        if not self._bursts:
            return 1.0
        return _BURST_FACTOR if now_us % _BURST_PERIOD_US < _BURST_LENGTH_US else _CALM_FACTOR
