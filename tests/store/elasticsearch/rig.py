"""What the tests of the store share: letters in memory, and the server read without the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.store.elasticsearch.progress import read_progress
from tailrace.store.elasticsearch.server import Server


class Letters:
    """Implements `store.port.DeadLetterBox` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int, int], dict[str, Any]] = {}

    def add(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        for identity, letter in zip(identities, letters.to_pylist(), strict=True):
            self.kept.setdefault(identity, letter)


def documents_of(url: str) -> list[tuple[str, dict[str, Any]]]:
    """Every document that can be found now, with its `_id`: nothing is refreshed for this."""
    server = Server(url)
    # An index that somebody has just begun to make cannot be searched yet.
    started = {"wait_for_status": "yellow", "timeout": "60s"}
    server.request("GET", f"/_cluster/health/{server.name}-*", parameters=started)
    answer = server.request(
        "POST",
        f"/{server.name}-*/_search",
        {"size": 10_000},
        parameters={"ignore_unavailable": "true", "allow_partial_search_results": "false"},
    )
    server.close()
    return [(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"]]


def reached_of(url: str) -> dict[int, int]:
    server = Server(url)
    reached = read_progress(server)
    server.close()
    return reached


DAY = "2023.11.14"
"""When the events of `records` arrived."""


def records(
    offsets: Iterable[int], *, partition: int = 0, rows: int = 3, message: Callable[[int], str] = "event {}".format
) -> pa.RecordBatch:
    """The events of these log records."""
    batches = []
    for offset in offsets:
        event = {
            "timestamp": 1_700_000_000_000_000 + offset,
            "observed_timestamp": 1_700_000_000_000_000,
            "message": message(offset),
        }
        batches.append(with_identity(batch_of_rows([event] * rows), partition, offset))
    return pa.concat_batches(batches)
