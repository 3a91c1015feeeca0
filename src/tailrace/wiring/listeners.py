"""Which listeners the settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailrace.config import ListenerSettings
from tailrace.ingest.gateway import Gateway
from tailrace.listen.port import Listener
from tailrace.ops.metrics import Metrics

Make = Callable[[str, ListenerSettings, Gateway, Metrics], Listener]
"""Takes the address, HOST:PORT. Raises `Stop` for settings that cannot be right, such as a certificate that is not
there."""


def _forward(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.forward import forward

    return forward(address, settings, gateway, metrics)


def _otlp_grpc(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.otlp_grpc import OtlpGrpc

    return OtlpGrpc(address, settings, gateway, metrics)


def _syslog_udp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.syslog import syslog_udp

    return syslog_udp(address, settings, gateway, metrics)


def _syslog_tcp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.syslog import syslog_tcp

    return syslog_tcp(address, settings, gateway, metrics)


def _syslog_tls(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.syslog import syslog_tls

    return syslog_tls(address, settings, gateway, metrics)


def _gelf_udp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.gelf import gelf_udp

    return gelf_udp(address, settings, gateway, metrics)


def _gelf_tcp(address: str, settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Listener:
    from tailrace.listen.gelf import gelf_tcp

    return gelf_tcp(address, settings, gateway, metrics)


_MAKERS: dict[str, Make] = {
    "syslog_udp": _syslog_udp,
    "syslog_tcp": _syslog_tcp,
    "syslog_tls": _syslog_tls,
    "gelf_udp": _gelf_udp,
    "gelf_tcp": _gelf_tcp,
    "otlp_grpc": _otlp_grpc,
    "forward": _forward,
}
"""By the setting that holds the address. Each imports its module when it is called: most servers need none."""


def listeners(settings: ListenerSettings, gateway: Gateway, metrics: Metrics) -> Sequence[Listener]:
    """Those that have an address; none is started yet."""
    addresses = {name: getattr(settings, name) for name in _MAKERS}
    return [
        _MAKERS[name](address, settings, gateway, metrics)
        for name, address in addresses.items()
        if address is not None
    ]
