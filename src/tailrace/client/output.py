"""How events and tables are written: as text for people, as NDJSON, CSV or a table for programs and pages.

On a terminal, text is coloured by level (unless NO_COLOR is set) and control characters are made visible: a log line
must not be able to move the cursor or rename the window. Into a pipe or a file goes what the server sent.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Literal, Protocol

import click
import orjson

Event = Mapping[str, Any]

TEXT_FIELDS = ("timestamp", "level", "service", "host", "message")
TABLE_FIELDS = ("timestamp", "level", "service", "message")
CSV_FIELDS = ("timestamp", "level", "service", "host", "message", "trace_id", "span_id", "attributes", "id")

_LEVEL_STYLES = {
    "TRACE": "dim",
    "DEBUG": "cyan",
    "INFO": "green",
    "WARN": "yellow",
    "ERROR": "bold red",
    "FATAL": "bold white on red",
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROL_OR_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class EventWriter(Protocol):
    def write(self, event: Event) -> None: ...

    def flush(self) -> None:
        """Everything written so far is to be seen now."""
        ...


def event_writer(output: str, fields: Sequence[str]) -> EventWriter:
    """Writes to standard output. `output` is text, json, csv or table; without `fields`, those usual for it."""
    terminal = sys.stdout.isatty()
    if output == "json":
        return _JsonWriter(fields, terminal)
    if output == "csv":
        return _CsvWriter(fields or CSV_FIELDS, terminal)
    if output == "table":
        return _TableWriter(fields or TABLE_FIELDS)
    return _ColouredWriter(fields or TEXT_FIELDS) if terminal else _TextWriter(fields or TEXT_FIELDS)


def field_text(event: Event, name: str) -> str:
    """The field as text; empty when the event lacks it. A name that is no column is looked up in the attributes."""
    return cell_text(field_value(event, name))


def field_value(event: Event, name: str) -> Any:
    if name in event:
        return event[name]
    return (event.get("attributes") or {}).get(name.removeprefix("attributes."))


def cell_text(cell: object) -> str:
    """Text as it is, null as nothing, anything else as JSON."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else orjson.dumps(cell).decode()


def harmless(text: str, *, line_breaks: bool = True) -> str:
    """Control characters as `\\x1b`. Line ends and tabs stay when `line_breaks` says so."""
    pattern = _CONTROL if line_breaks else _CONTROL_OR_BREAK
    return pattern.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Fitted to the width of a terminal; into a pipe, columns as wide as their widest cell."""
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD)
        for column in columns:
            table.add_column(Text(harmless(column, line_breaks=False)), overflow="fold")
        for row in rows:
            table.add_row(*(Text(harmless(cell)) for cell in row))
        Console(highlight=False).print(table)
        return
    # One row is one line, or the columns would not line up.
    cells = [[harmless(cell, line_breaks=False) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def write_line(line: bytes) -> None:
    """A line of JSON or CSV as the server sent it, with the rest of the control characters visible on a terminal."""
    sys.stdout.buffer.write(
        (harmless(line.decode("utf-8", "replace")).encode() if sys.stdout.isatty() else line) + b"\n"
    )


class _TextWriter:
    """The fields with a space between them; a field that an event lacks is `-`. The message is last, as it came."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = _message_last(fields)
        self._stdout = sys.stdout.buffer

    def write(self, event: Event) -> None:
        parts = [field_text(event, name) or ("" if name == "message" else "-") for name in self._fields]
        self._stdout.write(" ".join(parts).encode() + b"\n")

    def flush(self) -> None:
        self._stdout.flush()


class _ColouredWriter:
    def __init__(self, fields: Sequence[str]) -> None:
        from rich.console import Console

        self._fields = _message_last(fields)
        # rich alone would still write bold and dim with NO_COLOR.
        system: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(highlight=False, soft_wrap=True, color_system=system)

    def write(self, event: Event) -> None:
        from rich.text import Text

        line = Text()
        for number, name in enumerate(self._fields):
            if number:
                line.append(" ")
            text = field_text(event, name)
            if name == "message":
                line.append(harmless(text))
            elif name == "level":
                line.append(f"{harmless(text, line_breaks=False) or '-':5}", _LEVEL_STYLES.get(text))
            else:
                line.append(harmless(text, line_breaks=False) or "-", "dim" if name == "timestamp" else "blue")
        self._console.print(line)

    def flush(self) -> None:
        self._console.file.flush()


class _JsonWriter:
    def __init__(self, fields: Sequence[str], terminal: bool) -> None:
        self._fields = fields
        self._terminal = terminal
        self._stdout = sys.stdout.buffer

    def write(self, event: Event) -> None:
        chosen = {name: field_value(event, name) for name in self._fields} if self._fields else event
        _write_json(self._stdout, chosen, self._terminal)

    def flush(self) -> None:
        self._stdout.flush()


class _CsvWriter:
    def __init__(self, fields: Sequence[str], terminal: bool) -> None:
        self._fields = fields
        self._terminal = terminal
        self._stdout = sys.stdout.buffer
        _write_csv_row(self._stdout, fields, terminal)

    def write(self, event: Event) -> None:
        _write_csv_row(self._stdout, [field_text(event, name) for name in self._fields], self._terminal)

    def flush(self) -> None:
        self._stdout.flush()


class _TableWriter:
    """A table needs all rows before its first line: they are held until `flush`."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._rows: list[list[str]] = []

    def write(self, event: Event) -> None:
        self._rows.append([field_text(event, name) for name in self._fields])

    def flush(self) -> None:
        if self._rows:
            write_table(self._fields, self._rows)
        self._rows = []


def _message_last(fields: Sequence[str]) -> list[str]:
    return [name for name in fields if name != "message"] + [name for name in fields if name == "message"]


def _write_json(stdout: BinaryIO, value: object, terminal: bool) -> None:
    line = orjson.dumps(value) + b"\n"
    # JSON escapes the control characters of ASCII, but not U+007F to U+009F, which some terminals obey too.
    stdout.write(harmless(line.decode()).encode() if terminal else line)


def _write_csv_row(stdout: BinaryIO, cells: Sequence[str], terminal: bool) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    text = line.getvalue()
    stdout.write((harmless(text) if terminal else text).encode())
