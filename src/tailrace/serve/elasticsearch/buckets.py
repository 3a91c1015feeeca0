"""Counts by key as the buckets of an answer, in order. Those without events are put in by `completed`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.tree import TIME_FIELDS
from tailrace.serve.elasticsearch.aggregation_tree import Aggregation
from tailrace.serve.elasticsearch.date_buckets import iso_ms

BUCKETS_MAX = 65_535
"""Elasticsearch's `search.max_buckets`: of all buckets of an answer."""

Answers = dict[str, Any]
Counts = Mapping[Any, int]


class TooManyBuckets(QueryError):
    def __init__(self) -> None:
        super().__init__(f"more than {BUCKETS_MAX:,} buckets; widen the interval, or narrow the range")


def date_bucket(asked: Aggregation, start_us: int, count: int) -> Answers:
    """Keys are milliseconds."""
    key = start_us // 1000
    text = str(key) if asked.options["keys_in_ms"] else iso_ms(start_us, asked.options["buckets"].zone)
    return {"key_as_string": text, "key": key, "doc_count": count}


def date_answer(asked: Aggregation, counts: Counts, below: Mapping[Any, Answers]) -> Answers:
    """`counts` and `below`, what was asked of each bucket's events, are by the start in microseconds."""
    return {
        "buckets": [
            {**date_bucket(asked, start_us, counts[start_us]), **below.get(start_us, {})}
            for start_us in sorted(counts)
            if counts[start_us] >= asked.options["min_doc_count"]
        ]
    }


def number_answer(asked: Aggregation, counts: Counts, below: Mapping[Any, Answers]) -> Answers:
    return {
        "buckets": [
            {"key": key, "doc_count": counts[key], **below.get(key, {})}
            for key in sorted(counts)
            if counts[key] >= asked.options["min_doc_count"]
        ]
    }


def terms_answer(asked: Aggregation, counts: Counts, below: Mapping[Any, Answers]) -> Answers:
    found = sorted((key, count) for key, count in counts.items() if count >= asked.options["min_doc_count"])
    for by, direction in reversed(asked.options["orders"]):
        found = _sorted(asked, found, by, direction, below)
    kept = found[: asked.options["size"]]
    is_time = asked.field in TIME_FIELDS
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(count for _, count in found) - sum(count for _, count in kept),
        "buckets": [
            {
                "key": key,
                **({"key_as_string": iso_ms(key * 1000)} if is_time else {}),
                "doc_count": count,
                **below.get(key, {}),
            }
            for key, count in kept
        ],
    }


def _sorted(
    asked: Aggregation, found: list[tuple[Any, int]], by: str, direction: str, below: Mapping[Any, Answers]
) -> list[tuple[Any, int]]:
    """Stable: of equal ones the smaller key stays first. What has no figure comes last in either order."""
    ranked = [(_rank(asked, by, key, count, below.get(key, {})), key, count) for key, count in found]
    known = sorted(
        (each for each in ranked if each[0] is not None), key=lambda each: each[0], reverse=direction == "desc"
    )
    return [(key, count) for _, key, count in [*known, *(each for each in ranked if each[0] is None)]]


def _rank(asked: Aggregation, by: str, key: Any, count: int, below: Mapping[str, Any]) -> Any:
    if by in ("_key", "_term"):
        return key
    if by == "_count":
        return count
    name, _, part = by.replace("[", ".").replace("]", "").partition(".")
    answer = below.get(name)
    if answer is None:
        return None
    figures = answer.get("values", answer)
    if isinstance(figures, list):
        figures = {str(each["key"]): each["value"] for each in figures}
    members = (part, f"{part}.0") if part else ("value", "doc_count")
    member = next((each for each in members if each in figures), None)
    if member is None or isinstance(figures[member], dict | list):
        raise QueryError(f"terms of {asked.name!r}: {by!r} is no figure to order by")
    return figures[member]
