"""The upkeep of the indices: one thread that applies retention, on a schedule. The server looks after the rest."""

from __future__ import annotations

import logging
import threading

from tailrace.config import RetentionSettings
from tailrace.errors import RetryLater
from tailrace.model.clock import Clock
from tailrace.store.elasticsearch.retention import retain
from tailrace.store.elasticsearch.server import Server

log = logging.getLogger(__name__)

RETAIN_INTERVAL_S = 600
"""What retention waits for takes a day."""


class ElasticsearchMaintenance:
    """Started once, stopped once. Work that fails is said in the log, and tried again at its next time.

    Several workers may do this at once: what one has deleted is no error for another.
    """

    def __init__(self, url: str, *, settings: RetentionSettings, clock: Clock) -> None:
        self._server = Server(url)
        self._settings = settings
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="elasticsearch maintenance", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the request under way."""
        self._stopping.set()
        self._thread.join()
        self._server.close()

    def run_once(self) -> None:
        try:
            retain(self._server, self._settings, now_us=self._clock(), is_stopping=self._stopping.is_set)
        except RetryLater as error:
            log.warning("retention of Elasticsearch is put off: %s", error)
        except Exception:
            log.exception("retention of Elasticsearch failed")

    def _run(self) -> None:
        while not self._stopping.wait(RETAIN_INTERVAL_S):
            self.run_once()
