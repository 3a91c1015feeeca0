"""The HTTP client of the commands, against a real server on a socket."""

from __future__ import annotations

import http.server
import os
import resource
import threading
from collections.abc import Iterator
from typing import ClassVar

import click
import pytest

from tailrace.client.connection import Connection, ServerError, Unreachable


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.connections.append(self.client_address[1])
        status, content = {
            "/good": (200, b"one\r\ntwo\nthree"),
            "/closing": (200, b"bye"),
            "/problem": (400, b'{"title": "Bad query", "detail": "column 3: no such field"}'),
            "/busy": (503, b"{}"),
            "/foreign": (502, b"<html>\n<h1>Bad gateway</h1></html>"),
        }[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(content)
        # Without telling, as servers end a connection that was idle for long.
        self.close_connection = self.path == "/closing"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    _Handler.connections.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_share_a_connection_until_the_server_closes_it(url: str) -> None:
    """A closed one is noticed before the next request is sent, so nothing has to be sent twice."""
    with Connection(url) as connection:
        for path in ("/good", "/closing", "/good", "/good"):
            assert connection.request("GET", path).status == 200
            threading.Event().wait(0.05)
    assert len(set(_Handler.connections[:2])) == 1
    assert len(set(_Handler.connections)) == 2


def test_lines_are_streamed_without_their_ends(url: str) -> None:
    """The last one needs none."""
    assert list(Connection(url).stream_lines("GET", "/good")) == [b"one", b"two", b"three"]


def test_a_problem_is_told_in_its_own_words(url: str) -> None:
    """Title and detail, with the status; from a stream as well."""
    with pytest.raises(ServerError, match="400: Bad query: column 3: no such field"):
        Connection(url).request("GET", "/problem")
    with pytest.raises(ServerError, match="column 3"):
        list(Connection(url).stream_lines("GET", "/problem"))


def test_the_wait_that_the_server_asks_for_is_known(url: str) -> None:
    """In seconds, of Retry-After."""
    with pytest.raises(ServerError) as caught:
        Connection(url).request("GET", "/busy")
    assert (caught.value.status, caught.value.retry_after_s) == (503, 7)


def test_a_page_of_another_server_is_shown_in_short(url: str) -> None:
    """A proxy's, say."""
    with pytest.raises(ServerError, match="502: <html> <h1>Bad gateway"):
        Connection(url).request("GET", "/foreign")


def test_a_server_that_is_not_there_is_named() -> None:
    """With what to look at."""
    with pytest.raises(Unreachable, match=r"nothing listens at http://127\.0\.0\.1:1"):
        Connection("http://127.0.0.1:1").request("GET", "/")


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port"])
def test_what_is_not_an_address_is_refused_at_once(url: str) -> None:
    """Before any request."""
    with pytest.raises(click.BadParameter, match="is not an address"):
        Connection(url)


def test_a_connection_is_kept_by_a_process_with_many_open_files(url: str) -> None:
    """Past the descriptor 1023, where `select` would refuse it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 < hard < 4096 else 4096, hard))
    opened: list[int] = []
    try:
        while not opened or opened[-1] <= 1024:
            opened.append(os.open(os.devnull, os.O_RDONLY))
        with Connection(url) as connection:
            for _ in range(2):
                connection.request("GET", "/good")
        assert len(set(_Handler.connections)) == 1
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
