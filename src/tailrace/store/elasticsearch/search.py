"""Events in Elasticsearch or OpenSearch, to be searched: by whoever, while others write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tailrace.config import QuerySettings
from tailrace.model.clock import Clock
from tailrace.store.duck import Duck
from tailrace.store.elasticsearch.indices import index_figures
from tailrace.store.elasticsearch.progress import read_progress
from tailrace.store.elasticsearch.server import Server
from tailrace.store.elasticsearch.snapshot import ElasticsearchSnapshot
from tailrace.store.elasticsearch.snapshot_view import open_view
from tailrace.store.hot_memory import HotMemorySnapshot
from tailrace.store.port import Snapshot

# An answer that comes just in time has to be sent as well.
_SENDING_S = 10.0


class ElasticsearchSearch:
    """Implements `store.port.Searchable`. Shared between threads; connects at the first request.

    `url` is the store's, as in `server`. `engine` looks at the events for which the server's index cannot answer.
    """

    def __init__(self, url: str, *, settings: QuerySettings, engine: Duck, clock: Clock) -> None:
        self._server = Server(url, read_timeout_s=settings.time_max_s + _SENDING_S)
        self._settings = settings
        self._engine = engine
        self._clock = clock

    def reached(self) -> Mapping[int, int]:
        """For each partition the offset below which every event is here. Raises `RetryLater`."""
        return read_progress(self._server)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """A view that the server keeps while it is asked, and for some time after; raises `RetryLater`.

        An index that retention drops meanwhile goes from under it: the next question raises `RetryLater`.
        """
        # First how far the store has come, then what is in it: what is below is certainly there.
        reached = self.reached()
        with open_view(self._server, time_max_s=self._settings.time_max_s) as view:
            if view is None or not reached:
                yield HotMemorySnapshot(reached, (), self._engine, self._clock, {})
            else:
                yield ElasticsearchSnapshot(
                    view, reached, engine=self._engine, clock=self._clock, settings=self._settings
                )

    def figures(self) -> Mapping[str, int | str]:
        """Size and server, for status pages. Raises `RetryLater`."""
        return index_figures(self._server)

    def close(self) -> None:
        self._server.close()
