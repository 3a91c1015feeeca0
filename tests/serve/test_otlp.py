"""OTLP over HTTP: what is answered, in which type, and what may be sent again."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import zstandard
from fastapi import FastAPI
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, LogSettings
from tailrace.ingest.gateway import Gateway
from tailrace.model.batch import ARROW_STREAM, decode_batch
from tailrace.model.clock import system_clock_us
from tailrace.model.dead_letter import DEAD_LETTERS
from tailrace.ops.metrics import Metrics
from tailrace.serve.otlp_routes import otlp_router
from tests.ingest.otlp_requests import as_json, log_record, request

PROTOBUF, JSON = "application/x-protobuf", "application/json"
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}
GOOD = request([log_record("hello"), log_record("again")])
LONG = request([log_record("good"), log_record("x" * 6000)])


class House:
    """A gateway over a real log, behind its real route."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteLog(folder / "log.db", settings=LogSettings(), clock=system_clock_us)
        limits = IngestSettings(body_bytes_max=20_000, line_bytes_max=5_000, body_bytes_in_flight_max=30_000)
        self.gateway = Gateway(self.log, settings=limits, clock=system_clock_us, metrics=Metrics())
        self.app = FastAPI()
        self.app.include_router(otlp_router(self.gateway, Metrics()))

    def post(self, body: bytes, content_type: str, *, path: str = "/v1/logs", **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.post(path, content=body, headers={"content-type": content_type, **named})

        return asyncio.run(send())

    def stored(self) -> tuple[list[str], list[str]]:
        """The messages in the log, and how its dead letters are to be read."""
        reader = self.log.reader("test")
        found = [item.record for item in reader.poll(bytes_max=1 << 26, timeout_s=0.1)]  # type: ignore[union-attr]
        reader.close()
        batches = [(record.content_type, decode_batch(record.payload)) for record in found]
        messages = [text for kind, batch in batches if kind == ARROW_STREAM for text in batch["message"].to_pylist()]
        types = [
            text for kind, batch in batches if kind == DEAD_LETTERS for text in batch["content_type"].to_pylist()
        ]
        return messages, types


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.gateway.close()
    opened.log.close()


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("path", ["/v1/logs", "/otlp/v1/logs"])
def test_a_good_request_has_an_empty_answer_of_its_type(house: House, encoding: str, path: str) -> None:
    """In every encoding, on both paths; an empty request is a success too."""
    encode = ENCODERS[encoding]
    for body, kind, empty in ((GOOD.SerializeToString(), PROTOBUF, b""), (as_json(GOOD), JSON, b"{}")):
        for sent in (body, b""):
            answer = house.post(encode(sent) if sent else b"", kind, path=path, content_encoding=encoding)
            assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, kind, empty)
    assert house.stored() == (["hello", "again"] * 2, [])


def test_a_partial_success_counts_what_is_a_dead_letter(house: House) -> None:
    """The good record is kept, the long one a letter that says how it is read."""
    told = ExportLogsServiceResponse.FromString(house.post(LONG.SerializeToString(), PROTOBUF).content)
    assert told.partial_success.rejected_log_records == 1
    told_json = house.post(as_json(LONG), f"{JSON}; charset=utf-8").json()["partialSuccess"]
    assert told_json["rejectedLogRecords"] == "1"
    assert told_json["errorMessage"].startswith("record 2: ")
    messages, types = house.stored()
    assert messages == ["good", "good"]
    assert types == [
        "application/vnd.opentelemetry.otlp.logs+protobuf",
        "application/vnd.opentelemetry.otlp.logs+json",
    ]


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"\x0a\x05", "identity", 400),
        (b"nothing", "gzip", 400),
        (b"", "brotli", 415),
        (gzip.compress(b"\x0a" * 20_001), "gzip", 413),
        (b"\x0a" * 20_001, "identity", 413),
    ],
)
def test_a_wrong_request_is_refused_with_a_status_of_its_type(
    house: House, body: bytes, encoding: str, status: int
) -> None:
    """INVALID_ARGUMENT, in the type of the request, and no word of sending it again."""
    answer = house.post(body, PROTOBUF, content_encoding=encoding)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROTOBUF)
    assert Status.FromString(answer.content).code == 3
    answer = house.post(body or b"{}", JSON, content_encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) == (status, 3)
    assert "retry-after" not in answer.headers
    assert house.stored() == ([], [])


def test_another_type_is_refused(house: House) -> None:
    """With 415, as JSON."""
    answer = house.post(GOOD.SerializeToString(), "text/plain")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (415, 3)


def test_what_may_be_sent_again_says_when(house: House) -> None:
    """Too much at once is 429 and RESOURCE_EXHAUSTED; a log that is away is 503 and UNAVAILABLE."""
    with house.gateway.reservation() as held:
        held.add(29_999)
        answer = house.post(GOOD.SerializeToString(), PROTOBUF)
    assert (answer.status_code, Status.FromString(answer.content).code) == (429, 8)
    assert int(answer.headers["retry-after"]) >= 1
    house.log.close()
    answer = house.post(as_json(GOOD), JSON)
    assert (answer.status_code, answer.json()["code"]) == (503, 14)
    assert int(answer.headers["retry-after"]) >= 1


def test_a_request_with_a_key_can_be_told_from_another(house: House) -> None:
    """A wrong `Idempotency-Key` is refused, as at `POST /logs`."""
    assert house.post(GOOD.SerializeToString(), PROTOBUF, idempotency_key="k" * 256).status_code == 400
    assert house.post(GOOD.SerializeToString(), PROTOBUF, idempotency_key="k").status_code == 200
