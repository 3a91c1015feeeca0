"""Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425)."""

from __future__ import annotations

import ssl
from pathlib import Path

from tailrace.config import ListenerSettings
from tailrace.errors import Stop
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.syslog.decode import SYSLOG, decode_frames, without_ends
from tailrace.ingest.syslog.frames import Framer, Frames
from tailrace.ingest.syslog.time import read_zone
from tailrace.kernels import syslog as kernels
from tailrace.listen.appending import Appender, DecodeFrames, Received
from tailrace.listen.framed import FramedListener
from tailrace.listen.port import Listener
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
    """The same over TLS 1.2 or later. Raises `Stop` when the certificate, the key or the client's CA is not right."""
    return _tcp("syslog_tls", address, settings, gateway, metrics, tls_context(settings))


def tls_context(settings: ListenerSettings) -> ssl.SSLContext:
    """Raises `Stop`, which names the setting and the file."""
    certificate, key, client_ca = settings.tls_certificate, settings.tls_key, settings.tls_client_ca
    if certificate is None:
        raise Stop("listeners.syslog_tls needs a certificate: set listeners.tls_certificate to a PEM file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Senders of syslog never read. One that closes with a ticket unread resets the connection, and with it the last
    # messages that it has sent.
    context.num_tickets = 0
    for name, file in (("tls_certificate", certificate), ("tls_key", key), ("tls_client_ca", client_ca)):
        _check_file(name, file)
    try:
        # A key with a password would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise Stop(
            f"listeners.tls_certificate = {certificate} and listeners.tls_key = {key or certificate} are not a "
            f"certificate and its key without a password: {error}"
        ) from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise Stop(f"listeners.tls_client_ca = {client_ca} holds no certificates: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_file(name: str, file: Path | None) -> None:
    if file is None:
        return
    try:
        file.read_bytes()
    except OSError as error:
        raise Stop(f"listeners.{name} = {file} cannot be read: {error.strerror}") from error


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
