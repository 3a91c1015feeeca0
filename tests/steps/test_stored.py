"""A real `tailrace up` with a pipeline: what is redacted, dropped and routed is so wherever anything is stored."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tailrace.config import Settings
from tailrace.errors import Stop
from tailrace.model.batch import decode_batch
from tailrace.model.clock import system_clock_us
from tailrace.store.jsonl import FILE_NAME
from tailrace.wiring.roles import platform
from tests.server import Server
from tests.steps.test_redact import luhn

PIPELINE = """
[[step]]
kind = "json"
[[step]]
kind = "redact"
detect = ["card", "email"]
[[step]]
kind = "route"
where = "service:secret"
stores = ["lake"]
[[step]]
kind = "sample"
name = "thin-out"
where = "service:chatty"
keep_one_of = 10
"""
COUNT = 300


def cards() -> list[str]:
    """Different ones: that of an event is never that of another."""
    numbers = (f"4{n * 7_919_003:014d}" for n in range(1, COUNT * 8))
    return [number + next(last for last in "0123456789" if luhn(number + last)) for number in numbers]


def bodies(numbers: Iterator[str]) -> Iterator[tuple[bytes, str]]:
    """Each number stands in one place, of all the places where one may be sent."""
    lines: list[dict[str, object]] = []
    for n in range(COUNT):
        lines.append({"message": f"paid {n} with {next(numbers)}", "service": "pay", "pan": next(numbers)})
        grouped = next(numbers)
        spaced = " ".join(grouped[start : start + 4] for start in range(0, 16, 4))
        lines.append({"message": json.dumps({"pan": int(next(numbers)), "note": spaced}), next(numbers): "key"})
        lines.append(
            {"message": "m", "host": next(numbers), "service": "secret", "nested": [{"a": {"b": next(numbers)}}]}
        )
    yield "\n".join(map(json.dumps, lines)).encode(), "application/x-ndjson"
    yield json.dumps(lines[:9]).encode(), "application/json"
    for n in range(5):
        # One event by itself takes another way through the gateway.
        yield json.dumps({"message": f"alone {n} {lines[0]['pan']}"}).encode(), "application/json"
    broken = [f'{{"message": "cut off {line["message"]}' for line in lines[:50]]
    yield "\n".join([*broken, '{"message":"whole"}']).encode(), "application/x-ndjson"
    yield b"\xff\xfe " + str(lines[0]["message"]).encode() + b"\n\x00", "application/x-ndjson"


def everything_stored(data: Path) -> Iterator[tuple[str, bytes]]:
    """All bytes on disk as they are, and what stands compressed in them."""
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        yield str(path), path.read_bytes()
        if path.suffix == ".parquet":
            yield str(path), table_bytes(pq.read_table(path))
    log = sqlite3.connect(data / "log.db")
    found = [name for (name,) in log.execute("SELECT name FROM pragma_table_info('records')")]
    assert "payload" in found
    count = 0
    for (payload,) in log.execute("SELECT payload FROM records"):
        count += 1
        yield "log.db", table_bytes(pa.Table.from_batches([decode_batch(payload)]))
    assert count > 5


def table_bytes(table: pa.Table) -> bytes:
    return repr(table.to_pylist()).encode()


@pytest.mark.slow
def test_nothing_redacted_is_ever_on_disk(tmp_path: Path) -> None:
    """Card numbers in messages, attributes, names, nested JSON, other columns and in lines that are no events at all:
    none is in the log, the lake, the other store or the dead letters; and the events are all there.
    """
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    numbers = cards()
    options = ("--set", f"pipeline={tmp_path / 'pipeline.toml'}", "--store", "lake", "--store", "jsonl")
    with Server(tmp_path / "data", *options, "--set", "log.keep_for_s=3600") as server:
        for body, content_type in bodies(iter(numbers)):
            server.post_logs(body, content_type)
        noise = [{"message": f"n{n}", "service": "chatty", "trace_id": f"t{n}"} for n in range(1_000)]
        server.post_logs("\n".join(map(json.dumps, noise)).encode())
        server.wait_stored()
        chatty = server.get_json("/api/count?q=service:chatty")["count"]
        found = server.get_json("/api/count?q=*")["count"]
        letters = server.get_json("/api/dead-letters")
        metrics = server.request("GET", "/metrics")[1].decode()
    assert found == 3 * COUNT + 9 + 5 + 1 + chatty
    assert 40 < chatty < 180
    assert f'tailrace_pipeline_events_dropped_total{{step="thin-out"}} {1_000 - chatty}.0' in metrics
    assert letters["count"] >= 50
    stored = list(everything_stored(tmp_path / "data"))
    kinds = {Path(place).suffix for place, _ in stored}
    assert {".parquet", ".db"} <= kinds
    sent = {number.encode() for number in numbers}
    for place, content in stored:
        left = sent & set(re.findall(rb"(?=(4[0-9]{15}))", content.replace(b" ", b"")))
        assert not left, place
    jsonl = b"".join(content for place, content in stored if Path(place).name == FILE_NAME)
    assert b"[card]" in jsonl
    assert b'"secret"' not in jsonl


def test_a_wrong_pipeline_stops_the_start(tmp_path: Path) -> None:
    """With its file, step, field and reason; nothing is taken in unredacted meanwhile."""
    (tmp_path / "pipeline.toml").write_text('[[step]]\nkind = "redact"\ndetect = ["card"]\nwhere = "("')
    settings = Settings(data=tmp_path / "data", pipeline=tmp_path / "pipeline.toml")
    (tmp_path / "data").mkdir()
    with (
        pytest.raises(Stop, match=r"pipeline\.toml: step 1 \(redact\): where: column 1"),
        platform(settings, clock=system_clock_us),
    ):
        pytest.fail("it has started")
