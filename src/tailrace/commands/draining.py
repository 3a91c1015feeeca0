"""How a server ends: every request that was begun is answered, and nobody waits for long.

    signal ──> last call ──────────────> no new connections ──────> 503 for what is left ──> the role is closed
               answers carry             idle ones are closed,      with Retry-After
               `Connection: close`       the others answered

A client with a connection of its own learns from its answer that it has to open another. One that was cut off
instead could not know whether its request was still read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tailrace.commands.slow_clients import BoundedRequests
from tailrace.listen.port import Listener
from tailrace.serve.problems import PROBLEM_JSON, problem_body

# Busy clients come again within this time, and are then told that it was the last.
_LAST_CALL_S = 0.5
# A connection that was just taken from the kernel brings its request within this time.
_FIRST_BYTES_S = 0.1
# Requests under way get so long to end.
_DRAIN_S = 4.0
# A client that is still sending reads no answer before it is done, or is refused to send.
_LINGER_S = 1.0
# What was acknowledged is in the log, so that nothing is worth waiting for longer, such as a store that is away.
_END_S = 9.0

_TICK_S = 0.05
_WEBSOCKET_MESSAGE_BYTES_MAX = 65_536
_RETRY_AFTER_S = 5

log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Serves `app` until `handle_exit`, the handler for SIGTERM and SIGINT, was called.

    `stopping` is set then; it tells what would never end by itself, such as a live tail, to do so. The process has
    ended 9 s later, whatever happens. `listeners` run beside it, and end while the requests do.
    """

    def __init__(self, app: ASGIApp, stopping: threading.Event, listeners: Sequence[Listener] = ()) -> None:
        super().__init__(
            uvicorn.Config(
                _answering_the_last(app, stopping),
                http=BoundedRequests,
                loop="uvloop",
                ws="websockets-sansio",
                # Those who tail say nothing that is worth reading.
                ws_max_size=_WEBSOCKET_MESSAGE_BYTES_MAX,
                lifespan="on",
                access_log=False,
                log_config=None,
            )
        )
        self._stopping = stopping
        self._listeners = listeners

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises `Stop` when a listener cannot be started."""
        await super().startup(sockets)
        for listener in self._listeners:
            await listener.start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are captured already, and still are when the role is closed."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        end = threading.Timer(_END_S, _leave_the_rest)
        end.daemon = True
        end.start()
        listeners = [asyncio.create_task(listener.stop()) for listener in self._listeners]
        state = self.server_state
        await self._until(lambda: not state.connections, _LAST_CALL_S)
        await self._stop_listening(sockets or [])
        for connection in list(state.connections):
            # Closes it if it is idle.
            connection.shutdown()
        if not await self._until(lambda: not state.connections and not state.tasks, _DRAIN_S):
            for task in list(state.tasks):
                task.cancel()
            await self._until(lambda: not state.tasks, _LINGER_S + _TICK_S)
        for done in await asyncio.gather(*listeners, return_exceptions=True):
            if isinstance(done, Exception):
                log.error("a listener did not stop in order", exc_info=done)
        await self.lifespan.shutdown()

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        """Take what the kernel has taken already: it would reset those connections, whatever they have sent."""
        spares = [each.dup() for each in sockets]
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()
        # The loop lets go of the sockets.
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        accepted: list[socket.socket] = []
        for spare in spares:
            with spare, contextlib.suppress(BlockingIOError):
                spare.setblocking(False)
                while True:
                    accepted.append(spare.accept()[0])
        for connection in accepted:
            await loop.connect_accepted_socket(self._protocol, connection)
        if accepted:
            await asyncio.sleep(_FIRST_BYTES_S)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _until(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it was so in time; a second Ctrl-C ends the wait."""
        until_s = time.monotonic() + timeout_s
        while not is_done():
            if time.monotonic() >= until_s or self.force_exit:
                return False
            await asyncio.sleep(_TICK_S)
        return True


def leave() -> None:
    """End the process, at once: everything is closed, and Python would take its objects apart for a second of CPU."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _leave_the_rest() -> None:
    log.warning(
        "not everything has ended after %g s, and is left; what was acknowledged is in the log, and is stored after "
        "the next start",
        _END_S,
    )
    print("stopped", flush=True)
    leave()


def _answering_the_last(app: ASGIApp, stopping: threading.Event) -> ASGIApp:
    """The same application; what it answers while the server stops is the last on its connection."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started = False

        async def send_the_last(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if stopping.is_set():
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await app(scope, receive, send_the_last)
        except asyncio.CancelledError:
            # The server has waited for long enough.
            if started:
                raise
            await _send_away(receive, send)

    return answering


async def _send_away(receive: Receive, send: Send) -> None:
    body = problem_body(503, "this server is stopping; send again, to another or a little later")
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(_RETRY_AFTER_S).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # To close a connection with unread bytes in it is to reset it, and the client may lose the answer.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})
