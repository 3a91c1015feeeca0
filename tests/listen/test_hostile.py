"""A real server with connections that are no good: others are served as before."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path

import psutil
import pytest

from tests.server import Server, free_port

IDLE = 10_000
# An idle connection, with what the event loop and Python keep of it.
IDLE_BYTES_MAX = 6_000


@pytest.mark.slow
def test_ten_thousand_idle_connections_cost_little_and_hold_up_nobody(tmp_path: Path) -> None:
    """Some kilobytes each. One more sender and HTTP are served; an endless message does not grow the server."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < IDLE + 1000:
        pytest.skip(f"NOT TESTED: this machine allows a process {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port = free_port()
    server = Server(tmp_path / "data", "--set", f"listeners.syslog_tcp=127.0.0.1:{port}")
    with contextlib.ExitStack() as stack, server:
        process = psutil.Process(server.pid)
        send(port, b"<13>first\n")
        before = process.memory_info().rss
        for number in range(IDLE):
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            # A tenth has begun a message.
            if number % 10 == 0:
                idle.send(b"<13>begun")
        assert f'tailrace_listener_connections{{listener="syslog_tcp"}} {IDLE}.0' in metrics(server)
        assert process.memory_info().rss - before < IDLE * IDLE_BYTES_MAX

        before = process.memory_info().rss
        endless = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        for _ in range(64):
            endless.sendall(b"x" * (1 << 20))
        send(port, b"<13>second\n")
        assert server.post_logs(b'{"message":"third"}')[0] == 202
        server.wait_stored()
        messages = {event["message"] for event in server.get_json("/logs?limit=10")["logs"]}
        assert {"first", "second", "third"} <= messages
        assert process.memory_info().rss - before < 32 << 20


def send(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        # It is read to its end, and closed.
        assert client.recv(1) == b""


def metrics(server: Server) -> str:
    return server.request("GET", "/metrics")[1].decode()
