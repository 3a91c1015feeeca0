"""What is answered as Splunk, Datadog, Graylog and systemd's remote journal do."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import zstandard
from fastapi import FastAPI
from starlette.types import Message

from tailrace.broker.port import LogRecord
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, LogSettings
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.journald.decode import CONTENT_TYPE
from tailrace.model.batch import ARROW_STREAM, decode_batch
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.serve.problems import add_problem_handlers
from tailrace.serve.protocols import protocol_routers

CHANNEL = {"X-Splunk-Request-Channel": "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"}
DONE = {"text": "Success", "code": 0}
HEADERS = [(b"content-type", CONTENT_TYPE.encode())]


class House:
    """The routes of all protocols over a real log."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteLog(folder / "log.db", settings=LogSettings(), clock=system_clock_us)
        limits = IngestSettings(body_bytes_max=20_000, line_bytes_max=5_000, body_bytes_in_flight_max=30_000)
        self.metrics = Metrics()
        self.gateway = Gateway(self.log, settings=limits, clock=system_clock_us, metrics=self.metrics)
        self.app = self._app()

    def _app(self) -> FastAPI:
        app = FastAPI()
        add_problem_handlers(app)
        for router in protocol_routers(self.gateway, self.metrics):
            app.include_router(router)
        return app

    def restart(self) -> None:
        self.app = self._app()

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, content=body, headers=headers)

        return asyncio.run(send())

    def hec(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        answer = self.request("POST", f"/services/collector{path}", body, authorization="Splunk any", **headers)
        return answer.status_code, answer.json()

    def stored(self) -> tuple[list[str], int]:
        """The messages in the log, and how many dead letters there are."""
        reader = self.log.reader("test")
        found = reader.poll(bytes_max=1 << 26, timeout_s=0.1)
        reader.close()
        records = [each.record for each in found if isinstance(each, LogRecord)]
        events = [decode_batch(each.payload) for each in records if each.content_type == ARROW_STREAM]
        letters = [decode_batch(each.payload) for each in records if each.content_type != ARROW_STREAM]
        messages = [message for batch in events for message in batch["message"].to_pylist()]
        return messages, sum(batch.num_rows for batch in letters)

    def close(self) -> None:
        self.gateway.close()
        self.log.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def test_splunk(house: House) -> None:
    """Success, health and each error, in Splunk's words; the good events of a bad body are stored."""
    assert house.hec("", b'{"event":"0"}') == (200, DONE)
    zipped = gzip.compress(b'{"event":"1"}{"event":"2"}')
    assert house.hec("/event/1.0", zipped, **{"content-encoding": "gzip"}) == (200, DONE)
    assert house.hec("/raw?host=h", b"3\n4\n") == (200, DONE)
    assert house.hec("", b"") == (400, {"text": "No data", "code": 5})
    wrong = {"text": "Event field is required", "code": 12, "invalid-event-number": 1}
    assert house.hec("", b'{"event":"5"}{"host":"h"}') == (400, wrong)
    too_long = {"text": "Invalid data format", "code": 6, "invalid-event-number": 1}
    assert house.hec("/raw", b"6\n" + b"x" * 6_000) == (400, too_long)
    status, told = house.hec("", b"x", **{"content-encoding": "br"})
    assert (status, told["code"]) == (415, 6)
    status, told = house.hec("", b"x" * 20_001)
    assert (status, told["code"], "ingest.body_bytes_max" in told["detail"]) == (413, 27, True)
    assert house.request("GET", "/services/collector/health/1.0").content == b'{"text":"HEC is healthy","code":17}'
    assert house.stored() == (list("0123456"), 2)


def test_splunks_acknowledgements(house: House) -> None:
    """Whoever has a channel is given an id, and no id twice, over restarts; each is acknowledged."""
    ids = []
    for number in range(4):
        if number == 2:
            house.restart()
        status, told = house.hec("?channel=x" if number else "", b'{"event":"a"}', **({} if number else CHANNEL))
        assert (status, told) == (200, {**DONE, "ackId": told["ackId"]})
        ids.append(told["ackId"])
    assert len(set(ids)) == 4
    asked = orjson.dumps({"acks": ids})
    assert house.hec("/ack?channel=x", asked) == (200, {"acks": {str(id): True for id in ids}})


def test_what_asks_for_no_acknowledgements(house: House) -> None:
    """400, whatever it is; and 413, as megabytes of JSON would hold up all others while they are read."""
    for body in (b"[]", b"{}", b'{"acks":[{}]}', b'{"acks":["x"]}', b"x", b"", b'{"acks":7}'):
        assert house.hec("/ack", body) == (400, {"text": "Invalid data format", "code": 6}), body
    house.gateway.limits = IngestSettings()
    status, told = house.hec("/ack", b'{"acks":[' + b"[]," * 400_000 + b"[]]}")
    assert (status, told["code"]) == (413, 27)


def test_dockers_driver_asks_before_it_sends(house: House) -> None:
    """A container does not start when this is not 200."""
    for path in ("", "/event", "/event/1.0"):
        assert house.request("OPTIONS", f"/services/collector{path}").status_code == 200, path


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


def test_datadog(house: House) -> None:
    """202 and an empty object, also for the agent's probe; 400 where nothing is an event. In each encoding."""
    logs = orjson.dumps([{"message": "a", "ddtags": "env:prod"}, 5])
    answer = house.request("POST", "/api/v2/logs", logs, **{"dd-api-key": "any"})
    assert (answer.status_code, answer.content) == (202, b"{}")
    for name, encode in ENCODERS.items():
        body = encode(orjson.dumps([{"message": name}]))
        assert house.request("POST", "/api/v2/logs", body, **{"content-encoding": name}).status_code == 202
    assert house.request("POST", "/v1/input/any?service=s", b"{}").status_code == 202
    refused = house.request("POST", "/api/v2/logs", b"5")
    assert (refused.status_code, refused.json()["errors"][0]["status"]) == (400, "400")
    text = house.request("POST", "/v1/input", b"one\ntwo", **{"content-type": "text/plain"})
    assert text.status_code == 202
    assert house.stored() == (["a", *ENCODERS, "one", "two"], 2)


def test_gelf(house: House) -> None:
    """202 without a body, 400 where nothing is a message."""
    answer = house.request("POST", "/gelf", b'{"version":"1.1","host":"h","short_message":"a","_region":"eu"}')
    assert (answer.status_code, answer.content) == (202, b"")
    assert house.request("POST", "/gelf", b"no json").status_code == 400
    assert house.stored() == (["a"], 1)


def test_a_journal(house: House) -> None:
    """202 when all of it is stored, what was cut off as a dead letter; 400 and 415 for what is none."""
    journal = b"MESSAGE=a\n\nMESSAGE=b\n\nMESSAGE\n\x09"
    assert house.request("POST", "/upload", journal, **{"content-type": CONTENT_TYPE}).status_code == 202
    answer = house.request("POST", "/upload", b"MESSAGE=c\n\nno name\n", **{"content-type": CONTENT_TYPE})
    assert (answer.status_code, "Journal Export Format" in answer.json()["detail"]) == (400, True)
    assert house.request("POST", "/upload", journal).status_code == 415
    zipped = {"content-type": CONTENT_TYPE, "content-encoding": "zstd"}
    assert house.request("POST", "/upload", journal, **zipped).status_code == 415
    assert house.stored() == (["a", "b", "c"], 1)


@pytest.mark.parametrize(
    ("entry", "figure"),
    [
        (b"MESSAGE=a\n\n", "tailrace_events_accepted_total"),
        (b"MESSAGE=" + b"x" * 6_000 + b"\n\n", "tailrace_events_rejected_total"),
    ],
    ids=["entries", "too large"],
)
def test_a_journal_that_does_not_pause(house: House, entry: bytes, figure: str) -> None:
    """What comes bit by bit is appended while the body goes on, and so is what is too large."""
    scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "headers": HEADERS}
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        await asyncio.sleep(0.001)
        sent += 1
        is_there = bool(house.metrics.registry.get_sample_value(figure))
        assert sent < 3_000
        return {"type": "http.request", "body": entry, "more_body": not is_there}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 202

    asyncio.run(house.app(scope, receive, send))
    messages, letters = house.stored()
    assert len(messages) + letters == sent


BUSY = {
    "/logs": 429,
    "/services/collector": 503,
    "/services/collector/raw": 503,
    "/services/collector/ack": 503,
    "/api/v2/logs": 429,
    "/gelf": 429,
}


def test_too_much_at_once(house: House) -> None:
    """In each protocol the status after which its clients send again, and when; nothing is held any longer."""
    with house.gateway.reservation() as others:
        others.add(29_990)
        for path, status in BUSY.items():
            answer = house.request("POST", path, b'{"event":"a"}')
            assert (answer.status_code, answer.headers["retry-after"]) == (status, "1"), path
    assert house.stored() == ([], 0)
    with house.gateway.reservation() as others:
        others.add(30_000)
