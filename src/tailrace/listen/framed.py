"""TCP connections that bring messages one after the other, and are told nothing: syslog and GELF.

Nobody can be asked to send again. So what was read is kept until it is durable, and when much of it waits, reading
stops, and the senders wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Protocol

import numpy as np

from tailrace.ingest.decoded import Rejected
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.syslog.decode import CUT_OFF
from tailrace.ingest.syslog.frames import Frames
from tailrace.listen.appending import Appender, DecodeFrames, Received
from tailrace.listen.tcp import STOP_S, Connection, TcpListener
from tailrace.ops.metrics import Metrics

# One connection must not fill the listener's room alone; four reads of the event loop.
_CONNECTION_BYTES_MAX = 1 << 20

# What all connections have begun and not ended; past it the one with the most is closed.
_BEGUN_BYTES_MAX = 64 << 20

# Whoever has begun a message goes on with it within this time; an idle connection may stay for ever.
_STALL_S = 60.0
_SWEEP_S = 5.0

# At the end: what is on its way is still read, and the client is told that no more is.
_LAST_READS_S = 0.3


class Framing(Protocol):
    """The state of one connection; see `ingest.syslog.frames.Framer`."""

    @property
    def begun_bytes(self) -> int: ...

    def feed(self, data: bytes) -> Frames | None: ...

    def end(self) -> tuple[Frames | None, bytes]: ...

    def rest(self) -> bytes: ...


class MakeFraming(Protocol):
    def __call__(self, bytes_max: int, /) -> Framing: ...


class FramedListener(TcpListener):
    """Implements `Listener`. `make_framing` is called for each connection with `ingest.line_bytes_max`."""

    def __init__(
        self,
        name: str,
        address: str,
        make_framing: MakeFraming,
        decode: DecodeFrames,
        *,
        content_type: str,
        gateway: Gateway,
        connections_max: int,
        metrics: Metrics,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        bytes_max = gateway.limits.line_bytes_max
        super().__init__(
            name,
            address,
            lambda _: FramedConnection(self, make_framing(bytes_max)),
            connections_max=connections_max,
            metrics=metrics,
            tls=tls,
        )
        self.bytes_received = metrics.bytes_received
        self.appender = Appender(
            gateway, decode, name=name, content_type=content_type, metrics=metrics, on_room=self._resume_all
        )
        self._begun: dict[FramedConnection, int] = {}
        self._begun_bytes = 0
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        await super().stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self.appender.drained()
        self.appender.close()

    def note_begun(self, connection: FramedConnection, size_bytes: int) -> None:
        """How much of a message a connection has begun; the one with the most is closed when all have too much."""
        before = self._begun.pop(connection, 0)
        self._begun_bytes += size_bytes - before
        if size_bytes:
            self._begun[connection] = size_bytes
        while self._begun_bytes > _BEGUN_BYTES_MAX:
            most = max(self._begun, key=lambda each: self._begun[each])
            most.give_up(f"the messages that are begun take more than {_BEGUN_BYTES_MAX:,} bytes")

    def pause_all_if_full(self) -> None:
        if self.appender.full:
            for each in self.connections:
                if isinstance(each, FramedConnection):
                    each.pause()

    def _resume_all(self) -> None:
        for each in self.connections:
            if isinstance(each, FramedConnection):
                each.resume()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            stalled_since = loop.time() - _STALL_S
            for each in list(self._begun):
                # Nobody who is not read from can go on.
                if each.last_read_s < stalled_since and not each.paused:
                    each.give_up(f"nothing came for {_STALL_S:g} s within the message")


class FramedConnection(Connection):
    """One client. What it has sent and is not appended yet is bounded: past that it is not read from."""

    def __init__(self, listener: FramedListener, framing: Framing) -> None:
        super().__init__(listener)
        self._framed = listener
        self._framing = framing
        self._waiting_bytes = 0
        self._ended = False
        self.last_read_s = 0.0
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # uvloop starts to read behind this call, paused or not.
        asyncio.get_running_loop().call_soon(self._framed.pause_all_if_full)

    def data_received(self, data: bytes) -> None:
        self._framed.bytes_received.inc(len(data))
        self._hand(self._framing.feed(data))
        begun = self._framing.begun_bytes
        if begun:
            self.last_read_s = asyncio.get_running_loop().time()
        self._framed.note_begun(self, begun)
        if self._waiting_bytes > _CONNECTION_BYTES_MAX:
            self.pause()
        self._framed.pause_all_if_full()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(CUT_OFF)
        super().connection_lost(error)

    async def finish(self) -> None:
        if not self.transport.is_closing() and self.transport.can_write_eof():
            self.transport.write_eof()
        await asyncio.sleep(_LAST_READS_S)
        self.pause()
        self._end(CUT_OFF)
        self.transport.close()

    def appended(self, size_bytes: int) -> None:
        """Implements `Sender`."""
        self._waiting_bytes -= size_bytes
        self.resume()

    def pause(self) -> None:
        if not self.paused and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.paused and self._waiting_bytes <= _CONNECTION_BYTES_MAX // 2 and not self._framed.appender.full:
            self.paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def give_up(self, reason: str) -> None:
        """Close; what is begun of a message becomes a dead letter."""
        rest = self._framing.rest()
        self._ended = True
        self._framed.note_begun(self, 0)
        if rest:
            self._framed.appender.add_letter(self.peer, Rejected(1, reason, rest))
        self.transport.abort()

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        last, cut = self._framing.end()
        self._framed.note_begun(self, 0)
        self._hand(last)
        if cut:
            self._framed.appender.add_letter(self.peer, Rejected(1, reason, cut))

    def _hand(self, frames: Frames | None) -> None:
        if frames is None:
            return
        received = Received(frames, [self.peer], np.zeros(len(frames), np.int64), self)
        self._waiting_bytes += received.size_bytes
        self._framed.appender.add(received)
