"""`tailrace send`: log files, or standard input, into a Tailrace server.

    file ──chunks of whole lines──> decoded here ──Arrow──> POST /logs, one at a time a file, four files at once

JSON lines go as they are: the server decodes them, and keeps those it cannot read in its dead letters. With
`--follow` the files are read by `client.shipper`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import cast, get_args

import click
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.client.connection import DEFAULT_URL
from tailrace.client.follow import follow as follow_files
from tailrace.client.options import duration_s
from tailrace.client.progress import TransferProgress
from tailrace.client.send_post import FILE_PATIENCE, PIPE_PATIENCE, Patience, Poster
from tailrace.client.send_source import open_plain, whole_lines, whole_lines_as_they_come
from tailrace.client.send_stream import Reading, Stream, Tally
from tailrace.client.shipper.containers import Wrapping
from tailrace.client.shipper.finding import Patterns, literal_compressed
from tailrace.client.shipper.multiline import Joining
from tailrace.client.shipper.reading import ShipReading
from tailrace.client.shipper.shipper import Following
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TEXT_FORMATS
from tailrace.ingest.text.zones import zone_offset_s

_FILES_AT_ONCE = 4
_RESCAN_S = 1.0
_TROUBLES_TOLD_MAX = 20
_STANDARD_INPUT = Path("-")
_WRAPPINGS: tuple[str, ...] = get_args(Wrapping)


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
    type=click.Choice((*TEXT_FORMATS, *_WRAPPINGS)),
    help="How the lines are written; docker and cri go with --follow.  [default: found out]",
)
@click.option("--service", help="The events' service where the line names no program.  [default: the file's name]")
@click.option("--host", help="The events' host where the line names none.")
@click.option(
    "--timezone", "zone", default="UTC", show_default=True, metavar="ZONE",
    help="Of times that tell no zone: +02:00 or PST.",
)  # fmt: skip
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written to the files, over rotations.")
@click.option("--from-end", is_flag=True, help="With --follow: leave out what is in the files at the first start.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="With --follow: leave these files out; repeatable.")
@click.option(
    "--positions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --follow: where to keep how far each file was sent.  [default: in the user's folder for state]",
)
@click.option(
    "--multiline", metavar="auto|off|REGEX",
    help="With --follow: join stack traces, nothing, or lines up to the next that REGEX matches.  [default: auto]",
)  # fmt: skip
@click.option(
    "--rescan", "rescan_s", type=duration_s, metavar="TIME",
    help="With --follow: how often to look for new files.  [default: 1s]",
)  # fmt: skip
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
def send(
    files: tuple[Path, ...],
    url: str,
    format_name: str | None,
    service: str | None,
    host: str | None,
    zone: str,
    follow: bool,
    from_end: bool,
    exclude: tuple[str, ...],
    positions: Path | None,
    multiline: str | None,
    rescan_s: float | None,
    quiet: bool,
) -> None:
    """Send log files, or standard input (-), to a Tailrace server.

    Lines are sent whole; their time, level and more are read out of them. Files may be compressed (gzip, zstd,
    bzip2, xz). The exit status is 1 when a line was rejected or not sent.

    With --follow, FILE may be a pattern such as '/var/log/**/*.log'. It goes on where it ended, sends each line once,
    and joins stack traces to one event. Lines of containers (Docker, CRI) are taken out of what the runtime wrote.

    \b
      tailrace send /var/log/*.log
      tailrace send --follow app.log
      tailrace send --follow '/var/log/containers/*.log' --exclude '*_kube-system_*'
      journalctl -f | tailrace send -
    """
    started_s = time.monotonic()
    zone_offset_s = _zone_offset_s(zone)
    if follow:
        if _STANDARD_INPUT in files:
            raise click.UsageError("standard input is read to its end anyway; leave out --follow")
        patterns = tuple(map(str, files))
        if packed := literal_compressed(patterns):
            raise click.BadParameter(f"{packed[0]} is compressed; send it without --follow", param_hint="FILE")
        reading = ShipReading(
            cast("Format | Wrapping | None", format_name),
            _joining(multiline),
            service,
            host,
            zone_offset_s,
            os.environ.get("NODE_NAME"),
        )
        following = Following(Patterns(patterns, exclude), reading, rescan_s or _RESCAN_S, from_end)
        tally = Tally()
        last_words = follow_files(url, following, positions, quiet=quiet, tally=tally)
        _report(tally, time.monotonic() - started_s, last_words)
        return
    if from_end or exclude or positions or multiline or rescan_s:
        raise click.UsageError("--from-end, --exclude, --positions, --multiline and --rescan go with --follow")
    if format_name in _WRAPPINGS:
        raise click.UsageError(f"--format {format_name} goes with --follow")
    missing = [path for path in files if path != _STANDARD_INPUT and (path.is_dir() or not path.exists())]
    if missing:
        raise click.BadParameter(f"{missing[0]} is not a file", param_hint="FILE")
    sending = _Sending(url, Reading(cast("Format | None", format_name), service, host, zone_offset_s), quiet=quiet)
    sending.files(files)
    sys.exit(_report(sending.tally, time.monotonic() - started_s))


class _Sending:
    def __init__(self, url: str, reading: Reading, *, quiet: bool) -> None:
        self.tally = Tally()
        self._quiet = quiet
        self._url = url
        self._reading = reading
        self._stop = threading.Event()

    def files(self, paths: tuple[Path, ...]) -> None:
        known = all(path != _STANDARD_INPUT for path in paths)
        total_bytes = sum(path.stat().st_size for path in paths) if known else None
        with (
            TransferProgress(total_bytes, quiet=self._quiet) as progress,
            ThreadPoolExecutor(_FILES_AT_ONCE) as threads,
        ):
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


def _joining(multiline: str | None) -> Joining:
    if multiline in (None, "auto"):
        return Joining()
    if multiline == "off":
        return Joining(off=True)
    try:
        pc.match_substring_regex(pa.array([""]), multiline)
    except pa.ArrowInvalid as error:
        raise click.BadParameter(f"{multiline!r} is no pattern: {error}", param_hint="--multiline") from None
    return Joining(start=multiline)


def _report(tally: Tally, elapsed_s: float, last_words: str = "") -> int:
    for trouble in tally.troubles[:_TROUBLES_TOLD_MAX]:
        click.echo(trouble, err=True)
    if len(tally.troubles) > _TROUBLES_TOLD_MAX:
        click.echo(f"… and {len(tally.troubles) - _TROUBLES_TOLD_MAX:,} more", err=True)
    rate = tally.accepted / max(elapsed_s, 1e-3)
    click.echo(
        f"{tally.accepted:,} lines sent, {tally.rejected:,} rejected, in {elapsed_s:.1f} s "
        f"({rate:,.0f} lines/s){last_words}"
    )
    return 1 if tally.rejected or tally.failed else 0
