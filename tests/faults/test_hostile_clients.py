"""Clients that mean harm, or are broken: others are served as before."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import socket
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tests.server import Server, free_port

pytestmark = pytest.mark.slow

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]

IDLE = 10_000
MIB = 1 << 20


def good(server: Server, number: int) -> None:
    """What everybody else does, and has to be able to do."""
    status, answer = server.post_logs(b'{"message":"good %d"}' % number)
    assert (status, answer["accepted"]) == (202, 1)
    wait_found(server, f"%22good+{number}%22")


def wait_found(server: Server, query: str) -> None:
    until = time.monotonic() + 30
    while not server.get_json(f"/api/search?q={query}")["events"]:
        assert time.monotonic() < until, query
        time.sleep(0.02)


def raise_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"NOT TESTED: a process may have {hard} files open here, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    """Half to HTTP, half to syslog; they cost little memory, and others are served."""
    raise_open_files(IDLE + 500)
    syslog = free_port()
    with Server(tmp_path / "data", "--set", f"listeners.syslog_tcp=127.0.0.1:{syslog}") as server:
        good(server, 0)
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        with contextlib.ExitStack() as stack:
            for number in range(IDLE):
                port = server.port if number % 2 else syslog
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            good(server, 1)
            with socket.create_connection(("127.0.0.1", syslog)) as connection:
                connection.sendall(b"<13>1 2025-03-28T10:00:00Z host app - - - through the crowd\n")
            wait_found(server, "crowd")
            assert process.memory_info().rss - before < 200 * MIB
        good(server, 2)


def test_requests_that_never_end(tmp_path: Path) -> None:
    """Heads and bodies that come a byte at a time, and bodies without an end: the server ends them, and goes on."""
    head = b"POST /logs HTTP/1.1\r\nhost: x\r\n"

    async def slow_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for byte in head + b"x: " + b"y" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)
        return b""

    async def slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(head + b"content-length: 1000\r\n\r\n")

        async def drip() -> None:
            for _ in range(999):
                writer.write(b" ")
                await asyncio.sleep(0.5)

        dripping = asyncio.create_task(drip())
        try:
            return await reader.readuntil(b"\r\n")
        finally:
            dripping.cancel()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(head + b"transfer-encoding: chunked\r\n\r\n")
        piece = b'{"message":"' + b"x" * 65_000 + b'"}\n'
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece)

        async def pour() -> None:
            while True:
                writer.write(chunk)
                await writer.drain()

        pouring = asyncio.create_task(pour())
        try:
            return await reader.readuntil(b"\r\n")
        finally:
            pouring.cancel()

    async def talking(server: Server, talk: Talk) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            return await asyncio.wait_for(talk(reader, writer), 90)
        except (ConnectionError, asyncio.IncompleteReadError):
            return b"closed"
        finally:
            writer.close()

    async def all_of_them(server: Server) -> list[bytes]:
        talks: list[Talk] = [*[slow_head] * 5, *[slow_body] * 5, *[endless] * 2]
        tasks = [asyncio.create_task(talking(server, talk)) for talk in talks]
        number = 0
        while not all(task.done() for task in tasks):
            await asyncio.to_thread(good, server, number)
            number += 1
            await asyncio.sleep(0.2)
        return [task.result() for task in tasks]

    with Server(tmp_path / "data") as server:
        told = asyncio.run(all_of_them(server))
        assert told[:5] == [b"closed"] * 5
        assert told[5:10] == [b"HTTP/1.1 408 Request Timeout\r\n"] * 5
        assert all(answer in (b"closed", b"HTTP/1.1 413 Request Entity Too Large\r\n") for answer in told[10:])
        good(server, 1_000_000)


ENDPOINTS = [
    ("/logs", "application/json"),
    ("/_bulk", "application/x-ndjson"),
    ("/loki/api/v1/push", "application/json"),
    ("/v1/logs", "application/x-protobuf"),
    ("/v1/logs", "application/json"),
    ("/services/collector", "application/json"),
    ("/api/v2/logs", "application/json"),
    ("/gelf", "application/json"),
]


def test_bodies_that_grow_a_thousandfold(tmp_path: Path) -> None:
    """Two gigabytes in two megabytes, to every protocol that takes compressed bodies: refused, in bounded memory."""
    once = gzip.compress(bytes(64 * MIB), 9)
    bombs = {"gzip": once * 32, "deflate": zlib.compress(bytes(512 * MIB), 9)}
    with Server(tmp_path / "data") as server:
        good(server, 0)
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        for path, content_type in ENDPOINTS:
            for encoding, bomb in bombs.items():
                headers = {"content-type": content_type, "content-encoding": encoding}
                status, answer = server.request("POST", path, bomb, headers)
                assert 400 <= status < 500, (path, encoding, status, answer[:200])
        assert process.memory_info().rss - before < 400 * MIB
        good(server, 1)
