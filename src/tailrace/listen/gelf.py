"""GELF over UDP, TCP and TLS. Over HTTP it is a route."""

from __future__ import annotations

import ssl

import numpy as np

from tailrace.config import ListenerSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.gelf.decode import GELF
from tailrace.ingest.gelf.frames import CHUNK_MAGIC, Chunks, GelfFramer, decode_gelf_frames
from tailrace.ingest.syslog.frames import Frames
from tailrace.listen.appending import Appender, DecodeFrames, Received
from tailrace.listen.framed import FramedListener
from tailrace.listen.port import Listener
from tailrace.listen.tls import tls_context
from tailrace.listen.udp import UdpListener
from tailrace.ops.metrics import Metrics


def gelf_udp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    """A message a datagram, plain or compressed, or in up to 128 chunks."""
    appender = Appender(gateway, _decoder(gateway), name="gelf_udp", content_type=GELF, metrics=metrics)
    return UdpListener("gelf_udp", address, appender, metrics=metrics, prepare=Assembly(metrics).prepare)


def gelf_tcp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    """Messages that end at a NUL, or at a line feed."""
    return _tcp("gelf_tcp", address, settings, gateway, metrics, None)


def gelf_tls(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    """The same over TLS. Raises `Stop` when the certificate, the key or the clients' CA is not right."""
    return _tcp("gelf_tls", address, settings, gateway, metrics, tls_context("gelf_tls", settings))


def _tcp(
    name: str,
    address: str,
    settings: ListenerSettings,
    gateway: Gateway,
    metrics: Metrics,
    tls: ssl.SSLContext | None,
) -> Listener:
    return FramedListener(
        name,
        address,
        GelfFramer,
        _decoder(gateway),
        content_type=GELF,
        gateway=gateway,
        connections_max=settings.connections_max,
        metrics=metrics,
        tls=tls,
    )


class Assembly:
    """Datagrams to messages. One thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._chunks = Chunks()
        self._dropped = metrics.listener_dropped.labels("gelf_udp", "chunks")
        self._counted = 0

    def prepare(self, received: Received, now_s: float) -> Received | None:
        """Chunks are kept until the last of a message has come; empty datagrams are left out."""
        frames = received.frames
        messages: list[bytes] = []
        peer_of: list[int] = []
        places = zip(frames.starts.tolist(), frames.ends.tolist(), received.peer_of.tolist(), strict=True)
        for start, end, peer in places:
            datagram = frames.data[start:end]
            message: bytes | None = datagram
            if datagram.startswith(CHUNK_MAGIC):
                message = self._chunks.add(datagram, received.peers[peer], now_s)
            if message:
                messages.append(message)
                peer_of.append(peer)
        self._chunks.give_up(now_s)
        self._dropped.inc(self._chunks.dropped - self._counted)
        self._counted = self._chunks.dropped
        if not messages:
            return None
        sizes = np.array([len(message) for message in messages])
        ends = np.cumsum(sizes)
        return Received(Frames(b"".join(messages), ends - sizes, ends), received.peers, np.array(peer_of))


def _decoder(gateway: Gateway) -> DecodeFrames:
    def decode(frames: Frames, now_us: int) -> Decoded:
        return decode_gelf_frames(frames, limits=gateway.limits, now_us=now_us)

    return decode
