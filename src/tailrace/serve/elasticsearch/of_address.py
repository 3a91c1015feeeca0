"""What a search says in its address, as members of its body: for `curl`, and for clients that put it there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from tailrace.errors import QueryError

# What changes nothing here: how nodes and shards share the work, which indices must exist, how JSON is laid out.
_NEUTRAL = frozenset(
    {
        *("pretty", "human", "error_trace", "filter_path", "ignore_unavailable", "allow_no_indices"),
        *("expand_wildcards", "ignore_throttled", "preference", "request_cache", "routing", "search_type"),
        *("max_concurrent_shard_requests", "max_concurrent_searches", "batched_reduce_size", "timeout"),
        *("ccs_minimize_roundtrips", "pre_filter_shard_size", "allow_partial_search_results", "track_scores"),
        *("analyze_wildcard", "lenient", "terminate_after", "version", "seq_no_primary_term"),
    }
)
_TRUTHS = {"true": True, "": True, "false": False}


def of_address(parameters: Mapping[str, str], *, known: Collection[str] | None = None) -> Mapping[str, Any]:
    """`known`: which of the parameters that are read have a meaning, all by default.

    Raises `QueryError` with the name of one that would change the answer and is not supported.
    """
    readers = {name: reader for name, reader in _READERS.items() if known is None or name in known}
    body: dict[str, Any] = {}
    for name, text in parameters.items():
        if name in readers:
            member, value = readers[name](text)
            body[member] = value
        elif name not in _NEUTRAL and text != "false":
            raise QueryError(f"the parameter {name!r} is not supported")
    return body


def _sort(text: str) -> tuple[str, Any]:
    keys = [part.partition(":") for part in text.split(",")]
    return "sort", [{name: direction or "asc"} for name, _, direction in keys]


def _whole(text: str) -> Any:
    # What is no number is refused where it is used.
    return int(text) if text.isdecimal() and len(text) < 10 else text


_READERS: Mapping[str, Callable[[str], tuple[str, Any]]] = {
    "q": lambda text: ("query", {"query_string": {"query": text}}),
    "size": lambda text: ("size", _whole(text)),
    "from": lambda text: ("from", _whole(text)),
    "sort": _sort,
    "_source": lambda text: ("_source", _TRUTHS.get(text, text.split(","))),
    "track_total_hits": lambda text: ("track_total_hits", _TRUTHS.get(text, text)),
}
