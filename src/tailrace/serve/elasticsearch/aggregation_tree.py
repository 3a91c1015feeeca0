"""Aggregations as they are asked for, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.from_elasticsearch import field_of, from_elasticsearch
from tailrace.query.tree import TEXT_FIELDS, TIME_FIELDS, Node
from tailrace.serve.elasticsearch.aggregation_options import Options, options_of

BUCKET_KINDS = ("date_histogram", "histogram", "terms", "filters", "filter")
METRIC_KINDS = (
    *("avg", "min", "max", "sum", "value_count", "cardinality", "stats", "extended_stats", "percentiles"),
)

_DEPTH_MAX = 8
_AGGREGATIONS_MAX = 500
"""Each of them, and each filter, is a statement or two."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One bucket of `filters`; `name` is None where they are a list."""

    name: str | None
    where: Node


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`field` is our name of it, None for filters."""

    name: str
    kind: str
    field: str | None
    options: Options
    filters: Sequence[Filter]
    below: Sequence[Aggregation]


def aggregations_of(asked: object, *, now_us: int) -> list[Aggregation]:
    """Raises `QueryError` that names the aggregation for what is wrong or not supported."""
    found = _aggregations(asked, now_us, 0)
    if sum(1 + len(each.filters) for each in every_one(found)) > _AGGREGATIONS_MAX:
        raise QueryError(f"more than {_AGGREGATIONS_MAX} aggregations and filters in one search")
    return found


def every_one(aggregations: Sequence[Aggregation]) -> Iterator[Aggregation]:
    """With those below."""
    for each in aggregations:
        yield each
        yield from every_one(each.below)


def _aggregations(asked: object, now_us: int, depth: int) -> list[Aggregation]:
    if depth > _DEPTH_MAX:
        raise QueryError(f"aggregations nest more than {_DEPTH_MAX} deep")
    if not isinstance(asked, dict):
        raise QueryError("aggregations have to be an object of names")
    return [_aggregation(name, each, now_us, depth) for name, each in asked.items()]


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
    below = _aggregations(asked.get("aggs", asked.get("aggregations", {})), now_us, depth + 1)
    if below and kind in METRIC_KINDS:
        raise QueryError(f"{kind!r} of {name!r} has no buckets, so nothing can be below it")
    if kind == "filter":
        return Aggregation(name, kind, None, {}, [Filter(None, from_elasticsearch(body, now_us=now_us))], below)
    options = options_of(name, kind, body)
    if kind == "filters":
        return Aggregation(name, kind, None, options, _filters(name, body, now_us), below)
    field = body.get("field")
    if not isinstance(field, str):
        raise QueryError(f"{kind!r} of {name!r} has to name a field")
    found = Aggregation(name, kind, field_of(field), options, (), below)
    _check_field(found, field)
    return found


def _check_field(asked: Aggregation, written: str) -> None:
    """Whether the kind can be of that field, and sorted by what is below it."""
    is_time = asked.field in TIME_FIELDS
    if asked.kind == "date_histogram" and not is_time:
        raise QueryError(f"date_histogram of {asked.name!r}: {asked.field} is not a time")
    if asked.kind != "terms":
        return
    if asked.field in TEXT_FIELDS and not written.endswith(".keyword"):
        raise QueryError(f"terms of {asked.name!r}: {written} is text; aggregate {written}.keyword")
    if is_time and asked.options["missing"] is not None:
        raise QueryError(f"terms of {asked.name!r}: 'missing' is not supported, as every event has a {asked.field}")
    names = {"_count", "_key", "_term", *(each.name for each in asked.below)}
    for by, _ in asked.options["orders"]:
        if by.partition(".")[0].partition("[")[0] not in names:
            raise QueryError(f"terms of {asked.name!r}: there is no {by!r} to order by")


def _filters(name: str, body: Mapping[str, Any], now_us: int) -> list[Filter]:
    asked = body.get("filters")
    if isinstance(asked, dict) and asked:
        return [Filter(key, from_elasticsearch(each, now_us=now_us)) for key, each in asked.items()]
    if isinstance(asked, list) and asked:
        return [Filter(None, from_elasticsearch(each, now_us=now_us)) for each in asked]
    raise QueryError(f"filters of {name!r} has to have an object or a list of queries under 'filters'")
