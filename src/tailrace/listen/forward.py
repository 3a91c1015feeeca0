"""Fluentd's and Fluent Bit's forward protocol, over TCP and TLS: messages in, acknowledgements out.

    bytes ──frames──> messages ──append (durable)──> {"ack": chunk}

A message with a chunk's id is a record of the log of its own, claimed by that chunk: the same one, sent again because
its acknowledgement was lost, is stored once. Messages without an id are appended as many at a time as were read, and
nobody is told: what was sent and not read when the server goes is lost. While the log refuses, the client is not
read from, and so waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import ssl
from collections.abc import Callable

import msgpack

from tailrace.config import ListenerSettings
from tailrace.errors import RetryLater, SlowDown
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.forward.decode import Chunk, decode_forward
from tailrace.ingest.forward.entries import BROKEN_BYTES_MAX
from tailrace.ingest.forward.framing import CHUNKS_MAX, Framer, Unit, units_of
from tailrace.ingest.gateway import Gateway, Reservation
from tailrace.listen.forward_handshake import NONCE_BYTES, PING_BYTES_MAX, helo, pong, refusal_of, refused
from tailrace.listen.tcp import StreamConnection, TcpListener
from tailrace.listen.tls import tls_context
from tailrace.model.batch import EVENT_SCHEMA, empty_batch
from tailrace.ops.metrics import Metrics

# Read at once; small messages of one read are appended together.
_READ_BYTES = 1 << 18

# What is held of a message that never ends is missing to others. A modem is faster than this.
_PATIENCE_S = 30.0
_BYTES_PER_S_MIN = 4096

# A client must show that it knows the key within this time.
_HANDSHAKE_S = 10.0

# Room for what was read may be missing for so long.
_ROOM_S = 60

_JSON = "application/json"


def forward(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> TcpListener:
    """With `forward_shared_key`, who does not know it may not send."""
    return _listener("forward", address, settings, gateway, metrics, None)


def forward_tls(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> TcpListener:
    """The same over TLS. Raises `Stop` when the certificate, the key or the clients' CA is not right."""
    return _listener("forward_tls", address, settings, gateway, metrics, tls_context("forward_tls", settings))


def _listener(
    name: str,
    address: str,
    settings: ListenerSettings,
    gateway: Gateway,
    metrics: Metrics,
    tls: ssl.SSLContext | None,
) -> TcpListener:
    async def serve(client: StreamConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Conversation(name, gateway, metrics, client, reader, writer).run(settings.forward_shared_key)

    return TcpListener(
        name,
        address,
        lambda listener: StreamConnection(listener, serve, buffer_bytes=_READ_BYTES),
        connections_max=settings.connections_max,
        metrics=metrics,
        tls=tls,
    )


class _Conversation:
    def __init__(
        self,
        name: str,
        gateway: Gateway,
        metrics: Metrics,
        client: StreamConnection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._name = name
        self._gateway = gateway
        self._metrics = metrics
        self._client = client
        self._reader = reader
        self._writer = writer
        self._framer = Framer(gateway.limits.body_bytes_max)
        self._begun_s = 0.0  # when the message that is held began, by the loop's clock

    async def run(self, shared_key: str | None) -> None:
        if shared_key is not None and not await self._shake_hands(shared_key):
            self._dropped("handshake")
            return
        with self._gateway.reservation() as reservation:
            while data := await self._read():
                self._metrics.bytes_received.inc(len(data))
                if not await self._reserve(reservation, len(data)):
                    self._dropped("memory")
                    return
                is_new = not self._framer.held_bytes
                framed = self._framer.feed(data)
                units = units_of(framed.messages)
                for first in range(0, len(units), CHUNKS_MAX):
                    await self._append_all(units[first : first + CHUNKS_MAX])
                if framed.broken is not None:
                    await self._reject(framed.broken, framed.rest[:BROKEN_BYTES_MAX])
                    return
                reservation.add(self._framer.held_bytes - reservation.bytes)
                if is_new or units:
                    self._begun_s = asyncio.get_running_loop().time()
        if self._framer.held_bytes:
            self._dropped("cut off")

    async def _read(self) -> bytes:
        """Some bytes; none at the end, and when a message that has begun comes too slowly."""
        held_bytes = self._framer.held_bytes
        until_s = self._begun_s + _PATIENCE_S + held_bytes / _BYTES_PER_S_MIN if held_bytes else None
        try:
            async with asyncio.timeout_at(until_s):
                return await self._reader.read(_READ_BYTES)
        except TimeoutError:
            return b""

    async def _reserve(self, reservation: Reservation, count: int) -> bool:
        """Room for what was read; False when others have held it for so long that this client has to come again."""
        for _ in range(_ROOM_S):
            try:
                reservation.add(count)
            except SlowDown as error:
                await asyncio.sleep(error.retry_after_s)
            else:
                return True
        return False

    async def _append_all(self, units: list[Unit]) -> None:
        await asyncio.gather(*(self._append(unit) for unit in units))
        acks = b"".join(_ack(unit.chunk.id) for unit in units if unit.chunk is not None)
        if acks:
            self._writer.write(acks)
            await self._writer.drain()

    async def _append(self, unit: Unit) -> None:
        key = None if unit.chunk is None else _key(self._client.peer, unit.chunk)
        limits = self._gateway.limits
        await self._durable(lambda now_us: decode_forward(unit.body, limits=limits, now_us=now_us), key)

    async def _reject(self, reason: str, raw: bytes) -> None:
        rejected = Decoded(empty_batch(EVENT_SCHEMA), [Rejected(1, reason, raw)])
        await self._durable(lambda _: rejected, None)

    async def _durable(self, decode: Callable[[int], Decoded], key: str | None) -> None:
        """Waits while the log refuses: the client's own buffer is the place for what is still to come."""
        source = self._client.source
        try:
            while True:
                try:
                    await self._gateway.append(decode, content_type=_JSON, source=source, idempotency_key=key)
                except (SlowDown, RetryLater) as error:
                    await asyncio.sleep(error.retry_after_s)
                else:
                    return
        except asyncio.CancelledError:
            # With an id, the client sends it again.
            if key is None:
                self._dropped("stopped")
            raise

    async def _shake_hands(self, key: str) -> bool:
        nonce = secrets.token_bytes(NONCE_BYTES)
        server = socket.gethostname()
        self._writer.write(helo(nonce))
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                ping = await self._read_ping()
        except TimeoutError:
            return False
        if ping is None:
            return False
        refusal = refusal_of(ping, nonce=nonce, key=key, server=server)
        answer = pong(ping, nonce=nonce, key=key, server=server) if refusal is None else refused(refusal)
        self._writer.write(answer)
        await self._writer.drain()
        return refusal is None

    async def _read_ping(self) -> bytes | None:
        """The first message; None when something else comes."""
        while data := await self._reader.read(PING_BYTES_MAX):
            framed = self._framer.feed(data)
            if framed.messages:
                # Nobody may send before the answer.
                return framed.messages[0] if len(framed.messages) == 1 and not self._framer.held_bytes else None
            if framed.broken is not None or self._framer.held_bytes > PING_BYTES_MAX:
                return None
        return None

    def _dropped(self, reason: str) -> None:
        self._metrics.listener_dropped.labels(self._name, reason).inc()


def _ack(chunk: bytes) -> bytes:
    try:
        packed: bytes = msgpack.packb({"ack": chunk.decode()})
    except UnicodeDecodeError:
        packed = msgpack.packb({"ack": chunk})
    return packed


def _key(peer: str, chunk: Chunk) -> str:
    """The Idempotency-Key of a chunk: two senders may have chosen one id."""
    return "forward/" + hashlib.sha256(msgpack.packb([peer, chunk.of, chunk.id])).hexdigest()
