from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pyarrow as pa
import pytest

from tailrace.serve import tail_route
from tailrace.store.port import Order, Selection, Snapshot
from tests.serve.conftest import House, many, served, stored


@contextmanager
def _tail(base: str, **parameters: str) -> Iterator[Iterator[str]]:
    """The lines of a tail, from behind its first comment."""
    with httpx.stream("GET", f"{base}/api/tail", params=parameters, timeout=20) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": tail"
        yield lines


def _event(lines: Iterator[str]) -> tuple[str, dict[str, Any]]:
    for line in lines:
        if line.startswith("event: "):
            data = next(lines)
            assert data.startswith("data: ")
            return line.removeprefix("event: "), json.loads(data.removeprefix("data: "))
    raise AssertionError("the tail ended")


def _until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread does; the test's own timeout is the end."""
    while not condition():
        time.sleep(0.005)


def test_new_events_that_match_come_as_they_are_stored(house: House) -> None:
    """Only events put after the start come, those that match, in order, whole, with any text in them."""
    house.hot.put([many(4)])
    with served(house.places) as base, _tail(base, q="service:pay AND level:ERROR") as lines:
        house.hot.put([stored([{"service": "pay", "level": "INFO"}, {"service": "web", "level": "ERROR"}], offset=1)])
        first = {
            "service": "pay",
            "level": "ERROR",
            "message": "line one\nline two\r\n\r\nevent: log",
            "attributes": {"a": "é"},
        }
        house.hot.put([stored([first, {"service": "PAY", "level": "ERROR"}], offset=2)])
        kind, event = _event(lines)
        assert (kind, event["message"], event["attributes"]) == ("log", first["message"], first["attributes"])
        assert event["id"] == "0-2-0"
        assert _event(lines)[1]["id"] == "0-2-1"


def test_a_quiet_tail_has_heartbeats(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without events a comment comes, so that proxies keep the connection."""
    monkeypatch.setattr(tail_route, "HEARTBEAT_S", 0.0)
    with served(house.places) as base, _tail(base) as lines:
        assert next(lines) == ""
        assert next(lines) == ": heartbeat"


def test_a_wrong_query_is_told_at_once(house: House) -> None:
    """A query that cannot be parsed or run is a 400 problem, not a stream."""
    with served(house.places) as base:
        for q in ("level:(", "/[/"):
            answer = httpx.get(f"{base}/api/tail", params={"q": q})
            assert answer.status_code == 400
            assert answer.headers["content-type"] == "application/problem+json"


def test_tails_are_bounded_and_end_with_their_clients(make_house: Callable[..., House]) -> None:
    """Past query.tails_max a tail is a 429; when a client leaves, its place and its subscription are free again."""
    house = make_house(tails_max=1)
    with served(house.places) as base:
        with _tail(base):
            assert httpx.get(f"{base}/api/tail").status_code == 429
            assert "tailrace_tails 1.0" in httpx.get(f"{base}/metrics").text
        _until(lambda: "tailrace_tails 0.0" in httpx.get(f"{base}/metrics").text)
        with _tail(base) as lines:
            house.hot.put([many(1)])
            assert _event(lines)[0] == "log"


def test_a_tail_ends_when_the_server_stops(house: House) -> None:
    """An open tail does not hold up the end of the server."""
    with served(house.places) as base, _tail(base) as lines:
        house.places.stopping.set()
        assert [line for line in lines if line] == []


@pytest.mark.slow
def test_a_slow_reader_is_told_what_it_missed(house: House) -> None:
    """What a reader was not given is counted: given and missed together are all events."""
    rows, puts = 500, 120
    batch_rows = [{"service": "web", "message": "x" * 2000}] * rows
    with served(house.places) as base:
        address = base.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as connection:
            connection.sendall(b"GET /api/tail HTTP/1.1\r\nHost: tailrace\r\n\r\n")
            file = connection.makefile("rb")
            _until(lambda: b": tail" in file.readline())
            for offset in range(puts):
                house.hot.put([stored(batch_rows, offset=offset)])
                house.hot.settle({0: offset + 1})
            given = missed = 0
            for line in file:
                if line.startswith(b"event: log"):
                    given += 1
                elif line.startswith(b"event: missed"):
                    missed += json.loads(next(file).removeprefix(b"data: "))["count"]
                if given + missed >= rows * puts:
                    break
    assert missed > 0
    assert given + missed == rows * puts


class _Endless:
    """A searchable whose streams never end, and that tells how many are read."""

    def __init__(self) -> None:
        self.held = 0

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        yield cast(Snapshot, self)

    def stream(self, selection: Selection, *, order: Order) -> Iterator[pa.RecordBatch]:
        self.held += 1
        try:
            while True:
                yield many(100)
        finally:
            self.held -= 1


def test_an_export_ends_when_its_client_leaves(house: House) -> None:
    """A client that goes away in the middle of an export, which would never end, ends it."""
    endless = _Endless()
    with served(replace(house.places, searchable=endless)) as base:
        with httpx.stream("GET", f"{base}/api/search?format=ndjson") as answer:
            chunks = answer.iter_bytes()  # held: a generator that is let go of closes the connection
            next(chunks)
            assert endless.held == 1
        _until(lambda: endless.held == 0)


@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_statement_ends_when_its_client_leaves(house: House, format: str) -> None:
    """A client that goes away while its SQL runs ends the process it runs in."""
    query = {"query": "SELECT sum(a.range + b.range) FROM range(1000000) a, range(1000000) b", "format": format}
    others = _children()  # servers of earlier tests of this process
    with served(house.places) as base:
        _leave_after(base, query, started=lambda: bool(_children() - others))
        _until(lambda: not _children() - others)


def _children() -> set[int]:
    """The ids of the processes that this one has started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended in between
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
    return found


def _leave_after(base: str, query: dict[str, str], *, started: Callable[[], bool]) -> None:
    host, port = base.removeprefix("http://").split(":")
    body = json.dumps(query).encode()
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /api/sql HTTP/1.1\r\nHost: tailrace\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        _until(started)
