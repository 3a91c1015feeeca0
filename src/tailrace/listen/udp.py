"""A UDP listener: a thread that reads datagrams as fast as they come, and counts those that are lost.

    kernel's buffer ──thread──> room of the appender ──event loop──> log
        dropped: kernel            dropped: full

Nobody tells a sender of datagrams that one was lost; the counters are all there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Callable

from tailrace.listen.appending import Appender, Received
from tailrace.listen.datagrams import Datagrams, widen
from tailrace.listen.tcp import STOP_S, bind
from tailrace.ops.metrics import Metrics

# Half a second of 100,000 small messages a second, which take 768 bytes each there. The kernel may allow less
# (net.core.rmem_max).
_KERNEL_BYTES = 32 << 20

# How often the thread looks whether it is to stop, and what the kernel has dropped.
_TICK_S = 0.25

# At the end, what the kernel has is still read for so long.
_LAST_READS_S = 1.0

log = logging.getLogger(__name__)

Prepare = Callable[[Received, float], Received | None]
"""What is done to datagrams before they wait: takes the time in seconds too. In the reading thread."""


class UdpListener:
    """Implements `Listener`. `name` is the setting that holds the address.

    The port is taken when it is made: raises `Stop` when it cannot be. The kernel keeps what comes until `start`.
    """

    def __init__(
        self, name: str, address: str, appender: Appender, *, metrics: Metrics, prepare: Prepare | None = None
    ) -> None:
        self._name = name
        self._appender = appender
        self._prepare = prepare
        self._bytes_received = metrics.bytes_received
        self._dropped_full = metrics.listener_dropped.labels(name, "full")
        self._dropped_error = metrics.listener_dropped.labels(name, "error")
        self._dropped_kernel = metrics.listener_dropped.labels(name, "kernel")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._socket = bind(address, socket.SOCK_DGRAM, name)
        widen(self._socket, _KERNEL_BYTES)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._read, args=(loop,), name=self._name, daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        self._stopping.set()
        if self._thread is None:
            self._socket.close()
            return
        await asyncio.to_thread(self._thread.join)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._appender.drained()
        self._appender.close()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._socket:
            datagrams = Datagrams(self._socket)
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            dropped = 0
            until_s = look_s = 0.0
            while True:
                stopping = self._stopping.is_set()
                if not stopping:
                    poll.poll(_TICK_S * 1000)
                    until_s = time.monotonic() + _LAST_READS_S
                received = datagrams.receive()
                if received is not None:
                    self._hand(received, loop)
                now_s = time.monotonic()
                if now_s > look_s or stopping:
                    look_s = now_s + _TICK_S
                    total = datagrams.dropped()
                    self._dropped_kernel.inc((total - dropped) % (1 << 32))
                    dropped = total
                if stopping and (received is None or now_s > until_s):
                    return

    def _hand(self, received: Received, loop: asyncio.AbstractEventLoop) -> None:
        self._bytes_received.inc(len(received.frames.data))
        try:
            ready = received if self._prepare is None else self._prepare(received, time.monotonic())
        except Exception:
            # These are lost, and the next ones must not be.
            log.exception("%s: datagrams could not be read, and are lost", self._name)
            self._dropped_error.inc(len(received.frames))
            return
        if ready is None:
            return
        if not self._appender.reserve(ready.size_bytes):
            self._dropped_full.inc(len(ready.frames))
            return
        loop.call_soon_threadsafe(self._add, ready)

    def _add(self, received: Received) -> None:
        self._appender.add(received, reserved=True)
