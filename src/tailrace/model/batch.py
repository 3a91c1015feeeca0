"""The event batch: the one shape in which events travel through Tailrace.

A batch is a `pyarrow.RecordBatch`, frozen by nature. It has two forms:

* EVENT_SCHEMA, before the log: what an event says.
* STORED_SCHEMA, after the log: the same columns and the identity the log gave it,
  `(log_partition, log_offset, log_row)`. An offset names one record of the log, which holds one batch; the row
  is the event's place in that batch.

Timestamps are microseconds since 1970 in UTC. `timestamp`, `observed_timestamp`, `message` and `attributes` are
never null. `level` is one of LEVELS or null. What has no column of its own is in `attributes`, as text, nested
keys joined by dots; keys are unique within an event.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
"""All levels, from the least to the most severe."""

TIMESTAMP = pa.timestamp("us", "UTC")
ATTRIBUTES = pa.map_(pa.string(), pa.string())

EVENT_SCHEMA = pa.schema(
    [
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("observed_timestamp", TIMESTAMP, nullable=False),
        pa.field("level", pa.string()),
        pa.field("service", pa.string()),
        pa.field("host", pa.string()),
        pa.field("message", pa.string(), nullable=False),
        pa.field("trace_id", pa.string()),
        pa.field("span_id", pa.string()),
        pa.field("attributes", ATTRIBUTES, nullable=False),
    ]
)

IDENTITY = ("log_partition", "log_offset", "log_row")

STORED_SCHEMA = pa.schema(
    [
        *EVENT_SCHEMA,
        pa.field("log_partition", pa.int32(), nullable=False),
        pa.field("log_offset", pa.int64(), nullable=False),
        pa.field("log_row", pa.int32(), nullable=False),
    ]
)

ARROW_STREAM = "application/vnd.apache.arrow.stream"
"""The content type of batches in the log and over HTTP."""

# lz4 writes at twice the speed of zstd here; the log is short-lived, so its size matters less than its speed.
_WRITE_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
# Handing the buffers of a batch to Arrow's threads takes longer than to decompress them.
_READ_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)


def encode_batch(batch: pa.RecordBatch) -> bytes:
    """Serialise one batch as an Arrow IPC stream, lz4-compressed."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema, options=_WRITE_OPTIONS) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def decode_batch(payload: bytes) -> pa.RecordBatch:
    """Read what `encode_batch` wrote; all batches of the stream are joined into one.

    Raises `pyarrow.ArrowInvalid` when the bytes are not such a stream.
    """
    with pa.ipc.open_stream(payload, options=_READ_OPTIONS) as reader:
        return join_batches(list(reader), reader.schema)


def join_batches(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """One batch with the rows of all, in order."""
    if len(batches) == 1:
        return batches[0]
    return pa.concat_batches(batches) if batches else empty_batch(schema)


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def batch_of_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema = EVENT_SCHEMA) -> pa.RecordBatch:
    """A batch from Python rows: for tests and for the few events that take the slow path."""
    return pa.RecordBatch.from_pylist([{"attributes": {}, **row} for row in rows], schema=schema)


def events_above(batch: pa.RecordBatch, reached: Mapping[int, int]) -> pa.RecordBatch:
    """The events (STORED_SCHEMA) that are not below the offset reached in their partition."""
    partitions = batch.column("log_partition").to_numpy()
    offsets = batch.column("log_offset").to_numpy()
    keep = np.ones(batch.num_rows, bool)
    for partition, offset in reached.items():
        keep &= (partitions != partition) | (offsets >= offset)
    return batch if keep.all() else batch.filter(pa.array(keep))


def with_identity(batch: pa.RecordBatch, partition: int, offset: int) -> pa.RecordBatch:
    """Give each event of a log record its identity: EVENT_SCHEMA in, STORED_SCHEMA out."""
    rows = batch.num_rows
    columns = [
        *batch.columns,
        pa.array(np.full(rows, partition, np.int32)),
        pa.array(np.full(rows, offset, np.int64)),
        pa.array(np.arange(rows, dtype=np.int32)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=STORED_SCHEMA)
