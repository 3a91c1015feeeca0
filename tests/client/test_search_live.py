"""The client commands and the handler against a running `tailrace up`."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from tailrace.cli import main
from tailrace.client.connection import Connection, Unreachable
from tailrace.client.demo_events import ndjson_bodies
from tailrace.handler import TailraceHandler

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from tailrace.cli import main; main()"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    folder = tmp_path_factory.mktemp("platform")
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, "up", "--data", str(folder / "data"), "--listen", listen],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(600):
            try:
                Connection(f"http://{listen}").request("GET", "/healthz")
                break
            except Unreachable:
                assert process.poll() is None, (folder / "output.txt").read_text()
                time.sleep(0.1)
        yield f"http://{listen}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def run(url: str, *arguments: str, text: str | None = None) -> Result:
    return CliRunner(env={"TAILRACE_URL": url}).invoke(main, list(arguments), input=text)


def search_until(url: str, count: int, *arguments: str) -> list[dict[str, Any]]:
    """The matches as objects, once there are as many; visible is a little later than acknowledged."""
    lines: list[str] = []
    for _ in range(200):
        lines = run(url, "search", *arguments, "--output", "json", "--all").stdout.splitlines()
        if len(lines) >= count:
            break
        time.sleep(0.05)
    assert len(lines) == count
    return [orjson.loads(line) for line in lines]


def test_what_the_handler_logs_is_found_by_its_fields(url: str, tmp_path: Path) -> None:
    """Message, level, logger, nested `extra` and exceptions can be searched for."""
    handler = TailraceHandler(url, service="live-shop", spool_folder=tmp_path)
    logger = logging.Logger("shop.orders")
    logger.addHandler(handler)
    logger.warning("order %s späť", "A-7", extra={"order": {"total": 49.9}, "status": 503, "service": "inner"})
    try:
        raise TimeoutError("too slow")
    except TimeoutError:
        logger.exception("gave up")
    handler.close()
    assert (handler.counters.sent, handler.counters.rejected, handler.counters.dropped) == (2, 0, 0)
    (event,) = search_until(url, 1, "service:live-shop AND order.total:>49 AND level:WARN")
    assert event["message"] == "order A-7 späť"
    attributes = event["attributes"]
    assert (attributes["logger"], attributes["status"], attributes["service"]) == ("shop.orders", "503", "inner")
    (failed,) = search_until(url, 1, "service:live-shop AND exception.type:TimeoutError")
    assert failed["level"] == "ERROR"


def test_every_demo_event_comes_out_again(url: str) -> None:
    """Three thousand events with all attributes, sent as NDJSON, are found, counted and summed up in SQL."""
    for body in ndjson_bodies(3_000, attributes=True, seed=9, body_events=1_000):
        Connection(url).request("POST", "/logs", body=body, headers={"content-type": "application/x-ndjson"})
    sent = [
        orjson.loads(line) for body in ndjson_bodies(3_000, attributes=True, seed=9) for line in body.splitlines()
    ]
    window = ("--since", "2025-03-28T10:00:00Z", "--until", "2025-03-28T10:00:00Z", "--order", "asc")
    found = search_until(url, 3_000, *window)
    assert [event["message"] for event in found] == [event["message"] for event in sent]
    errors = sum(event["level"] == "ERROR" for event in sent)
    assert run(url, "search", "level:ERROR", *window[:4], "--count").stdout == f"{errors}\n"
    query = "SELECT count(*) AS n FROM logs WHERE level = 'ERROR' AND year(timestamp) = 2025"
    assert orjson.loads(run(url, "sql", query, "--output", "json").stdout) == {"n": errors}
    csv = run(url, "search", "level:ERROR", *window, "--all", "--output", "csv").stdout
    assert csv.startswith("timestamp,level,message,")


def test_a_wrong_query_points_at_the_place(url: str) -> None:
    """In the server's words and columns."""
    done = run(url, "search", "level:ERROR AND (service:x")
    assert done.exit_code == 2
    query, pointer = done.stderr.splitlines()[-2:]
    assert query == "  level:ERROR AND (service:x"
    assert pointer.index("^") == query.index("(")
    assert run(url, "sql", "SELEC 1").exit_code == 2


def test_generated_events_are_seen_by_a_tail(url: str) -> None:
    """`tailrace generate` on one side, `tailrace tail` on the other, and `fetch` gets answers meanwhile."""
    tail = subprocess.Popen(
        [*COMMAND, "tail", "region:*", "--output", "json", "--url", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        generate = subprocess.Popen([*COMMAND, "generate", "--rate", "300", "--for", "5s", "--to", url])
        assert tail.stdout is not None
        events = [orjson.loads(tail.stdout.readline()) for _ in range(50)]
        assert {event["attributes"]["region"] for event in events} > {"eu-west-1"}
        fetched = run(url, "fetch", "--rate", "20", "--for", "1s")
        assert fetched.exit_code == 0, fetched.output
        assert generate.wait(60) == 0
    finally:
        tail.send_signal(signal.SIGINT)
        _, told = tail.communicate(timeout=30)
    assert tail.returncode == 0, told


def test_a_dead_letter_is_mended_and_replayed(url: str, tmp_path: Path) -> None:
    """From the refused line to an event that is found."""
    Connection(url).request("POST", "/logs", body=b'{"message":"whole"}\n{"message":"mended later"\n')
    letters: list[str] = []
    for _ in range(200):
        letters = run(url, "dead-letters", "list", "--output", "json").stdout.splitlines()
        if letters:
            break
        time.sleep(0.05)
    letter = orjson.loads(letters[0])
    assert letter["line"] == 2
    assert run(url, "dead-letters", "show", letter["id"], "--raw").stdout.rstrip("\n") == '{"message":"mended later"'
    mended = tmp_path / "line.json"
    mended.write_bytes(b'{"message":"mended later"}')
    assert run(url, "dead-letters", "replay", letter["id"]).exit_code == 1
    done = run(url, "dead-letters", "replay", letter["id"], "--mended", os.fspath(mended))
    assert done.exit_code == 0, done.output
    (event,) = search_until(url, 1, '"mended later"')
    assert event["message"] == "mended later"
    assert run(url, "dead-letters", "list", "--output", "json").stdout == ""
