"""How far each partition has come, kept beside the events: one document a partition, in an index of its own.

The version of a document is the offset it says, given from outside (`version_type=external`): the server itself
refuses to go back, whoever writes. A document counts once it is searchable, so reading it needs no refresh; one that
cannot be seen yet only makes a replay longer, and that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tailrace.errors import RetryLater
from tailrace.store.elasticsearch.server import NDJSON, Server, said_in

# More partitions than a topic can sensibly have; the server's own bound of one answer.
_PARTITIONS_MAX = 10_000

_MAPPING = {"dynamic": False, "properties": {"offset": {"type": "long", "index": False}}}


def progress_index(name: str) -> str:
    return f"tailrace-{name}-progress"


def install_progress(server: Server, *, replicas: int) -> None:
    """Make the index unless it is there."""
    body = {"settings": {"number_of_shards": 1, "number_of_replicas": replicas}, "mappings": _MAPPING}
    server.create_index(progress_index(server.name), body)


def read_progress(server: Server) -> dict[int, int]:
    """For each partition the next offset: whatever is below it is durable and searchable. Raises `RetryLater`."""
    answer = server.request(
        "POST",
        f"/{progress_index(server.name)}/_search",
        {"size": _PARTITIONS_MAX, "_source": ["offset"]},
        parameters={"allow_partial_search_results": "false"},
        expected=(404,),
    )
    return {} if "hits" not in answer else _offsets(answer)


def write_progress(server: Server, through: Mapping[int, int]) -> None:
    """Durable and visible on return; what is further already stays as it is. Raises `RetryLater`."""
    if not through:
        return
    lines = [line for partition, offset in through.items() for line in _lines(partition, offset)]
    answer = server.send(
        "POST",
        f"/{progress_index(server.name)}/_bulk",
        b"".join(lines),
        content_type=NDJSON,
        parameters={"refresh": "true"},
    ).json()
    for item in answer["items"]:
        result = item["index"]
        if result["status"] >= 300 and result["status"] != 409:
            raise RetryLater(f"{progress_index(server.name)}: {result['status']} {said_in(result['error'])}")


def _lines(partition: int, offset: int) -> tuple[bytes, bytes]:
    action = {"index": {"_id": str(partition), "version": offset, "version_type": "external"}}
    return (
        orjson.dumps(action, option=orjson.OPT_APPEND_NEWLINE),
        orjson.dumps({"offset": offset}, option=orjson.OPT_APPEND_NEWLINE),
    )


def _offsets(answer: Any) -> dict[int, int]:
    return {int(hit["_id"]): hit["_source"]["offset"] for hit in answer["hits"]["hits"]}
