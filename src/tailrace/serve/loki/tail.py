"""`/loki/api/v1/tail`: new lines of a query over a WebSocket, as they are stored.

    {"streams": [{"stream": {…}, "values": [["ns", "line"]]}], "dropped_entries": [{"labels": {}, "timestamp": "ns"}]}

`dropped_entries` has one entry for each line that went by because the reader was too slow, up to a bound; its labels
are not known any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import orjson
import pyarrow as pa
from fastapi import WebSocket, WebSocketDisconnect

from tailrace.errors import BadInput, RetryLater
from tailrace.query.logql.tree import LogQuery
from tailrace.serve.loki.answers import streams_of
from tailrace.serve.loki.asked import LIMIT, Asked
from tailrace.serve.loki.evaluate import Evaluation, piped
from tailrace.serve.loki.events import frame_of
from tailrace.serve.loki.frame import Frame
from tailrace.serve.serving import Serving
from tailrace.store.port import Subscription

_TAKE_S = 0.5
"""How long a tail waits for lines before it looks whether it should end."""
_HEARTBEAT_S = 15.0
_DROPPED_MAX = 100
_TRY_LATER, _WRONG, _GOING = 1013, 1007, 1001
"""Why a WebSocket is closed (RFC 6455, 7.4.1, and IANA's registry)."""
_REASON_BYTES_MAX = 120


class LokiTails:
    """The tails of a process; each waits in a thread of its own. Used from the event loop."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._tails_max = serving.places.settings.query.tails_max
        self._threads = ThreadPoolExecutor(self._tails_max, thread_name_prefix="loki-tail")
        self._open = 0

    async def tail(self, socket: WebSocket) -> None:
        places = self._serving.places
        try:
            parameters = Asked(parse_qs(socket.url.query, keep_blank_values=True), places.clock() * 1000)
            query = parameters.selector()
            limit = parameters.limit(LIMIT)
            start_us = parameters.span_ns()[0] // 1000 if parameters.text("start") else None
        except BadInput as error:
            await socket.accept()
            await socket.close(_WRONG, _reason(str(error)))
            return
        await socket.accept()
        if self._open >= self._tails_max:
            places.metrics.queries_refused.labels("tail").inc()
            await socket.close(_TRY_LATER, f"{self._open} live tails are open (query.tails_max); close one")
            return
        self._open += 1
        places.metrics.tails.inc()
        try:
            await _Follower(self._serving, socket, query, self._threads).follow(start_us, limit)
        finally:
            self._open -= 1
            places.metrics.tails.dec()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


class _Follower:
    def __init__(self, serving: Serving, socket: WebSocket, query: LogQuery, threads: ThreadPoolExecutor) -> None:
        self._serving = serving
        self._socket = socket
        self._query = query
        self._threads = threads

    async def follow(self, start_us: int | None, limit: int) -> None:
        """Lines since `start_us`, then new ones, until the client or the server goes."""
        places = self._serving.places
        try:
            subscription = places.hot.subscribe()
        except RetryLater as error:
            await self._socket.close(_TRY_LATER, _reason(str(error)))
            return
        leaving = asyncio.ensure_future(self._left())
        sending = asyncio.ensure_future(self._send(subscription, start_us, limit))
        try:
            await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and not leaving.done():
                failed = sending.exception()
                reason = str(failed) if isinstance(failed, BadInput | RetryLater) else "the server is stopping"
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await self._socket.close(_TRY_LATER if failed else _GOING, _reason(reason))
        finally:
            leaving.cancel()
            sending.cancel()
            subscription.close()

    async def _left(self) -> None:
        """Returns when the client has gone; what it says is read and forgotten."""
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass

    async def _send(self, subscription: Subscription, start_us: int | None, limit: int) -> None:
        places = self._serving.places
        if start_us is not None:
            frames = await self._in_thread(lambda: self._before(start_us, limit))
            await self._tell(frames, 0)
        told, said_s = 0, time.monotonic()
        while not places.stopping.is_set():
            frames = await self._in_thread(lambda: self._next(subscription))
            missed = subscription.missed - told
            told += missed
            if missed:
                places.metrics.tail_missed.inc(missed)
            if frames or missed or time.monotonic() - said_s > _HEARTBEAT_S:
                # An answer without lines keeps proxies from closing what looks idle.
                said_s = time.monotonic()
                await self._tell(frames, missed)

    async def _in_thread(self, work: Any) -> list[Frame]:
        frames: list[Frame] = await asyncio.wrap_future(self._threads.submit(work))
        return frames

    def _before(self, start_us: int, limit: int) -> list[Frame]:
        places = self._serving.places
        with places.searchable.snapshot() as snapshot:
            evaluation = Evaluation(snapshot, places.settings.query)
            newest = evaluation.lines(self._query, start_us, places.clock() + 1, "desc", limit)
        return [frame.reversed() for frame in newest[::-1]]

    def _next(self, subscription: Subscription) -> list[Frame]:
        batches = subscription.take(_TAKE_S)
        if not batches:
            return []
        events = pa.Table.from_batches(batches).combine_chunks().to_batches()
        frames = [piped(frame_of(batch), self._query) for batch in events]
        return [frame for frame in frames if len(frame)]

    async def _tell(self, frames: list[Frame], missed: int) -> None:
        message: dict[str, Any] = {"streams": streams_of(frames, categorize=False)}
        if missed:
            now = f"{self._serving.places.clock() * 1000}"
            message["dropped_entries"] = [{"labels": {}, "timestamp": now}] * min(missed, _DROPPED_MAX)
        await self._socket.send_text(orjson.dumps(message).decode())


def _reason(text: str) -> str:
    """A reason that fits into a close frame."""
    return text.encode()[:_REASON_BYTES_MAX].decode("utf-8", "ignore")
