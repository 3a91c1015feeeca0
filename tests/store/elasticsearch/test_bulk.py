"""What becomes of the documents of a bulk request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from deploy.local.opensearch import OpenSearch
from deploy.local.search_node import SearchNode

from tailrace.config import ElasticsearchSettings
from tailrace.errors import RetryLater
from tailrace.store.elasticsearch.bulk import Refusal, sort_items
from tests.real_servers import serve
from tests.store.elasticsearch.conftest import Rig
from tests.store.elasticsearch.rig import documents_of, records


def item(status: int, type: str = "some_exception") -> dict[str, Any]:
    error = {"type": type, "reason": "because", "caused_by": {"type": "inner", "reason": "really"}}
    return {"create": {"status": status, **({"error": error} if status >= 300 else {})}}


def test_each_document_has_a_fate_of_its_own() -> None:
    """There, there already, again, refused with every reason: by the rows they are of."""
    items = [item(201), item(409), item(429), item(400), item(503), item(200)]
    result = sort_items("logs-2026.01.01", items, [10, 11, 12, 13, 14, 15])
    assert result.again == [12, 14]
    assert result.refused == [Refusal(13, "some_exception: because; inner: really")]


@pytest.mark.parametrize(
    ("status", "type"),
    [
        (404, "index_not_found_exception"),
        (403, "cluster_block_exception"),
        (400, "index_closed_exception"),
        (400, "validation_exception"),
    ],
)
def test_a_fault_of_the_index_is_no_fault_of_the_document(status: int, type: str) -> None:
    """An index that is gone, closed or read-only: the events wait."""
    with pytest.raises(RetryLater, match="because"):
        sort_items("logs-2026.01.01", [item(201), item(status, type)], [0, 1])


TIGHT = {"thread_pool.write.size": "1", "thread_pool.write.queue_size": "1", "http.max_content_length": "300kb"}


@pytest.fixture(scope="module")
def tight_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """One that writes one request at a time, lets one wait, and takes no large ones."""
    yield from serve(OpenSearch(tmp_path_factory.mktemp("tight"), settings=TIGHT))


@pytest.mark.slow
def test_what_a_full_queue_turns_away_is_sent_again(
    tight_server: OpenSearch, rig_on: Callable[[SearchNode], Rig]
) -> None:
    """Three requests at once meet a queue of one: 429 is retried until each event is there once."""
    rig = rig_on(tight_server)
    store = rig.open(ElasticsearchSettings(bulk_bytes=50_000))
    reached = 0
    while not rig.retries() and reached < 80:
        store.write([records(range(reached, reached + 20), rows=100)], {0: reached + 20})
        reached += 20
    assert rig.retries() > 0
    assert store.reached() == {0: reached}
    found = [id for id, _ in documents_of(rig.url)]
    assert sorted(found) == sorted(f"0-{offset}-{row}" for offset in range(reached) for row in range(100))
    assert not rig.letters.kept


@pytest.mark.slow
def test_a_request_that_is_too_large_is_cut_in_half(
    tight_server: OpenSearch, rig_on: Callable[[SearchNode], Rig]
) -> None:
    """Until the server takes it; one event that is too large by itself is refused."""
    rig = rig_on(tight_server)
    store = rig.open()
    batch = records(range(4), rows=1, message=lambda offset: "x" * (400_000 if offset == 2 else 100_000))
    store.write([batch], {0: 4})
    assert sorted(id for id, _ in documents_of(rig.url)) == ["0-0-0", "0-1-0", "0-3-0"]
    assert "413" in rig.letters.kept[0, 2, 0]["reason"]
