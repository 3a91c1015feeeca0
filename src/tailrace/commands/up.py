"""`tailrace up`: every role in one process, until it is told to stop."""

from __future__ import annotations

import contextlib
from functools import partial

import click

from tailrace.commands.demo import DemoSwitch
from tailrace.commands.serving import serve
from tailrace.commands.settings_options import settings_options
from tailrace.config import Settings
from tailrace.config_load import LoadedSettings
from tailrace.kernels import warm_up
from tailrace.model.clock import system_clock_us
from tailrace.serve.places import DEMO_EVENTS_PER_S
from tailrace.wiring.roles import Platform, platform

_USUAL_PORTS = {
    "otlp_grpc": 4317,
    "syslog_udp": 5514,
    "syslog_tcp": 5514,
    "forward": 24224,
    "gelf_udp": 12201,
    "gelf_tcp": 12201,
}


@click.command()
@settings_options
@click.option("--demo", is_flag=True, help=f"Also make {DEMO_EVENTS_PER_S} realistic events a second.")
@click.option("--shippers", is_flag=True, help="Also listen where shippers expect it: OTLP, syslog, Forward, GELF.")
def up(loaded: LoadedSettings, demo: bool, shippers: bool) -> None:
    """Run the whole platform on this machine: gateway, log, worker, lake and API in one process.

    Everything on disk lies under the data folder. Ctrl-C stops in order; what was acknowledged is never lost, however
    the process ends.

    \b
    Examples:
      tailrace up
      tailrace up --data /var/lib/tailrace --listen 0.0.0.0:8001
      tailrace up --shippers
      tailrace up --store lake --store jsonl
      tailrace up --set log.url=kafka://127.0.0.1:9092/logs --set hot.url=redis://127.0.0.1:6379/0
    """
    settings = with_usual_ports(loaded.settings) if shippers else loaded.settings

    def begun(running: Platform, _: contextlib.ExitStack) -> None:
        if demo and running.demo is not None:
            running.demo.start(DEMO_EVENTS_PER_S)
        warm_up()
        _greet(settings, demo)

    make_demo = partial(DemoSwitch, clock=system_clock_us)
    serve(settings, platform(settings, clock=system_clock_us, make_demo=make_demo), begun)


def with_usual_ports(settings: Settings) -> Settings:
    """Every listener that has no address yet gets its usual port, on the host of `listen`.

    Syslog's own port is root's alone, so it is 5514 here; TLS needs a certificate, and stays as it is.
    """
    host = settings.listen.rpartition(":")[0]
    usual = {name: f"{host}:{port}" for name, port in _USUAL_PORTS.items()}
    given = settings.listeners.model_dump(exclude_none=True, exclude_defaults=True)
    listeners = settings.listeners.model_copy(update={"http": (f"{host}:4318",), **usual, **given})
    return settings.model_copy(update={"listeners": listeners})


def _greet(settings: Settings, demo: bool) -> None:
    url = f"http://{settings.listen}"
    making = "It is making demo events. " if demo else ""
    click.echo(
        f"""
Tailrace is running on {url}   (data in {settings.data}/, Ctrl-C stops it)

{making}Open it in a browser, or try three things here:

  curl '{url}/logs?level=ERROR&limit=5'
  curl -d '{{"level":"ERROR","source":"auth-service","message":"Something failed"}}' {url}/logs
  .venv/bin/tailrace search 'level:ERROR AND service:pay*' --since 15m
"""
    )
