"""Live tails of the Loki API, in this process: what happens between the old lines and the new ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tailrace.serve.places import Places
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import Snapshot
from tests.serve.conftest import NOW_US, SECOND_US, House, served, stored

pytestmark = pytest.mark.slow

QUERY = '{service_name="web"}'


@dataclass
class Meanwhile:
    """Implements `store.port.Searchable`: something happens just before each view."""

    hot: HotMemory
    happens: Callable[[], Any]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        self.happens()
        with self.hot.snapshot() as snapshot:
            yield snapshot


def event(message: str, offset: int, seconds_ago: int = 0) -> pa.RecordBatch:
    row = {"timestamp": NOW_US - seconds_ago * SECOND_US, "service": "web", "message": message}
    return stored([row], offset=offset)


@contextmanager
def tail(places: Places, query: str = QUERY) -> Iterator[ClientConnection]:
    with (
        served(places) as url,
        connect(f"{url.replace('http', 'ws')}/loki/api/v1/tail?query={quote(query)}") as socket,
    ):
        yield socket


def lines(socket: ClientConnection) -> list[str]:
    """Those of the next message."""
    message = json.loads(socket.recv(timeout=20))
    return [line for stream in message["streams"] for _, line in stream["values"]]


def test_a_line_that_comes_at_the_beginning_is_shown_once(house: House) -> None:
    """It is new to the subscription and old to the view; without `start`, the last hour is shown, as by Loki."""
    house.hot.put([event("long ago", 0, seconds_ago=4_000), event("old", 1, seconds_ago=60)])
    places = replace(house.places, searchable=Meanwhile(house.hot, lambda: house.hot.put([event("between", 2)])))
    with tail(places) as socket:
        assert lines(socket) == ["old", "between"]
        house.hot.put([event("new", 3)])
        assert lines(socket) == ["new"]


def broken() -> None:
    raise AssertionError("something broke")


def test_a_tail_that_fails_says_so_and_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is told that the server stops when it does not."""
    places = replace(house.places, searchable=Meanwhile(house.hot, broken))
    with tail(places) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert "something broke" in caplog.text


def test_lines_that_a_tail_cannot_answer_are_its_reason_to_close(house: House) -> None:
    """As a query that is wrong: the same tail would fail again."""
    house.hot.put([event("old", 0)])
    with tail(house.places, QUERY + ' | line_format `{{ repeat 1000000 "x" }}`') as socket:
        assert len(lines(socket)[0]) == 1_000_000
        house.hot.put([stored([{"service": "web"}] * 100, offset=1)])
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1007
    assert "template" in closed.value.rcvd.reason
