"""The CSV file of an enrich step, read at the start."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tailrace.errors import BadInput
from tailrace.steps.settings import TEXT_MAX

BYTES_MAX = 64 << 20
ROWS_MAX = 1_000_000
"""With this many rows a table takes some hundred megabytes, and a second or two to read."""


class _Reader(Protocol):
    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Table:
    """`row_of` a key says which text of each column is its."""

    row_of: Mapping[str, int]
    columns: Mapping[str, pa.StringArray]


def read_table(path: Path, *, key: str | None, columns: Sequence[str]) -> Table:
    """A CSV file (RFC 4180, UTF-8) with a header. Of equal keys the first row counts.

    Raises `BadInput` with the line and the reason.
    """
    try:
        if path.stat().st_size > BYTES_MAX:
            raise BadInput(f"{path} has {path.stat().st_size:,} bytes; {BYTES_MAX:,} are the most")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _table(path, csv.reader(file, strict=True), key, columns)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error


def _table(path: Path, rows: _Reader, key: str | None, columns: Sequence[str]) -> Table:
    header = next(rows, [])
    if len(header) < 2 or len(set(header)) < len(header) or not all(header):
        raise BadInput(f"{path}: its first line has to name two columns or more, each with a name of its own")
    key = header[0] if key is None else key
    wanted = list(columns) or [name for name in header if name != key]
    for name in (key, *wanted):
        if name not in header:
            raise BadInput(f"{path} has no column {name!r}; it has {', '.join(header)}")
    at, places = header.index(key), [header.index(name) for name in wanted]
    row_of: dict[str, int] = {}
    cells: list[list[str]] = []
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise BadInput(f"{path}:{rows.line_num}: {len(row)} cells, where the header has {len(header)}")
        if max(map(len, row)) > TEXT_MAX:
            raise BadInput(f"{path}:{rows.line_num}: a cell has more than {TEXT_MAX:,} characters")
        if row[at] in row_of:
            continue
        row_of[row[at]] = len(cells)
        cells.append([row[place] for place in places])
        if len(cells) > ROWS_MAX:
            raise BadInput(f"{path} has more than {ROWS_MAX:,} rows")
    return Table(row_of, {name: pa.array([row[i] for row in cells], pa.string()) for i, name in enumerate(wanted)})
