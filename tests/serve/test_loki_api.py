"""The shapes, parameters and errors of Loki's query API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tailrace.serve.loki import answers, evaluate, series
from tests.query.logql_events import NOW_US, SECOND_US, events
from tests.serve.conftest import Client, House, stored
from tests.serve.loki_house import loki_client

START, END = (NOW_US - 300 * SECOND_US) * 1000, NOW_US * 1000 + 1000
SPAN = {"start": START, "end": END}
ALL = '{service_name=~".+"}'


@pytest.fixture(scope="module")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield from loki_client(tmp_path_factory)


def ask(loki: Client, path: str, **parameters: Any) -> Any:
    answer = loki.get(f"/loki/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(loki: Client, path: str, **parameters: Any) -> str:
    """The text of a 400."""
    answer = loki.get(f"/loki/api/v1/{path}", params=parameters)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def test_grafana_saves_and_tests_its_datasource(loki: Client) -> None:
    """`vector(1)+vector(1)` has one sample, of value 2, at the time asked for."""
    data = ask(loki, "query", query="vector(1)+vector(1)", time=4_000_000_000)["data"]
    assert data["resultType"] == "vector"
    assert data["result"] == [{"metric": {}, "value": [4_000_000_000, "2"]}]
    assert data["stats"]["summary"]["totalLinesProcessed"] == 0


def test_streams_have_nanoseconds_as_texts_and_every_label(loki: Client) -> None:
    """Without flags, metadata and parsed labels are labels of the stream."""
    data = ask(loki, "query_range", query='{service_name="auth", host="host-0"} | json', limit=1, **SPAN)["data"]
    assert data["resultType"] == "streams"
    (stream,) = data["result"]
    ((time_ns, line),) = stream["values"]
    assert time_ns.isdecimal()
    assert len(time_ns) == 19
    assert isinstance(line, str)
    assert {"service_name", "host", "detected_level", "http_status"} <= stream["stream"].keys()
    assert "encodingFlags" not in data


def test_grafana_gets_labels_by_category(loki: Client) -> None:
    """With `categorize-labels` the stream has its own labels only, and each line says what else it has."""
    answer = loki.get(
        "/loki/api/v1/query_range",
        params={"query": '{app="shop"} |= "{" | json | pod!=""', **SPAN},
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
    ).json()["data"]
    assert answer["encodingFlags"] == ["categorize-labels"]
    for stream in answer["result"]:
        assert stream["stream"].keys() <= {"app", "env", "level", "service_name"}
        for _, line, labels in stream["values"]:
            assert labels["parsed"]["pod"] == json.loads(line)["pod"]
            assert "detected_level" in labels["structuredMetadata"]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_limit_takes_the_first_lines_of_the_direction(loki: Client, direction: str) -> None:
    """Oldest first or newest first, also where a filter leaves few of many lines."""
    query = f'{ALL} | json | __error__="" | status!=""'
    whole = ask(loki, "query_range", query=query, limit=1000, direction=direction, **SPAN)["data"]["result"]
    some = ask(loki, "query_range", query=query, limit=5, direction=direction, **SPAN)["data"]["result"]
    times = sorted((time_ns for stream in whole for time_ns, _ in stream["values"]), reverse=direction == "backward")
    assert sorted((t for stream in some for t, _ in stream["values"]), reverse=direction == "backward") == times[:5]


def test_the_start_is_included_and_the_end_is_not(loki: Client) -> None:
    """A line at the very start is found, one at the very end is not; for ranges it is the other way round."""
    first = events()[-1]["timestamp"] * 1000
    found = ask(loki, "query_range", query=ALL, start=first, end=first + 1)["data"]["result"]
    assert sum(len(stream["values"]) for stream in found) == 1
    assert ask(loki, "query_range", query=ALL, start=first - 1000, end=first)["data"]["result"] == []
    counted = ask(loki, "query", query=f"sum(count_over_time({ALL}[1s]))", time=first)["data"]["result"]
    assert counted[0]["value"][1] == "1"
    assert ask(loki, "query", query=f"sum(count_over_time({ALL}[1s]))", time=first + 10**9)["data"]["result"] == []


@pytest.mark.parametrize(
    "time",
    [f"{NOW_US * 1000}", f"{NOW_US // SECOND_US}", f"{NOW_US / SECOND_US:.3f}", "2025-03-28T10:00:00Z"],
)
def test_times_are_nanoseconds_seconds_or_rfc_3339(loki: Client, time: str) -> None:
    """All four ways to write the same moment have the same answer."""
    found = ask(loki, "query", query=f"sum(count_over_time({ALL}[1m]))", time=time)["data"]["result"]
    assert found == [{"metric": {}, "value": [NOW_US // SECOND_US, "20"]}]


def test_a_form_is_read_like_a_query_string(loki: Client) -> None:
    """Grafana may be told to POST."""
    form = {"query": f"sum(count_over_time({ALL}[1m]))", "time": str(NOW_US * 1000)}
    answer = loki.request("POST", "/loki/api/v1/query", data=form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["result"][0]["value"][1] == "20"


@pytest.mark.slow
def test_a_step_is_seconds_or_a_duration(loki: Client) -> None:
    """`60`, `60s` and `1m` are the same; without one there are some 250 steps."""
    query = f"sum(count_over_time({ALL}[1m]))"
    answers = [ask(loki, "query_range", query=query, step=step, **SPAN)["data"]["result"] for step in ("60", "1m")]
    assert answers[0] == answers[1]
    assert len(answers[0][0]["values"]) == 6
    assert len(ask(loki, "query_range", query=query, **SPAN)["data"]["result"][0]["values"]) == 301
    most = ask(loki, "query_range", query="vector(1)", start=0, end=11_000, step=1)["data"]["result"]
    assert len(most[0]["values"]) == 11_001


def test_a_form_of_very_many_fields_is_refused(loki: Client) -> None:
    """It would be taken apart on the event loop."""
    answer = loki.request("POST", "/loki/api/v1/query", content=b"a=1&" * 2_000 + b"query=vector(1)")
    assert answer.status_code == 400
    assert "parameters" in answer.text


def test_a_time_range_may_begin_before_all_time(loki: Client) -> None:
    """What is said with a very long duration is everything."""
    found = ask(loki, "query_range", query=ALL, since="140y", limit=1)["data"]["result"]
    assert len(found) == 1
    everything = ask(loki, "query", query=f"sum(count_over_time({ALL}[140y]))", time=END)["data"]["result"]
    assert everything[0]["value"][1] == str(sum(row["timestamp"] * 1000 <= END for row in events()))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ('{app="a"', "parse error at line 1, col 9: syntax error: unexpected end"),
        ("{app=a}", "parse error at line 1, col 6: syntax error: unexpected NAME 'a', expecting STRING"),
        ('{app="a"} | ip=ip("10.0.0.0/8")', "ip() is not supported"),
        ('approx_topk(2, rate({app="a"}[1m]))', "approx_topk is not supported"),
        ('{app="a"} | line_format "{{ range .a }}{{ end }}"', "range is not supported"),
        ('{app="a"} | line_format "{{ htmlquote .a }}"', "'htmlquote' is not supported"),
        ('sum_over_time({app="a"}[1m])', "invalid aggregation sum_over_time without unwrap"),
        ('count_over_time({app="a"} | unwrap x [1m])', "invalid aggregation count_over_time with unwrap"),
        ('rate({app="a"}[1m]) by (x)', "grouping not allowed for rate"),
        ('{app=~"("}', "error parsing regexp"),
        ('{app="a"} | regexp "no names"', "at least one named capture"),
        ('{app="a"} | pattern "<a><b>"', "consecutive capture"),
        ('{app="a"} |> "<name>"', "named captures are not allowed"),
        ('{app="\\ud800"}', "surrogate"),
        ("", "parse error at line 1, col 1"),
        ("(" * 200, "brackets"),
    ],
)
def test_a_query_that_is_none_is_told_where_and_why(loki: Client, query: str, reason: str) -> None:
    """400, in plain text, with the name of what is not supported."""
    assert reason in refused(loki, "query_range", query=query)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"start": "soon"}, "start"),
        ({"start": "9" * 40}, "out of range"),
        ({"start": 200, "end": 100}, "end timestamp must not be before"),
        ({"step": "0"}, "step"),
        ({"step": "-1m"}, "step"),
        ({"step": "1ms", **SPAN}, "11,000 points"),
        ({"limit": "0"}, "limit"),
        ({"limit": "10001"}, "max entries limit"),
        ({"limit": "1" * 5000}, "max entries limit"),
        ({"limit": "-1"}, "positive"),
        ({"interval": "1m"}, "interval is not supported"),
        ({"since": "1" * 5000 + "s"}, "since"),
        ({"start": 0, "end": 11_001, "step": 1}, "11,000 points"),
        ({"direction": "sideways"}, "direction"),
        ({"since": "long"}, "since"),
    ],
)
def test_a_parameter_that_is_none_is_refused(loki: Client, parameters: dict[str, Any], reason: str) -> None:
    """The answer says which."""
    query = ALL if {"limit", "direction", "interval"} & parameters.keys() else f"rate({ALL}[1m])"
    assert reason in refused(loki, "query_range", query=query, **parameters)


def test_samples_with_errors_are_refused_with_a_way_out(loki: Client) -> None:
    """As in Loki, a metric of lines that could not be parsed is an error that names the line's labels."""
    text = refused(loki, "query", query=f"count_over_time({ALL} | json [1m])", time=NOW_US * 1000)
    assert text.startswith("pipeline error: 'JSONParserErr' for series: '{")
    assert '__error__=""' in text


def test_too_many_series_are_refused(house: House) -> None:
    """The answer says how to get fewer."""
    rows = [{"timestamp": NOW_US - 1, "service": f"s{number}"} for number in range(501)]
    house.hot.put([stored(rows)])
    loki = house.client()
    query = f"sum by (service_name) (count_over_time({ALL}[1m]))"
    assert "maximum number of series (500)" in refused(loki, "query", query=query, time=NOW_US * 1000)
    assert len(ask(loki, "query", query=f"topk(3, {query})", time=NOW_US * 1000)["data"]["result"]) == 3


def test_lines_with_too_many_fields_ask_for_a_grouping(house: House) -> None:
    """Thousands of different fields are thousands of columns: the query has to name those it needs."""
    rows = [{"timestamp": NOW_US - 1, "message": json.dumps({f"f{number}": 1})} for number in range(2500)]
    house.hot.put([stored(rows)])
    loki = house.client()
    query = f"count_over_time({ALL} | json [1m])"
    assert "more than 2000 different fields" in refused(loki, "query", query=query, time=NOW_US * 1000)
    found = ask(loki, "query", query=f"sum by (f7) ({query})", time=NOW_US * 1000)["data"]["result"]
    assert sorted(each["value"][1] for each in found) == ["1", "2499"]


def test_a_template_cannot_fill_the_memory(loki: Client) -> None:
    """What it makes of all lines together is bounded."""
    query = ALL + ' | line_format `{{ repeat 1000000 "x" }}`'
    assert "template" in refused(loki, "query_range", query=query, **SPAN)


def test_lines_that_are_too_long_together_are_refused(loki: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says how to get fewer."""
    monkeypatch.setattr(answers, "LINE_BYTES_MAX", 1_000)
    assert "ask for fewer with limit" in refused(loki, "query_range", query=ALL, **SPAN)
    assert ask(loki, "query_range", query=ALL, limit=2, **SPAN)["data"]["result"]


def test_series_that_fill_the_memory_are_refused(loki: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """While they are met, and not at the end: `topk` does not need them all at once."""
    monkeypatch.setattr(series, "SERIES_BYTES_MAX", 5_000)
    text = refused(loki, "query", query=f"topk(1, count_over_time({ALL}[5m]))", time=END)
    assert "too many labels to be held in memory" in text


def test_long_lines_are_worked_on_in_small_parts(loki: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same answer: a part has so many bytes at most, and a page so many rows."""
    query = f'{ALL} | json | __error__=""'
    whole = ask(loki, "query_range", query=query, limit=1000, **SPAN)["data"]["result"]
    for name, value in (("_PART_BYTES", 2_000), ("_FIRST_ROWS", 8), ("_PAGE_BYTES", 4_000)):
        monkeypatch.setattr(evaluate, name, value)
    assert ask(loki, "query_range", query=query, limit=1000, **SPAN)["data"]["result"] == whole


def test_labels_and_their_values(loki: Client) -> None:
    """Those of streams only, with and without a query."""
    assert ask(loki, "labels", **SPAN) == {
        "status": "success",
        "data": ["app", "env", "host", "level", "service_name"],
    }
    services = ["auth", "cart", "pay", "shop", "unknown_service", "web"]
    assert ask(loki, "label/service_name/values", **SPAN)["data"] == services
    assert ask(loki, "label/level/values", **SPAN)["data"] == ["Info", "debug", "error", "info", "warn"]
    assert ask(loki, "label/env/values", query='{app="cart"}', **SPAN)["data"] == ["dev", "prod"]
    assert ask(loki, "label/http_status/values", **SPAN)["data"] == []
    assert ask(loki, "labels", start=1, end=2)["data"] == []


def test_series_are_the_streams_of_each_selector(loki: Client) -> None:
    """A stream that two selectors match comes once."""
    found = loki.get(
        "/loki/api/v1/series", params=[("match[]", '{app="shop"}'), ("match[]", '{env="dev"}'), *SPAN.items()]
    ).json()["data"]
    assert all(each["app"] == "shop" or each["env"] == "dev" for each in found)
    assert len({json.dumps(each, sort_keys=True) for each in found}) == len(found)
    assert {"app": "shop", "env": "dev", "level": "Info", "service_name": "shop"} in found


def test_the_native_api_finds_the_same(loki: Client) -> None:
    """Events of a service and level, by Lucene and by LogQL."""
    for service, level in (("auth", "ERROR"), ("pay", "INFO"), ("shop", "WARN")):
        native = loki.get("/logs", params={"service": service, "level": level, "limit": 1000}).json()["logs"]
        query = f'{{service_name="{service}"}} | detected_level="{level.lower()}"'
        found = ask(loki, "query_range", query=query, limit=1000, start=0, end=NOW_US * 2000)["data"]["result"]
        assert sorted(line for stream in found for _, line in stream["values"]) == sorted(
            event["message"] for event in native
        )
        assert native


def test_volumes_are_the_bytes_of_lines(loki: Client) -> None:
    """By stream or by label, the largest first, and over time."""
    asked = [row for row in events() if NOW_US - 300 * SECOND_US < row["timestamp"] <= NOW_US]
    total = sum(len(row["message"].encode()) for row in asked)
    volumes = ask(loki, "index/volume", query=ALL, targetLabels="service_name", **SPAN)["data"]
    assert volumes["resultType"] == "vector"
    values = [int(each["value"][1]) for each in volumes["result"]]
    assert sum(values) == total
    assert values == sorted(values, reverse=True)
    assert {*volumes["result"][0]["metric"]} == {"service_name"}
    ranged = ask(loki, "index/volume_range", query='{app="shop"}', step="60", **SPAN)["data"]
    assert ranged["resultType"] == "matrix"
    assert all(each["metric"]["app"] == "shop" for each in ranged["result"])
    by_selector = ask(loki, "index/volume", query='{app=~".+"}', limit=0, **SPAN)["data"]["result"]
    assert sorted(each["metric"]["app"] for each in by_selector) == ["cart", "shop"]
    with_level = ask(loki, "index/volume", query='{app=~".+"}', targetLabels="app,level", **SPAN)["data"]["result"]
    assert {each["metric"].get("level") for each in with_level} == {"Info"}
    by_label = ask(loki, "index/volume", query=ALL, aggregateBy="labels", **SPAN)["data"]["result"]
    assert {"service_name": ""} in [each["metric"] for each in by_label]


def test_stats_estimate_lines_and_bytes(loki: Client) -> None:
    """A bare object, as Loki's."""
    figures = ask(loki, "index/stats", query='{service_name="auth"}', **SPAN)
    assert figures.keys() == {"streams", "chunks", "entries", "bytes"}
    lines = [row for row in events() if row.get("service") == "auth" and row["timestamp"] * 1000 >= START]
    assert figures["entries"] == len(lines)
    assert figures["bytes"] == pytest.approx(sum(len(row["message"].encode()) for row in lines), abs=2)


def test_detected_labels_and_fields(loki: Client) -> None:
    """Grafana's field list: names with kinds, and which parser finds them."""
    labels = ask(loki, "detected_labels", **SPAN)["detectedLabels"]
    assert {"label": "env", "cardinality": 2} in labels
    fields = {each["label"]: each for each in ask(loki, "detected_fields", query=ALL, **SPAN)["fields"]}
    assert fields["http_status"] == {"label": "http_status", "type": "int", "cardinality": 2, "parsers": None}
    assert fields["ratio"]["type"] == "float"
    assert fields["ratio"]["parsers"] == ["json"]
    assert fields["latency"]["type"] == "duration"
    assert fields["latency"]["parsers"] == ["json", "logfmt"]
    assert fields["ok"]["type"] == "boolean"
    assert fields["size"]["type"] == "bytes"
    assert ask(loki, "detected_field/ok/values", query=ALL, **SPAN)["values"] == ["false", "true"]


def test_patterns_mask_what_varies(loki: Client) -> None:
    """Lines that differ in numbers only are one pattern, with their number for each step."""
    found = ask(loki, "patterns", query=f'{ALL} |= "timed out"', step="60s", **SPAN)["data"]
    assert [each["pattern"] for each in found] == ["error: connection to <_> timed out after <_> (attempt <_>)"]
    lines = [row for row in events() if "timed out" in row["message"] and row["timestamp"] * 1000 >= START]
    assert sum(count for _, count in found[0]["samples"]) == len(lines)


def test_it_says_which_loki_it_is_like(loki: Client) -> None:
    """Grafana decides by this version what it may ask for."""
    assert ask(loki, "status/buildinfo")["version"].startswith("3.")


def test_a_query_that_takes_too_long_is_ended(make_house: Any) -> None:
    """503 with Retry-After, and the setting's name."""
    house: House = make_house(time_max_s=0.0001)
    house.hot.put([stored(events())])
    answer = house.client().get("/loki/api/v1/query_range", params={"query": ALL, **SPAN})
    assert answer.status_code == 503
    assert "query.time_max_s" in answer.text
    assert answer.headers["retry-after"]
