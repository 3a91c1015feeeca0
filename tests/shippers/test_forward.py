"""Fluent's loggers, configured as docs/ingest/forward.md says, and a sender by Fluentd's rules, over a kill."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest

from tests.server import Server, free_port
from tests.shippers.rig import (
    COUNT,
    events,
    killed_meanwhile,
    message,
    numbers,
    run,
    run_node,
    wait_for,
    wait_for_count,
)

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "ingest" / "forward.md"
EACH_ONCE = dict.fromkeys(range(COUNT), 1)
KEY = "a shared key"


def configuration(heading: str, language: str, port: int) -> str:
    """The first block that the page has under a heading, for this port."""
    section = PAGE.read_text("utf-8").split(f"\n## {heading}\n", maxsplit=1)[1]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    assert "24224" in found[1]
    return found[1].replace("24224", str(port))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[Server]:
    with Server(tmp_path / "data", "--set", f"listeners.forward=127.0.0.1:{port}") as server:
        yield server


class Sender:
    """As Fluentd's out_forward: a chunk is sent again, under its id, until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, entries: list[Any], chunk: str) -> None:
        packed = b"".join(map(msgpack.packb, entries))
        sent = msgpack.packb(["app", packed, {"chunk": chunk, "size": len(entries)}])
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s:
            with suppress(OSError):
                if self._socket is None:
                    self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                self._socket.sendall(sent)
                answer = self._socket.recv(1000)
                if answer:
                    assert msgpack.unpackb(answer) == {"ack": chunk}
                    return
            self.close()
            time.sleep(0.05)
        raise AssertionError(f"{chunk} was not acknowledged in a minute")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def test_chunks_are_stored_once_over_a_kill(server: Server, port: int) -> None:
    """A sender by Fluentd's rules: every event arrives, and none twice, though each third chunk is sent twice."""
    sender = Sender(port)
    with killed_meanwhile(server):
        for first in range(0, COUNT, 100):
            entries = [[1_763_000_000 + n, {"log": message(n)}] for n in range(first, first + 100)]
            sender.send(entries, f"chunk-{first}")
            if first % 300 == 0:
                sender.send(entries, f"chunk-{first}")
    sender.close()
    assert numbers(server) == EACH_ONCE


def test_the_python_logger(server: Server, port: int) -> None:
    """It gets no acknowledgements: nothing comes twice, and what is lost is what was in sockets at the kill."""
    script = f"""{configuration("Python: fluent-logger", "python", port)}
import time
logging.getLogger().setLevel(logging.INFO)
for number in range({COUNT}):
    logging.info({{"message": {message(7).removesuffix("7")!r} + str(number)}})
    if number % 100 == 0:
        time.sleep(0.02)
while handler.sender.pendings:
    # It sends what it holds with the next event, and gives up at the end.
    time.sleep(0.2)
    logging.info({{"message": "one more"}})
logging.shutdown()
"""
    with killed_meanwhile(server):
        run([sys.executable, "-c", script])
    wait_for_count(server, COUNT // 2)
    found = numbers(server)
    assert set(found.values()) == {1}
    missing = sorted(set(range(COUNT)) - set(found)) or [0]
    assert missing == list(range(missing[0], missing[-1] + 1)), "something is lost that was not sent at the kill"
    event = events(server, f'message:"event {COUNT - 1}"')[0]
    assert (event["level"], event["service"]) == ("INFO", "root")


def test_the_npm_logger(server: Server, port: int) -> None:
    """Acknowledged: every event arrives. What it sends again has a new id, and may be there twice."""
    script = f"""{configuration("Node: @fluent-org/logger", "javascript", port)}
const sent = [];
for (let number = 0; number < {COUNT}; number++) {{
    sent.push(logger.emit("say", {{ message: {message(7).removesuffix("7")!r} + number, ratio: 0.5 }}));
    if (number % 200 === 0) await new Promise((done) => setTimeout(done, 20));
}}
await Promise.all(sent);
await logger.disconnect();
"""
    with killed_meanwhile(server):
        run_node(script)
    found = numbers(server)
    assert sorted(found) == list(range(COUNT))
    assert found.total() < COUNT * 1.3
    assert events(server, f'message:"event {COUNT - 1}"')[0]["attributes"] == {"tag": "app.say", "ratio": "0.5"}


def test_every_mode_with_a_key(tmp_path: Path, port: int, certificates: Path) -> None:
    """The npm logger shakes hands and sends in each mode, over TLS as the page says, and over TCP.

    Who does not know the key is told so, and sends nothing.
    """
    tls_port = free_port()
    over_tls = re.search(r"`(socket: \{.*tls: .*\})`", PAGE.read_text("utf-8"))
    assert over_tls is not None
    tls_socket = over_tls[1].replace("24224", str(tls_port)).replace("ca.pem", f"{certificates}/server.pem")
    options = {
        "socket": {"host": "127.0.0.1", "port": port},
        "ack": {"ackTimeout": 5000},
        "security": {"clientHostname": "me", "sharedKey": KEY},
    }
    script = f"""import fs from "node:fs";
import {{ FluentClient }} from "@fluent-org/logger";
for (const [index, eventMode] of ["Message", "Forward", "PackedForward", "CompressedPackedForward"].entries()) {{
    const transport = index % 2 ? {{ {tls_socket} }} : {{}};
    const logger = new FluentClient("app", {{ ...{orjson.dumps(options).decode()}, ...transport, eventMode }});
    const emit = (number) => logger.emit("say", {{ log: `event ${{index * 50 + number}}` }});
    await Promise.all([...Array(50).keys()].map(emit));
    await logger.disconnect();
}}
"""
    arguments = ["--set", f"listeners.forward=127.0.0.1:{port}", "--set", f"listeners.forward_shared_key={KEY}"]
    arguments += ["--set", f"listeners.forward_tls=127.0.0.1:{tls_port}"]
    arguments += ["--set", f"listeners.tls_certificate={certificates}/server.pem"]
    arguments += ["--set", f"listeners.tls_key={certificates}/server.key"]
    with Server(tmp_path / "data", *arguments) as server:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            assert msgpack.unpackb(client.recv(1000))[0] == "HELO"
            client.sendall(msgpack.packb(["PING", "me", "salt", "0" * 128, "", ""]))
            assert msgpack.unpackb(client.recv(1000)) == ["PONG", False, "shared key mismatch", "", ""]
            assert client.recv(1000) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.recv(1000)
            client.sendall(msgpack.packb(["t", 1, {"message": "event 1000"}]))
            assert msgpack.unpackb(client.recv(1000))[:3] == ["PONG", False, "not a PING"]
        _, metrics = server.request("GET", "/metrics")
        assert b'tailrace_listener_dropped_total{listener="forward",reason="handshake"} 2.0' in metrics
        run_node(script)
        assert numbers(server) == dict.fromkeys(range(200), 1)


def test_what_is_not_the_protocol_and_who_says_nothing(server: Server, port: int) -> None:
    """The first is a dead letter, and closed; a thousand idle and slow clients keep nobody waiting."""
    good = msgpack.packb(["t", 1_763_000_000, {"message": "event 0"}])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(good + b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(1000) == b""
    server.wait_stored()
    (letter,) = server.get_json("/api/dead-letters")["dead_letters"]
    assert letter["source"] == "forward from 127.0.0.1"
    assert "does not speak Fluent's forward protocol" in letter["reason"]
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(1_000)]
    try:
        for each in idle[::2]:
            each.sendall(b"\x93\xa1t\xdb\x00\x10\x00\x00half of it")
        sender = Sender(port)
        sender.send([[1_763_000_000, {"log": message(1)}]], "chunk")
        sender.close()
        assert numbers(server) == {0: 1, 1: 1}
    finally:
        for each in idle:
            each.close()


def test_what_was_read_is_stored_when_the_server_stops(server: Server, port: int) -> None:
    """Messages without ids that were sent before a stop are there after the next start."""
    first, *others = [msgpack.packb(["t", 1_763_000_000, {"log": message(n)}]) for n in range(1000)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(first)
        # Where the kernels are not compiled yet, that takes longer than a stop may.
        wait_for(lambda: server.accepted() == 1, what="the first event")
        client.sendall(b"".join(others))
        size = f"tailrace_bytes_received_total {sum(map(len, [first, *others])):.1f}"
        wait_for(lambda: size in server.request("GET", "/metrics")[1].decode(), what="all bytes")
        assert server.stop() == 0
    server.start()
    assert numbers(server) == dict.fromkeys(range(1000), 1)
