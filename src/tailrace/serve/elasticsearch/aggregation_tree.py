"""Aggregations as they are asked for, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.from_elasticsearch import field_of, from_elasticsearch
from tailrace.query.tree import TEXT_FIELDS, Node

BUCKET_KINDS = ("date_histogram", "histogram", "terms", "filters", "filter")
METRIC_KINDS = (
    *("avg", "min", "max", "sum", "value_count", "cardinality", "stats", "extended_stats", "percentiles"),
)

_DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class Filter:
    """One bucket of `filters`; `name` is None where they are a list."""

    name: str | None
    where: Node


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`field` is our name of it, None for filters. `body` is what was asked, without the parts that are here."""

    name: str
    kind: str
    field: str | None
    body: Mapping[str, Any]
    filters: Sequence[Filter]
    below: Sequence[Aggregation]


def aggregations_of(asked: object, *, now_us: int, depth: int = 0) -> list[Aggregation]:
    """Raises `QueryError` that names the aggregation for what is wrong or not supported."""
    if depth > _DEPTH_MAX:
        raise QueryError(f"aggregations nest more than {_DEPTH_MAX} deep")
    if not isinstance(asked, dict):
        raise QueryError("aggregations have to be an object of names")
    return [_aggregation(name, each, now_us, depth) for name, each in asked.items()]


def every_one(aggregations: Sequence[Aggregation]) -> Iterator[Aggregation]:
    """With those below."""
    for each in aggregations:
        yield each
        yield from every_one(each.below)


def _aggregation(name: str, asked: object, now_us: int, depth: int) -> Aggregation:
    if not isinstance(asked, dict):
        raise QueryError(f"the aggregation {name!r} has to be an object")
    kinds = [key for key in asked if key not in ("aggs", "aggregations", "meta")]
    if len(kinds) != 1:
        raise QueryError(f"the aggregation {name!r} has to have one kind, and has {kinds}")
    kind = kinds[0]
    if kind not in (*BUCKET_KINDS, *METRIC_KINDS):
        known = ", ".join((*BUCKET_KINDS, *METRIC_KINDS))
        raise QueryError(f"the aggregation {kind!r} of {name!r} is not supported; there are {known}")
    body = asked[kind]
    if not isinstance(body, dict):
        raise QueryError(f"{kind!r} of {name!r} has to be an object")
    below = aggregations_of(asked.get("aggs", asked.get("aggregations", {})), now_us=now_us, depth=depth + 1)
    if below and kind in METRIC_KINDS:
        raise QueryError(f"{kind!r} of {name!r} has no buckets, so nothing can be below it")
    if kind in ("filters", "filter"):
        return Aggregation(name, kind, None, body, _filters(kind, body, now_us), below)
    if "script" in body:
        raise QueryError(f"{kind!r} of {name!r}: scripts are not supported")
    field = body.get("field")
    if not isinstance(field, str):
        raise QueryError(f"{kind!r} of {name!r} has to name a field")
    if field_of(field) in TEXT_FIELDS and not field.endswith(".keyword") and kind == "terms":
        raise QueryError(f"terms of {name!r}: {field} is text; aggregate {field}.keyword")
    return Aggregation(name, kind, field_of(field), body, (), below)


def _filters(kind: str, body: Mapping[str, Any], now_us: int) -> list[Filter]:
    if kind == "filter":
        return [Filter(None, from_elasticsearch(dict(body), now_us=now_us))]
    asked = body.get("filters")
    if isinstance(asked, dict):
        return [Filter(name, from_elasticsearch(each, now_us=now_us)) for name, each in asked.items()]
    if isinstance(asked, list):
        return [Filter(None, from_elasticsearch(each, now_us=now_us)) for each in asked]
    raise QueryError("filters has to have an object or a list of queries under 'filters'")
