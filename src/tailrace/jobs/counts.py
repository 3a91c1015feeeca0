"""Events per minute, level and service, and the most frequent messages: counted on executors, added up by Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.jobs.scan import Scan, scanned
from tailrace.model.batch import TIMESTAMP
from tailrace.store.lake.files import DataFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_MINUTE_COUNTS = "minute timestamp, level string, service string, events long"
_MESSAGE_COUNTS = "message string, events long"

# Numbers, ids and addresses: a word of hexadecimal digits with a decimal one among them, and what is left of decimal
# digits within other words.
_VARYING = r"\b(?:0[xX])?[0-9a-fA-F]*[0-9][0-9a-fA-F]*\b|[0-9]+"
_MASK = "#"


def counts(spark: SparkSession, files: Sequence[DataFile], scan: Scan) -> DataFrame:
    """Columns minute, level, service, events, in that order; level and service may be null."""
    keys = ["minute", "level", "service"]
    partial_counts = scanned(spark, files, scan, _count_minutes, _MINUTE_COUNTS)
    return partial_counts.groupBy(*keys).sum("events").toDF(*keys, "events").orderBy(*keys)


def top_messages(
    spark: SparkSession, files: Sequence[DataFile], scan: Scan, *, limit: int, shapes: bool
) -> DataFrame:
    """Columns events and message, the most frequent first; with `shapes` the numbers in messages do not count."""
    from pyspark.sql.functions import desc

    partial_counts = scanned(spark, files, scan, partial(_count_messages, shapes), _MESSAGE_COUNTS)
    total = partial_counts.groupBy("message").sum("events").toDF("message", "events").select("events", "message")
    return total.orderBy(desc("events"), "message").limit(limit)


def shape_of(messages: pa.Array) -> pa.Array:
    """The messages with `#` for every number."""
    return pc.replace_substring_regex(messages, _VARYING, _MASK)


def _count_minutes(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        minutes = pc.floor_temporal(batch["timestamp"], unit="minute").cast(TIMESTAMP)
        table = pa.table({"minute": minutes, "level": batch["level"], "service": batch["service"]})
        counted = table.group_by(table.column_names).aggregate([([], "count_all")])
        yield from counted.rename_columns([*table.column_names, "events"]).combine_chunks().to_batches()


def _count_messages(shapes: bool, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        messages = shape_of(batch["message"]) if shapes else batch["message"]
        counted = pa.table({"message": messages}).group_by("message").aggregate([([], "count_all")])
        yield from counted.rename_columns(["message", "events"]).combine_chunks().to_batches()
