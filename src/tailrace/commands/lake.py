"""`tailrace lake`: looking after the lake by hand. It works beside a running server, and without one."""

from __future__ import annotations

import datetime

import click

from tailrace.commands.settings_options import settings_options
from tailrace.config_load import LoadedSettings
from tailrace.model.clock import system_clock_us
from tailrace.store.lake import check as lake_check
from tailrace.store.lake import compaction, retention, vacuum
from tailrace.wiring.stores import open_lake


@click.group()
def lake() -> None:
    """Look after the lake. A running server does all of this on its own schedule."""


@lake.command()
@settings_options
def info(loaded: LoadedSettings) -> None:
    """Print how large the lake is: files, events, bytes, times.

    Reads the table's log only, no event.
    """
    with open_lake(loaded.settings, clock=system_clock_us) as opened:
        found = lake_check.info(opened)
    per_event = (found.data_bytes + found.index_bytes) / found.rows if found.rows else 0
    for name, value in (
        ("place", found.path),
        ("events", f"{found.rows:,}"),
        ("files", f"{found.files:,}"),
        ("data", f"{found.data_bytes:,} bytes"),
        ("indexes", f"{found.index_bytes:,} bytes"),
        ("an event", f"{per_event:.1f} bytes"),
        ("first event", _time(found.first_us)),
        ("last event", _time(found.last_us)),
        ("reached", ", ".join(f"offset {offset} of partition {p}" for p, offset in found.reached.items()) or "–"),
        ("version", f"{found.version} ({found.commits_in_log:,} commits in the log)"),
    ):
        click.echo(f"{name:<12} {value}")


@lake.command()
@settings_options
def check(loaded: LoadedSettings) -> None:
    """Read everything and say what is damaged, missing or doubled.

    Exit status 0: all is well; 1: something is not, and each line names a place.
    """
    with open_lake(loaded.settings, clock=system_clock_us) as opened:
        found = lake_check.check(opened)
    for problem in found.problems:
        click.echo(problem)
    click.echo(f"{found.files:,} files with {found.rows:,} events: {len(found.problems)} problems")
    if found.problems:
        raise SystemExit(1)


@lake.command()
@settings_options
def compact(loaded: LoadedSettings) -> None:
    """Join all small files.

    The files they replace are deleted after lake.vacuum_after_s, when no query can be reading them any more.
    """
    with open_lake(loaded.settings, clock=system_clock_us) as opened:
        done = compaction.compact(opened, loaded.settings.lake, everything=True)
    click.echo(
        f"{done.files_before:,} files with {done.rows:,} events joined into {done.files_after:,}; "
        f"{done.bytes_before:,} bytes are {done.bytes_after:,} now"
    )


@lake.command()
@settings_options
def retain(loaded: LoadedSettings) -> None:
    """Delete what is past its retention, then the files that nobody needs any more.

    The rules are the settings retention.age_s, retention.bytes_max and retention.services.
    """
    with open_lake(loaded.settings, clock=system_clock_us) as opened:
        done = retention.retain(opened, loaded.settings.retention)
        vacuumed = vacuum.vacuum(opened, after_s=loaded.settings.lake.vacuum_after_s)
    click.echo(
        f"{done.events_deleted:,} events deleted: {done.files_deleted:,} files whole, "
        f"{done.files_rewritten:,} written anew without them"
    )
    click.echo(f"{vacuumed.files:,} unneeded files with {vacuumed.bytes:,} bytes removed")


def _time(time_us: int | None) -> str:
    if time_us is None:
        return "–"
    time = datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=time_us)
    return time.isoformat(timespec="milliseconds")
