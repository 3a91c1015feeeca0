"""The search API of Elasticsearch: the same answers as from a real Elasticsearch that has the same events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from deploy.local.elasticsearch import Elasticsearch

from tests.serve.conftest import NOW_US, Client, House, many, stored

COUNT = 400
INDEX = "same-events"
CLOCKS_INDEX = "same-clocks"
MINUTE_MS = 60_000
NOW_MS = NOW_US // 1000
FIRST_MS = NOW_MS - (COUNT - 1) * 1000

MAPPING = {
    "properties": {
        "@timestamp": {"type": "date"},
        "message": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "latency_ms": {"type": "double"},
        **{name: {"type": "keyword"} for name in ("level", "service", "host", "http.status")},
    }
}


def last_minutes(minutes: int) -> dict[str, Any]:
    low = NOW_MS - minutes * MINUTE_MS
    return {"range": {"@timestamp": {"gte": low, "lte": NOW_MS, "format": "epoch_millis"}}}


QUERIES: list[dict[str, Any]] = [
    {"match_all": {}},
    {"match_none": {}},
    {"query_string": {"query": "*", "analyze_wildcard": True}},
    {"query_string": {"query": "service:pay AND level:ERROR"}},
    {"query_string": {"query": "service:(pay OR web) AND NOT host:host-1"}},
    {"query_string": {"query": '"request 17"'}},
    {"query_string": {"query": "service:p*"}},
    {"query_string": {"query": "latency_ms:>=390"}},
    {"query_string": {"query": "latency_ms:[10 TO 20}"}},
    {"query_string": {"query": "_exists_:service"}},
    {"term": {"service": "pay"}},
    {"term": {"service": {"value": "web"}}},
    {"term": {"message": "17"}},
    {"terms": {"service": ["pay", "auth", "none"]}},
    {"match": {"message": "request 17"}},
    {"match": {"message": {"query": "request 17", "operator": "and"}}},
    {"match": {"service": "pay"}},
    {"match_phrase": {"message": "took long"}},
    {"multi_match": {"query": "17", "fields": ["message"]}},
    {"exists": {"field": "http.status"}},
    {"exists": {"field": "nothing"}},
    {"prefix": {"service": "pa"}},
    {"prefix": {"service": {"value": "w"}}},
    {"wildcard": {"service": {"value": "?ay"}}},
    {"wildcard": {"host": "host*"}},
    {"regexp": {"service": "(pay|web)"}},
    {"range": {"latency_ms": {"gt": 395}}},
    {"range": {"@timestamp": {"gte": "2025-03-28T09:58:00Z", "lt": "2025-03-28T09:59:00.000Z"}}},
    {"range": {"@timestamp": {"gt": "2025-03-28T09:59:58Z"}}},
    {"range": {"@timestamp": {"lte": "2025-03-28||/d"}}},
    {"range": {"@timestamp": {"gte": "2025-03-28T10:00:00Z||-2m", "lt": "2025-03-28T10:00:00Z||-1m/m"}}},
    {"bool": {"filter": [last_minutes(2), {"query_string": {"query": "level:WARN"}}]}},
    {"bool": {"must": {"term": {"service": "pay"}}, "must_not": [{"term": {"host": "host-0"}}]}},
    {"bool": {"should": [{"term": {"service": "pay"}}, {"term": {"service": "web"}}]}},
    {"bool": {"must": [{"term": {"level": "WARN"}}], "should": [{"term": {"service": "pay"}}]}},
    {
        "bool": {
            "filter": [{"match_all": {}}],
            "should": [{"term": {"service": "pay"}}, {"term": {"level": "ERROR"}}],
            "minimum_should_match": 1,
        }
    },
    {"constant_score": {"filter": {"term": {"service": "auth"}}}},
]

BY_SERVICE = {"terms": {"field": "service", "size": 10}}
AGGREGATIONS: list[dict[str, Any]] = [
    {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 0}}},
    {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "30s"}, "aggs": {"s": BY_SERVICE}}},
    {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "7s", "min_doc_count": 1, "offset": "+2s"}}},
    {"t": {"date_histogram": {"field": "@timestamp", "calendar_interval": "minute"}, "aggs": {"s": BY_SERVICE}}},
    {"t": {"date_histogram": {"field": "@timestamp", "calendar_interval": "1d", "time_zone": "Asia/Kolkata"}}},
    {"t": {"date_histogram": {"field": "@timestamp", "calendar_interval": "month", "time_zone": "-03:00"}}},
    {
        "t": {
            "date_histogram": {
                "field": "@timestamp",
                "fixed_interval": "2m",
                "min_doc_count": 0,
                "extended_bounds": {"min": FIRST_MS - 5 * MINUTE_MS, "max": NOW_MS + 3 * MINUTE_MS},
            },
            "aggs": {"a": {"avg": {"field": "latency_ms"}}},
        }
    },
    {"s": BY_SERVICE},
    {"s": {"terms": {"field": "service", "size": 2}}},
    {"s": {"terms": {"field": "service", "order": {"_key": "desc"}}}},
    {"s": {"terms": {"field": "level", "order": {"_count": "asc"}}, "aggs": {"h": {"terms": {"field": "host"}}}}},
    {"s": {"terms": {"field": "service", "order": {"x": "desc"}}, "aggs": {"x": {"max": {"field": "latency_ms"}}}}},
    {"s": {"terms": {"field": "absent", "missing": "none"}}},
    {"e": {"extended_stats": {"field": "latency_ms", "sigma": 3}}},
    {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "2m", "format": "epoch_millis"}}},
    {
        "p": {
            "terms": {"field": "level", "order": [{"x.max": "asc"}, {"_key": "desc"}]},
            "aggs": {"x": {"stats": {"field": "latency_ms"}}, "n": {"filter": {"term": {"service": "none"}}}},
        }
    },
    {"h": {"histogram": {"field": "latency_ms", "interval": 50}}},
    {"h": {"histogram": {"field": "latency_ms", "interval": 75, "offset": 10, "min_doc_count": 1}}},
    {
        "f": {
            "filters": {
                "filters": {
                    "pay": {"query_string": {"query": "service:pay"}},
                    "late": {"range": {"latency_ms": {"gte": 300}}},
                    "none": {"term": {"service": "none"}},
                }
            },
            "aggs": {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "2m"}}},
        }
    },
    {"f": {"filter": {"term": {"service": "pay"}}, "aggs": {"m": {"min": {"field": "latency_ms"}}}}},
    {
        "a": {"avg": {"field": "latency_ms"}},
        "b": {"min": {"field": "latency_ms"}},
        "c": {"max": {"field": "@timestamp"}},
        "d": {"sum": {"field": "latency_ms"}},
        "e": {"value_count": {"field": "service"}},
        "f": {"cardinality": {"field": "service"}},
        "g": {"stats": {"field": "latency_ms"}},
    },
    {"a": {"avg": {"field": "absent"}}, "s": {"stats": {"field": "absent"}}, "v": {"sum": {"field": "absent"}}},
    {"a": {"terms": {"field": "service"}, "aggs": {"b": {"terms": {"field": "absent"}}}}},
]


CLOCKS = [
    {"t": {"date_histogram": {"field": "@timestamp", **interval, "time_zone": zone, "min_doc_count": 0}}}
    for zone in ("Europe/Berlin", "America/New_York", "-03:30")
    for interval in (
        {"fixed_interval": "1h"},
        {"fixed_interval": "30m", "offset": "+10m"},
        {"fixed_interval": "3h"},
        {"calendar_interval": "hour"},
        {"calendar_interval": "day"},
        {"calendar_interval": "week", "offset": "-1d"},
        {"calendar_interval": "month", "offset": "-3h"},
        {"calendar_interval": "quarter"},
    )
]


def clocks_changed() -> list[int]:
    """Times, in microseconds, in the hours around changes of the clocks, in Berlin and in New York."""
    days = ("2025-03-09", "2025-03-30", "2025-10-26", "2025-11-02")
    starts = [int(datetime.fromisoformat(f"{day}T00:00Z").timestamp()) for day in days]
    return [
        (start + hour * 3600 + minute * 60) * 1_000_000
        for start in starts
        for hour in range(9)
        for minute in (5, 25, 45)
    ]


@pytest.fixture
def ours(house: House) -> Client:
    house.hot.put([many(COUNT)])
    return house.client()


@pytest.fixture(scope="module")
def theirs(elasticsearch: Elasticsearch) -> Iterator[httpx.Client]:
    """A real one with the same events."""
    lines = []
    for row, event in enumerate(many(COUNT).to_pylist()):
        document = {
            "@timestamp": FIRST_MS + row * 1000,
            **{name: event[name] for name in ("message", "level", "service", "host")},
            **dict(event["attributes"]),
        }
        lines += [json.dumps({"index": {"_id": str(row)}}), json.dumps(document)]
    clocks = [line for us in clocks_changed() for line in ('{"index":{}}', json.dumps({"@timestamp": us // 1000}))]
    with httpx.Client(base_url=elasticsearch.url, timeout=60) as client:
        for index, body in ((INDEX, lines), (CLOCKS_INDEX, clocks)):
            client.delete(f"/{index}")
            assert client.put(f"/{index}", json={"mappings": MAPPING}).status_code == 200
            content = "\n".join(body) + "\n"
            headers = {"content-type": "application/x-ndjson"}
            loaded = client.post(f"/{index}/_bulk?refresh=true", content=content, headers=headers).json()
            assert loaded["errors"] is False
        yield client
        client.delete(f"/{INDEX},{CLOCKS_INDEX}")


@pytest.mark.slow
def test_every_query_finds_what_elasticsearch_finds(ours: Client, theirs: httpx.Client) -> None:
    """Of each query: the number of hits, and the first hundred of them in order."""
    for query in QUERIES:
        body = {"query": query, "size": 100, "sort": [{"@timestamp": "desc"}], "track_total_hits": True}
        found = ours.request("POST", "/_search", json=body)
        expected = theirs.post(f"/{INDEX}/_search", json=body).json()
        assert found.status_code == 200, (query, found.text)
        answer = found.json()
        assert answer["hits"]["total"] == expected["hits"]["total"], query
        assert [hit["_source"]["message"] for hit in answer["hits"]["hits"]] == [
            hit["_source"]["message"] for hit in expected["hits"]["hits"]
        ], query
        assert [hit["sort"] for hit in answer["hits"]["hits"]] == [hit["sort"] for hit in expected["hits"]["hits"]]
        counted = ours.request("POST", "/_count", json={"query": query}).json()
        assert counted["count"] == expected["hits"]["total"]["value"]


@pytest.mark.slow
def test_every_aggregation_answers_as_elasticsearch(ours: Client, theirs: httpx.Client) -> None:
    """To the letter, numbers to a billionth."""
    for aggregations in AGGREGATIONS:
        body = {"size": 0, "query": {"match_all": {}}, "aggs": aggregations}
        found = ours.request("POST", "/_search", json=body)
        expected = theirs.post(f"/{INDEX}/_search", json=body).json()
        assert found.status_code == 200, (aggregations, found.text)
        assert rounded(found.json()["aggregations"]) == rounded(expected["aggregations"]), aggregations


@pytest.mark.slow
def test_histograms_are_right_where_clocks_are_changed(house: House, theirs: httpx.Client) -> None:
    """The hour that comes twice is two buckets, the one that does not come is none."""
    house.hot.put([stored([{"timestamp": us} for us in clocks_changed()])])
    client = house.client()
    for aggregations in CLOCKS:
        # A span for each change, so that not all hours of a year are buckets.
        for first, last in (("2025-03-08", "2025-03-31"), ("2025-10-25", "2025-11-03")):
            query = {"range": {"@timestamp": {"gte": first, "lt": last}}}
            body = {"size": 0, "query": query, "aggs": aggregations}
            found = client.request("POST", "/_search", json=body).json()
            expected = theirs.post(f"/{CLOCKS_INDEX}/_search", json=body).json()
            assert found["aggregations"] == expected["aggregations"], (aggregations, first)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def test_percentiles_are_exact(ours: Client) -> None:
    """Of 0 to 399 the median is 199.5."""
    body = {"size": 0, "aggs": {"p": {"percentiles": {"field": "latency_ms", "percents": [50, 100]}}}}
    answer = ours.request("POST", "/_search", json=body).json()
    assert answer["aggregations"]["p"]["values"] == {"50.0": 199.5, "100.0": 399.0}


def test_pages_by_search_after_have_every_event_once(house: House) -> None:
    """Also where many events share a millisecond."""
    rows = [{"timestamp": NOW_US + row // 7, "message": str(row)} for row in range(50)]
    house.hot.put([stored(rows)])
    client = house.client()
    seen: list[str] = []
    after: list[Any] | None = None
    while True:
        body: dict[str, Any] = {"size": 9, "sort": [{"@timestamp": {"order": "desc"}}, {"_doc": {"order": "desc"}}]}
        if after:
            body["search_after"] = after
        hits = client.request("POST", "/_search", json=body).json()["hits"]["hits"]
        if not hits:
            break
        seen += [hit["_source"]["message"] for hit in hits]
        after = hits[-1]["sort"]
    assert seen == [str(row) for row in reversed(range(50))]


def test_what_a_query_finds_is_marked(ours: Client) -> None:
    """The words of the query, in the tags that were asked for, and nothing beside them."""
    body = {
        "query": {"query_string": {"query": 'took AND NOT level:INFO AND "request 399"'}},
        "highlight": {"fields": {"*": {}}, "pre_tags": ["@H@"], "post_tags": ["@/H@"]},
    }
    (hit,) = ours.request("POST", "/_search", json=body).json()["hits"]["hits"]
    assert hit["highlight"] == {"message": ['@H@request 399@/H@ "@H@took@/H@" long, twice']}


def test_several_searches_in_one_request(ours: Client) -> None:
    """As Grafana asks: a wrong one answers with its error, and the others with what they found."""
    wrong = {"query": {"fuzzy": {"service": "pai"}}}
    volume = {"size": 0, "aggs": AGGREGATIONS[0]}
    lines = [{"index": ["logs-*"]}, {"size": 1}, {"index": "*"}, wrong, {"ignore_unavailable": True}, volume]
    body = "\n".join(map(json.dumps, lines)) + "\n"
    answer = ours.request("POST", "/_msearch", content=body).json()
    nothing, error, histogram = answer["responses"]
    assert (nothing["status"], nothing["hits"]["total"]["value"]) == (200, 0)
    assert error["status"] == 400
    assert "'fuzzy' is not supported" in error["error"]["reason"]
    assert len(histogram["aggregations"]["t"]["buckets"]) == 8


def test_the_line_with_the_index_may_say_nothing(ours: Client) -> None:
    """It may be blank, or its index null; then the index is that of the address."""
    body = '\n{"size":0}\n{"index":null}\n{"size":0}\n \n{"size":0,"query":{"match_none":{}}}\n\n'
    answers = [ours.request("POST", f"{path}/_msearch", content=body).json() for path in ("", "/none")]
    totals = [[each["hits"]["total"]["value"] for each in answer["responses"]] for answer in answers]
    assert totals == [[COUNT, COUNT, 0], [0, 0, 0]]


def test_an_index_is_where_the_event_came_in(house: House) -> None:
    """`_index` and `_id` of a bulk request are those of the hit; `*`, `_all` and `tailrace` are all events."""
    rows: list[dict[str, Any]] = [
        {"message": "a", "attributes": {"_index": "web-1", "_id": "x"}},
        {"message": "b", "attributes": {"_index": "db"}},
        {"message": "c"},
    ]
    house.hot.put([stored(rows)])
    client = house.client()
    found = {
        index: sorted(hit["_source"]["message"] for hit in client.get(f"/{index}/_search").json()["hits"]["hits"])
        for index in ("web-*", "db,web-1", "none", "*", "_all", "tailrace")
    }
    every = ["a", "b", "c"]
    assert found == {"web-*": ["a"], "db,web-1": ["a", "b"], "none": [], "*": every, "_all": every, "tailrace": every}
    (hit,) = client.get("/web-1/_search").json()["hits"]["hits"]
    assert (hit["_index"], hit["_id"]) == ("web-1", "x")
    assert "_id" not in hit["_source"]


def test_fields_are_told_with_what_can_be_done_with_them(ours: Client) -> None:
    """Attributes and columns are keywords, the message is text, and the time a date."""
    fields = ours.get("/_field_caps?fields=*").json()["fields"]
    assert fields["@timestamp"]["date"]["aggregatable"]
    assert not fields["message"]["text"]["aggregatable"]
    assert fields["http.status"]["keyword"]["searchable"]
    properties = ours.get("/logs-*/_mapping").json()["tailrace"]["mappings"]["properties"]
    assert properties["service"] == {"type": "keyword"}
    assert properties["@timestamp"] == {"type": "date"}


def test_parameters_that_would_change_the_answer_are_not_left_out(ours: Client) -> None:
    """A client that asks for a scroll would take an answer without one for the last page."""
    for parameter in ("scroll=1m", "typed_keys=true", "size=" + "9" * 5000, "sort=service:asc"):
        answer = ours.get(f"/_search?{parameter}")
        assert answer.status_code == 400
        assert parameter.partition("=")[0] in answer.json()["error"]["reason"]


def test_an_address_may_say_what_a_body_says(ours: Client) -> None:
    """It wins over the body; what only says how nodes share the work is left out."""
    address = "/_search?q=service:pay&size=2&from=1&sort=@timestamp:asc&_source=level&track_total_hits=false"
    hits = ours.request("GET", f"{address}&preference=_local&typed_keys=false", json={"size": 9}).json()["hits"]
    assert "total" not in hits
    assert [hit["_source"] for hit in hits["hits"]] == [{"level": "INFO"}, {"level": "ERROR"}]
    assert ours.get("/_count?q=service:pay").json()["count"] == 133


def test_sorted_by_an_object_of_names(house: House) -> None:
    """As Grafana writes it: the order of the time counts, whatever stands before it, and a page ends within it."""
    house.hot.put([stored([{"timestamp": NOW_US + row // 2, "message": str(row)} for row in range(4)])])
    sort = {"_doc": {"order": "asc"}, "timestamp": {"order": "asc", "unmapped_type": "boolean"}}
    client = house.client()
    hits = client.request("POST", "/_search", json={"sort": sort, "size": 3}).json()["hits"]["hits"]
    assert [hit["_source"]["message"] for hit in hits] == ["0", "1", "2"]
    after = client.request("POST", "/_search", json={"sort": sort, "search_after": hits[-1]["sort"]}).json()
    assert [hit["_source"]["message"] for hit in after["hits"]["hits"]] == ["3"]


def test_the_end_of_time_is_no_bound(ours: Client) -> None:
    """The years 1 and 9999, as some programs write that there is none."""
    for bounds in ({"lte": "9999-12-31"}, {"gte": "0001-01-01T00:00+01:00", "lt": "9999"}, {"lte": 253402300799998}):
        answer = ours.request("POST", "/_count", json={"query": {"range": {"@timestamp": bounds}}})
        assert answer.json()["count"] == COUNT, bounds
    assert ours.request("POST", "/_count", json={"query": {"term": {"@timestamp": "9999"}}}).json()["count"] == 0


def test_fields_may_be_one_name_and_have_weights(ours: Client) -> None:
    """A name alone is no list of letters, and weights are for scores, which there are not."""
    for query in (
        {"query_string": {"query": "17", "fields": ["message^3"]}},
        {"query_string": {"query": "17", "fields": "message"}},
        {"multi_match": {"query": "17", "fields": "message"}},
    ):
        assert ours.request("POST", "/_count", json={"query": query}).json()["count"] == 1, query


def test_marking_takes_no_time(house: House) -> None:
    """A pattern of many runs is not tried in all ways on a word that it nearly fits; one that fits is marked."""
    house.hot.put([stored([{"message": f"b {'a' * 5000} xay-b--c"}])])
    body = {
        "query": {"query_string": {"query": f"b OR {'*a' * 9}*d OR *a?-*--c*"}},
        "highlight": {"fields": [{"message": {}}], "pre_tags": "<", "post_tags": [">"]},
    }
    (hit,) = house.client().request("POST", "/_search", json=body).json()["hits"]["hits"]
    assert hit["highlight"] == {"message": [f"<b> {'a' * 5000} <xay-b--c>"]}


WRONG: list[tuple[Any, str]] = [
    ({"query": {"fuzzy": {"a": "b"}}}, "'fuzzy' is not supported"),
    ({"query": {"bool": {"must": [{"script": {}}]}}}, "'script' is not supported"),
    ({"query": {"query_string": {"query": "a AND"}}}, "a term must follow"),
    ({"query": {"range": {"@timestamp": {"gte": "soon"}}}}, "'soon' is not a time"),
    ({"query": {"range": {"@timestamp": {"above": 1}}}}, "no 'above'"),
    ({"aggs": {"x": {"significant_terms": {"field": "service"}}}}, "'significant_terms' of 'x'"),
    ({"aggs": {"x": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1x"}}}}, "'1x'"),
    ({"aggs": {"x": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms"}}}}, "more than 65,535"),
    ({"aggs": {"x": {"terms": {"field": "service", "order": {"y": "asc"}}}}}, "no 'y' to order by"),
    ({"sort": [{"service": "asc"}]}, "sort on 'service'"),
    ({"size": 10_001}, "hit 10,000"),
    ({"suggest": {}}, "'suggest'"),
    ({"size": -1}, "whole number"),
    ([], "an object"),
    ({"sort": ["_id"]}, "sort on '_id'"),
    ({"sort": {"@timestamp": "asc", "service": "asc"}}, "sort on 'service'"),
    ({"_source": {"includes": [1]}}, "names in _source"),
    ({"query": {"match": {"message": {"query": "a b", "minimum_should_match": 2}}}}, "'minimum_should_match'"),
    ({"query": {"match_phrase": {"message": {"query": "a b", "slop": 2}}}}, "'slop' is not"),
    ({"query": {"multi_match": {"query": "a", "type": "cross_fields"}}}, "'cross_fields' is not"),
    ({"query": {"multi_match": {"query": "a", "fields": 5}}}, "list of names"),
    ({"query": {"range": {"@timestamp": {"gte": "9" * 5000}}}}, "years 1 and 9999"),
    ({"query": {"range": {"@timestamp": {"gte": "9" * 400, "format": "epoch_millis"}}}}, "years 1 and 9999"),
    ({"query": {"range": {"@timestamp": {"gte": 1e300}}}}, "years 1 and 9999"),
]


def test_what_is_not_supported_is_named(ours: Client) -> None:
    """As an error in Elasticsearch's shape, with status 400."""
    for body, reason in WRONG:
        answer = ours.request("POST", "/_search", json=body)
        assert answer.status_code == 400, body
        assert answer.headers["x-elastic-product"] == "Elasticsearch"
        assert reason in answer.json()["error"]["reason"], body
