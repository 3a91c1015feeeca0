"""A small HTTP server that answers the routes a test gives it, for the tests of client commands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson


class Request:
    """What came in, and how to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler
        parts = urlsplit(handler.path)
        self.path = parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._handler.send_response(status)
        for name, value in (headers or {}).items():
            self._handler.send_header(name, value)
        self._handler.send_header("Content-Length", str(len(body)))
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def answer_json(self, value: Any, status: int = 200) -> None:
        self.answer(status, orjson.dumps(value))

    def stream(self, *chunks: bytes, whole: bool = True) -> None:
        """Chunked; without `whole` the connection is cut behind the last chunk."""
        self._handler.send_response(200)
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()
        for chunk in chunks:
            self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if whole:
            self._handler.wfile.write(b"0\r\n\r\n")
        else:
            self._handler.close_connection = True


class ApiServer:
    """`routes` by method and path; a route that is not there is 404."""

    def __init__(self) -> None:
        self.routes: dict[str, Callable[[Request], None]] = {"GET /healthz": lambda request: request.answer_json({})}
        self.requests: list[Request] = []
        self.posted: list[bytes] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                request = Request(self)
                owner.requests.append(request)
                route = owner.routes.get(f"{self.command} {request.path}")
                if route is None:
                    request.answer_json({"title": "Not Found", "detail": f"no {request.path}"}, 404)
                else:
                    route(request)

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names of http.server

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def api_server() -> Iterator[ApiServer]:
    server = ApiServer()
    try:
        yield server
    finally:
        server.stop()
