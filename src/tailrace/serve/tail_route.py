"""`GET /api/tail`: new events as they are stored, as server-sent events (HTML Living Standard, 9.2).

    : tail                                      the tail has begun
    event: log      data: {event}               one for each match
    event: missed   data: {"count": n}          the reader was too slow: so many events went by, matching or not
    : heartbeat                                 every 15 s without anything else

Nothing is queued here: when the client does not read, the next batch is not taken, and the subscription, which is
bounded, counts what it has to leave out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Query, Response

from tailrace.errors import SlowDown
from tailrace.query.to_sql import to_sql
from tailrace.serve.parameters import TailParameters
from tailrace.serve.places import Places
from tailrace.serve.rendering import Renderer
from tailrace.serve.serving import Serving
from tailrace.serve.streaming import Streamed, begun
from tailrace.store.port import Subscription

HEARTBEAT_S = 15.0
_TAKE_S = 0.5
"""How long a tail waits for a batch before it looks whether it should end."""


class Tails:
    """The tails of a process; each waits in a thread of its own. Used from the event loop."""

    def __init__(self, places: Places, renderer: Renderer) -> None:
        self._places = places
        self._renderer = renderer
        self._tails_max = places.settings.query.tails_max
        self._open = 0
        self._threads = ThreadPoolExecutor(self._tails_max, thread_name_prefix="tail")

    async def follow(self, where: str) -> AsyncGenerator[bytes, None]:
        """Server-sent events for what the SQL condition `where` holds for, until the server stops.

        Raises `SlowDown` when there are `query.tails_max` tails already.
        """
        metrics = self._places.metrics
        if self._open >= self._tails_max:
            metrics.queries_refused.labels("tail").inc()
            raise SlowDown(f"{self._open} live tails are open (query.tails_max); close one", retry_after_s=10)
        self._open += 1
        metrics.tails.inc()
        subscription: Subscription | None = None
        try:
            subscription = self._places.hot.subscribe()
            yield b": tail\n\n"
            told, said_s = 0, time.monotonic()
            while not self._places.stopping.is_set():
                chunk = await self._next(subscription, where)
                missed = subscription.missed
                if missed > told:
                    chunk = b'event: missed\ndata: {"count": %d}\n\n' % (missed - told) + chunk
                    metrics.tail_missed.inc(missed - told)
                    told = missed
                if not chunk and time.monotonic() - said_s >= HEARTBEAT_S:
                    chunk = b": heartbeat\n\n"
                if chunk:
                    said_s = time.monotonic()
                    yield chunk
        finally:
            self._open -= 1
            metrics.tails.dec()
            if subscription is not None:
                subscription.close()

    async def _next(self, subscription: Subscription, where: str) -> bytes:
        def work() -> bytes:
            batches = subscription.take(_TAKE_S)
            if not batches:
                return b""
            # Together: a statement of its own for each of many small batches would fall behind them.
            events = pa.Table.from_batches(batches)
            return self._renderer.lines(events, before="event: log\ndata: ", after="\n\n", where=where)

        return await asyncio.wrap_future(self._threads.submit(work))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


def tail_router(serving: Serving, tails: Tails) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["search"])

    @router.get(
        "/tail",
        summary="Follow events live",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def tail(asked: Annotated[TailParameters, Query()]) -> Response:
        """Every new event that matches, as a server-sent event `log`, from the moment the answer begins.

        `missed` counts events that went by because the reader was too slow. A comment comes every 15 s.
        """
        where = to_sql(asked.where(), now_us=serving.places.clock())
        serving.renderer.check(where)
        chunks = await begun(tails.follow(where))
        return Streamed(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return router
