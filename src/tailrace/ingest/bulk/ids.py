"""Which documents have been made durable, of late: so that one that comes again is answered so at once.

Nothing depends on it but the answer: whoever reads the log stores one event for an index and id (`model.claim`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

DOCUMENTS_MAX = 262_144
"""Some 40 MB at the most. What a client sends again is what it sent a moment ago."""

Newest = Callable[[int], Collection[bytes]]
"""Gives the digests of up to so many documents, the newest."""


class RecentDocuments:
    """Implements `ingest.bulk.decode.Seen`. Shared between threads.

    Two generations: when the newer one is full it becomes the older one, which is forgotten. `newest`, where there is
    one, gives up to so many of those from before this process; it is asked once, when the first document comes.
    """

    def __init__(self, newest: Newest | None = None, *, documents_max: int = DOCUMENTS_MAX) -> None:
        self._generation_max = documents_max // 2
        self._newest = newest
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()
        self._lock = threading.Lock()

    def seen(self, documents: Sequence[bytes]) -> Collection[bytes]:
        """May raise `RetryLater` as `newest` does."""
        with self._lock:
            if self._newest is not None:
                self._older.update(self._newest(self._generation_max))
                self._newest = None
            return self._newer.intersection(documents) | self._older.intersection(documents)

    def add(self, documents: Sequence[bytes]) -> None:
        """These are durable. Never waits for `newest`: whoever has a document has asked for it before."""
        if not documents:
            return
        with self._lock:
            for start in range(0, len(documents), self._generation_max):
                self._newer.update(documents[start : start + self._generation_max])
                if len(self._newer) >= self._generation_max:
                    self._newer, self._older = set(), self._newer
