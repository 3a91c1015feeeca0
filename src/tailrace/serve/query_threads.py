"""The threads in which queries run, and how many requests may want them at once.

Queries block on native code, so they run here and the event loop only waits. A request is *admitted* for its whole
life, streams included; past the bound it is refused at once, since a longer queue makes everybody wait longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request
from starlette.types import Receive

from tailrace.config import QuerySettings
from tailrace.errors import SlowDown
from tailrace.ops.metrics import Metrics

T = TypeVar("T")


class ClientGone(Exception):
    """The client left before it had its answer."""


class QueryThreads:
    """Used from the event loop."""

    def __init__(self, settings: QuerySettings, metrics: Metrics) -> None:
        self._requests_max = settings.requests_max
        self._requests = 0
        self._metrics = metrics
        # Twice DuckDB's threads: while one query waits for the disk or renders, another has the cores.
        self._pool = ThreadPoolExecutor(settings.threads * 2, thread_name_prefix="query")

    @contextmanager
    def admitted(self, kind: str) -> Iterator[None]:
        """Room for one request; raises `SlowDown` when there is none."""
        if self._requests >= self._requests_max:
            self._metrics.queries_refused.labels(kind).inc()
            raise SlowDown(
                f"{self._requests} queries are at work or waiting (query.requests_max); ask again in a moment"
            )
        self._requests += 1
        started = time.perf_counter()
        try:
            yield
        finally:
            self._requests -= 1
            self._metrics.query_seconds.labels(kind).observe(time.perf_counter() - started)

    async def answer(self, kind: str, request: Request, work: Callable[[], T]) -> T:
        """Run `work` in a thread; what waits for one is dropped when the client leaves (`ClientGone`)."""
        with self.admitted(kind):
            return await unless_gone(request.receive, self.run(work))

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread; the caller has been admitted."""
        return await asyncio.wrap_future(self._pool.submit(work))

    async def pull(self, chunks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
        """The chunks, each made in a thread once the one before was taken.

        The generator is closed in a thread, whether it ended, failed or was left.
        """
        step: Future[bytes | None] | None = None
        try:
            while True:
                step = self._pool.submit(next, chunks, None)
                chunk = await asyncio.wrap_future(step)
                if chunk is None:
                    return
                yield chunk
        finally:
            # A step that is under way cannot be left: the generator is closed behind it.
            if step is None:
                chunks.close()
            else:
                step.add_done_callback(lambda _: self._pool.submit(chunks.close))

    async def admitted_pull(self, kind: str, chunks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
        """`pull`, admitted from the first chunk to the last."""
        with self.admitted(kind):
            pulled = self.pull(chunks)
            try:
                async for chunk in pulled:
                    yield chunk
            finally:
                await pulled.aclose()

    def close(self) -> None:
        """Waits for the queries at work."""
        self._pool.shutdown(cancel_futures=True)


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; when the client leaves first, `work` is cancelled and `ClientGone` raised."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
