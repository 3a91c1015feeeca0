"""LogQL through the HTTP API beside a plain-Python oracle, on the same events."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tailrace.query.logql.parse import parse
from tailrace.query.logql.tree import LogQuery
from tests.query import logql_oracle as oracle
from tests.query.logql_events import NOW_US, SECOND_US, as_loki, events
from tests.query.logql_queries import LOG_QUERIES, METRIC_QUERIES
from tests.serve.conftest import Client
from tests.serve.loki_house import loki_client

_START_NS, _END_NS = (NOW_US - 300 * SECOND_US) * 1000, NOW_US * 1000 + 1000
_STEPS_NS = [(NOW_US - (240 - 40 * step) * SECOND_US) * 1000 for step in range(7)]


@cache
def lines() -> list[oracle.Line]:
    return [oracle.Line(row["timestamp"] * 1000, row["message"], *as_loki(row)) for row in events()]


@pytest.fixture(scope="module")
def loki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield from loki_client(tmp_path_factory)


def test_the_table_is_long_enough() -> None:
    """At least three hundred different queries are asked."""
    assert len({*LOG_QUERIES, *METRIC_QUERIES}) >= 300


@pytest.mark.slow
@pytest.mark.parametrize("query", LOG_QUERIES)
def test_a_log_query_finds_the_lines_that_the_oracle_finds(loki: Client, query: str) -> None:
    """Same lines, same labels, same times, whatever the order of the streams."""
    answer = loki.get(
        "/loki/api/v1/query_range", params={"query": query, "start": _START_NS, "end": _END_NS, "limit": 1000}
    )
    assert answer.status_code == 200, answer.text
    found = [
        (_without_details(stream["stream"]), time_ns, line)
        for stream in answer.json()["data"]["result"]
        for time_ns, line in stream["values"]
    ]
    tree = parse(query)
    assert isinstance(tree, LogQuery)
    selected = oracle.select(tree, _asked())
    expected = [(_without_details(line.labels()), f"{line.time_ns}", line.text) for line in selected]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))


def _asked() -> list[oracle.Line]:
    return [line for line in lines() if _START_NS <= line.time_ns < _END_NS]


def _without_details(labels: dict[str, str]) -> list[tuple[str, str]]:
    """How an error is described is nobody's contract."""
    return sorted((name, value) for name, value in labels.items() if name != "__error_details__")


@pytest.mark.slow
@pytest.mark.parametrize("query", METRIC_QUERIES)
def test_a_metric_query_has_the_values_that_the_oracle_has(loki: Client, query: str) -> None:
    """The same series with the same values at each of seven steps, and at one moment alone; or both refuse it."""
    tree = parse(query)
    assert not isinstance(tree, LogQuery)
    all_lines = lines()
    try:
        expected = [oracle.evaluate(tree, all_lines, time_ns) for time_ns in _STEPS_NS]
    except oracle.Refused:
        expected = []
    ranged = loki.get(
        "/loki/api/v1/query_range",
        params={"query": query, "start": _STEPS_NS[0], "end": _STEPS_NS[-1], "step": "40s"},
    )
    if not expected:
        assert ranged.status_code == 400, ranged.text
        return
    assert ranged.status_code == 200, ranged.text
    _assert_same(_by_time(ranged.json()["data"]["result"]), dict(zip(_STEPS_NS, map(_vector, expected), strict=True)))
    moment = loki.get("/loki/api/v1/query", params={"query": query, "time": _STEPS_NS[4]}).json()["data"]
    series = [{"metric": {}, "value": moment["result"]}] if moment["resultType"] == "scalar" else moment["result"]
    _assert_same(_by_time(series), {_STEPS_NS[4]: _vector(expected[4])})


def _vector(value: oracle.Sample | float) -> oracle.Sample:
    return value if isinstance(value, dict) else {(): value}


def _by_time(series: list[dict[str, Any]]) -> dict[int, oracle.Sample]:
    found: dict[int, oracle.Sample] = {}
    for each in series:
        labels = tuple(sorted(each["metric"].items()))
        for second, value in each.get("values") or [each["value"]]:
            found.setdefault(round(second * 1000) * 1_000_000, {})[labels] = float(value)
    return found


def _assert_same(found: dict[int, oracle.Sample], expected: dict[int, oracle.Sample]) -> None:
    expected = {time_ns: vector for time_ns, vector in expected.items() if vector}
    assert found.keys() == expected.keys()
    for time_ns, vector in expected.items():
        assert found[time_ns].keys() == vector.keys(), time_ns
        for labels, value in vector.items():
            got = found[time_ns][labels]
            assert got == pytest.approx(value, rel=1e-9, abs=1e-9) or (math.isnan(got) and math.isnan(value)), labels
