"""The demo generator as something that is switched on and off: by `tailrace up --demo`, and over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa

from tailrace.client.demo_generator import DemoGenerator
from tailrace.model.clock import Clock
from tailrace.serve.places import DEMO_EVENTS_PER_S, DemoState


class DemoSwitch:
    """Implements `serve.places.Demo`. Shared between threads; `stop` before what `append` needs is closed."""

    def __init__(self, append: Callable[[pa.RecordBatch], None], clock: Clock) -> None:
        """`append` is as `DemoGenerator` wants it."""
        self._append = append
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = DEMO_EVENTS_PER_S
        self._sent_before = 0
        self._generator: DemoGenerator | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def figures(self) -> DemoState:
        with self._lock:
            running = self._thread is not None and self._thread.is_alive()
            return DemoState(running, self._rate, self._sent_before + self._sent())

    def start(self, rate: int) -> None:
        with self._lock:
            self._end()
            self._rate = rate
            self._stop = threading.Event()
            # Another seed each time, or the demo would repeat its own trace ids.
            self._generator = DemoGenerator(
                self._append, rate=rate, clock=self._clock, stop=self._stop, seed=self._clock()
            )
            self._thread = threading.Thread(target=self._generator.run, name="demo")
            self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._sent_before += self._sent()
        self._generator = self._thread = None

    def _sent(self) -> int:
        return 0 if self._generator is None else self._generator.take_figures().events
