"""TLS for TCP listeners: the server's certificate, and what one connection holds."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path

from tailrace.config import ListenerSettings
from tailrace.errors import Stop

# Whoever opens a connection and then says nothing is closed after this time.
_HANDSHAKE_S = 10


class TlsProtocol(SSLProtocol):
    """asyncio's TLS around a client's connection. `made` and `lost` are told when the TCP connection is.

    Not uvloop's own TLS: that throws away what it holds of a connection that is not read from when the other side
    closes it.
    """

    # Every connection keeps a buffer of this size, idle ones too; a record of TLS has 16 KiB at most.
    max_size = 32 << 10

    def __init__(
        self,
        connection: asyncio.Protocol,
        context: ssl.SSLContext,
        *,
        made: Callable[[asyncio.BaseTransport], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            None,  # type: ignore[arg-type] # nobody waits for the handshake
            server_side=True,
            ssl_handshake_timeout=_HANDSHAKE_S,
        )
        self._made = made
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made(transport)

    def connection_lost(self, error: BaseException | None) -> None:
        super().connection_lost(error)
        self._lost()


def tls_context(name: str, settings: ListenerSettings) -> ssl.SSLContext:
    """TLS 1.2 or later, for the listener `name`. Raises `Stop`, which names the setting and the file."""
    certificate, key, client_ca = settings.tls_certificate, settings.tls_key, settings.tls_client_ca
    if certificate is None:
        raise Stop(f"listeners.{name} needs a certificate: set listeners.tls_certificate to a PEM file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Senders of syslog and GELF never read. One that closes with a ticket unread resets the connection, and with it
    # the last messages that it has sent.
    context.num_tickets = 0
    for setting, file in (("tls_certificate", certificate), ("tls_key", key), ("tls_client_ca", client_ca)):
        _check_file(setting, file)
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


def _check_file(setting: str, file: Path | None) -> None:
    if file is None:
        return
    try:
        file.read_bytes()
    except OSError as error:
        raise Stop(f"listeners.{setting} = {file} cannot be read: {error.strerror}") from error
