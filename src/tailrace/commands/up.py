"""`tailrace up`: every role in one process, until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType

import click
import uvicorn

from tailrace.client.demo_generator import DemoGenerator
from tailrace.commands.settings_options import settings_options
from tailrace.config import Settings
from tailrace.config_load import LoadedSettings
from tailrace.errors import Stop
from tailrace.kernels import warm_up
from tailrace.model.clock import system_clock_us
from tailrace.wiring import Platform, platform

_DEMO_EVENTS_PER_S = 200
# Requests that are under way get so long to end; a live tail has no end of its own.
_DRAIN_S = 5


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
      tailrace up --set jsonl.enabled=true
    """
    settings = loaded.settings
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # It tells of its own starts and stops, which are told below.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listener = _bind(settings.listen)
    with platform(settings, clock=system_clock_us) as running, contextlib.ExitStack() as stack:
        if demo:
            stack.enter_context(_demo_events(running))
        warm_up()
        _greet(settings, demo)
        server = _Server(
            uvicorn.Config(
                running.app,
                http="httptools",
                loop="uvloop",
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=_DRAIN_S,
            )
        )
        server.stopping = running.stopping
        # uvicorn drains on a signal and then raises it again, for a caller that has a handler: this one has done
        # with it, and stops its parts next.
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        server.run(sockets=[listener])
        click.echo("stopping: writing what was read, then closing the files")
    click.echo("stopped")


class _Server(uvicorn.Server):
    """Tells the live tails to end as soon as a signal comes: the drain would wait for them."""

    stopping: threading.Event

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stopping.set()
        super().handle_exit(sig, frame)


def _bind(listen: str) -> socket.socket:
    """Before anything is started: a taken port is the most likely mistake."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except (OSError, OverflowError) as error:
        listener.close()
        raise Stop(f"cannot listen on {listen}: {error}; choose another address with --listen HOST:PORT") from error
    return listener


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
