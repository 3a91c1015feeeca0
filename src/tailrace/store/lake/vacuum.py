"""Vacuum: files that the table does not name any more, or never did, are deleted from disk.

A file may still be read by a query that began before it was replaced. So it stays as long as a snapshot of this
process holds it, and for a time that is longer than any query may take, which covers other processes. Its age counts
from its last change: the table touches a file when it is replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tailrace.errors import RetryLater
from tailrace.store.lake.files import (
    INDEX_FOLDER,
    date_of_day,
    index_path,
    read_groups,
    write_index,
)
from tailrace.store.lake.lake import Lake
from tailrace.store.token_index.index import build_index

_OURS = re.compile(r"part-[0-9a-f]{32}\.parquet(\.idx|\.draft)?")
# Another program may take long from writing a file to committing it: it gets the time that Delta's own vacuum gives.
_FOREIGN_AFTER_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Vacuum:
    files: int
    bytes: int


def vacuum(lake: Lake, *, after_s: float) -> Vacuum:
    """Delete what nobody has needed for `after_s`."""
    now_s = lake.clock() / 1_000_000
    # Listed before the state is read: a file that is committed in between is then in the state.
    found = list(_on_disk(lake.path))
    needed = set(lake.table.state().files) | lake.held_paths()
    names = {path.rsplit("/", 1)[-1] for path in needed}
    files = size_bytes = 0
    for entry in found:
        is_ours = _OURS.fullmatch(entry.name) is not None
        if entry.path in needed or entry.name.removesuffix(".idx") in names:
            continue
        if entry.changed_s < now_s - (after_s if is_ours else _FOREIGN_AFTER_S):
            with contextlib.suppress(FileNotFoundError):
                (lake.path / entry.path).unlink()
                files += 1
                size_bytes += entry.size_bytes
                lake.parts.forget(entry.path.removesuffix(".idx"))
    _remove_empty_days(lake.path, date_of_day(int(now_s) // 86_400))
    return Vacuum(files, size_bytes)


def mend_indexes(lake: Lake) -> int:
    """Make the token indexes that are missing or damaged; how many were made. Raises `RetryLater`."""
    there = {entry.name for entry in _scan(lake.path / INDEX_FOLDER)}
    made = 0
    for file in lake.table.state().files.values():
        path = index_path(lake.path, file.name)
        if (path.name in there and not lake.parts.lost_index(file)) or not lake.parts.is_sound(file):
            continue
        try:
            index = build_index(read_groups(lake.path / file.path))
        except (OSError, pa.ArrowException):
            lake.parts.examine(file)
            continue
        try:
            write_index(lake.path, file.name, index)
        except OSError as error:
            raise RetryLater(f"{path}: cannot be written: {error}") from error
        lake.parts.forget(file.path)
        made += 1
    return made


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file on disk; `path` is relative to the lake."""

    path: str
    name: str
    size_bytes: int
    changed_s: float


def _on_disk(lake: Path) -> Iterator[_Entry]:
    """Data files and token indexes."""
    for folder in _scan(lake):
        if not folder.is_dir() or not (folder.name.startswith("date=") or folder.name == INDEX_FOLDER):
            continue
        for entry in _scan(Path(folder.path)):
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat()
                yield _Entry(f"{folder.name}/{entry.name}", entry.name, status.st_size, status.st_mtime)


def _remove_empty_days(lake: Path, today: str) -> None:
    """Folders of days that are over; a flush may just be making today's."""
    for folder in _scan(lake):
        if folder.name.startswith("date=") and folder.name < f"date={today}":
            with contextlib.suppress(OSError):
                os.rmdir(folder.path)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
