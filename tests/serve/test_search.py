from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailrace.model.batch import STORED_SCHEMA
from tests.serve.conftest import NOW_US, SECOND_US, Client, House, many, stored


def test_an_event_comes_with_everything_it_says(house: House, client: Client) -> None:
    """The JSON of an event has its columns, its attributes, its identity, and times to the microsecond."""
    row = {
        "timestamp": NOW_US + 7,
        "level": "ERROR",
        "service": "auth",
        "message": 'said "no"\n\x00é',
        "trace_id": "t",
    }
    house.hot.put([stored([{**row, "attributes": {"a.b": "1"}}], offset=42, partition=1)])
    answer = client.get("/api/search").json()
    assert answer == {
        "events": [
            {
                "timestamp": "2025-03-28T10:00:00.000007Z",
                "level": "ERROR",
                "message": 'said "no"\n\x00é',
                "service": "auth",
                "host": None,
                "trace_id": "t",
                "span_id": None,
                "attributes": {"a.b": "1"},
                "id": "1-42-0",
                "observed_timestamp": "2025-03-28T10:00:00.000000Z",
            }
        ],
        "count": 1,
        "next_cursor": None,
    }


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_give_every_event_once(house: House, client: Client, order: str) -> None:
    """Following next_cursor to its end gives all events in order, though new ones come in between the pages."""
    house.hot.put([many(50)])
    ids: list[str] = []
    asked = {"order": order, "limit": "7", "end": "2025-03-28T10:00:00.000000"}
    cursor = None
    for _ in range(100):
        page = client.get("/api/search", params={**asked, **({"cursor": cursor} if cursor else {})}).json()
        assert page["count"] == len(page["events"]) <= 7
        ids += [event["id"] for event in page["events"]]
        house.hot.put([stored([{"timestamp": NOW_US + 1 + len(ids)}], offset=100 + len(ids))])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    wanted = [f"0-0-{row}" for row in range(50)]
    assert ids == (wanted if order == "asc" else wanted[::-1])


@pytest.mark.slow
def test_a_page_that_ends_with_the_last_event_has_no_next(house: House, client: Client) -> None:
    """next_cursor is null when the page is full but nothing is behind it."""
    house.hot.put([many(5)])
    assert client.get("/api/search?limit=5").json()["next_cursor"] is None


def test_the_query_and_the_times_select(house: House, client: Client) -> None:
    """q, start and end together choose the events; the end is included to the precision written."""
    house.hot.put([many(100)])
    asked = {"q": "level:ERROR AND service:pay", "start": "2025-03-28T09:59:00", "end": "2025-03-28T09:59:40"}
    events = client.get("/api/search", params=asked).json()["events"]
    assert events
    for event in events:
        assert (event["level"], event["service"]) == ("ERROR", "pay")
        assert "2025-03-28T09:59:00" <= event["timestamp"][:19] <= "2025-03-28T09:59:40"
    same = {"q": "", "start": "2025-03-28T09:59:40", "end": "2025-03-28T09:59:40"}
    assert client.get("/api/search", params=same).json()["count"] == 1


def _lines(body: bytes) -> list[str]:
    return [json.loads(line)["id"] for line in body.splitlines()]


def _csv(body: bytes) -> list[str]:
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert all(json.loads(row["attributes"])["latency_ms"] for row in rows)
    assert rows[0]["message"].endswith('"took" long, twice')
    return [row["id"] for row in rows]


def _ids(table: pa.Table) -> list[str]:
    assert table.schema.equals(STORED_SCHEMA)
    return [f"{row['log_partition']}-{row['log_offset']}-{row['log_row']}" for row in table.to_pylist()]


def _parquet(body: bytes) -> list[str]:
    return _ids(pq.read_table(io.BytesIO(body)))


def _arrow(body: bytes) -> list[str]:
    return _ids(pa.ipc.open_stream(body).read_all())


_MANY = many(20_000)

READERS: dict[str, tuple[str, Callable[[bytes], list[str]]]] = {
    "ndjson": ("application/x-ndjson", _lines),
    "csv": ("text/csv; charset=utf-8", _csv),
    "parquet": ("application/vnd.apache.parquet", _parquet),
    "arrow": ("application/vnd.apache.arrow.stream", _arrow),
}


@pytest.mark.slow
@pytest.mark.parametrize("format", READERS)
def test_an_export_holds_every_match(house: House, client: Client, format: str) -> None:
    """A streaming format has no cap: more than one batch of events comes, in order, with type and file name."""
    house.hot.put([_MANY])
    answer = client.get(f"/api/search?order=asc&format={format}")
    media_type, read = READERS[format]
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"].startswith('attachment; filename="logs.')
    assert read(answer.content) == [f"0-0-{row}" for row in range(_MANY.num_rows)]


@pytest.mark.parametrize("format", READERS)
def test_an_export_keeps_to_its_limit(house: House, client: Client, format: str) -> None:
    """limit cuts a streaming format, newest first as asked."""
    house.hot.put([many(100)])
    answer = client.get(f"/api/search?format={format}&limit=3")
    assert READERS[format][1](answer.content) == ["0-0-99", "0-0-98", "0-0-97"]


@pytest.mark.parametrize("format", ["ndjson", "parquet", "arrow"])
def test_an_export_of_nothing_is_whole(client: Client, format: str) -> None:
    """No match still gives a valid file."""
    answer = client.get(f"/api/search?format={format}")
    assert answer.status_code == 200
    assert READERS[format][1](answer.content) == []


WRONG: list[tuple[dict[str, str], str]] = [
    ({"cursor": "abc"}, "cursor"),
    ({"cursor": "A" * 38}, "cursor"),
    ({"cursor": "é"}, "cursor"),
    ({"limit": "10001"}, "limit"),
    ({"limit": "0"}, "limit"),
    ({"limit": "many"}, "limit"),
    ({"order": "up"}, "order"),
    ({"format": "xml"}, "format"),
    ({"start": "later"}, "later"),
    ({"start": "now", "end": "1h"}, "after end"),
    ({"services": "auth"}, "services: there is no such parameter"),
    ({"q": "level:("}, "column"),
    ({"q": "/[/", "format": "csv"}, ""),
]


def test_what_is_asked_wrongly_is_told(house: House, client: Client) -> None:
    """A wrong parameter or query is a 400 problem that names it."""
    house.hot.put([many(3)])
    for asked, said in WRONG:
        answer = client.get("/api/search", params=asked)
        problem: dict[str, Any] = answer.json()
        assert answer.status_code == problem["status"] == 400, asked
        assert answer.headers["content-type"] == "application/problem+json"
        assert said in problem["detail"]


def test_a_query_error_points_at_its_column(client: Client) -> None:
    """The problem of a query that cannot be parsed carries the column as a number."""
    problem = client.get("/api/search", params={"q": "auth AND (x"}).json()
    assert isinstance(problem["column"], int)


def test_context_is_the_lines_around_an_event(house: House, client: Client) -> None:
    """The events before and after come in order of time, from the same service and host; `same=` takes all."""
    house.hot.put([many(60)])
    event = client.get("/api/search", params={"q": "latency_ms:30"}).json()["events"][0]
    around = client.get(
        "/api/context", params={"id": event["id"], "at": event["timestamp"], "before": "2", "after": "2"}
    ).json()
    assert around["event"] == event
    assert [e["attributes"]["latency_ms"] for e in around["before"]] == ["18", "24"]
    assert [e["attributes"]["latency_ms"] for e in around["after"]] == ["36", "42"]
    asked = {"id": event["id"], "at": event["timestamp"], "before": "1", "after": "1", "same": ""}
    around = client.get("/api/context", params=asked).json()
    assert [e["id"] for e in around["before"] + around["after"]] == ["0-0-29", "0-0-31"]
    asked |= {"before": "0", "after": "0"}
    assert client.get("/api/context", params=asked).json() == {"before": [], "event": event, "after": []}


def test_context_tells_events_of_one_instant_apart(house: House, client: Client) -> None:
    """With equal timestamps the identity orders the events, and an absent field equals an absent field."""
    house.hot.put([stored([{"message": str(row)} for row in range(9)]), stored([{"service": "x"}], offset=1)])
    asked = {"id": "0-0-4", "at": "2025-03-28T10:00:00.000000Z", "before": "2", "after": "99"}
    around = client.get("/api/context", params=asked).json()
    assert [e["message"] for e in around["before"]] == ["2", "3"]
    assert [e["message"] for e in around["after"]] == ["5", "6", "7", "8"]


def test_context_of_an_event_that_is_not_there(house: House, client: Client) -> None:
    """An identity that no event has is a 404, and a text that is no identity a 400."""
    house.hot.put([many(3)])
    for id, status in (("0-0-99", 404), ("7-0-0", 404), ("x", 400), ("0-0--1", 400)):
        assert client.get("/api/context", params={"id": id, "at": "2025-03-28T10:00:00Z"}).status_code == status


def test_count_fields_and_values(house: House, client: Client) -> None:
    """The counts of events, of fields and of a field's values are those of the selected events."""
    house.hot.put([many(40)])
    assert client.get("/api/count", params={"q": "level:ERROR"}).json() == {"count": 10}
    fields = {each["name"]: each["count"] for each in client.get("/api/fields").json()["fields"]}
    assert fields["http.status"] == fields["service"] == 40
    values = client.get("/api/fields/http.status/values", params={"limit": 1}).json()
    assert values == {"field": "http.status", "values": [{"value": "200", "count": 36}]}


def test_a_field_may_have_a_slash_in_its_name(house: House, client: Client) -> None:
    """The path of a field's values takes any name."""
    house.hot.put([stored([{"attributes": {"k8s/app": "web"}}])])
    assert client.get("/api/fields/k8s/app/values").json()["values"] == [{"value": "web", "count": 1}]


def test_a_histogram_has_no_gaps_and_adds_up(house: House, client: Client) -> None:
    """Buckets follow each other without a gap, and each sum is that of its series."""
    house.hot.put([many(120), stored([{"timestamp": NOW_US - 3600 * SECOND_US}], offset=1)])
    figure = client.get("/api/histogram").json()
    assert figure["interval_s"] == 60
    assert figure["count"] == 121 == sum(bucket["count"] for bucket in figure["buckets"])
    assert len(figure["buckets"]) == 61
    assert [(s["kind"], s["value"], s["count"]) for s in figure["series"]] == [
        ("value", "INFO", 60),
        ("value", "ERROR", 30),
        ("value", "WARN", 30),
        ("absent", None, 1),
    ]
    for bucket in figure["buckets"]:
        assert sum(bucket["counts"]) == bucket["count"]
    bucket = figure["buckets"][-2]
    asked = {"start": bucket["start"], "end": bucket["end"]}
    assert client.get("/api/count", params=asked).json()["count"] == bucket["count"] == 60


def test_a_histogram_by_nothing_and_by_many_values(house: House, client: Client) -> None:
    """Without a field there are no series; of many values the rare ones are one series, others."""
    house.hot.put([many(100)])
    assert client.get("/api/histogram?by=&interval=10s").json()["series"] == []
    series = client.get("/api/histogram?by=latency_ms&interval=1h").json()["series"]
    assert [each["kind"] for each in series] == ["value"] * 20 + ["others"]
    assert series[-1]["count"] == 80


def test_an_interval_that_cannot_be(house: House, client: Client) -> None:
    """No duration, or one far too narrow for the range, is a 400."""
    house.hot.put([many(100)])
    for interval in ("1x", "0s", "-1s", "1ms"):
        assert client.get("/api/histogram", params={"interval": interval}).status_code == 400


def test_a_histogram_of_nothing(client: Client) -> None:
    """No events: no buckets, and a bounded range has empty ones."""
    assert client.get("/api/histogram").json()["buckets"] == []
    figure = client.get("/api/histogram?start=1h&end=now").json()
    assert len(figure["buckets"]) in (60, 61)
    assert figure["count"] == 0
