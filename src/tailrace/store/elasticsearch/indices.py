"""The daily indices that are there: what they hold, and how they go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tailrace.store.elasticsearch.documents import day_of
from tailrace.store.elasticsearch.server import Server


@dataclass(frozen=True, slots=True)
class DailyIndex:
    """`day` is counted from 1970-01-01; `bytes` are on disk, with all copies."""

    name: str
    day: int
    documents: int
    bytes: int


def list_indices(server: Server) -> Sequence[DailyIndex]:
    """The daily indices of the store, the oldest first. Raises `RetryLater`."""
    columns = {"format": "json", "bytes": "b", "h": "index,docs.count,store.size", "expand_wildcards": "open"}
    found = []
    for row in server.request("GET", f"/_cat/indices/{server.name}-*", parameters=columns, expected=(404,)):
        day = day_of(server.name, row["index"])
        if day is not None:
            # A shard that is still being opened has no figures yet.
            found.append(DailyIndex(row["index"], day, int(row["docs.count"] or 0), int(row["store.size"] or 0)))
    return sorted(found, key=lambda index: index.day)


def drop_index(server: Server, index: str) -> None:
    """Another worker may have been quicker."""
    server.request("DELETE", f"/{index}", expected=(404,))


def index_figures(server: Server) -> Mapping[str, int | str]:
    """For `/api/status`. Raises `RetryLater`."""
    product = server.product()
    indices = list_indices(server)
    return {
        "server": f"{product.kind} {product.version[0]}.{product.version[1]}",
        "indices": len(indices),
        "documents": sum(index.documents for index in indices),
        "bytes": sum(index.bytes for index in indices),
    }
