"""Counts by key as the buckets of an answer: in order, with the gaps filled, up to a number."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from operator import itemgetter
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.tree import TIME_FIELDS
from tailrace.serve.elasticsearch.aggregation_tree import Aggregation
from tailrace.serve.elasticsearch.date_buckets import DateBuckets, iso_ms

BUCKETS_MAX = 65_535
"""Elasticsearch's `search.max_buckets`."""

_TERMS = 10

Answers = dict[str, Any]


class TooManyBuckets(QueryError):
    def __init__(self, buckets_max: int) -> None:
        super().__init__(f"more than {buckets_max:,} buckets; widen the interval, or narrow the range")


def date_answer(
    asked: Aggregation,
    buckets: DateBuckets,
    counts: Mapping[int, int],
    below: Mapping[int, Answers],
    nothing: Mapping[str, Any],
) -> Answers:
    """Keys are microseconds here and milliseconds in the answer. `nothing`: what is said below an empty bucket."""
    starts = sorted(counts)
    if int(asked.body.get("min_doc_count", 0)) == 0:
        low, high = _bounds(asked)
        first = min([*starts[:1], *([] if low is None else [buckets.start_of(low)])], default=None)
        last = max([*starts[-1:], *([] if high is None else [high])], default=None)
        starts = [] if first is None or last is None else _limited(buckets, first, last)
    return {
        "buckets": [
            {
                "key_as_string": iso_ms(start_us, buckets.zone),
                "key": start_us // 1000,
                "doc_count": counts.get(start_us, 0),
                **nothing,
                **below.get(start_us, {}),
            }
            for start_us in starts
            if counts.get(start_us, 0) >= int(asked.body.get("min_doc_count", 0))
        ]
    }


def number_answer(
    asked: Aggregation,
    interval: float,
    counts: Mapping[float, int],
    below: Mapping[float, Answers],
    nothing: Mapping[str, Any],
) -> Answers:
    keys = sorted(counts)
    least = int(asked.body.get("min_doc_count", 0))
    if least == 0 and keys:
        steps = round((keys[-1] - keys[0]) / interval)
        if steps >= BUCKETS_MAX:
            raise TooManyBuckets(BUCKETS_MAX)
        by_step = {round((key - keys[0]) / interval): key for key in keys}
        keys = [by_step.get(step, keys[0] + step * interval) for step in range(steps + 1)]
    return {
        "buckets": [
            {"key": key, "doc_count": counts.get(key, 0), **nothing, **below.get(key, {})}
            for key in keys
            if counts.get(key, 0) >= least
        ]
    }


def terms_answer(
    asked: Aggregation, counts: Mapping[Any, int], below: Mapping[Any, Answers], nothing: Mapping[str, Any]
) -> Answers:
    least = int(asked.body.get("min_doc_count", 1))
    found = [(key, count) for key, count in counts.items() if count >= least]
    for by, direction in reversed(_orders(asked)):
        ranked = [(_rank(by, key, count, below.get(key, {})), key, count) for key, count in found]
        ranked.sort(key=itemgetter(0), reverse=direction == "desc")
        found = [(key, count) for _, key, count in ranked]
    kept = found[: int(asked.body.get("size", _TERMS))]
    is_time = asked.field in TIME_FIELDS
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(count for _, count in found) - sum(count for _, count in kept),
        "buckets": [
            {
                "key": key,
                **({"key_as_string": iso_ms(key * 1000)} if is_time else {}),
                "doc_count": count,
                **nothing,
                **below.get(key, {}),
            }
            for key, count in kept
        ],
    }


def _orders(asked: Aggregation) -> list[tuple[str, str]]:
    """What is sorted by, the most important first; of equal ones the smaller key is first, as in Elasticsearch."""
    order = asked.body.get("order", {"_count": "desc"})
    orders = [pair for each in (order if isinstance(order, list) else [order]) for pair in each.items()]
    names = {each.name for each in asked.below}
    for by, direction in orders:
        if by.partition(".")[0].partition("[")[0] not in {"_count", "_key", "_term", *names}:
            raise QueryError(f"terms of {asked.name!r}: there is no {by!r} to order by")
        if direction not in ("asc", "desc"):
            raise QueryError(f"terms of {asked.name!r}: the order is asc or desc, not {direction!r}")
    return [*orders, ("_key", "asc")]


def _rank(by: str, key: Any, count: int, below: Mapping[str, Any]) -> Any:
    if by in ("_key", "_term"):
        return key
    if by == "_count":
        return count
    name, _, part = by.replace("[", ".").replace("]", "").partition(".")
    answer = below.get(name, {})
    if part and "values" in answer:
        value = answer["values"].get(str(float(part)))
    else:
        value = answer.get(part or "value", answer.get("doc_count"))
    # What is not there comes last in either order for most people's eyes; Elasticsearch takes it as the least.
    return float("-inf") if value is None else value


def _bounds(asked: Aggregation) -> tuple[int | None, int | None]:
    bounds = asked.body.get("extended_bounds") or {}
    low, high = bounds.get("min"), bounds.get("max")
    try:
        return (None if low is None else int(low) * 1000), (None if high is None else int(high) * 1000)
    except (TypeError, ValueError) as error:
        raise QueryError(f"date_histogram of {asked.name!r}: extended_bounds are epochs in milliseconds") from error


def _limited(buckets: DateBuckets, first_us: int, last_us: int) -> list[int]:
    numbered = enumerate(buckets.starts(first_us, last_us))
    starts = [start_us for _, start_us in takewhile(lambda each: each[0] <= BUCKETS_MAX, numbered)]
    if len(starts) > BUCKETS_MAX:
        raise TooManyBuckets(BUCKETS_MAX)
    return starts
