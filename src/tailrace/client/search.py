"""`tailrace search`: find events from the shell."""

from __future__ import annotations

import sys
from urllib.parse import urlencode

import click
import orjson

from tailrace.client.connection import Connection
from tailrace.client.options import url_option
from tailrace.client.output import event_writer
from tailrace.client.query_errors import EXIT_NOTHING_FOUND, shown_with


@click.command()
@click.argument("query", default="")
@click.option("--since", metavar="TIME", help="From this time on: 15m, 2h, 30y, yesterday, 2025-03-28T10:00.")
@click.option("--until", metavar="TIME", help="Up to and with this time; 2025-03-28 is the whole day.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many events.")
@click.option("--all", "unlimited", is_flag=True, help="Every event that matches, however many; streamed.")
@click.option(
    "--order",
    type=click.Choice(["asc", "desc"]),
    default="desc",
    show_default=True,
    help="Newest first (desc) or oldest first (asc).",
)
@click.option(
    "--output",
    type=click.Choice(["text", "json", "csv", "table"]),
    default="text",
    show_default=True,
    help="json is one object a line.",
)
@click.option("--fields", metavar="NAMES", help="Only these, as in timestamp,service,latency_ms.")
@click.option("--count", is_flag=True, help="Print only how many events match.")
@url_option
def search(
    query: str,
    since: str | None,
    until: str | None,
    limit: int,
    unlimited: bool,
    order: str,
    output: str,
    fields: str | None,
    count: bool,
    url: str,
) -> None:
    """Find events. QUERY is in Lucene syntax; without one, every event matches.

    Text output is `timestamp level service host message`, with the message untouched and last. The exit status is
    grep's: 0 when something was found, 1 when nothing was, 2 when the query or the server failed.

    \b
    Examples:
      tailrace search 'level:ERROR' --since 1h
      tailrace search '"card declined" AND service:pay*' --output table
      tailrace search 'latency_ms:>250' --since 15m --fields timestamp,service,latency_ms
      tailrace search 'trace_id:9f4037a85375a65f02c1b0d6a4e77c12' --order asc
      tailrace search 'level:FATAL' --since 30y --all --output json > fatal.ndjson
      tailrace search 'level:ERROR' --since yesterday --until yesterday --count
    """
    names = tuple(name.strip() for name in (fields or "").split(",") if name.strip())
    parameters = {"q": query, "start": since, "end": until}
    with shown_with(query), Connection(url) as connection:
        if count:
            found = _count(connection, parameters)
        else:
            # Streams know no pages: one request brings all that is asked for.
            parameters |= {"order": order, "limit": None if unlimited else str(limit)}
            found = _print_matches(connection, parameters, output, names)
    if not found:
        sys.exit(EXIT_NOTHING_FOUND)


def _count(connection: Connection, parameters: dict[str, str | None]) -> int:
    found = int(connection.request("GET", _path("/api/count", parameters)).json()["count"])
    click.echo(found)
    return found


def _print_matches(
    connection: Connection, parameters: dict[str, str | None], output: str, fields: tuple[str, ...]
) -> int:
    """Returns a number that is 0 when nothing matched."""
    if output in ("json", "csv") and not fields and not sys.stdout.isatty():
        return _pass_through(connection, parameters, "ndjson" if output == "json" else "csv")
    writer = None
    found = 0
    for line in connection.stream_lines("GET", _path("/api/search", parameters | {"format": "ndjson"})):
        # Made now, so that an error of the query does not come behind the heading of a CSV.
        writer = writer or event_writer(output, fields)
        writer.write(orjson.loads(line))
        found += 1
    if writer is not None:
        writer.flush()
    return found


def _pass_through(connection: Connection, parameters: dict[str, str | None], form: str) -> int:
    stdout = sys.stdout.buffer
    lines = 0
    for line in connection.stream_lines("GET", _path("/api/search", parameters | {"format": form})):
        stdout.write(line + b"\n")
        lines += 1
    stdout.flush()
    return lines if form == "ndjson" else max(lines - 1, 0)


def _path(path: str, parameters: dict[str, str | None]) -> str:
    return f"{path}?{urlencode({name: value for name, value in parameters.items() if value})}"
