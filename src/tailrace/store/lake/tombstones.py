"""The tombstones of a Delta table: which data files were removed, and when.

They are read from the log itself. delta-rs lists those of a certain age by its own clock, and leaves out one that
another machine, whose clock is ahead, has written a moment ago; whoever deletes files has to know of that one too.

Source: the actions and checkpoints of https://github.com/delta-io/delta/blob/master/PROTOCOL.md.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.(\d{10}))?\.parquet")


def read_tombstones(names: Iterable[str], read: Callable[[str], bytes]) -> dict[str, int]:
    """The removed files, with the time of removal in milliseconds since 1970.

    `names` are those of the files in the log, `read` gives the bytes of one. What it raises, this does.
    """
    names = sorted(names)
    version, checkpoint = _newest_checkpoint(names)
    removed: dict[str, int] = {}
    for name in checkpoint:
        removed.update(_of_checkpoint(read(name)))
    for name in names:
        commit = _COMMIT.fullmatch(name)
        if commit is not None and int(commit[1]) > version:
            _apply(read(name), removed)
    return removed


def _newest_checkpoint(names: Iterable[str]) -> tuple[int, list[str]]:
    """The version of the newest that is whole, and its files; -1 and none without one."""
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name in names:
        part = _CHECKPOINT.fullmatch(name)
        if part is not None:
            found[int(part[1]), int(part[2] or 1)].append(name)
    whole = [(version, parts) for (version, count), parts in found.items() if len(parts) == count]
    return max(whole, default=(-1, []))


def _of_checkpoint(content: bytes) -> dict[str, int]:
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        table = file.read(columns=["remove.path", "remove.deletionTimestamp"])
    removes = table["remove"].drop_null().to_pylist() if "remove" in table.column_names else []
    return {unquote(remove["path"]): remove["deletionTimestamp"] or 0 for remove in removes if remove["path"]}


def _apply(commit: bytes, removed: dict[str, int]) -> None:
    for line in commit.splitlines():
        action = json.loads(line)
        if "remove" in action:
            removed[unquote(action["remove"]["path"])] = action["remove"].get("deletionTimestamp") or 0
        elif "add" in action:
            removed.pop(unquote(action["add"]["path"]), None)
