from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from html import unescape

import pyarrow as pa
import pytest

from tailrace.commands.demo import DemoSwitch
from tailrace.errors import SlowDown
from tailrace.model.clock import system_clock_us
from tests.serve.conftest import Client, House


class Taken:
    """Takes events in, or refuses them."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.full = False

    def append(self, batch: pa.RecordBatch) -> None:
        if self.full:
            raise SlowDown("full", retry_after_s=3600)
        self.batches.append(batch)

    @property
    def events(self) -> int:
        return sum(batch.num_rows for batch in self.batches)


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def client(house: House, taken: Taken) -> Iterator[Client]:
    demo = DemoSwitch(taken.append, system_clock_us)
    yield house.client(demo=demo)
    demo.stop()


def wait_for_events(taken: Taken, more_than: int = 0) -> None:
    deadline = time.monotonic() + 20
    while taken.events <= more_than:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def demo_threads() -> int:
    return sum(thread.name == "demo" for thread in threading.enumerate())


def test_it_is_started_looked_at_and_stopped(client: Client, taken: Taken) -> None:
    """Its events come in at the rate asked for until it is stopped; the figures go on counting after a new start."""
    assert client.get("/api/demo").json() == {"running": False, "rate": 200, "sent": 0}
    assert client.request("POST", "/api/demo", json={"rate": 500}).json()["running"] is True
    wait_for_events(taken)
    stopped = client.request("DELETE", "/api/demo").json()
    assert stopped == {"running": False, "rate": 500, "sent": taken.events}
    before = taken.events
    client.request("POST", "/api/demo", json={"rate": 500})
    wait_for_events(taken, before)
    assert client.request("DELETE", "/api/demo").json()["sent"] == taken.events > before
    assert demo_threads() == 0


def test_there_is_one_at_a_time(client: Client, taken: Taken) -> None:
    """Started again it goes on at the new rate; without a rate it makes 200 a second; stopping twice is fine."""
    for rate in (100, 300):
        client.request("POST", "/api/demo", json={"rate": rate})
    assert demo_threads() == 1
    assert client.request("POST", "/api/demo").json()["rate"] == 200
    assert demo_threads() == 1
    for _ in range(2):
        assert client.request("DELETE", "/api/demo").json()["running"] is False


@pytest.mark.parametrize(
    "body", [b'{"rate": 0}', b'{"rate": 5001}', b'{"rate": "fast"}', b'{"speed": 1}', b"[", b"x" * 2000]
)
def test_a_wrong_rate_is_refused(client: Client, body: bytes) -> None:
    """It has a bound, so that nobody fills a laptop's disk by a slip; nothing is started."""
    assert client.request("POST", "/api/demo", content=body).status_code in (400, 413)
    assert client.get("/api/demo").json()["running"] is False


def test_it_stops_while_nothing_is_taken(client: Client, taken: Taken) -> None:
    """A server that is full does not hold up whoever switches the demo off."""
    taken.full = True
    client.request("POST", "/api/demo", json={"rate": 5000})
    time.sleep(0.3)
    assert client.request("DELETE", "/api/demo").json() == {"running": False, "rate": 5000, "sent": 0}


def test_a_server_that_takes_nothing_in_has_no_demo(house: House) -> None:
    """`tailrace api` has no such route, and does not offer it to its page."""
    answer = house.client().get("/api/demo")
    assert answer.status_code == 404


def test_the_page_is_told_of_it(client: Client) -> None:
    """The page offers the demo where there is one."""
    told = re.findall(r'name="tailrace" content="([^"]+)"', client.get("/").text)
    if not told:
        pytest.skip("the page is not built here")
    assert "demo" in json.loads(unescape(told[0]))["features"]
