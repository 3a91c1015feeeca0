"""`tailrace send --follow`, set up: where positions are kept, and how it ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click

from tailrace.client.progress import TransferProgress
from tailrace.client.send_post import FOLLOW_PATIENCE, Poster
from tailrace.client.send_stream import Tally
from tailrace.client.shipper.positions import Positions
from tailrace.client.shipper.shipper import Following, Shipper

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def follow(url: str, following: Following, positions_path: Path | None, *, quiet: bool, tally: Tally) -> str:
    """Follow until SIGTERM or Ctrl-C; returns what is to be said in the end. What is not sent by then, the next call
    with the same positions sends. Raises `click.ClickException` when the server refuses, or the positions cannot
    be kept.
    """
    path = positions_path or default_positions(url, following.patterns.included)
    give_up = threading.Event()
    with TransferProgress(None, quiet=quiet) as progress:
        poster = Poster(url, say=progress.say, stop=give_up, patience=FOLLOW_PATIENCE)
        try:
            with contextlib.closing(Positions(path)) as positions:
                shipper = Shipper(
                    following, positions, poster=poster, give_up=give_up, progress=progress, tally=tally
                )
                with _ending(shipper.stop):
                    shipper.run()
            left = f"; {shipper.unsent_bytes:,} bytes are left to the next start" if shipper.unsent_bytes else ""
            lost = f"; {shipper.lost_bytes:,} bytes were gone before they were read" if shipper.lost_bytes else ""
        except OSError as error:
            raise click.ClickException(
                f"the positions cannot be kept in {path}: {error.strerror or error}; choose a place with --positions"
            ) from error
    return left + lost


def default_positions(url: str, patterns: tuple[str, ...]) -> Path:
    """A file of its own for each server and set of patterns, in the user's folder for state (XDG)."""
    state = os.environ.get("XDG_STATE_HOME")
    try:
        folder = Path(state) if state and os.path.isabs(state) else Path.home() / ".local" / "state"
    except RuntimeError:
        raise click.UsageError("there is no home folder to keep positions in; name a file with --positions") from None
    what = "\n".join([url, *sorted(os.path.abspath(pattern) for pattern in patterns)])
    digest = hashlib.blake2b(os.fsencode(what), digest_size=8).hexdigest()
    return folder / "tailrace" / f"send-{digest}.positions"


@contextlib.contextmanager
def _ending(stop: Callable[[], None]) -> Iterator[None]:
    """The first signal ends it in order, the second as signals do."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        stop()
        for each in _SIGNALS:
            signal.signal(each, before[each])

    for each in _SIGNALS:
        signal.signal(each, handle)
    try:
        yield
    finally:
        for each in _SIGNALS:
            signal.signal(each, before[each])
