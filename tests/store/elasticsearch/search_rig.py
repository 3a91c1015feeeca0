"""What the tests of the search share: both servers, and a store on them that is filled and thrown away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import uuid4

import pyarrow as pa
import pytest

from tailrace.config import ElasticsearchSettings, QuerySettings
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.elasticsearch.indices import drop_index, list_indices
from tailrace.store.elasticsearch.progress import progress_index
from tailrace.store.elasticsearch.search import ElasticsearchSearch
from tailrace.store.elasticsearch.server import Server
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tests.store.elasticsearch.rig import Letters

SERVERS = [
    pytest.param(name, marks=[pytest.mark.slow, pytest.mark.xdist_group("search")])
    for name in ("elasticsearch", "opensearch")
]
"""Parameters of a fixture that starts the server by `url_on`."""


def url_on(request: pytest.FixtureRequest) -> str:
    """A store of one's own on the server that the fixture's parameter names."""
    url: str = request.getfixturevalue(request.param).store_url(f"q{uuid4().hex[:12]}")
    return url


@contextmanager
def open_store(url: str, clock: Clock, settings: ElasticsearchSettings | None = None) -> Iterator[ElasticsearchStore]:
    """Refuses nothing; its indices go at the end."""
    letters = Letters()
    settings = settings or ElasticsearchSettings()
    store = ElasticsearchStore(url, settings=settings, clock=clock, metrics=Metrics(), dead_letters=letters)
    try:
        yield store
    finally:
        store.close()
        drop_all(url)
    assert letters.kept == {}


@contextmanager
def open_search(url: str, clock: Clock, settings: QuerySettings | None = None) -> Iterator[ElasticsearchSearch]:
    settings = settings or QuerySettings()
    engine = Duck(settings)
    search = ElasticsearchSearch(url, settings=settings, engine=engine, clock=clock)
    try:
        yield search
    finally:
        search.close()
        engine.close()


@contextmanager
def filled(
    url: str,
    clock: Clock,
    writes: Sequence[tuple[Sequence[pa.RecordBatch], Mapping[int, int]]],
    settings: ElasticsearchSettings | None = None,
) -> Iterator[ElasticsearchSearch]:
    """A search of what these writes keep."""
    with open_store(url, clock, settings) as store, open_search(url, clock) as search:
        for batches, through in writes:
            store.write(batches, through)
        yield search


def drop_all(url: str) -> None:
    server = Server(url)
    for index in list_indices(server):
        drop_index(server, index.name)
    drop_index(server, progress_index(server.name))
    server.close()
