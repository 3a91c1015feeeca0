"""The lake looks after itself: one thread that joins, deletes, mends and writes checkpoints, on a schedule."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tailrace.config import Settings
from tailrace.errors import RetryLater
from tailrace.model.clock import Clock
from tailrace.store.lake.compaction import compact
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.retention import retain
from tailrace.store.lake.vacuum import mend_indexes, vacuum

log = logging.getLogger(__name__)

RETAIN_INTERVAL_S = 600
"""Retention and vacuum: what they wait for takes an hour at least."""

CHECKPOINT_COMMITS = 100
"""Commits between two checkpoints: to open the table at most so many small files are read."""


class Maintenance:
    """Started once, stopped once. Work that fails is said in the log, and tried again at its next time.

    Of several processes that look after one lake, one does so at a time. Should two think that it is them, the one
    whose commit is late has worked in vain, and nothing else happens.
    """

    def __init__(self, lake: Lake, *, settings: Settings, clock: Clock) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._stopping = threading.Event()
        self._retained_us = 0
        self._checkpoint_version = 0
        self._thread = threading.Thread(target=self._run, name="lake maintenance", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the file that is being written."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._settings.lake.compact_interval_s):
            self._attempt("upkeep", self._run_in_turn)

    def _run_in_turn(self) -> None:
        if self._lake.place.take_turn(self._clock()):
            self.run_once()

    def run_once(self) -> None:
        """Whatever is due now."""
        self._attempt("compaction", self._compact)
        self._attempt("mending token indexes", lambda: mend_indexes(self._lake))
        if self._clock() - self._retained_us >= RETAIN_INTERVAL_S * 1_000_000:
            self._retained_us = self._clock()
            self._attempt("retention", self._retain)
            self._attempt("vacuum", lambda: vacuum(self._lake, after_s=self._settings.lake.vacuum_after_s))
        self._attempt("the checkpoint", self._checkpoint)

    def _compact(self) -> None:
        compact(self._lake, self._settings.lake, is_stopping=self._stopping.is_set)

    def _retain(self) -> None:
        retain(self._lake, self._settings.retention, is_stopping=self._stopping.is_set)

    def _checkpoint(self) -> None:
        version = self._lake.table.state().version
        if version - self._checkpoint_version >= CHECKPOINT_COMMITS:
            self._lake.table.checkpoint()
            self._checkpoint_version = version

    def _attempt(self, what: str, work: Callable[[], object]) -> None:
        if self._stopping.is_set():
            return
        try:
            work()
        except RetryLater as error:
            log.warning("%s of the lake is put off: %s", what, error)
        except Exception:
            log.exception("%s of the lake failed", what)
