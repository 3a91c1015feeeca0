"""Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425)."""

from __future__ import annotations

import ssl

from tailrace.config import ListenerSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.syslog.decode import SYSLOG, decode_frames, without_ends
from tailrace.ingest.syslog.frames import Framer, Frames
from tailrace.ingest.syslog.time import read_zone
from tailrace.kernels.syslog import read as kernels
from tailrace.listen.appending import Appender, DecodeFrames, Received
from tailrace.listen.framed import FramedListener
from tailrace.listen.port import Listener
from tailrace.listen.tls import tls_context
from tailrace.listen.udp import UdpListener
from tailrace.ops.metrics import Metrics


def syslog_udp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    """A message a datagram."""
    appender = Appender(gateway, _decoder(settings, gateway), name="syslog_udp", content_type=SYSLOG, metrics=metrics)
    return UdpListener("syslog_udp", address, appender, metrics=metrics, prepare=_trim)


def _trim(received: Received, _: float) -> Received | None:
    frames, left = without_ends(received.frames)
    return Received(frames, received.peers, received.peer_of[left]) if len(left) else None


def syslog_tcp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    """Messages that are counted, or end at a line feed or a NUL."""
    return _tcp("syslog_tcp", address, settings, gateway, metrics, None)


def syslog_tls(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    """The same over TLS. Raises `Stop` when the certificate, the key or the clients' CA is not right."""
    return _tcp("syslog_tls", address, settings, gateway, metrics, tls_context("syslog_tls", settings))


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
        Framer,
        _decoder(settings, gateway),
        content_type=SYSLOG,
        gateway=gateway,
        connections_max=settings.connections_max,
        metrics=metrics,
        tls=tls,
    )


def _decoder(settings: ListenerSettings, gateway: Gateway) -> DecodeFrames:
    zone = read_zone(settings.syslog_timezone)
    # Before the first connection: the event loop must not wait for the compiler.
    kernels.warm_up()

    def decode(frames: Frames, now_us: int) -> Decoded:
        return decode_frames(frames, limits=gateway.limits, now_us=now_us, zone=zone)

    return decode
