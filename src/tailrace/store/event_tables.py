"""The events of hot store and lake as tables, for SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tailrace.store.lake.lake import Lake
from tailrace.store.port import HotReader
from tailrace.store.sandbox.run import Tables


class EventTables:
    """Implements `sandbox.Tabular`; each event once, as in `Union`."""

    def __init__(self, hot: HotReader, lake: Lake) -> None:
        self._hot = hot
        self._lake = lake

    @contextmanager
    def tables(self) -> Iterator[Tables]:
        with self._hot.snapshot() as hot, self._lake.snapshot() as lake, lake.paths() as paths:
            yield Tables(paths, hot.above(lake.reached).table)
