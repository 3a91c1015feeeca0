"""`GET /logs` answered from Redis, at a steady rate, beside a bare GET of the same answer."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import redis.asyncio
import uvloop
from deploy.local.redis import Redis

from bench.report import Row
from bench.server import running
from tailrace.client.demo_events import ndjson_bodies

_REQUESTS_PER_S = 1000
_FOR_S = 10.0
_CONNECTIONS = 16
_REQUEST = b"GET /logs?level=ERROR&level=WARN&limit=100 HTTP/1.1\r\nhost: bench\r\n\r\n"

_Ask = Callable[[], Awaitable[None]]
"""Asks once, over a connection of its own."""


def cache_row(folder: Path, seed: int) -> Row:
    """99th percentile of ten seconds, each from the moment it was due; the client has the same cores."""
    with Redis(folder / "redis") as server, running(folder / "cache", "--set", f"hot.url={server.url}") as tailrace:
        for body in ndjson_bodies(5_000, body_events=5_000, seed=seed):
            tailrace.post_logs(body)
        tailrace.wait_stored()
        cached = uvloop.run(_asked_http(tailrace.port))
        bare = uvloop.run(_asked_bare(server))
    note = f"median {cached[49]:.2f} ms; a bare GET of the same answer {bare[98]:.2f} ms, median {bare[49]:.2f} ms"
    return Row(f"GET /logs from Redis, p99, at {_REQUESTS_PER_S:,} requests/s", cached[98], "ms", 5, 2, note=note)


async def _asked_http(port: int) -> list[float]:
    return await _asked([await _http(port) for _ in range(_CONNECTIONS)])


async def _http(port: int) -> _Ask:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask() -> None:
        writer.write(_REQUEST)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
        assert b" 200 " in head, head

    return ask


async def _asked_bare(server: Redis) -> list[float]:
    async with redis.asyncio.Redis.from_url(server.url, max_connections=_CONNECTIONS) as client:
        [key] = await client.keys("tailrace:*:answers:*")

        async def ask() -> None:
            assert await client.get(key)

        return await _asked([ask] * _CONNECTIONS)


async def _asked(asks: Sequence[_Ask]) -> list[float]:
    """Percentiles 1 to 99 in milliseconds; a second goes before, in which things warm up."""
    await asks[0]()  # The answer is made.
    await _pace(asks, 1.0)
    return statistics.quantiles(await _pace(asks, _FOR_S), n=100)


async def _pace(asks: Sequence[_Ask], for_s: float) -> list[float]:
    taken_ms: list[float] = []
    first_s = time.perf_counter()
    due_s = iter(first_s + i / _REQUESTS_PER_S for i in range(int(for_s * _REQUESTS_PER_S)))

    async def work(ask: _Ask) -> None:
        for due in due_s:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await ask()
            taken_ms.append((time.perf_counter() - due) * 1000)

    await asyncio.gather(*map(work, asks))
    return taken_ms
