"""`tailrace send`: log files, or standard input, into a Tailrace server.

    file ──chunks of whole lines──> decoded here ──Arrow──> POST /logs, one at a time a file, four files at once

JSON lines go as they are: the server decodes them, and keeps those it cannot read in its dead letters.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import cast

import click

from tailrace.client.connection import DEFAULT_URL
from tailrace.client.follow import FollowedFile
from tailrace.client.progress import TransferProgress
from tailrace.client.send_post import FILE_PATIENCE, FOLLOW_PATIENCE, PIPE_PATIENCE, Patience, Poster
from tailrace.client.send_source import open_plain, whole_lines, whole_lines_as_they_come
from tailrace.client.send_stream import Reading, Stream, Tally
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TEXT_FORMATS
from tailrace.ingest.text.zones import zone_offset_s

_FILES_AT_ONCE = 4
_FOLLOW_INTERVAL_S = 0.25
_TROUBLES_TOLD_MAX = 20
_STANDARD_INPUT = Path("-")


@click.command()
@click.argument(
    "files",
    metavar="FILE…",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
)
@click.option(
    "--to", "--url", "url", envvar="TAILRACE_URL", show_envvar=True, default=DEFAULT_URL, show_default=True,
    help="The server.",
)  # fmt: skip
@click.option(
    "--format",
    "format_name",
    type=click.Choice(TEXT_FORMATS),
    help="How the lines are written.  [default: found out]",
)
@click.option("--service", help="The events' service where the line names no program.  [default: the file's name]")
@click.option("--host", help="The events' host where the line names none.")
@click.option(
    "--timezone", "zone", default="UTC", show_default=True, metavar="ZONE",
    help="Of times that tell no zone: +02:00 or PST.",
)  # fmt: skip
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written to the files, as tail -F does.")
@click.option("--from-end", is_flag=True, help="With --follow: leave out what is in the files already.")
def send(
    files: tuple[Path, ...],
    url: str,
    format_name: str | None,
    service: str | None,
    host: str | None,
    zone: str,
    follow: bool,
    from_end: bool,
) -> None:
    """Send log files, or standard input (-), to a Tailrace server.

    Lines are sent whole; their time, level and more are read out of them. Files may be compressed (gzip, zstd,
    bzip2, xz). The exit status is 1 when a line was rejected or not sent.

    \b
      tailrace send /var/log/*.log
      tailrace send --follow app.log
      journalctl -f | tailrace send -
    """
    if from_end and not follow:
        raise click.UsageError("--from-end goes with --follow")
    if follow and _STANDARD_INPUT in files:
        raise click.UsageError("standard input is read to its end anyway; leave out --follow")
    missing = [path for path in files if path != _STANDARD_INPUT and (path.is_dir() or not path.exists())]
    if missing and not follow:
        raise click.BadParameter(f"{missing[0]} is not a file", param_hint="FILE")
    reading = Reading(cast("Format | None", format_name), service, host, _zone_offset_s(zone))
    sending = _Sending(url, reading)
    started_s = time.monotonic()
    if follow:
        sending.follow(files, from_end=from_end)
    else:
        sending.files(files)
    sys.exit(_report(sending.tally, time.monotonic() - started_s))


class _Sending:
    def __init__(self, url: str, reading: Reading) -> None:
        self.tally = Tally()
        self._url = url
        self._reading = reading
        self._stop = threading.Event()

    def files(self, paths: tuple[Path, ...]) -> None:
        known = all(path != _STANDARD_INPUT for path in paths)
        total_bytes = sum(path.stat().st_size for path in paths) if known else None
        with TransferProgress(total_bytes) as progress, ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
            futures = [threads.submit(self._file, path, progress) for path in paths]
            try:
                wait(futures)
            except KeyboardInterrupt:
                self._stop.set()
                for future in futures:
                    future.cancel()
                self.tally.fail("interrupted: not all lines were sent")
        for future in futures:
            if not future.cancelled():
                future.result()

    def follow(self, paths: tuple[Path, ...], *, from_end: bool) -> None:
        """Until Ctrl-C, or until the server refuses."""
        with TransferProgress(None) as progress:
            followed = [
                (self._stream(path, progress, FOLLOW_PATIENCE), FollowedFile(path, from_end=from_end))
                for path in paths
            ]
            try:
                while not self._stop.is_set():
                    busy = False
                    for stream, file in followed:
                        if chunk := file.read():
                            busy = True
                            self._send(stream, iter([(chunk, len(chunk))]), None, progress)
                    if not busy:
                        time.sleep(_FOLLOW_INTERVAL_S)
            except KeyboardInterrupt:
                for stream, file in followed:
                    if rest := file.close():
                        self._send(stream, iter([(rest, len(rest))]), None, progress)
                if self._stop.is_set():
                    self.tally.fail("interrupted: not all lines were sent")

    def _file(self, path: Path, progress: TransferProgress) -> None:
        stream = self._stream(path, progress, PIPE_PATIENCE if path == _STANDARD_INPUT else FILE_PATIENCE)
        if path == _STANDARD_INPUT:
            chunks = ((chunk, len(chunk)) for chunk in whole_lines_as_they_come(sys.stdin.fileno(), self._stop))
            self._send(stream, chunks, None, progress)
            return
        try:
            modified_us = path.stat().st_mtime_ns // 1000
            self._send(stream, _file_chunks(path), modified_us, progress)
        except (OSError, EOFError, ValueError) as error:
            self.tally.fail(f"{path}: cannot be read: {error}")

    def _send(
        self,
        stream: Stream,
        chunks: Iterator[tuple[bytes, int]],
        reference_us: int | None,
        progress: TransferProgress,
    ) -> None:
        try:
            stream.send(chunks, reference_us=reference_us, tally=self.tally, progress=progress, stop=self._stop)
        except click.ClickException as error:
            self.tally.fail(error.message)
            self._stop.set()
        except click.Abort:
            self._stop.set()

    def _stream(self, path: Path, progress: TransferProgress, patience: Patience) -> Stream:
        standard_input = path == _STANDARD_INPUT
        poster = Poster(self._url, say=progress.say, stop=self._stop, patience=patience)
        name = "standard input" if standard_input else str(path)
        return Stream(name, None if standard_input else path, self._reading, poster)


def _file_chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Each chunk with how many bytes of the file were read for it."""
    content, raw = open_plain(path)
    with raw:
        before = 0
        for chunk in whole_lines(content):
            position = raw.tell() if raw.seekable() else before + len(chunk)
            yield chunk, position - before
            before = position


def _zone_offset_s(zone: str) -> int:
    found = zone_offset_s(zone)
    if found is not None:
        return found
    raise click.BadParameter(f"{zone!r} is not a time zone such as +02:00 or CET", param_hint="--timezone")


def _report(tally: Tally, elapsed_s: float) -> int:
    for trouble in tally.troubles[:_TROUBLES_TOLD_MAX]:
        click.echo(trouble, err=True)
    if len(tally.troubles) > _TROUBLES_TOLD_MAX:
        click.echo(f"… and {len(tally.troubles) - _TROUBLES_TOLD_MAX:,} more", err=True)
    rate = tally.accepted / max(elapsed_s, 1e-3)
    click.echo(
        f"{tally.accepted:,} lines sent, {tally.rejected:,} rejected, in {elapsed_s:.1f} s ({rate:,.0f} lines/s)"
    )
    return 1 if tally.rejected or tally.failed else 0
