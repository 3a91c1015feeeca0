"""Whatever is posted: no 5xx, and no good line is lost."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import zstandard
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.broker.port import LogRecord
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, LogSettings
from tailrace.ingest.gateway import Gateway
from tailrace.model.batch import ARROW_STREAM, decode_batch
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.serve.ingest_routes import ingest_router
from tailrace.serve.problems import add_problem_handlers

ENCODERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}


class House:
    """A gateway over a real log, behind its real route."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteLog(folder / "log.db", settings=LogSettings(), clock=system_clock_us)
        limits = IngestSettings(body_bytes_max=100_000, line_bytes_max=5_000)
        self.gateway = Gateway(self.log, settings=limits, clock=system_clock_us, metrics=Metrics())
        self.app = FastAPI()
        add_problem_handlers(self.app)
        self.app.include_router(ingest_router(self.gateway, Metrics()))
        self.reader = self.log.reader("test")

    def post(self, body: bytes, content_type: str, encoding: str | None) -> httpx.Response:
        headers = {"content-type": content_type} | ({"content-encoding": encoding} if encoding else {})

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post("/logs", content=body, headers=headers)

        return asyncio.run(send())

    def new_messages(self) -> list[str]:
        """What came into the log since the last call."""
        messages: list[str] = []
        while items := self.reader.poll(bytes_max=1 << 26, timeout_s=0):
            for item in items:
                if isinstance(item, LogRecord) and item.record.content_type == ARROW_STREAM:
                    messages += decode_batch(item.record.payload)["message"].to_pylist()
        return messages


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        opened = House(Path(folder))
        yield opened
        opened.gateway.close()
        opened.log.close()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
good_lines = st.builds(
    lambda message, rest: (message, json.dumps({**rest, "message": message}, ensure_ascii=False).encode()),
    texts,
    st.dictionaries(st.sampled_from(["time", "level", "service", "x", "é", "a.b", "host"]), values, max_size=4),
)
bad_lines = st.sampled_from(
    [b"nonsense", b"{", b'{"a":}', b'"text"', b"17", b'{"a":"\xff"}', b"1]", b"{}x", b'{"a":"\x01"}']
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(
        good_lines.map(lambda pair: (*pair, True)) | bad_lines.map(lambda line: ("", line, False)), min_size=1
    ),
    encoding=st.sampled_from(list(ENCODERS)),
    content_type=st.sampled_from(["application/json", "application/x-ndjson", "text/plain", ""]),
)
def test_every_good_line_is_kept_whatever_lies_between(
    house: House, lines: list[tuple[str, bytes, bool]], encoding: str | None, content_type: str
) -> None:
    """Random events of any shape among lines that are none: counts and messages are right."""
    body = b"\n".join(line for _, line, _ in lines)
    answer = house.post(ENCODERS[encoding](body), content_type, encoding)
    told = answer.json()
    good = [message for message, _, is_good in lines if is_good]
    assert answer.status_code == (202 if good else 400), told
    assert told["accepted"] == len(good)
    assert told["rejected"] == len(lines) - len(good)
    assert house.new_messages() == good


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=300)
    | st.builds(bytes.__add__, st.sampled_from([b"[", b"{", b'{"a":1}\n', b"\x1f\x8b"]), st.binary(max_size=60)),
    encoding=st.sampled_from([*ENCODERS, "br", "identity", "gzip, zstd"]),
    content_type=st.sampled_from(["application/json", ARROW_STREAM, "image/png", "", "a;b;;", "\t"]),
)
def test_no_bytes_whatever_give_a_5xx(house: House, body: bytes, encoding: str | None, content_type: str) -> None:
    """Garbage under any encoding and type is answered with a 2xx or a 4xx and a JSON document."""
    answer = house.post(body, content_type, encoding)
    assert answer.status_code < 500, answer.text
    answer.json()
    house.new_messages()
