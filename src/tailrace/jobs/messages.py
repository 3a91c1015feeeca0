"""From rows of Spark's Kafka source to items of the log, as `broker.kafka_messages` makes them of messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Message

from tailrace.broker import kafka_messages
from tailrace.broker.kafka_messages import Headers
from tailrace.broker.port import LogLines, LogRecord

COLUMNS = ("partition", "offset", "value", "headers")
"""What is read of the source's columns; `headers` is there with its option `includeHeaders`."""


def items_of(rows: pa.RecordBatch) -> Iterator[LogRecord | LogLines]:
    """What the messages hold, in their order. `rows` has COLUMNS, sorted by offset within a partition."""
    partitions = rows["partition"].to_numpy()
    cuts = (np.flatnonzero(np.diff(partitions)) + 1).tolist()
    for start, end in zip([0, *cuts], [*cuts, rows.num_rows], strict=True):
        run = rows.slice(start, end - start)
        if run.num_rows:
            lines = _lines(run)
            yield from [lines] if lines is not None else _by_message(run)


def _lines(run: pa.RecordBatch) -> LogLines | None:
    """The run as one item when all of it is JSON documents without headers: nothing is done for each document."""
    values, headers = run["value"], run["headers"]
    if values.null_count or pc.any(pc.greater(pc.list_value_length(headers), 0)).as_py():
        return None
    whole = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    payload: bytes = pc.binary_join(whole, b"\n")[0].as_py()
    # Every document begins with a brace, and no line break is but those between them.
    breaks = len(values) - 1
    if not payload.startswith(b"{") or not payload.count(b"\n") == breaks == payload.count(b"\n{"):
        return None
    return LogLines(run["partition"][0].as_py(), run["offset"].to_numpy(zero_copy_only=False), payload)


def _by_message(run: pa.RecordBatch) -> Sequence[LogRecord | LogLines]:
    messages = [_Row(row["partition"], row["offset"], row["value"], row["headers"]) for row in run.to_pylist()]
    return kafka_messages.items_of(cast("list[Message]", messages), {messages[0].partition(): 0})


@dataclass(frozen=True, slots=True)
class _Row:
    """A row with the methods of `confluent_kafka.Message` that are asked of it."""

    _partition: int
    _offset: int
    _value: bytes | None
    _headers: list[dict[str, str | bytes | None]] | None

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return [
            cast("tuple[str, bytes | None]", (each["key"], each["value"])) for each in self._headers or ()
        ] or None
