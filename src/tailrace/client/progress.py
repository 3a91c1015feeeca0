"""How far a transfer has come: a bar on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

# Often enough to see life in a log of a build, seldom enough not to fill it.
_PLAIN_INTERVAL_S = 10.0


class TransferProgress:
    """Of `total_bytes` (None: unknown). Shared between threads. Writes to standard error only.

    `quiet`: shows no progress, only what is said.
    """

    def __init__(self, total_bytes: int | None, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._bytes = 0
        self._lines = 0
        self._total_bytes = total_bytes
        self._started_s = self._told_s = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._bar = Progress(
                TextColumn("{task.fields[lines]:>12,} lines"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TextColumn("{task.fields[rate]:,.0f} lines/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("send", total=total_bytes, lines=0, rate=0.0)

    def advance(self, *, lines: int, read_bytes: int) -> None:
        """Lines that are acknowledged and bytes of the input behind them."""
        with self._lock:
            self._lines += lines
            self._bytes += read_bytes
            now_s = time.monotonic()
            rate = self._lines / max(now_s - self._started_s, 1e-3)
            if self._bar is not None:
                self._bar.update(self._task, completed=self._bytes, lines=self._lines, rate=rate)
            elif not self._quiet and now_s - self._told_s >= _PLAIN_INTERVAL_S:
                self._told_s = now_s
                click.echo(self._plain(rate), err=True)

    def say(self, message: str) -> None:
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False)
        else:
            click.echo(message, err=True)

    def _plain(self, rate: float) -> str:
        share = f" ({self._bytes / self._total_bytes:.0%})" if self._total_bytes else ""
        return f"{self._lines:,} lines sent{share}, {rate:,.0f} lines/s"

    def __enter__(self) -> TransferProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
