"""Connections that nobody waits for are closed, and no others."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tailrace.commands import slow_clients
from tailrace.commands.serving import _bind
from tailrace.commands.slow_clients import BoundedRequests

HEAD_S, REST_S = 0.8, 0.3


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before the body has come."""
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(slow_clients, "HEAD_MAX_S", HEAD_S)
    monkeypatch.setattr(slow_clients, "REST_MAX_S", REST_S)
    config = uvicorn.Config(refusing, http=BoundedRequests, loop="uvloop", lifespan="off", log_level="critical")
    listener = _bind("127.0.0.1:0")
    listener.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join()
    listener.close()


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """By the other side, without an answer."""
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def test_a_head_that_does_not_come(port: int) -> None:
    """Its connection is closed after a while, whether it was begun or not."""
    with connected(port) as silent, connected(port) as begun:
        begun.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        assert is_closed(silent)
        assert is_closed(begun)


@pytest.mark.parametrize("piece", [b"y" * 65_536, b"y: z\r\n" * 10_000], ids=["one header", "many headers"])
def test_a_head_without_an_end(port: int, monkeypatch: pytest.MonkeyPatch, piece: bytes) -> None:
    """It is not gathered in memory: the connection is closed after so many bytes, however fast they come."""
    monkeypatch.setattr(slow_clients, "HEAD_MAX_S", 60)
    with connected(port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
            for _ in range(8 * slow_clients.HEAD_BYTES_MAX // len(piece)):
                connection.sendall(piece)
        assert is_closed(connection)


def test_a_body_that_goes_on_behind_its_answer(port: int) -> None:
    """It is read, as many clients read no answer before they have sent all, but not for ever."""
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(b" ")
                time.sleep(0.02)
            pytest.fail("it went on for 20 s")


def test_a_connection_is_used_again(port: int) -> None:
    """The end of a refused body ends the wait; heads in parts and several at once are answered."""
    body = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n0123456789"
    with connected(port) as connection:
        connection.sendall(body[:-5])
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
        connection.sendall(body[-5:] + body[:20])
        time.sleep(0.05)
        connection.sendall(body[20:] + body)
        answers = connection.recv(1000)
        while answers.count(b"HTTP/1.1 413 ") < 2:
            answers += connection.recv(1000)
        time.sleep(HEAD_S + REST_S)
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_is_gone_without_a_word_is_noticed() -> None:
    """The kernel asks connections on which nothing comes whether the other side is still there."""
    with _bind("127.0.0.1:0") as listener:
        listener.listen()
        with connected(listener.getsockname()[1]), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
