"""The server killed and paused in the middle of writes: nothing is lost, nothing is there twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.search_node import SearchNode

from tailrace.config import ElasticsearchSettings
from tailrace.errors import RetryLater
from tailrace.store.elasticsearch.server import Server
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tests.real_servers import serve
from tests.store.elasticsearch.conftest import Rig
from tests.store.elasticsearch.rig import documents_of, reached_of, records

pytestmark = pytest.mark.slow

RECORDS = 40
ROWS = 50


@pytest.fixture(scope="module")
def mortal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    yield from serve(Elasticsearch(tmp_path_factory.mktemp("mortal")))


class Writer(threading.Thread):
    """Writes record after record, again when told so, as the worker does; begins one too early, as a replay does."""

    def __init__(self, store: ElasticsearchStore) -> None:
        super().__init__()
        self.store = store
        self.told = 0
        self.put_off = 0
        self.has_begun = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while self.told < RECORDS:
                try:
                    self.store.write(
                        [records(range(max(0, self.told - 1), self.told + 2), rows=ROWS)], {0: self.told + 2}
                    )
                    self.told += 2
                    self.has_begun.set()
                except RetryLater:
                    self.put_off += 1
                    time.sleep(0.05)
        except BaseException as error:
            self.failure = error


def assert_each_once(url: str) -> None:
    found = [id for id, _ in documents_of(url)]
    assert sorted(found) == sorted(f"0-{offset}-{row}" for offset in range(RECORDS) for row in range(ROWS))


def test_kill_9_of_the_server_in_the_middle_of_a_write(
    mortal_server: Elasticsearch, rig_on: Callable[[SearchNode], Rig]
) -> None:
    """What it told is there after its restart, and the writer goes on until each event is there once."""
    rig = rig_on(mortal_server)
    writer = Writer(rig.open(ElasticsearchSettings(bulk_bytes=10_000)))
    writer.start()
    assert writer.has_begun.wait(60)
    mortal_server.kill()
    told = writer.told
    mortal_server.start()
    assert reached_of(rig.url)[0] >= told
    writer.join()
    assert writer.failure is None
    assert writer.put_off > 0, "the kill came when there was nothing to lose"
    assert_each_once(rig.url)


def test_a_server_that_goes_silent_only_delays(
    mortal_server: Elasticsearch, rig_on: Callable[[SearchNode], Rig]
) -> None:
    """Connections stay open and nothing answers; when it wakes up the write goes on, and each event is there once."""
    rig = rig_on(mortal_server)
    writer = Writer(rig.open(ElasticsearchSettings(bulk_bytes=10_000)))
    writer.start()
    assert writer.has_begun.wait(60)
    mortal_server.pause()
    try:
        impatient = Server(rig.url, read_timeout_s=0.3)
        with pytest.raises(RetryLater, match="no answer"):
            impatient.product()
        impatient.close()
        assert writer.told < RECORDS
    finally:
        mortal_server.resume()
    writer.join()
    assert writer.failure is None
    assert_each_once(rig.url)


def test_a_server_that_is_away_at_the_start(
    mortal_server: Elasticsearch, rig_on: Callable[[SearchNode], Rig]
) -> None:
    """Opening says `RetryLater`; so does a write of a store that was open before."""
    rig = rig_on(mortal_server)
    store = rig.open()
    mortal_server.kill()
    try:
        with pytest.raises(RetryLater, match="no answer"):
            rig.open()
        with pytest.raises(RetryLater, match="no answer"):
            store.write([records(range(2))], {0: 2})
    finally:
        mortal_server.start()
    store.write([records(range(2))], {0: 2})
    assert store.reached() == {0: 2}
