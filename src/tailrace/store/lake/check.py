"""What the lake holds, and whether all of it is as it should be. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tailrace.model.batch import IDENTITY
from tailrace.store.lake.files import DataFile, read_groups
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.place_port import index_path
from tailrace.store.lake.retention import index_sizes
from tailrace.store.token_index.index import DamagedIndex, TokenIndex

# An identity in DuckDB's hash table takes some fifty bytes.
_SHARE_ROWS = 4_000_000
_DOUBLES_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Info:
    """`path`: folder or URL. `first_us` and `last_us`: bounds of `timestamp`; None for a lake without events."""

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
    sizes = index_sizes(lake)
    return Info(
        path=lake.place.name,
        version=state.version,
        commits_in_log=sum(1 for name in lake.place.log_names() if name.endswith(".json")),
        files=len(files),
        rows=sum(file.rows or 0 for file in files),
        data_bytes=sum(file.size_bytes for file in files),
        index_bytes=sum(sizes.get(index_path(file.path), 0) for file in files),
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
    path = f"{lake.place.name}/{file.path}"
    groups: list[int] = []
    try:
        with lake.place.held({file.path: file.size_bytes}):
            for batch in read_groups(lake.place.local(file.path)):
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
    index_of_it = index_path(file.path)
    try:
        with lake.place.held({index_of_it: 0}):
            index = TokenIndex.open(lake.place.local(index_of_it))
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
    shares = rows // _SHARE_ROWS + 1
    for share in range(shares if files else 0):
        found = lake.engine.table(
            "SELECT log_partition, log_offset, log_row, count(*) AS count FROM identities "
            f"GROUP BY ALL HAVING count > 1 ORDER BY ALL LIMIT {_DOUBLES_NAMED_MAX}",
            {"identities": pa.concat_tables(_identities(lake, file, share, shares) for file in files)},
        )
        for double in found.to_pylist():
            place = f"({double['log_partition']}, {double['log_offset']}, {double['log_row']})"
            yield f"{lake.place.name}: the event {place} is there {double['count']} times"


def _identities(lake: Lake, file: DataFile, share: int, shares: int) -> pa.Table:
    """Of the events whose offsets leave the rest `share` when divided by `shares`."""
    with lake.place.held({file.path: file.size_bytes}), pq.ParquetFile(lake.place.local(file.path)) as opened:
        identities = opened.read(columns=list(IDENTITY), use_threads=False)
    mine = identities["log_offset"].to_numpy() % shares == share
    return identities if mine.all() else identities.filter(pa.array(mine))
