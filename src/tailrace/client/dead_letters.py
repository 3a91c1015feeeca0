"""`tailrace dead-letters`: what could not be decoded, to be looked at, mended, replayed or dropped."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import click
import orjson

from tailrace.client.connection import Connection, ServerError
from tailrace.client.options import url_option
from tailrace.client.output import harmless, write_line, write_table
from tailrace.client.query_errors import shown_with

_PATH = "/api/dead-letters"
_PAGE = 500


@click.group("dead-letters")
def dead_letters() -> None:
    """Input that could not be decoded. It is kept with its raw bytes, its reason and where it came from.

    \b
    Examples:
      tailrace dead-letters list
      tailrace dead-letters show 0-17-0
      tailrace dead-letters show 0-17-0 --raw > line.json    then mend line.json
      tailrace dead-letters replay 0-17-0 --mended line.json
      tailrace dead-letters drop 0-17-0
    """


@dead_letters.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, newest first."
)
@click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How it is printed."
)
@url_option
def list_letters(limit: int, output: str, url: str) -> None:
    """Show what there is, newest first. `json` is one object a line."""
    with shown_with(""), Connection(url) as connection:
        shown = []
        for letter in _letters(connection):
            shown.append(letter)
            if len(shown) == limit:
                break
        total = _page(connection, 1, None)["count"]
    if output == "json":
        for letter in shown:
            write_line(orjson.dumps(letter))
        return
    columns = ("id", "observed_timestamp", "source", "line", "reason")
    write_table(columns, [[str(letter[name]) for name in columns] for letter in shown])
    if len(shown) < total:
        click.echo(f"{len(shown):,} of {total:,}", err=True)


@dead_letters.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Only the bytes as they came in.")
@url_option
def show(letter_id: str, raw: bool, url: str) -> None:
    """Show one of them whole: where it came from, why it could not be decoded, and its bytes."""
    with shown_with(""), Connection(url) as connection:
        letter = connection.request("GET", f"{_PATH}/{quote(letter_id, safe='')}").json()
    content = base64.b64decode(letter["raw_base64"])
    terminal = sys.stdout.isatty()
    if raw:
        sys.stdout.buffer.write(harmless(content.decode("utf-8", "replace")).encode() if terminal else content)
        sys.stdout.buffer.flush()
        return
    for name in ("id", "observed_timestamp", "source", "line", "reason", "content_type", "bytes"):
        click.echo(f"{name + ':':20} {harmless(str(letter[name]))}")
    click.echo()
    click.echo(harmless(letter["text"]) if letter["text"] is not None else _hex_dump(content))


@dead_letters.command()
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them; those that still fail stay.")
@click.option("--mended", type=click.File("rb"), help="Bytes to decode instead; `-` is standard input. One ID only.")
@url_option
def replay(letter_ids: tuple[str, ...], every: bool, mended: BinaryIO | None, url: str) -> None:
    """Decode again and, when that succeeds, put the events into the log and forget the dead letter.

    The exit status is 1 when one of them could not be replayed.
    """
    _check_choice(letter_ids, every)
    if mended is not None and (every or len(letter_ids) != 1):
        raise click.UsageError("--mended goes with exactly one ID")
    body = mended.read() if mended is not None else None
    failed = False
    with shown_with(""), Connection(url) as connection:
        for letter_id in _chosen(connection, letter_ids, every):
            try:
                answer = connection.request("POST", f"{_PATH}/{quote(letter_id, safe='')}/replay", body=body).json()
            except ServerError as error:
                if not 400 <= error.status < 500 or error.status == 429:
                    raise
                failed = True
                click.echo(f"{letter_id}: {_why(error)}", err=True)
                continue
            click.echo(f"{letter_id}: {answer['accepted']:,} events are in the log")
    if failed:
        sys.exit(1)


@dead_letters.command()
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.confirmation_option("--yes", prompt="Their bytes are gone for good then. Drop them?", help="Do not ask.")
@url_option
def drop(letter_ids: tuple[str, ...], every: bool, url: str) -> None:
    """Delete dead letters. There is no way back."""
    _check_choice(letter_ids, every)
    dropped = 0
    with shown_with(""), Connection(url) as connection:
        for letter_id in _chosen(connection, letter_ids, every):
            connection.request("DELETE", f"{_PATH}/{quote(letter_id, safe='')}")
            dropped += 1
    click.echo(f"{dropped:,} dropped")


def _check_choice(letter_ids: tuple[str, ...], every: bool) -> None:
    if bool(letter_ids) == every:
        raise click.UsageError("name one ID or more, or --all")


def _chosen(connection: Connection, letter_ids: tuple[str, ...], every: bool) -> list[str]:
    # The whole list first: replaying and dropping change what the pages hold.
    return [letter["id"] for letter in _letters(connection)] if every else list(letter_ids)


def _letters(connection: Connection) -> Iterator[dict[str, Any]]:
    before = None
    while True:
        page = _page(connection, _PAGE, before)
        yield from page["dead_letters"]
        before = page["next_before"]
        if before is None:
            return


def _page(connection: Connection, limit: int, before: str | None) -> dict[str, Any]:
    parameters = {"limit": str(limit)} | ({"before": before} if before else {})
    page: dict[str, Any] = connection.request("GET", f"{_PATH}?{urlencode(parameters)}").json()
    return page


def _why(error: ServerError) -> str:
    """The problem's detail, and the reason of each line that is still wrong."""
    try:
        problem = orjson.loads(error.body)
        reasons = [each["reason"] for each in problem.get("errors", [])]
        return ": ".join([problem["detail"], *reasons])
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return error.message


def _hex_dump(content: bytes) -> str:
    """Sixteen bytes a line: offset, hexadecimal, and ASCII where it can be printed."""
    lines = []
    for start in range(0, len(content), 16):
        part = content[start : start + 16]
        printable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):47}  {printable}")
    return "\n".join(lines)
