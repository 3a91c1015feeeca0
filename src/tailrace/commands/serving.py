"""Serving one role over HTTP until it is told to stop: what `up`, `gateway`, `worker` and `api` have in common."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Callable
from typing import TypeVar

import click

from tailrace.commands.draining import DrainingServer, leave
from tailrace.config import Settings
from tailrace.errors import Stop
from tailrace.listen.open_files import open_files_max
from tailrace.wiring.roles import Role

R = TypeVar("R", bound=Role)


def serve(
    settings: Settings, role: contextlib.AbstractContextManager[R], begun: Callable[[R, contextlib.ExitStack], None]
) -> None:
    """Run the role until SIGTERM or Ctrl-C: requests under way are answered, then the role stops in order.

    `begun` is called when everything is open, before the first request; what it puts on the stack ends first. Ends
    the process: 9 s after the signal at the latest, and at once where not everything was open yet.
    """
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # It tells of its own starts and stops, which are told below.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    open_files_max()
    # Before anything is started: a taken port is the most likely mistake.
    sockets = [_bind(address) for address in (settings.listen, *settings.listeners.http)]
    # Until all is open there is nothing to end in order, and whoever waits for a place that is away must not keep the
    # person waiting who has seen that it is.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with role as running, contextlib.ExitStack() as stack:
        server = DrainingServer(running.app, running.stopping, running.listeners)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        begun(running, stack)
        server.run(sockets=sockets)
        click.echo("stopping: writing what was read, then closing the files")
    click.echo("stopped")
    leave()


def _bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # A machine that is gone without a word would hold its endless upload of a journal for ever.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        listener.bind((host, int(port)))
    except (OSError, OverflowError) as error:
        listener.close()
        raise Stop(
            f"cannot listen on {listen}: {error}; choose another address (--listen HOST:PORT, listeners.http)"
        ) from error
    return listener
