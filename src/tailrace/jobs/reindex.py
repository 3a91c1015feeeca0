"""From the lake to Elasticsearch or OpenSearch: a range of time indexed again, or for the first time.

The same documents under the same `_id`s as those of the worker that fills it, so that what is there already stays as
it is (409), whatever is run twice. The progress of that worker is not touched: it goes by the log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import Settings
from tailrace.jobs.scan import Scan, scanned
from tailrace.ops.metrics import Metrics
from tailrace.store.elasticsearch.bulk import REQUESTS_AT_ONCE, BulkWriter
from tailrace.store.elasticsearch.documents import by_day, index_of, slices
from tailrace.store.elasticsearch.mapping import install_template
from tailrace.store.elasticsearch.server import Server
from tailrace.store.lake.files import DataFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REASONS_MAX = 5

_DONE = pa.schema([pa.field("events", pa.int64()), pa.field("refused", pa.int64()), pa.field("reason", pa.string())])
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Reindexed:
    """`events` were sent; `refused` of them will never be taken, for `reasons`: those of a few."""

    events: int
    refused: int
    reasons: Sequence[str]


def reindex(spark: SparkSession, files: Sequence[DataFile], scan: Scan, *, to: str) -> Reindexed:
    """Everything is searchable on return. Raises `RetryLater` while the server is away, and `Stop`."""
    with contextlib.closing(Server(to)) as server:
        install_template(server, scan.settings.elasticsearch)
        indices = sorted({index_of(server.name, (date.fromisoformat(file.date) - _EPOCH).days) for file in files})
        for index in indices:
            server.create_index(index)
        done = scanned(
            spark, files, scan, partial(_send, scan.settings, to), "events long, refused long, reason string"
        ).toArrow()
        for index in indices:
            server.request("POST", f"/{index}/_refresh", expected=(404,))
    return Reindexed(
        events=pc.sum(done["events"]).as_py() or 0,
        refused=pc.sum(done["refused"]).as_py() or 0,
        reasons=[reason for reason in done["reason"].to_pylist() if reason is not None][:REASONS_MAX],
    )


def _send(settings: Settings, to: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A row group at a time: what is on its way is bounded by it."""
    with (
        contextlib.closing(Server(to)) as server,
        contextlib.closing(BulkWriter(server, metrics=Metrics(), place="elasticsearch")) as bulk,
    ):
        for batch in batches:
            parts = [
                (index_of(server.name, day), part)
                for day, rows in by_day(batch)
                for part in slices(rows, settings.elasticsearch.bulk_bytes, at_once=REQUESTS_AT_ONCE)
            ]
            refusals = [(part, refusal) for _, part, refused in bulk.write(parts) for refusal in refused]
            reasons = [f"{_identity(part, refusal.row)}: {refusal.reason}" for part, refusal in refusals[:1]]
            columns = [[batch.num_rows], [len(refusals)], [reasons[0] if reasons else None]]
            yield pa.RecordBatch.from_arrays(
                [pa.array(column, field.type) for column, field in zip(columns, _DONE, strict=True)], schema=_DONE
            )


def _identity(part: pa.RecordBatch, row: int) -> str:
    return "-".join(str(part[name][row].as_py()) for name in ("log_partition", "log_offset", "log_row"))
