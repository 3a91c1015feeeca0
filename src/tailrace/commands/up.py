"""`tailrace up`: every role in one process, until it is told to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import click

from tailrace.client.demo_generator import DemoGenerator
from tailrace.commands.serving import serve
from tailrace.commands.settings_options import settings_options
from tailrace.config import Settings
from tailrace.config_load import LoadedSettings
from tailrace.kernels import warm_up
from tailrace.model.clock import system_clock_us
from tailrace.wiring.roles import Platform, platform

_DEMO_EVENTS_PER_S = 200


@click.command()
@settings_options
@click.option("--demo", is_flag=True, help=f"Also make {_DEMO_EVENTS_PER_S} realistic events a second.")
def up(loaded: LoadedSettings, demo: bool) -> None:
    """Run the whole platform on this machine: gateway, log, worker, lake and API in one process.

    Everything on disk lies under the data folder. Ctrl-C stops in order; what was acknowledged is never lost, however
    the process ends.

    \b
    Examples:
      tailrace up
      tailrace up --data /var/lib/tailrace --listen 0.0.0.0:8001
      tailrace up --store lake --store jsonl
      tailrace up --set log.url=kafka://127.0.0.1:9092/logs --set hot.url=redis://127.0.0.1:6379/0
    """
    settings = loaded.settings

    def begun(running: Platform, stack: contextlib.ExitStack) -> None:
        if demo:
            stack.enter_context(_demo_events(running))
        warm_up()
        _greet(settings, demo)

    serve(settings, platform(settings, clock=system_clock_us), begun)


@contextlib.contextmanager
def _demo_events(running: Platform) -> Iterator[None]:
    stop = threading.Event()
    generator = DemoGenerator(running.append, rate=_DEMO_EVENTS_PER_S, clock=system_clock_us, stop=stop)
    thread = threading.Thread(target=generator.run, name="demo")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _greet(settings: Settings, demo: bool) -> None:
    url = f"http://{settings.listen}"
    first = "It is making demo events. Three things to try:" if demo else "Three things to try:"
    click.echo(
        f"""
Tailrace is running on {url}   (data in {settings.data}/, Ctrl-C stops it)

{first}

  curl '{url}/logs?level=ERROR&limit=5'
  curl -d '{{"level":"ERROR","source":"auth-service","message":"Something failed"}}' {url}/logs
  .venv/bin/tailrace search 'level:ERROR AND service:pay*' --since 15m
"""
    )
