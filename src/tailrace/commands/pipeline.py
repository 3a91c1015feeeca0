"""`tailrace pipeline`: the steps between decoding and storing, checked and tried without a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, cast

import click
import orjson
import pyarrow as pa

from tailrace.client.output import harmless
from tailrace.client.send_source import whole_lines
from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TEXT_FORMATS, TextDecoder, guess_format
from tailrace.model.clock import system_clock_us
from tailrace.steps.pipeline import load_pipeline
from tailrace.steps.trace import Change, Traced, trace

# Each event is a few Python objects while it is shown.
_EVENTS_AT_ONCE = 1000

_SHOWN_CHARACTERS = 200

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))


@click.group()
def pipeline() -> None:
    """Check and try the steps of a pipeline's file, without a server."""


@pipeline.command()
@_FILE
def check(file: Path) -> None:
    """Say whether FILE is a pipeline that can run.

    Exit status 0: it is; 1: it is not, and each line names a step, its field and the reason. Keys and tables are
    read as at a start.
    """
    loaded = load_pipeline(file, limits=IngestSettings(), environment=os.environ)
    for step in loaded.steps:
        click.echo(step.label)
    click.echo(f"{file}: {len(loaded.steps)} steps, all is well")


@pipeline.command()
@_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object an event, for scripts.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(TEXT_FORMATS),
    help="How the lines are read.  [default: as `tailrace send` guesses]",
)
@click.option("--service", help="The service of lines that name none.")
def test(file: Path, as_json: bool, format_name: str | None, service: str | None) -> None:
    """Show what each step of FILE does to each line of standard input.

    The lines are read as `tailrace send` reads them: JSON, logfmt, syslog, access logs, and any other text.

    \b
    Examples:
      tailrace pipeline test pipeline.toml < sample.log
      tail -n 20 app.log | tailrace pipeline test pipeline.toml --service app
      tailrace pipeline test pipeline.toml --json < sample.log | jq .after
    """
    loaded = load_pipeline(file, limits=IngestSettings(), environment=os.environ)
    number = 0
    for decoded in _decoded(sys.stdin.buffer, format_name, service):
        for rejected in decoded.rejected:
            click.echo(f"line {rejected.line} is no event: {rejected.reason}", err=True)
        for events in _slices(decoded.events):
            for traced in trace(loaded, events):
                number += 1
                if as_json:
                    sys.stdout.buffer.write(orjson.dumps({"event": number, **asdict(traced)}) + b"\n")
                else:
                    _show(number, traced)
    if not as_json:
        click.echo(f"{number:,} events")


def _decoded(lines: BinaryIO, format_name: str | None, service: str | None) -> Iterator[Decoded]:
    limits = IngestSettings()
    decoder: TextDecoder | None = None
    lines_before = 0
    for chunk in whole_lines(lines):
        format_name = format_name or guess_format(chunk)
        if format_name == "json":
            decoded = decode_json(chunk, limits=limits, now_us=system_clock_us())
            rejected = [Rejected(lines_before + each.line, each.reason, each.raw) for each in decoded.rejected]
            lines_before += chunk.count(b"\n")
            yield Decoded(decoded.events, rejected)
            continue
        if decoder is None:
            decoder = TextDecoder(cast("Format", format_name), limits=limits, service=service)
        yield decoder.decode(chunk, now_us=system_clock_us())


def _slices(events: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for first in range(0, events.num_rows, _EVENTS_AT_ONCE):
        yield events.slice(first, _EVENTS_AT_ONCE)


def _show(number: int, traced: Traced) -> None:
    click.secho(f"{number}  {_short(traced.before.get('message', ''))}", bold=True)
    if not traced.changes:
        click.secho("   unchanged", dim=True)
    for change in traced.changes:
        for line in _lines(change):
            click.echo(f"   {click.style(change.step, fg='cyan')}  {line}")


def _lines(change: Change) -> Iterator[str]:
    if change.dropped:
        yield click.style("dropped", fg="red")
    if change.stores:
        yield f"only to {', '.join(change.stores)}"
    for name, text in change.removed.items():
        yield click.style(f"- {harmless(name)}: {_short(text)}", fg="red")
    for name, (before, after) in change.changed.items():
        yield click.style(f"~ {harmless(name)}: {_short(before)} → {_short(after)}", fg="yellow")
    for name, text in change.added.items():
        yield click.style(f"+ {harmless(name)}: {_short(text)}", fg="green")


def _short(text: str) -> str:
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return harmless(shown, line_breaks=False)
