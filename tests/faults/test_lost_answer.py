"""Clients that repeat what may have arrived: the answer is lost on its way, and everything is stored once."""

from __future__ import annotations

import http.client
import http.server
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tailrace.client.send import send
from tailrace.handler import TailraceHandler
from tests.server import Server

pytestmark = pytest.mark.slow


class Proxy:
    """Stands in front of a server and loses answers: `losing` is called with each, and says whether to drop it."""

    def __init__(self, server: Server) -> None:
        self.losing: Callable[[int], bool] = lambda number: False
        self.passed = 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    status, answer = server.request("POST", self.path, body, dict(self.headers.items()))
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                    return
                owner.passed += 1
                if owner.losing(owner.passed):
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def in_front_of(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server)
    try:
        yield proxy
    finally:
        proxy.close()


def stored(server: Server) -> Counter[str]:
    server.wait_stored()
    page = server.get_json("/api/search?limit=10000")
    return Counter(event["message"] for event in page["events"])


def dies(server: Server, *numbers: int) -> Callable[[int], bool]:
    """The server is killed when it has answered, before the answer gets through, and started again."""

    def losing(number: int) -> bool:
        if number in numbers:
            server.kill()
            server.start()
        return number in numbers

    return losing


def test_a_body_that_is_repeated_under_its_key_is_stored_once(tmp_path: Path) -> None:
    """Its dead letters too; over a kill -9 in between; and other keys, or none, are other bodies."""
    server = Server(tmp_path / "data", "--set", "worker.flush_interval_s=0.05")
    body = b'{"message": "good"}\nnonsense\n'
    with server:

        def post(key: str | None) -> tuple[int, bytes]:
            headers = {"content-type": "application/x-ndjson"} | ({} if key is None else {"Idempotency-Key": key})
            return server.request("POST", "/logs", body, headers)

        first = post("a")
        assert post("a") == first
        server.kill()
        server.start()
        assert [post("a"), post("b"), post(None), post(None)] == [first] * 4
        assert first[0] == 202
        assert stored(server) == Counter({"good": 4})
        assert server.get_json("/api/dead-letters")["count"] == 4
        assert post("")[0] == 400


def test_a_file_is_stored_once_though_answers_are_lost(tmp_path: Path) -> None:
    """`tailrace send`: one answer is lost, and behind another the server is killed."""
    path = tmp_path / "app.log"
    lines = [f"2025-03-28 10:00:00 INFO line {number} {'x' * 1000}" for number in range(9000)]
    path.write_text("\n".join(lines) + "\n")
    with Server(tmp_path / "data") as server, in_front_of(server) as proxy:
        kill = dies(server, 3)
        proxy.losing = lambda number: number == 1 or kill(number)
        assert CliRunner().invoke(send, ["--to", proxy.url, str(path)]).exit_code == 0
        assert proxy.passed >= 5
        assert stored(server) == Counter(lines)


@pytest.mark.parametrize("spool", [False, True])
def test_what_a_program_logs_is_stored_once_though_answers_are_lost(tmp_path: Path, spool: bool) -> None:
    """`TailraceHandler`: answers are lost, the server is killed behind one, and batches go by way of the disk."""
    folder = tmp_path / "spool" if spool else None
    options: dict[str, Any] = {"batch_events_max": 50, "flush_interval_s": 0.01, "spool_folder": folder}
    with Server(tmp_path / "data") as server, in_front_of(server) as proxy:
        kill = dies(server, 2)
        proxy.losing = lambda number: number in (1, 3) or kill(number)
        logger = logging.Logger("app")
        with TailraceHandler(proxy.url, **options) as handler:
            logger.addHandler(handler)
            for number in range(600):
                logger.info("event %d", number)
            while not handler.flush(20):
                pass
            while folder is not None and any(folder.iterdir()):
                time.sleep(0.02)
        assert proxy.passed > 3
        assert stored(server) == Counter(f"event {number}" for number in range(600))
