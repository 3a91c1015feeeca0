"""Which listeners the settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from tailrace.config import ListenerSettings
from tailrace.ingest.gateway import Gateway
from tailrace.listen.port import Listener
from tailrace.ops.metrics import Metrics

Make = Callable[[str, ListenerSettings, Gateway, Metrics], Listener]
"""Takes the address, HOST:PORT. Raises `Stop` for settings that cannot be right, such as a certificate that is not
there."""

MAKERS = {
    "syslog_udp": "syslog.syslog_udp",
    "syslog_tcp": "syslog.syslog_tcp",
    "syslog_tls": "syslog.syslog_tls",
    "gelf_udp": "gelf.gelf_udp",
    "gelf_tcp": "gelf.gelf_tcp",
    "gelf_tls": "gelf.gelf_tls",
    "otlp_grpc": "otlp_grpc.OtlpGrpc",
    "forward": "forward.forward",
    "forward_tls": "forward.forward_tls",
}
"""A `Make` in `tailrace.listen`, by the setting that holds the address. Its module is imported when it is asked for:
most servers need none."""


def listeners(settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Sequence[Listener]:
    """Those that have an address; none is started yet."""
    addresses = {name: getattr(settings, name) for name in MAKERS}
    return [maker(name)(address, settings, gateway, metrics) for name, address in addresses.items() if address]


def maker(name: str) -> Make:
    module, _, attribute = MAKERS[name].partition(".")
    make: Make = getattr(import_module(f"tailrace.listen.{module}"), attribute)
    return make
