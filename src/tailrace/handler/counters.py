"""What became of the events, in numbers."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals of this process, but for `queued`, which is how it stands now.

    Every event is in one of `queued`, `sent`, `rejected`, `dropped` or still in the spool.
    """

    queued: int = 0
    """Waiting in memory or on their way."""
    sent: int = 0
    """Acknowledged by the server: durable there. Those sent from the spool are among them."""
    spooled: int = 0
    """Written to the spool: durable here."""
    dropped: int = 0
    """Lost, because every bound was reached or the handler was closed without a spool and a server."""
    rejected: int = 0
    """Read and refused by the server. What it could not decode it keeps in its dead letters."""


class Tally:
    """The totals as they grow; shared between the handler's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = {"sent": 0, "spooled": 0, "dropped": 0, "rejected": 0}

    def add(self, **counts: int) -> None:
        with self._lock:
            for name, count in counts.items():
                self._totals[name] += count

    def counters(self, *, queued: int, refused: int) -> Counters:
        with self._lock:
            totals = dict(self._totals)
        totals["dropped"] += refused
        return Counters(queued=queued, **totals)
