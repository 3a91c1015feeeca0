"""One search: what is asked, checked, and answered on a snapshot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.from_elasticsearch import from_elasticsearch
from tailrace.query.times import parse_absolute_time
from tailrace.query.tree import All, And, Node, Or, Phrase, Range, Wildcard
from tailrace.serve.elasticsearch.aggregate import aggregate
from tailrace.serve.elasticsearch.aggregation_tree import Aggregation, aggregations_of
from tailrace.serve.elasticsearch.hits import INDEX, ROWS_MAX, Sorting, cursor_after, hits_of, sorting_of
from tailrace.store.duck import Duck
from tailrace.store.port import Cursor, Selection, Snapshot

# What changes nothing here: how scores, shards and caches are dealt with, and what is told about that.
_TOLERATED = frozenset(
    {
        *(
            "timeout",
            "terminate_after",
            "track_scores",
            "version",
            "seq_no_primary_term",
            "stored_fields",
            "min_score",
        ),
        *("explain", "profile", "stats", "indices_boost", "runtime_mappings", "ext", "ignore_unavailable", "pit"),
    }
)
_KNOWN = frozenset(
    {
        *("query", "size", "from", "sort", "search_after", "aggs", "aggregations", "track_total_hits", "_source"),
        *("fields", "docvalue_fields", "highlight", "post_filter", "script_fields"),
    }
)
_ROWS = 10


@dataclass(frozen=True, slots=True)
class Search:
    """`first`: how many hits are left out before those of the answer."""

    selection: Selection
    sorting: Sorting
    first: int
    size: int
    after: Cursor | None
    aggregations: Sequence[Aggregation]
    body: Mapping[str, Any]


def search_of(index: str, body: Mapping[str, Any], *, now_us: int) -> Search:
    """Raises `QueryError` that names what is wrong or not supported."""
    unknown = sorted(body.keys() - _KNOWN - _TOLERATED)
    if unknown:
        raise QueryError(f"{unknown[0]!r} of a search is not supported")
    if body.get("script_fields"):
        raise QueryError("script_fields are not supported")
    parts = [in_index(index), from_elasticsearch(body.get("query") or {"match_all": {}}, now_us=now_us)]
    if body.get("post_filter"):
        raise QueryError("post_filter is not supported; put it into the query")
    sorting = sorting_of(body.get("sort"))
    first, size = _whole(body, "from", 0), _whole(body, "size", _ROWS)
    if first + size > ROWS_MAX:
        raise QueryError(f"from and size reach behind hit {ROWS_MAX:,}; page on with search_after")
    return Search(
        selection_of(And(tuple(parts))),
        sorting,
        first,
        size,
        cursor_after(body.get("search_after"), sorting),
        aggregations_of(body.get("aggs", body.get("aggregations", {})), now_us=now_us),
        body,
    )


def answer_search(
    search: Search, snapshot: Snapshot, duck: Duck, *, now_us: int, memory_bytes_max: int
) -> dict[str, Any]:
    started = time.perf_counter()
    hits: dict[str, Any] = {}
    if search.body.get("track_total_hits", True) is not False:
        hits["total"] = {"value": snapshot.count(search.selection), "relation": "eq"}
    hits["max_score"] = None
    hits["hits"] = []
    if search.size:
        limit = search.first + search.size
        rows = snapshot.search(search.selection, order=search.sorting.order, limit=limit, after=search.after)
        hits["hits"] = hits_of(rows.slice(search.first), search.body, search.sorting, search.selection.where)
    answer: dict[str, Any] = {
        "took": 0,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
        "hits": hits,
    }
    if search.aggregations:
        answer["aggregations"] = aggregate(
            snapshot, search.selection, search.aggregations, duck, now_us=now_us, memory_bytes_max=memory_bytes_max
        )
    answer["took"] = int((time.perf_counter() - started) * 1000)
    return answer


def in_index(index: str) -> Node:
    """Events that came into one of the indices of a comma list; patterns have `*`."""
    names = [name.strip() for name in index.split(",") if name.strip()]
    if not names or any(name in ("*", "_all", INDEX) for name in names):
        return All()
    if any(name.startswith("-") for name in names):
        raise QueryError("indices that are left out by - are not supported")
    nodes: list[Node] = [Wildcard("_index", name) if "*" in name else Phrase("_index", name) for name in names]
    return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))


def selection_of(where: Node) -> Selection:
    """The times that all of the query is bound to stand beside it: stores leave out whole files by them."""
    parts: list[Node] = []
    low_us: list[int] = []
    high_us: list[int] = []
    for part in _conjuncts(where):
        if not isinstance(part, Range) or part.field != "timestamp":
            parts.append(part)
            continue
        low = None if part.low is None else parse_absolute_time(part.low)
        high = None if part.high is None else parse_absolute_time(part.high)
        if (low is None and part.low is not None) or (high is None and part.high is not None):
            parts.append(part)
            continue
        if low is not None:
            low_us.append(low[0 if part.include_low else 1])
        if high is not None:
            high_us.append(high[1 if part.include_high else 0])
    rest: Node = All() if not parts else parts[0] if len(parts) == 1 else And(tuple(parts))
    return Selection(rest, max(low_us, default=None), min(high_us, default=None))


def _conjuncts(node: Node) -> list[Node]:
    match node:
        case And(parts):
            return [each for part in parts for each in _conjuncts(part)]
        case All():
            return []
    return [node]


def _whole(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise QueryError(f"{name} has to be a whole number from 0 on")
    return value
