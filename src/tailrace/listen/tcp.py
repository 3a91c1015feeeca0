"""Connections of a TCP listener: how many there may be, over TLS or not, and how they end.

A protocol brings its own `Connection`; this module takes connections in, counts them, and ends them in order. All of
it runs on the server's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import cast

from tailrace.errors import Stop
from tailrace.listen.open_files import open_files_max
from tailrace.listen.tls import TlsProtocol
from tailrace.ops.metrics import Metrics

# Reading, decoding and appending what was read ends within this time, or is left.
STOP_S = 3.0

# Waiting to be accepted; what a burst of clients after a restart needs.
_BACKLOG = 1024

# Open files that are left to everybody else: HTTP, the log, the lake.
_FILES_LEFT = 512

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One client. Subclasses take `data_received`; they call `super()` where they take the other two as well."""

    transport: asyncio.Transport
    source: str
    """Where a dead letter says that it came from: `syslog tcp from 192.0.2.1`."""
    peer: str
    """The client's address without its port."""

    def __init__(self, listener: TcpListener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = plain_address(str(address[0])) if address else "unknown"
        self.source = f"{self._listener.label} from {self.peer}"
        self._listener.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.closed(self)

    async def finish(self) -> None:
        """Read no more, see that what was read is appended and answered, and close. Has STOP_S."""
        self.transport.close()

    def abort(self) -> None:
        """There is no more time."""
        self.transport.abort()


Serve = Callable[["StreamConnection", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StreamConnection(Connection):
    """A client whose protocol is a coroutine over streams: `serve` runs until the reader is at its end.

    At the end of the listener the reader is at its end: `serve` then answers for what it has read, and returns. The
    connection is closed when it has returned, and when it has raised, which is logged. `buffer_bytes` is how much the
    reader holds before the client is no longer read from.
    """

    def __init__(self, listener: TcpListener, serve: Serve, *, buffer_bytes: int) -> None:
        super().__init__(listener)
        self._serve = serve
        self._buffer_bytes = buffer_bytes
        self._streams: asyncio.StreamReaderProtocol | None = None
        self._reader: asyncio.StreamReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._finishing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=self._buffer_bytes, loop=loop)
        self._streams = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        self._streams.connection_made(transport)
        writer = asyncio.StreamWriter(self.transport, self._streams, self._reader, loop)
        self._task = loop.create_task(self._run(self._reader, writer))

    def data_received(self, data: bytes) -> None:
        if self._finishing:
            # The reader goes on by itself when it has room again.
            self.transport.pause_reading()
        elif self._streams is not None:
            self._streams.data_received(data)

    def eof_received(self) -> bool:
        # Not closed yet: what was read is still answered.
        return bool(self._streams is not None and self._streams.eof_received())

    def pause_writing(self) -> None:
        if self._streams is not None:
            self._streams.pause_writing()

    def resume_writing(self) -> None:
        if self._streams is not None:
            self._streams.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._streams is None or self._task is None:
            super().connection_lost(error)
            return
        # After a reset too, what had come before is read.
        self._streams.connection_lost(None)
        # Until then it takes room, and is waited for at the end.
        self._task.add_done_callback(lambda _: self._listener.closed(self))

    async def finish(self) -> None:
        if self._reader is not None and self._task is not None:
            self._finishing = True
            with contextlib.suppress(RuntimeError):
                self.transport.pause_reading()
            if not self._reader.at_eof():
                self._reader.feed_eof()
            await asyncio.wait([self._task])
        self.transport.close()

    def abort(self) -> None:
        super().abort()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception:
            log.exception("%s: the connection is closed", self.source)
        finally:
            self.transport.close()


class TcpListener:
    """Implements `Listener`. `name` is the setting that holds the address; `connect` makes a client's connection.

    The port is taken when it is made: raises `Stop` when it cannot be. Clients wait until `start`.
    """

    def __init__(
        self,
        name: str,
        address: str,
        connect: Callable[[TcpListener], Connection],
        *,
        connections_max: int,
        metrics: Metrics,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.label = name.replace("_", " ")
        self.connections: set[Connection] = set()
        self._tls_count = 0
        self._connect = connect
        self._connections_max = connections_max
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._count = metrics.listener_connections.labels(name)
        self._refused = metrics.listener_connections_refused.labels(name)
        self._socket = bind(address, socket.SOCK_STREAM, name)

    async def start(self) -> None:
        self._connections_max = min(self._connections_max, open_files_max() - _FILES_LEFT)
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, sock=self._socket, backlog=_BACKLOG
        )

    async def stop(self) -> None:
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        ending = [asyncio.ensure_future(each.finish()) for each in self.connections]
        if ending:
            _, late = await asyncio.wait(ending, timeout=STOP_S)
            for each in late:
                each.cancel()
        for connection in list(self.connections):
            connection.abort()

    def _protocol(self) -> asyncio.BaseProtocol:
        connection = self._connect(self)
        if self._tls is None:
            return connection
        return TlsProtocol(connection, self._tls, made=self._tls_made, lost=self._tls_lost)

    def _tls_made(self, transport: asyncio.BaseTransport) -> None:
        # Before its handshake is done, or nobody would count those that never do one.
        self._tls_count += 1
        if self._tls_count > self._connections_max:
            self._refused.inc()
            cast(asyncio.Transport, transport).abort()

    def _tls_lost(self) -> None:
        self._tls_count -= 1

    def opened(self, connection: Connection) -> None:
        """Called by a connection that is made; one too many is closed at once, and counted."""
        if len(self.connections) >= self._connections_max or self._server is None or not self._server.is_serving():
            self._refused.inc()
            connection.transport.abort()
            return
        self.connections.add(connection)
        self._count.set(len(self.connections))

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._count.set(len(self.connections))


def plain_address(address: str) -> str:
    """IPv4's own form of an address that came in over IPv6."""
    return address.removeprefix("::ffff:") if "." in address else address


def bind(address: str, kind: socket.SocketKind, name: str) -> socket.socket:
    """A socket bound to HOST:PORT. Raises `Stop`, which names the setting `listeners.{name}`."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Its connections have it too. A client that is switched off ends nothing by itself.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        bound.bind((host, int(port)))
        if kind == socket.SOCK_STREAM:
            # Two sockets may be bound to one port, and only one may listen.
            bound.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        hint = "ports below 1024 need a privilege; " if isinstance(error, PermissionError) else ""
        raise Stop(
            f"cannot listen on {address} (listeners.{name}): {error}; {hint}choose another address with "
            f"--set listeners.{name}=HOST:PORT"
        ) from error
    bound.setblocking(False)
    return bound
