"""The events of hot memory and lake as tables, for SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tailrace.store.hot_memory import HotMemory
from tailrace.store.lake.lake import Lake
from tailrace.store.sandbox.run import Tables


class EventTables:
    """Implements `sandbox.Tabular`; each event once, as in `Union`."""

    def __init__(self, hot: HotMemory, lake: Lake) -> None:
        self._hot = hot
        self._lake = lake

    @contextmanager
    def tables(self) -> Iterator[Tables]:
        with self._hot.snapshot() as hot, self._lake.snapshot() as lake:
            yield Tables(lake.paths(), hot.above(lake.reached).table)
