"""Answers with what is said of no event: empty buckets in the gaps, and figures of nothing below them.

Here all buckets of an answer are counted, after `terms` was cut to its size, as Elasticsearch counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from tailrace.errors import QueryError
from tailrace.serve.elasticsearch.aggregation_tree import METRIC_KINDS, Aggregation
from tailrace.serve.elasticsearch.buckets import BUCKETS_MAX, Answers, TooManyBuckets, date_bucket
from tailrace.serve.elasticsearch.metrics import metric_answer


def completed(asked: Sequence[Aggregation], found: Mapping[str, Any]) -> Answers:
    """`found`: the answers to these that have an event, by name. Raises `TooManyBuckets` past BUCKETS_MAX."""
    return _Completion().below(asked, found)


class _Completion:
    def __init__(self) -> None:
        self._room = BUCKETS_MAX

    def below(self, asked: Sequence[Aggregation], found: Mapping[str, Any]) -> Answers:
        return {each.name: self._answer(each, found.get(each.name)) for each in asked}

    def _answer(self, asked: Aggregation, given: Any) -> Answers:
        # A name may be that of a member of the bucket, which is no answer.
        found: Answers | None = given if isinstance(given, dict) else None
        if asked.kind in METRIC_KINDS:
            return metric_answer(asked, None) if found is None else found
        if asked.kind == "filter":
            return self._bucket(asked, found or {"doc_count": 0})
        if asked.kind == "filters":
            return {"buckets": self._filters(asked, None if found is None else found["buckets"])}
        buckets: list[Answers] = [] if found is None else found["buckets"]
        if asked.kind == "terms":
            nothing = {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0}
            return {**(found or nothing), "buckets": [self._bucket(asked, bucket) for bucket in buckets]}
        if asked.options["min_doc_count"] == 0:
            filled = _dates_filled if asked.kind == "date_histogram" else _numbers_filled
            buckets = filled(asked, buckets, self._room)
        return {"buckets": [self._bucket(asked, bucket) for bucket in buckets]}

    def _filters(self, asked: Aggregation, found: Any) -> Any:
        if asked.filters[0].name is None:
            return [self._bucket(asked, bucket) for bucket in found or [{"doc_count": 0}] * len(asked.filters)]
        buckets = found or {str(each.name): {"doc_count": 0} for each in asked.filters}
        return {name: self._bucket(asked, bucket) for name, bucket in buckets.items()}

    def _bucket(self, asked: Aggregation, bucket: Answers) -> Answers:
        self._room -= 1
        if self._room < 0:
            raise TooManyBuckets
        return {**bucket, **self.below(asked.below, bucket)}


def _dates_filled(asked: Aggregation, found: list[Answers], room: int) -> list[Answers]:
    buckets = asked.options["buckets"]
    low_us, high_us = asked.options["bounds_us"]
    by_start = {bucket["key"] * 1000: bucket for bucket in found}
    known = sorted(by_start)
    try:
        first = min([*known[:1], *([] if low_us is None else [buckets.start_of(low_us)])], default=None)
        last = max([*known[-1:], *([] if high_us is None else [high_us])], default=None)
        if first is None or last is None:
            return found
        # DuckDB and Python may know different changes of a zone's clocks: what was counted is told in any case.
        starts = sorted({*islice(buckets.starts(first, last), room + 1), *known})
        if len(starts) > room:
            raise TooManyBuckets
        return [by_start.get(start_us) or date_bucket(asked, start_us, 0) for start_us in starts]
    except OverflowError as error:
        raise QueryError(f"date_histogram of {asked.name!r}: buckets leave the years 1 to 9999") from error


def _numbers_filled(asked: Aggregation, found: list[Answers], room: int) -> list[Answers]:
    if not found:
        return found
    interval, first = asked.options["interval"], found[0]["key"]
    steps = (found[-1]["key"] - first) / interval
    # What is past the largest number is none, and compares so.
    if not steps < room:
        raise TooManyBuckets
    by_step = {round((bucket["key"] - first) / interval): bucket for bucket in found}
    return [by_step.get(step) or {"key": first + step * interval, "doc_count": 0} for step in range(round(steps) + 1)]
