"""`tailrace tail`: watch events as they come in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

import click
import orjson

from tailrace.client.connection import Connection, ServerError, Unreachable
from tailrace.client.options import url_option
from tailrace.client.output import EventWriter, event_writer
from tailrace.client.query_errors import shown_with

_RECONNECT_FIRST_S = 0.5
_RECONNECT_MAX_S = 10.0


@click.command()
@click.argument("query", default="")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json is one object a line.",
)
@click.option("--fields", metavar="NAMES", help="Only these, as in timestamp,service,latency_ms.")
@url_option
def tail(query: str, output: str, fields: str | None, url: str) -> None:
    """Watch events that match QUERY as they come in, until Ctrl-C.

    When the connection breaks it is made anew; events that came in between are found by `tailrace search`. What a
    slow terminal misses is counted on standard error.

    \b
    Examples:
      tailrace tail
      tailrace tail 'level:ERROR OR level:FATAL'
      tailrace tail 'service:payments' --fields timestamp,latency_ms,message
      tailrace tail 'level:WARN' --output json | jq .message
    """
    names = tuple(name.strip() for name in (fields or "").split(",") if name.strip())
    writer = event_writer(output, names)
    path = "/api/tail?" + urlencode({"q": query} if query else {})
    try:
        with shown_with(query), Connection(url) as connection:
            _follow(connection, path, writer)
    except KeyboardInterrupt:
        writer.flush()


def _follow(connection: Connection, path: str, writer: EventWriter) -> None:
    """Never returns. Raises when the very first connection fails, or the server refuses the query."""
    connected_once = False
    pause_s = _RECONNECT_FIRST_S
    while True:
        why = "the server ended the stream"
        try:
            for kind, data in server_sent_events(connection.stream_lines("GET", path)):
                connected_once, pause_s = True, _RECONNECT_FIRST_S
                _show(kind, data, writer)
        except (Unreachable, ServerError) as error:
            if not connected_once or (isinstance(error, ServerError) and error.status not in (429, 502, 503, 504)):
                raise
            why = error.message
        click.echo(f"tailrace: {why}; connecting again in {pause_s:g} s", err=True)
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _RECONNECT_MAX_S)


def _show(kind: str, data: str, writer: EventWriter) -> None:
    if kind == "log":
        writer.write(orjson.loads(data))
        writer.flush()
    elif kind == "missed":
        click.echo(f"tailrace: {orjson.loads(data)['count']:,} events were missed here", err=True)


def server_sent_events(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Lines of an event stream to (event, data), by the HTML standard, 9.2.6. An event that is cut off is left out.

    An open stream gives `("open", "")` first, and comments (keep-alives) give nothing.
    """
    kind, data = "message", list[str]()
    opened = False
    for line in lines:
        if not opened:
            opened = True
            yield "open", ""
        text = line.decode("utf-8", "replace")
        if not text:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
            continue
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
