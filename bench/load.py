"""Sending: bodies over a few keep-alive connections, and single events over many."""

from __future__ import annotations

import asyncio
import http.client
import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.server import Server

CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds from the first byte sent until everything was acknowledged, and until the stores had it."""

    events: int
    acknowledged_s: float
    stored_s: float

    @property
    def acknowledged_events_per_s(self) -> float:
        return self.events / self.acknowledged_s

    @property
    def stored_events_per_s(self) -> float:
        return self.events / self.stored_s


def send_bodies(
    server: Server, bodies: Iterable[tuple[int, bytes]], content_type: str, *, path: str = "/logs"
) -> Load:
    """Each body once, with its number of events; refusals (429, 503) are sent again."""
    work: queue.Queue[tuple[int, bytes] | None] = queue.Queue(maxsize=2 * CONNECTIONS)
    failures: list[str] = []

    def run() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while (item := work.get()) is not None:
            while True:
                connection.request("POST", path, item[1], {"content-type": content_type})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status not in (429, 503):
                    break
                time.sleep(0.02)
            if answer.status not in (200, 202, 204):
                failures.append(f"{answer.status} {text[:200]!r}")
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(CONNECTIONS)]
    events = 0
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for item in bodies:
        work.put(item)
        events += item[0]
    for _ in threads:
        work.put(None)
    for thread in threads:
        thread.join()
    acknowledged_s = time.perf_counter() - started
    if failures:
        raise AssertionError(f"{len(failures)} bodies failed, the first with {failures[0]}")
    server.wait_stored(timeout_s=600)
    return Load(events, acknowledged_s, time.perf_counter() - started)


def small_requests_per_s(server: Server, *, connections: int = 64, for_s: float = 5.0) -> float:
    """One event a request over many connections, each waiting for its answer: durable requests a second."""
    body = b'{"timestamp":"2025-03-28T10:00:00","level":"ERROR","message":"Something failed","source":"auth-service"}'
    request = (
        b"POST /logs HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % len(body)
    ) + body

    async def one(until: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        count = 0
        while time.perf_counter() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 202"), head
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            count += 1
        writer.close()
        return count

    async def all_of_them() -> float:
        started = time.perf_counter()
        counts = await asyncio.gather(*(one(started + for_s) for _ in range(connections)))
        return sum(counts) / (time.perf_counter() - started)

    return asyncio.run(all_of_them())
