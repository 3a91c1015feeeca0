"""`/loki/api/v1/tail`: the last lines of a query and then new ones, over a WebSocket, as they are stored.

    {"streams": [{"stream": {…}, "values": [["ns", "line"]]}], "dropped_entries": [{"labels": {}, "timestamp": "ns"}]}

`dropped_entries` has one entry for each event that went by because the reader was too slow, matching or not, up to a
bound; its labels are not known any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from fastapi import WebSocket, WebSocketDisconnect

from tailrace.errors import BadInput, RetryLater
from tailrace.query.logql.tree import LogQuery
from tailrace.serve.loki.answers import streams_of
from tailrace.serve.loki.asked import Asked, named
from tailrace.serve.loki.evaluate import Evaluation, parts_of, piped
from tailrace.serve.loki.events import frame_of
from tailrace.serve.serving import Serving
from tailrace.store.port import Subscription

_logger = logging.getLogger(__name__)

Stream = dict[str, Any]
"""Lines of the same labels, as the answer has them."""

_TAKE_S = 0.2
"""How long a tail waits for lines before it looks whether it should end: so that it does before it is cut off."""
_HEARTBEAT_S = 15.0
_DROPPED_MAX = 100
_END_US = 1 << 52
"""A time behind every event's."""
_TRY_LATER, _WRONG, _GOING, _BROKEN = 1013, 1007, 1001, 1011
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
            parameters = Asked(named(socket.url.query), places.clock() * 1000)
            # Not on the event loop: a long query takes a while to be parsed.
            query = await asyncio.to_thread(parameters.selector)
            limit = parameters.limit()
            start_us = -(-parameters.span_ns()[0] // 1000)
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
        self._seen: Mapping[int, int] = {}

    async def follow(self, start_us: int, limit: int) -> None:
        """The last `limit` lines since `start_us`, then new ones, until the client or the server goes."""
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
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await self._socket.close(*self._why(sending.exception()))
        finally:
            leaving.cancel()
            sending.cancel()
            subscription.close()

    def _why(self, failed: BaseException | None) -> tuple[int, str]:
        """What the client is told when the sending has ended."""
        if isinstance(failed, BadInput):
            return _WRONG, _reason(str(failed))
        if isinstance(failed, RetryLater):
            return _TRY_LATER, _reason(str(failed))
        if failed is None or self._serving.places.stopping.is_set():
            return _GOING, "the server is stopping"
        if not isinstance(failed, WebSocketDisconnect):
            _logger.error("a live tail of the Loki API failed", exc_info=failed)
        return _BROKEN, "something here is broken; the server's log has it"

    async def _left(self) -> None:
        """Returns when the client has gone; what it says is read and forgotten."""
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass

    async def _send(self, subscription: Subscription, start_us: int, limit: int) -> None:
        places = self._serving.places
        await self._tell(await self._in_thread(lambda: self._before(start_us, limit)), 0)
        told, said_s = 0, time.monotonic()
        while not places.stopping.is_set():
            streams = await self._in_thread(lambda: self._next(subscription))
            missed = subscription.missed - told
            told += missed
            if missed:
                places.metrics.tail_missed.inc(missed)
            if streams or missed or time.monotonic() - said_s > _HEARTBEAT_S:
                # An answer without lines keeps proxies from closing what looks idle.
                said_s = time.monotonic()
                await self._tell(streams, missed)

    async def _in_thread(self, work: Callable[[], list[Stream]]) -> list[Stream]:
        return await asyncio.wrap_future(self._threads.submit(work))

    def _before(self, start_us: int, limit: int) -> list[Stream]:
        places = self._serving.places
        with places.searchable.snapshot() as snapshot:
            evaluation = Evaluation(snapshot, places.settings.query)
            newest = list(evaluation.lines(self._query, start_us, _END_US, "desc", limit))
            # What is in this view came to the subscription, too, if it is new.
            self._seen = snapshot.reached
        return streams_of([frame.reversed() for frame in newest[::-1]], categorize=False)

    def _next(self, subscription: Subscription) -> list[Stream]:
        batches = subscription.take(_TAKE_S)
        if not batches:
            return []
        events = pa.Table.from_batches([_above(batch, self._seen) for batch in batches]).combine_chunks()
        frames = (piped(frame_of(part), self._query) for batch in events.to_batches() for part in parts_of(batch))
        return streams_of(frames, categorize=False)

    async def _tell(self, streams: list[Stream], missed: int) -> None:
        message: dict[str, Any] = {"streams": streams}
        if missed:
            now = f"{self._serving.places.clock() * 1000}"
            message["dropped_entries"] = [{"labels": {}, "timestamp": now}] * min(missed, _DROPPED_MAX)
        await self._socket.send_text(orjson.dumps(message).decode())


def _above(batch: pa.RecordBatch, seen: Mapping[int, int]) -> pa.RecordBatch:
    """The events whose offsets were not in the view that `seen` describes."""
    partitions, offsets = (batch[name].to_numpy() for name in ("log_partition", "log_offset"))
    new = np.ones(batch.num_rows, bool)
    for partition, reached in seen.items():
        new &= (partitions != partition) | (offsets >= reached)
    return batch if new.all() else batch.filter(pa.array(new))


def _reason(text: str) -> str:
    """A reason that fits into a close frame."""
    return text.encode()[:_REASON_BYTES_MAX].decode("utf-8", "ignore")
