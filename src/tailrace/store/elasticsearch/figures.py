"""Counts that the server makes: which aggregations are asked for, and what their answers say.

Terms are counted shard by shard, and each sends its most frequent ones; the sum is exact only when none had to leave
any out, which the answer tells. Where it did, a composite aggregation goes through all of them in pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.leaves import attribute_name
from tailrace.query.to_elasticsearch import attribute_pairs_of
from tailrace.query.to_elasticsearch_clauses import Clause, every_clause
from tailrace.query.to_elasticsearch_fields import NAMES, PAIR_SIGN, PAIRS
from tailrace.query.tree import TEXT_FIELDS, TIME_FIELDS, VALUE_FIELDS

Ask = Callable[[dict[str, Any]], Any]
"""Answers the body of a search."""

# A page of 10,000 takes some milliseconds and a megabyte; servers make 65,535 buckets at most.
_PAGE = 10_000
_VALUES_OF_BUCKET_MAX = 100
_PAGE_OF_BUCKETS = 500

VALUES_MAX = 1_000_000
"""Different values that are counted for one question: some hundred megabytes of Python objects."""


class NotCounted(Exception):
    """The server cannot make these figures; they must be made from the events."""


def check_values(counts: Counter[Any]) -> None:
    """Raise `QueryError` when there are too many to go on."""
    if len(counts) > VALUES_MAX:
        raise QueryError(f"there are more than {VALUES_MAX:,} different values; ask for a shorter time range")


def histogram(ask: Ask, query: Clause, *, interval_us: int, by: str | None) -> Counter[tuple[int, str | None]]:
    """The number of documents by the start of their bucket and their value. Raises `NotCounted`."""
    if by in TEXT_FIELDS:
        raise NotCounted
    counts: Counter[tuple[int, str | None]] = Counter()
    start = {"start": {"histogram": {"field": "timestamp_us", "interval": interval_us}}}
    if by is None or by in VALUE_FIELDS:
        value = [] if by is None else [{"value": {"terms": {"field": by, "missing_bucket": True}}}]
        for bucket in _composite(ask, query, [start, *value]):
            counts[int(bucket["key"]["start"]), bucket["key"].get("value")] += bucket["doc_count"]
            check_values(counts)
        return counts
    before = f"{attribute_name(by)}{PAIR_SIGN}"
    pairs = _terms(PAIRS, _VALUES_OF_BUCKET_MAX, _VALUES_OF_BUCKET_MAX, before)
    for bucket in _composite(ask, query, [start], page=_PAGE_OF_BUCKETS, inner={"pairs": pairs}):
        start_us, left = int(bucket["key"]["start"]), bucket["doc_count"]
        for pair in _exact(bucket["pairs"]):
            counts[start_us, pair["key"].removeprefix(before)] = pair["doc_count"]
            left -= pair["doc_count"]
        if left:
            counts[start_us, None] = left
        check_values(counts)
    return counts


def values(ask: Ask, query: Clause, *, field: str, limit: int | None) -> Counter[str]:
    """The `limit` most frequent values, or all of them. Raises `NotCounted`."""
    if field in TEXT_FIELDS:
        raise NotCounted
    name = attribute_name(field)
    target, before = (field, "") if name is None else (PAIRS, f"{name}{PAIR_SIGN}")
    if name is not None:
        query = every_clause([query, {"term": {NAMES: name}}])
    if limit is not None and limit <= _PAGE:
        try:
            found = _exact(_asked(ask, query, _terms(target, limit, _PAGE, before)), cut=True)
            return Counter({bucket["key"].removeprefix(before): bucket["doc_count"] for bucket in found})
        except NotCounted:
            pass
    return _all_values(ask, query, target, before)


def fields(ask: Ask, query: Clause) -> Counter[str]:
    """How many documents have each field, attributes among them."""
    columns = {field: {"filter": {"exists": {"field": field}}} for field in sorted(VALUE_FIELDS)}
    answer = ask({**_body(query, {**columns, "names": _terms(NAMES, _PAGE, _PAGE)}), "track_total_hits": True})
    total, found = answer["hits"]["total"]["value"], answer["aggregations"]
    counts = Counter({field: found[field]["doc_count"] for field in columns})
    counts += Counter(dict.fromkeys(TEXT_FIELDS | TIME_FIELDS, total))
    try:
        names = Counter({bucket["key"]: bucket["doc_count"] for bucket in _exact(found["names"])})
    except NotCounted:
        names = _all_values(ask, query, NAMES, "")
    return counts + names


def count(ask: Ask, query: Clause) -> int:
    found: int = ask({"size": 0, "query": query, "track_total_hits": True})["hits"]["total"]["value"]
    return found


def _all_values(ask: Ask, query: Clause, field: str, before: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    # All pairs of a name come together, right behind the character that is before `=`.
    after = f"{before[:-1]}{chr(ord(PAIR_SIGN) - 1)}" if before else None
    for bucket in _composite(ask, query, [{"value": {"terms": {"field": field}}}], after=after):
        value = bucket["key"]["value"]
        if value.startswith(before):
            counts[value.removeprefix(before)] = bucket["doc_count"]
            check_values(counts)
        elif value > before:
            break
    return counts


def _composite(
    ask: Ask,
    query: Clause,
    sources: list[dict[str, Any]],
    *,
    page: int = _PAGE,
    inner: dict[str, Any] | None = None,
    after: str | None = None,
) -> Iterator[Any]:
    """Every bucket, in the order of its key."""
    composite: dict[str, Any] = {"size": page, "sources": sources}
    if after is not None:
        composite["after"] = {"value": after}
    while True:
        found = _asked(ask, query, {"composite": composite, **({"aggs": inner} if inner else {})})
        yield from found["buckets"]
        if len(found["buckets"]) < page:
            return
        composite = {**composite, "after": found["after_key"]}


def _asked(ask: Ask, query: Clause, aggregation: dict[str, Any]) -> Any:
    return ask(_body(query, {"found": aggregation}))["aggregations"]["found"]


def _body(query: Clause, aggregations: dict[str, Any]) -> dict[str, Any]:
    return {"size": 0, "query": query, "track_total_hits": False, "aggs": aggregations}


def _terms(field: str, size: int, shard_size: int, before: str = "") -> dict[str, Any]:
    order = [{"_count": "desc"}, {"_key": "asc"}]
    include = {"include": attribute_pairs_of(before.removesuffix(PAIR_SIGN))} if before else {}
    return {"terms": {"field": field, "size": size, "shard_size": max(size, shard_size), "order": order, **include}}


def _exact(terms: Any, *, cut: bool = False) -> list[Any]:
    """The buckets, when they are right, and all of them unless they may be `cut`. Raises `NotCounted`."""
    if terms["doc_count_error_upper_bound"] != 0 or (terms["sum_other_doc_count"] != 0 and not cut):
        raise NotCounted
    buckets: list[Any] = terms["buckets"]
    return buckets
