"""SIGTERM to a busy server: every request that was begun is answered, and what was acknowledged is stored."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest
from deploy.local.process import free_port

from tests.roles_load import HOST, Callers, SlowBody
from tests.server import Server

pytestmark = pytest.mark.slow

DRAIN_S = 10.0


def stored(server: Server) -> Counter[str]:
    status, body = server.request("GET", "/api/search?format=ndjson")
    assert status == 200, body
    return Counter(orjson.loads(line)["attributes"]["n"] for line in body.splitlines())


def test_what_was_begun_is_answered_and_what_was_acknowledged_is_stored(tmp_path: Path) -> None:
    """64 callers on kept connections and four slow bodies are answered; one that would take for ever gets 503."""
    # Its callers try to connect while it is down: not to a port that they could be given themselves.
    server = Server(tmp_path / "data", port=free_port())
    with server:
        callers = Callers(server.port, 64)
        bodies = [SlowBody(server.port, f"slow{number}", parts=12, pause_s=0.2) for number in range(4)]
        endless = SlowBody(server.port, "endless", parts=1000, pause_s=0.2)
        callers.start()
        for body in (*bodies, endless):
            body.start()
        time.sleep(1)
        started_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started_s < DRAIN_S
        told = callers.join()
        for body in (*bodies, endless):
            body.join()
    assert "stopped" in server.said()
    assert "Traceback" not in server.said()
    assert [(body.status, body.failure) for body in bodies] == [(202, None)] * 4
    assert (endless.status, endless.failure) == (503, None)
    assert endless.retry_after is not None
    assert told.statuses.keys() <= {202, 503}, told.statuses
    assert not told.without_retry_after
    with server:
        found = stored(server)
    # A connection that was closed without an answer carried nothing that was read.
    assert found == Counter({*told.acknowledged, *(key for body in bodies for key in body.keys)})
    assert len(told.acknowledged) > 64
    # One may have been closed for having been idle in the very moment when its next request was on its way.
    assert len(told.unanswered) <= 4


def test_an_idle_server_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    """Kept connections on which nothing is under way are closed, and a live tail; none of them is waited for."""
    with Server(tmp_path / "data") as server:
        idle = [http.client.HTTPConnection(HOST, server.port) for _ in range(20)]
        for connection in idle:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        tail = http.client.HTTPConnection(HOST, server.port)
        tail.request("GET", "/api/tail")
        answer = tail.getresponse()
        started_s = time.monotonic()
        assert server.stop() == 0
        # Requests that are under way are given four seconds.
        assert time.monotonic() - started_s < 4
        # The tail has its proper end.
        answer.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_end_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C does what SIGTERM does."""
    with Server(tmp_path / "data") as server:
        os.kill(server.pid, number)
        assert server.stop() == 0
        assert "stopped" in server.said()
