"""The server under test, as a process of its own, and what it costs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tests.server import Server


@contextmanager
def running(data: Path, *arguments: str) -> Iterator[Server]:
    """`tailrace up` on a data folder, with its default settings but for `arguments`."""
    with Server(data, "--set", "log_level=warning", *arguments) as server:
        yield server


class PeakMemory:
    """Watches a process's resident memory until it is left; `bytes_max` is the most that was seen."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.bytes_max = 0

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.bytes_max = max(self.bytes_max, self.resident_bytes())

    def resident_bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
