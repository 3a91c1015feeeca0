"""A point in time of the daily indices: the same documents at every look, whatever is written meanwhile."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.errors import QueryError, RetryLater
from tailrace.store.elasticsearch.mapping import pattern_of
from tailrace.store.elasticsearch.server import Refused, Server

# The rest of an answer is of no use here. `pit_id` may change from answer to answer.
_WANTED = "pit_id,timed_out,hits.total,hits.hits._source,aggregations"
_PARAMETERS = {"allow_partial_search_results": "false", "filter_path": _WANTED}
# A view outlives the last question to it by the time that one may take, and by this.
_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a question must be answered, on the monotonic clock."""

    time_max_s: float
    at_s: float

    @classmethod
    def after(cls, time_max_s: float) -> Deadline:
        return cls(time_max_s, time.monotonic() + time_max_s)

    def left_s(self) -> float:
        """Raises `RetryLater` when it is over."""
        left_s = self.at_s - time.monotonic()
        if left_s <= 0:
            raise self.missed()
        return left_s

    def missed(self) -> RetryLater:
        return RetryLater(
            f"the query took more than {self.time_max_s:g} s (query.time_max_s); ask for a shorter time range"
        )


class View:
    """Shared between threads."""

    def __init__(self, server: Server, point_in_time: str, keep_alive: str) -> None:
        self._server = server
        self._keep_alive = keep_alive
        self.point_in_time = point_in_time

    def ask(self, body: dict[str, Any], deadline: Deadline) -> tuple[Any, int]:
        """The answer to a search, and how many bytes it came in.

        Raises `QueryError` for what the server does not understand, `RetryLater` when it is away, too slow, or has
        lost the point in time.
        """
        left_ms = math.ceil(deadline.left_s() * 1000)
        body = {**body, "pit": {"id": self.point_in_time, "keep_alive": self._keep_alive}, "timeout": f"{left_ms}ms"}
        try:
            answer = self._server.send(
                "POST", "/_search", orjson.dumps(body), content_type="application/json", parameters=_PARAMETERS
            )
        except Refused as error:
            raise _translated(error) from error
        parsed = answer.json()
        self.point_in_time = parsed.get("pit_id", self.point_in_time)
        if parsed.get("timed_out"):
            raise deadline.missed()
        return parsed, len(answer.body)


@contextlib.contextmanager
def open_view(server: Server, *, time_max_s: float) -> Iterator[View | None]:
    """None where there is no index yet. Raises `RetryLater`."""
    is_opensearch = server.product().kind == "opensearch"
    keep_alive = f"{math.ceil(time_max_s + _GRACE_S)}s"
    found = _open(server, is_opensearch, keep_alive)
    if found is None:
        yield None
        return
    view = View(server, found, keep_alive)
    try:
        yield view
    finally:
        path = "/_search/point_in_time" if is_opensearch else "/_pit"
        body = {"pit_id": [view.point_in_time]} if is_opensearch else {"id": view.point_in_time}
        # One that is left open ends by itself.
        with contextlib.suppress(RetryLater, Refused):
            server.request("DELETE", path, body, expected=(404,))


def _open(server: Server, is_opensearch: bool, keep_alive: str) -> str | None:
    indices = f"/{pattern_of(server.name)}"
    path = indices + ("/_search/point_in_time" if is_opensearch else "/_pit")
    try:
        answer = server.request("POST", path, parameters={"keep_alive": keep_alive})
    except Refused as error:
        # OpenSearch makes no point in time of nothing, and says so of an id that is null.
        if error.status == 404 or not server.request("GET", indices, expected=(404,)):
            return None
        raise RetryLater(f"no point in time: {error}") from error
    found: str = answer["pit_id" if is_opensearch else "id"]
    return found


def _translated(error: Refused) -> Exception:
    if error.status == 404:
        return RetryLater(f"an index was dropped while it was read; ask again: {error.reason}")
    return QueryError(f"the server refuses the query: {error.reason}")
