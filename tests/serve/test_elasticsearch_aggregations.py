"""Aggregations: their buckets where clocks change, their bounds, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from tailrace.errors import QueryError
from tailrace.serve.elasticsearch import completed as completion
from tailrace.serve.elasticsearch.aggregation_tree import aggregations_of
from tailrace.serve.elasticsearch.buckets import TooManyBuckets
from tailrace.serve.elasticsearch.completed import completed
from tailrace.serve.elasticsearch.date_buckets import date_buckets
from tests.serve.conftest import NOW_US, House, stored

MINUTE_US = 60_000_000
NOW_MS = NOW_US // 1000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def answer(house: House, aggregations: dict[str, Any], query: dict[str, Any] | None = None) -> Any:
    body = {"size": 0, "aggs": aggregations, "query": query or {"match_all": {}}}
    return house.client().request("POST", "/_search", json=body)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "+05:30"])
def test_python_and_duckdb_agree_where_buckets_start(zone: str | None) -> None:
    """For each tenth minute around the changes of the clocks: and every start is one of those in the gaps."""
    days = ("2025-03-30", "2025-04-05", "2025-10-04", "2025-10-26")
    times = [us(day) + minute * MINUTE_US for day in days for minute in range(0, 1440, 10)]
    intervals = [
        *({"fixed_interval": text} for text in ("30m", "1h", "3h", "2d")),
        *({"calendar_interval": text} for text in ("hour", "day", "week", "month", "quarter")),
    ]
    asked = [date_buckets({**interval, "time_zone": zone, "offset": "-20m"}) for interval in intervals]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        starts = ", ".join(buckets.sql("t") for buckets in asked)
        rows = connection.execute(f"SELECT {starts} FROM (SELECT unnest(?) AS t)", [times]).fetchall()
    for interval, buckets, found in zip(intervals, asked, zip(*rows, strict=True), strict=True):
        assert list(found) == [buckets.start_of(time) for time in times], interval
        assert all(start <= time for start, time in zip(found, times, strict=True)), interval
        assert set(found) <= set(buckets.starts(found[0], found[-1])), interval


def test_a_bucket_of_months_starts_at_its_offset() -> None:
    """Also where that is in the month before."""
    buckets = date_buckets({"calendar_interval": "month", "offset": "-3h"})
    starts = list(buckets.starts(us("2025-01-31T21:00"), us("2025-05-01")))
    assert starts == [us(f"2025-{day}T21:00") for day in ("01-31", "02-28", "03-31", "04-30")]


@pytest.mark.slow
def test_buckets_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of an answer together, however they come about: a request of a hundred bytes must not fill the memory."""
    monkeypatch.setattr(completion, "BUCKETS_MAX", 600)
    house.hot.put([stored([{"attributes": {"n": str(row)}} for row in range(40)])])

    def seconds(count: int) -> dict[str, Any]:
        bounds = {"min": NOW_MS - count * 1000, "max": NOW_MS - 1}
        return {"date_histogram": {"field": "@timestamp", "fixed_interval": "1s", "extended_bounds": bounds}}

    numbers = {"terms": {"field": "n", "size": 100}}
    every = {"range": {"@timestamp": {"gte": NOW_MS - 86_400_000, "lte": NOW_MS}}}
    assert answer(house, {"a": {**numbers, "aggs": {"b": seconds(10)}}}, every).status_code == 200
    for refused, query in (
        ({**numbers, "aggs": {"b": seconds(20)}}, every),
        ({**seconds(30), "aggs": {"b": seconds(30)}}, every),
        ({**seconds(30), "aggs": {"b": seconds(30)}}, {"match_none": {}}),
        (seconds(601), {"match_none": {}}),
    ):
        told = answer(house, {"a": refused}, query).json()["error"]
        assert told["type"] == "too_many_buckets_exception", refused


def test_buckets_that_a_size_cuts_off_are_not_counted() -> None:
    """Of a thousand hosts the ten that are shown have their gaps filled, as in Elasticsearch."""
    below = {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1s"}}}
    asked = aggregations_of({"h": {"terms": {"field": "host"}, "aggs": below}}, now_us=NOW_US)
    ends = [{"key": key, "key_as_string": "", "doc_count": 1} for key in (0, 6_000_000)]
    hosts = [{"key": f"host-{number}", "doc_count": 2, "t": {"buckets": ends}} for number in range(11)]
    found = completed(asked, {"h": {"buckets": hosts[:10]}})
    assert [len(bucket["t"]["buckets"]) for bucket in found["h"]["buckets"]] == [6001] * 10
    with pytest.raises(TooManyBuckets):
        completed(asked, {"h": {"buckets": hosts}})


@pytest.mark.slow
def test_values_that_are_no_finite_numbers_are_in_no_bucket(house: House) -> None:
    """NaN and infinity are texts that some databases take for numbers."""
    texts = ("nan", "inf", "-Infinity", "many", "7", "1e308")
    house.hot.put([stored([{"attributes": {"n": text}} for text in texts])])
    histogram = {"field": "n", "interval": 5, "min_doc_count": 1}
    found = answer(house, {"a": {"histogram": histogram}}).json()["aggregations"]["a"]["buckets"]
    assert [bucket["doc_count"] for bucket in found] == [1, 1]
    assert answer(house, {"a": {"histogram": {**histogram, "min_doc_count": 0}}}).status_code == 400


def test_what_has_no_figure_comes_last_in_either_order(house: House) -> None:
    """As Elasticsearch has it of averages."""
    rows = [{"service": name, "attributes": {"n": text}} for name, text in (("a", "x"), ("b", "1"), ("c", "2"))]
    house.hot.put([stored(rows)])
    for direction, expected in (("asc", "bca"), ("desc", "cba")):
        terms = {"terms": {"field": "service", "order": {"m": direction}}, "aggs": {"m": {"avg": {"field": "n"}}}}
        found = answer(house, {"s": terms}).json()["aggregations"]["s"]["buckets"]
        assert "".join(bucket["key"] for bucket in found) == expected


DATES = {"field": "@timestamp", "fixed_interval": "1m"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"filters": {"filters": {}}}, "list of queries"),
    ({"filters": {"filters": {"x": {"match_all": {}}}, "other_bucket": True}}, "'other_bucket'"),
    ({"histogram": {"field": "n", "interval": 5, "offset": "abc"}}, "offset has to be a number"),
    ({"histogram": {"field": "n", "interval": 5, "offset": "nan"}}, "offset has to be a number"),
    ({"histogram": {"field": "n", "interval": 0}}, "interval has to be a number above 0"),
    ({"histogram": {"field": "n", "interval": 5, "keyed": True}}, "'keyed'"),
    ({"histogram": {"field": "n", "interval": 5, "min_doc_count": "x"}}, "min_doc_count has to be"),
    ({"terms": {"field": "n", "size": "x"}}, "size has to be a whole number from 1"),
    ({"terms": {"field": "n", "size": -1}}, "size has to be a whole number from 1"),
    ({"terms": {"field": "n", "order": "desc"}}, "the order is an object"),
    ({"terms": {"field": "n", "order": {"_count": "down"}}}, "the order is an object"),
    ({"terms": {"field": "n", "include": "a.*"}}, "'include'"),
    ({"terms": {"field": "@timestamp", "missing": "x"}}, "'missing'"),
    ({"date_histogram": {**DATES, "extended_bounds": 5}}, "extended_bounds"),
    ({"date_histogram": {**DATES, "fixed_interval": "999999999d"}}, "10,000 years"),
    ({"date_histogram": {**DATES, "format": "yyyy"}}, "'yyyy'"),
    ({"date_histogram": {**DATES, "time_zone": "+99:00"}}, "no time zone"),
    ({"date_histogram": {**DATES, "time_zone": "posix/UTC"}}, "no time zone"),
    ({"date_histogram": {**DATES, "field": "n"}}, "is not a time"),
    ({"avg": {"field": "n", "missing": 0}}, "'missing'"),
    ({"avg": {"field": "n", "script": "1"}}, "'script'"),
    ({"percentiles": {"field": "n", "percents": "59"}}, "percents are a list"),
]


def test_what_an_aggregation_cannot_do_is_told_before_anything_is_read() -> None:
    """By its name, whatever type the value has; a server that answers 500 is taken for a broken one."""
    for each, reason in WRONG:
        with pytest.raises(QueryError) as caught:
            aggregations_of({"a": each}, now_us=NOW_US)
        assert reason in str(caught.value), each
    many = {str(number): {"avg": {"field": "n"}} for number in range(501)}
    with pytest.raises(QueryError, match="more than 500"):
        aggregations_of(many, now_us=NOW_US)


def test_an_order_by_what_is_no_figure_is_refused(house: House) -> None:
    """Percentiles that were not asked for, and members that are objects."""
    house.hot.put([stored([{"attributes": {"n": "1"}}])])
    for by, below in (
        ("p.98", {"percentiles": {"field": "n"}}),
        ("p.std_deviation_bounds", {"extended_stats": {"field": "n"}}),
        ("p.depth", {"stats": {"field": "n"}}),
    ):
        told = answer(house, {"a": {"terms": {"field": "n", "order": {by: "desc"}}, "aggs": {"p": below}}})
        assert told.status_code == 400
        assert "no figure" in told.json()["error"]["reason"]


def test_bounds_out_of_time_are_refused(house: House) -> None:
    """Calendars end with the year 9999."""
    bounds = {"min": NOW_MS, "max": 253_402_300_799_000}
    calendar = {"field": "@timestamp", "calendar_interval": "1y", "extended_bounds": bounds}
    told = answer(house, {"a": {"date_histogram": calendar}})
    assert "the years 1 to 9999" in told.json()["error"]["reason"]
