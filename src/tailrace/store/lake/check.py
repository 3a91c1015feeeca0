"""What the lake holds, and whether all of it is as it should be. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tailrace.query.text_match import text_literal
from tailrace.store.lake.files import DataFile, index_path, read_groups
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.retention import index_bytes
from tailrace.store.token_index.index import DamagedIndex, TokenIndex

# An identity in DuckDB's hash table takes some fifty bytes.
_SHARE_ROWS = 4_000_000
_DOUBLES_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Info:
    """`first_us` and `last_us`: bounds of `timestamp`; None for a lake without events."""

    path: str
    version: int
    commits_in_log: int
    files: int
    rows: int
    data_bytes: int
    index_bytes: int
    first_us: int | None
    last_us: int | None
    reached: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Check:
    """`problems` has a sentence for each, naming the place; empty when all is well."""

    files: int
    rows: int
    problems: list[str]


def info(lake: Lake) -> Info:
    state = lake.table.state()
    files = list(state.files.values())
    return Info(
        path=str(lake.path),
        version=state.version,
        commits_in_log=lake.table.log_files(),
        files=len(files),
        rows=sum(file.rows or 0 for file in files),
        data_bytes=sum(file.size_bytes for file in files),
        index_bytes=sum(index_bytes(lake, file) for file in files),
        first_us=min((file.first_us for file in files), default=None),
        last_us=max((file.last_us for file in files), default=None),
        reached=state.reached,
    )


def check(lake: Lake) -> Check:
    """Read everything: whether each file is whole, with the rows and times that the table says, whether each event is
    there once and below what was reached, and whether each index is of its file.
    """
    problems: list[str] = []
    rows = 0
    with lake.snapshot() as snapshot:
        sound = []
        for file in snapshot.files:
            found = list(_wrong_with(lake, file, snapshot.reached))
            problems += found
            if not found:
                sound.append(file)
                rows += file.rows or 0
        problems += _doubles(lake, sound, rows)
    return Check(len(snapshot.files), rows, problems)


def _wrong_with(lake: Lake, file: DataFile, reached: Mapping[int, int]) -> Iterator[str]:
    path = lake.path / file.path
    groups: list[int] = []
    try:
        for batch in read_groups(path):
            groups.append(batch.num_rows)
            times_us = batch["timestamp"].cast(pa.int64()).to_numpy()
            if times_us.min() < file.first_us or times_us.max() > file.last_us:
                yield f"{path}: row group {len(groups) - 1} has times outside of those that the table says"
            if not _is_below(batch, reached):
                yield f"{path}: row group {len(groups) - 1} has offsets that the table has not reached"
    except (OSError, pa.ArrowException) as error:
        yield f"{path}: row group {len(groups)} cannot be read: {error}"
        return
    if file.rows is not None and sum(groups) != file.rows:
        yield f"{path}: has {sum(groups)} rows, and {file.rows} by the table"
    try:
        index = TokenIndex.open(index_path(lake.path, file.name))
        index.verify()
        if index.row_group_rows != groups:
            yield f"{path}: its token index is of another file"
    except FileNotFoundError:
        yield f"{path}: has no token index; maintenance makes it"
    except (OSError, DamagedIndex) as error:
        yield f"{path}: its token index cannot be used: {error}; delete it, and maintenance makes it anew"


def _is_below(batch: pa.RecordBatch, reached: Mapping[int, int]) -> bool:
    partitions, offsets = (batch[name].to_numpy() for name in ("log_partition", "log_offset"))
    below = np.zeros(batch.num_rows, np.bool_)
    for partition, offset in reached.items():
        below |= (partitions == partition) & (offsets < offset)
    return bool(below.all())


def _doubles(lake: Lake, files: Sequence[DataFile], rows: int) -> Iterator[str]:
    """Events that are there more than once, looked for in shares that fit into memory."""
    if not files:
        return
    paths = ", ".join(text_literal(str(lake.path / file.path)) for file in files)
    shares = rows // _SHARE_ROWS + 1
    for share in range(shares):
        found = lake.engine.table(
            "SELECT log_partition, log_offset, log_row, count(*) AS count "
            f"FROM read_parquet([{paths}], hive_partitioning = false) WHERE log_offset % {shares} = {share} "
            f"GROUP BY ALL HAVING count > 1 ORDER BY ALL LIMIT {_DOUBLES_NAMED_MAX}"
        )
        for double in found.to_pylist():
            place = f"({double['log_partition']}, {double['log_offset']}, {double['log_row']})"
            yield f"{lake.path}: the event {place} is there {double['count']} times"
