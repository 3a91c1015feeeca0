"""Reading the lake on executors: the list of files on the driver, each file by one task, through our own code.

So it reads every place that the lake can be in, with no connector of Hadoop's. A file that compaction replaces
meanwhile stays for `lake.vacuum_after_s`, which a job must not outlast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import Settings
from tailrace.errors import RetryLater
from tailrace.jobs.places import lake_place
from tailrace.model.batch import TIMESTAMP
from tailrace.store.lake.counts import overlapping
from tailrace.store.lake.files import DataFile, read_groups
from tailrace.store.lake.place import Place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FILES = pa.schema([pa.field("path", pa.string()), pa.field("size_bytes", pa.int64())])

Work = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""What is done with the events of one file, in batches of STORED_SCHEMA of at most a row group."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The events with `start_us <= timestamp < end_us` (None: no bound) of the lake."""

    settings: Settings
    lake_url: str
    start_us: int | None = None
    end_us: int | None = None


def files_of(files: Iterable[DataFile], scan: Scan) -> list[DataFile]:
    """Those that may hold events of the scan's time, the largest first: a large one begun last would end alone."""
    chosen = overlapping(list(files), scan.start_us, scan.end_us)
    return sorted(chosen, key=lambda file: file.size_bytes, reverse=True)


def scanned(spark: SparkSession, files: Sequence[DataFile], scan: Scan, work: Work, schema: str) -> DataFrame:
    """What `work` makes of each file, on the executors; `schema` is Spark's text of its columns."""
    table = pa.table([[file.path for file in files], [file.size_bytes for file in files]], schema=_FILES)
    listed = spark.createDataFrame(table).repartition(max(len(files), 1))
    return listed.mapInArrow(partial(_work_through, scan, work), schema)


def _work_through(scan: Scan, work: Work, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Runs in an executor. Raises `RetryLater`; Spark then tries the task again."""
    with lake_place(scan.lake_url, scan.settings) as place:
        for batch in batches:
            for file in batch.to_pylist():
                yield from work(_events(place, file["path"], file["size_bytes"], scan))


def _events(place: Place, path: str, size_bytes: int, scan: Scan) -> Iterator[pa.RecordBatch]:
    try:
        with place.held({path: size_bytes}):
            for group in read_groups(place.local(path)):
                kept = _within(group, scan)
                if kept.num_rows:
                    yield kept
    except FileNotFoundError as error:
        raise RetryLater(
            f"{place.name}/{path}: was replaced and deleted meanwhile: run the job again, with a longer "
            "lake.vacuum_after_s where that happens often"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise RetryLater(f"{place.name}/{path}: cannot be read: {error}") from error


def _within(group: pa.RecordBatch, scan: Scan) -> pa.RecordBatch:
    times = group["timestamp"]
    if scan.start_us is not None:
        group = group.filter(pc.greater_equal(times, pa.scalar(scan.start_us, TIMESTAMP)))
        times = group["timestamp"]
    if scan.end_us is not None:
        group = group.filter(pc.less(times, pa.scalar(scan.end_us, TIMESTAMP)))
    return group
