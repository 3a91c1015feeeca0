"""A real HTTP server for the tests of clients: it keeps what it acknowledged, and misbehaves when told to."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    status: int = 202
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False
    """Close the connection behind the answer, without saying so."""


Decide = Callable[[list[dict[str, Any]]], Reply]


class LogServer:
    """Listens on a free port of 127.0.0.1. `events` are those that were answered with 2xx."""

    def __init__(self) -> None:
        self.decide: Decide = lambda events: Reply()
        self.answering = threading.Event()
        self.answering.set()
        self.events: list[dict[str, Any]] = []
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._start(0)
        self.url = f"http://127.0.0.1:{self.port}"

    def hang(self) -> None:
        """Take requests, and answer none until `resume` or `stop`."""
        self.answering.clear()

    def resume(self) -> None:
        self.answering.set()

    def stop(self) -> None:
        """Nothing listens any more; requests under way are cut."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self.answering.set()

    def start_again(self) -> None:
        self._start(self.port)

    def wait_for(self, holds: Callable[[LogServer], bool], timeout_s: float = 20) -> None:
        """Until the condition holds; it is looked at after each request."""
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self), timeout_s), (self.requests, len(self.events))

    def messages(self) -> Counter[str]:
        return Counter(event["message"] for event in self.events)

    def _start(self, port: int) -> None:
        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            block_on_close = False

        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # The headers and the body go out in two writes; Nagle would wait 40 ms in between.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                owner._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        assert request.headers["Content-Encoding"] == "gzip"
        events = [json.loads(line) for line in gzip.decompress(body).splitlines()]
        with self._changed:
            self.requests += 1
            self.headers.append(dict(request.headers))
            self._changed.notify_all()
        self.answering.wait()
        if request.server is not self._server:
            request.close_connection = True
            return
        with self._changed:
            reply = self.decide(events)
            if reply.status < 300:
                self.events += events
            self._changed.notify_all()
        try:
            request.send_response(reply.status)
            for name, value in reply.headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(reply.body)))
            request.end_headers()
            request.wfile.write(reply.body)
        except ConnectionError:
            request.close_connection = True  # The client has given up waiting.
        if reply.close:
            request.close_connection = True


@contextmanager
def log_server() -> Iterator[LogServer]:
    server = LogServer()
    try:
        yield server
    finally:
        server.stop()
