"""Vacuum: files that the table does not name any more, or never did, are deleted.

A file may still be read by a query that began before it was replaced. So it stays as long as a snapshot of this
process holds it, and for a time that is longer than any query may take, which covers other processes. In a folder its
age counts from its last change, as the table touches a file when it is replaced; on an object store, which knows no
touch, from the commit that removed it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from tailrace.errors import RetryLater
from tailrace.store.lake.files import date_of_day, read_groups
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.place_port import INDEX_FOLDER, index_path
from tailrace.store.token_index.index import build_index

_OURS = re.compile(r"part-[0-9a-f]{32}\.parquet(\.idx|\.draft)?")
# Another program may take long from writing a file to committing it: it gets the time that Delta's own vacuum gives.
_FOREIGN_AFTER_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Vacuum:
    files: int
    bytes: int


def vacuum(lake: Lake, *, after_s: float) -> Vacuum:
    """Delete what nobody has needed for `after_s`. Raises `RetryLater`."""
    now_s = lake.clock() / 1_000_000
    # Listed before the state is read: a file that is committed in between is then in the state.
    found = list(lake.place.entries())
    needed = set(lake.table.state().files) | lake.held_paths()
    if not lake.place.marks_releases():
        needed |= lake.table.removed_since(lake.clock() - round(after_s * 1_000_000))
    names = {path.rsplit("/", 1)[-1] for path in needed}
    files = size_bytes = 0
    for entry in found:
        is_ours = _OURS.fullmatch(entry.name) is not None
        if entry.path in needed or entry.name.removesuffix(".idx") in names:
            continue
        if entry.changed_s < now_s - (after_s if is_ours else _FOREIGN_AFTER_S) and lake.place.delete(entry.path):
            files += 1
            size_bytes += entry.size_bytes
            lake.parts.forget(entry.path.removesuffix(".idx"))
    lake.place.remove_empty_days(date_of_day(int(now_s) // 86_400))
    return Vacuum(files, size_bytes)


def mend_indexes(lake: Lake) -> int:
    """Make the token indexes that are missing or damaged; how many were made. Raises `RetryLater`."""
    there = {entry.path for entry in lake.place.entries(INDEX_FOLDER)}
    made = 0
    for file in lake.table.state().files.values():
        path = index_path(file.path)
        if (path in there and not lake.parts.lost_index(file)) or not lake.parts.is_sound(file):
            continue
        try:
            with lake.place.held({file.path: file.size_bytes}):
                index = build_index(read_groups(lake.place.local(file.path)))
        except (OSError, pa.ArrowException):
            lake.parts.examine(file)
            continue
        try:
            lake.place.put_index(file.path, index)
        except OSError as error:
            raise RetryLater(f"{lake.place.name}/{path}: cannot be written: {error}") from error
        lake.parts.forget(file.path)
        made += 1
    return made
