"""The lake's data files: Parquet with its token index beside it, written once and never changed.

    <lake>/date=2025-03-28/part-<random>.parquet     the events that arrived on that UTC day
    <lake>/_index/part-<random>.parquet.idx          its token index; a file without one is read whole

A file is named by nobody before the commit that adds it to the table, so a torn one is only waste.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tailrace.errors import RetryLater
from tailrace.model.batch import STORED_SCHEMA, join_batches
from tailrace.store.lake.place_port import Place
from tailrace.store.token_index.index import build_index

ROW_GROUP_ROWS = 32_768
"""Rows that a query reads together. Smaller groups cost size, larger ones make a rare word slower to fetch."""

DAY_US = 86_400_000_000

_DICTIONARY = ["level", "service", "host", "attributes.key_value.key", "attributes.key_value.value"]
_ENCODINGS = {
    **dict.fromkeys(
        ("timestamp", "observed_timestamp", "log_partition", "log_offset", "log_row"), "DELTA_BINARY_PACKED"
    ),
    "message": "DELTA_LENGTH_BYTE_ARRAY",
    # Random by nature: nothing to gain from another encoding.
    "trace_id": "PLAIN",
    "span_id": "PLAIN",
}
_STATISTICS = ["timestamp", "observed_timestamp", "log_partition", "log_offset", "log_row"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file as the table knows it. Times are bounds: no event of the file lies outside of them.

    `path` is relative to the lake. `rows` is None for a file that another program wrote without statistics.
    """

    path: str
    date: str
    size_bytes: int
    rows: int | None
    first_us: int
    last_us: int
    first_observed_us: int
    last_observed_us: int

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def date_of_day(day: int) -> str:
    """The date, as ISO 8601 writes it, of a day counted from 1970."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, in batches of ROW_GROUP_ROWS (the last may be shorter); copies one group at a time."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        while batch.num_rows - start + rows >= ROW_GROUP_ROWS:
            waiting.append(batch.slice(start, ROW_GROUP_ROWS - rows))
            start += ROW_GROUP_ROWS - rows
            yield pa.concat_batches(waiting)
            waiting, rows = [], 0
        if start < batch.num_rows:
            waiting.append(batch.slice(start))
            rows += batch.num_rows - start
    if waiting:
        yield pa.concat_batches(waiting)


def write_file(place: Place, date: str, batches: Iterable[pa.RecordBatch]) -> DataFile:
    """Write one data file and its index; both, and their names, are durable on return.

    Raises `RetryLater` when the place refuses; nothing is left behind then.
    """
    path = f"date={date}/part-{uuid.uuid4().hex}.parquet"
    try:
        draft = place.draft(path)
        extent = _Extent()
        with _writer(draft) as writer:
            index = build_index(_written(row_groups(batches), writer, extent))
        size_bytes = draft.stat().st_size
        place.publish(path, index)
    except OSError as error:
        place.discard(path)
        raise RetryLater(f"{place.name}/{path}: cannot be written: {error}") from error
    except BaseException:
        place.discard(path)
        raise
    return DataFile(
        path=path,
        date=date,
        size_bytes=size_bytes,
        rows=extent.rows,
        first_us=extent.first["timestamp"],
        last_us=extent.last["timestamp"],
        first_observed_us=extent.first["observed_timestamp"],
        last_observed_us=extent.last["observed_timestamp"],
    )


def read_groups(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a file, a row group at a time. Raises `OSError` or `pyarrow.ArrowException` for a damaged file."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            yield read_group(file, group)


def read_group(file: pq.ParquetFile, group: int) -> pa.RecordBatch:
    """One row group as STORED_SCHEMA; what else is in the file is left. Raises as `read_groups`."""
    table = file.read_row_group(group, columns=STORED_SCHEMA.names, use_threads=False)
    return join_batches(table.select(STORED_SCHEMA.names).cast(STORED_SCHEMA).to_batches(), STORED_SCHEMA)


def _writer(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        STORED_SCHEMA,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY,
        column_encoding=_ENCODINGS,
        write_statistics=_STATISTICS,
        write_page_checksum=True,
    )


class _Extent:
    """Counts rows and bounds times as groups pass."""

    def __init__(self) -> None:
        self.rows = 0
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}

    def add(self, group: pa.RecordBatch) -> None:
        self.rows += group.num_rows
        for name in ("timestamp", "observed_timestamp"):
            times_us = group[name].cast(pa.int64()).to_numpy()
            first, last = int(times_us.min()), int(times_us.max())
            self.first[name] = min(first, self.first.get(name, first))
            self.last[name] = max(last, self.last.get(name, last))


def _written(groups: Iterable[pa.RecordBatch], writer: pq.ParquetWriter, extent: _Extent) -> Iterator[pa.RecordBatch]:
    """Write each group beside the thread that makes its index: the two take about as long. One is held at a time."""
    with ThreadPoolExecutor(1, thread_name_prefix="parquet") as beside:
        writing: Future[None] | None = None
        for group in groups:
            if writing is not None:
                writing.result()
            writing = beside.submit(writer.write_batch, group)
            extent.add(group)
            yield group
        if writing is not None:
            writing.result()


def split_by_day(batches: Sequence[pa.RecordBatch]) -> dict[int, list[pa.RecordBatch]]:
    """The batches by the day, counted from 1970 in UTC, on which their events arrived."""
    days: dict[int, list[pa.RecordBatch]] = {}
    for batch in batches:
        observed = batch["observed_timestamp"].cast(pa.int64()).to_numpy() // DAY_US
        first, last = int(observed.min()), int(observed.max())
        if first == last:
            days.setdefault(first, []).append(batch)
            continue
        for day in np.unique(observed).tolist():
            days.setdefault(day, []).append(batch.filter(pa.array(observed == day)))
    return days
