"""Clients of Loki as they are, with the configurations of docs/ingest/loki.md, against a server that is killed."""

from __future__ import annotations

import json
import logging
import re
import threading
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server
from tests.shippers.rig import COUNT, events, killed_meanwhile, message, numbers, run_node

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "ingest" / "loki.md").read_text()

_THREADS = 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "data").start()
    yield started
    started.stop()


def configuration(name: str, server: Server) -> str:
    """The block of the page under the heading, for this server."""
    found = re.search(rf"^### {name}\n.*?```\w+\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    assert "http://localhost:8001" in found[1]
    return found[1].replace("http://localhost:8001", server.url)


def python_handlers(server: Server, version: str, refused: list[int]) -> list[logging.Handler]:
    """A handler for each thread, as each holds its lock while it waits; what it gives up goes to `refused`."""
    names: dict[str, Any] = {}
    exec(configuration("python-logging-loki", server), names)
    names["logger"].removeHandler(names["handler"])

    class Noting(type(names["handler"])):  # type: ignore[misc]
        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
            self.emitter.close()
            refused.append(record.args[0])  # type: ignore[index, arg-type]

    return [Noting(url=names["handler"].emitter.url, tags={"app": "shop"}, version=version) for _ in range(_THREADS)]


@pytest.mark.parametrize(("version", "count"), [("0", COUNT // 5), ("1", COUNT)])
def test_python_logging_loki(server: Server, version: str, count: int) -> None:
    """Both of its forms. It does not try again: what was answered with 204 is there once, the rest at most once."""
    refused: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        handlers = python_handlers(server, version, refused)

    def send(first: int) -> None:
        for number in range(first, count, _THREADS):
            record = logging.LogRecord("cart", logging.WARNING, "", 0, message(0)[:-1] + "%d", (number,), None)
            record.tags = {"path": 'C:\\dir "x"'}
            handlers[first].handle(record)

    threads = [threading.Thread(target=send, args=(first,)) for first in range(_THREADS)]
    with killed_meanwhile(server, after_events=count // 3, down_s=0.2):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stored = numbers(server)
    assert max(stored.values()) == 1
    assert set(range(count)) - set(refused) <= set(stored)
    assert len(stored) > count // 3
    (event, *_) = events(server)
    assert (event["service"], event["level"]) == ("shop", "WARN")
    assert event["attributes"]["path"] == 'C:\\dir "x"'  # type: ignore[index]


def test_winston_loki(server: Server) -> None:
    """Protobuf in snappy, without an encoding. It tries again: all is there, and twice only what was on its way."""
    sending = """
    let sent = 0;
    while (sent < COUNT) {
      for (let i = 0; i < 500; i++) logger.warn(MESSAGE + sent++, { labels: { part: `p${sent % 3}` } });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    while (transport.batcher.batchesSending || transport.batcher.batch.streams.length)
      await new Promise((resolve) => setTimeout(resolve, 50));
    process.exit(0);
    """
    script = configuration("winston-loki", server).replace("interval: 1,", "interval: 0.2, timeout: 5000,")
    # It waits for a minute after an error.
    script += "transport.batcher.circuitBreakerInterval = 500;"
    with killed_meanwhile(server):
        run_node(script + sending.replace("COUNT", str(COUNT)).replace("MESSAGE", json.dumps(message(0)[:-1])))
    stored = numbers(server)
    assert sorted(stored) == list(range(COUNT))
    assert sum(stored.values()) - COUNT <= 2_000
    (event, *_) = events(server)
    assert (event["service"], event["level"]) == ("shop", "WARN")
    assert 'level="warn"' in event["attributes"]["_loki_stream"]  # type: ignore[index]


def test_pino_loki(server: Server) -> None:
    """JSON, each line a stream of its own. It does not try again: what got through is there once."""
    sending = """
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    let sent = 0;
    while (sent < COUNT) {
      while (!(await fetch("URL/ready").then((answer) => answer.ok, () => false))) await sleep(50);
      for (let i = 0; i < 500; i++) logger.error({ meta: { traceID: "1f", part: 3 } }, MESSAGE + sent++);
      await sleep(100);
    }
    const closed = new Promise((resolve) => transport.on("close", resolve));
    transport.end();
    await Promise.race([closed, sleep(20000)]);
    process.exit(0);
    """
    script = configuration("pino-loki", server).replace("interval: 1 ", "interval: 0.2 ")
    sending = sending.replace("COUNT", str(COUNT)).replace("MESSAGE", json.dumps(message(0)[:-1]))
    with killed_meanwhile(server):
        run_node(script + sending.replace("URL", server.url))
    stored = numbers(server)
    assert max(stored.values()) == 1
    assert len(stored) > COUNT // 2
    assert COUNT - 1 in stored
    (event, *_) = events(server)
    assert (event["service"], event["level"], event["trace_id"]) == ("shop", "ERROR", "1f")
    assert event["attributes"]["part"] == "3"  # type: ignore[index]


def test_answers_are_those_of_loki(server: Server) -> None:
    """204 without a body; 400 with the reasons as text, and the good entries kept; /ready says so."""
    good = {"stream": {"app": "a"}, "values": [["1763726400000000000", "event 1"], ["soon", "event 2"]]}
    status, body = server.request("GET", "/ready")
    assert (status, body.strip()) == (200, b"ready")
    headers = {"Content-Type": "application/json", "X-Scope-OrgID": "tenant"}
    status, body = server.request("POST", "/loki/api/v1/push", json.dumps({"streams": [good]}).encode(), headers)
    assert status == 400
    assert body.splitlines()[1].startswith(b"entry 2: the timestamp 'soon' is neither")
    good["values"] = [["1763726400000000000", "event 3"]]
    assert server.request("POST", "/api/prom/push", json.dumps({"streams": [good]}).encode(), headers) == (204, b"")
    assert server.request("POST", "/loki/api/v1/push", b"{", headers)[0] == 400
    assert server.request("POST", "/loki/api/v1/push", b"{", {**headers, "Content-Encoding": "br"})[0] == 400
    assert sorted(numbers(server)) == [1, 3]
    letters = server.get_json("/api/dead-letters")
    request = urllib.request.Request(f"{server.url}/loki/api/v1/push", method="GET")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(request, timeout=10)
    (letter,) = letters["dead_letters"]
    mended = json.dumps({"streams": [{"stream": {"app": "a"}, "values": [["1763726400000000000", "event 2"]]}]})
    path = f"/api/dead-letters/{letter['id']}/replay"
    assert server.request("POST", path, mended.encode())[0] == 200
    assert sorted(numbers(server)) == [1, 2, 3]
