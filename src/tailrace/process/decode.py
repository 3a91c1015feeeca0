"""From a log record to what it holds: events with their identity, or dead letters."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from tailrace.broker.port import DAMAGED, LogRecord
from tailrace.model.batch import ARROW_STREAM, EVENT_SCHEMA, decode_batch, with_identity
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA, DEAD_LETTERS


@dataclass(frozen=True, slots=True)
class Events:
    """`batch` has STORED_SCHEMA."""

    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Letters:
    """`batch` has DEAD_LETTER_SCHEMA."""

    batch: pa.RecordBatch


def decode_record(item: LogRecord, *, now_us: int) -> Events | Letters:
    """Never raises for what is in the record: a record that cannot be decoded is a dead letter as a whole."""
    record = item.record
    reason = record.headers.get(DAMAGED)
    if reason is None:
        try:
            if record.content_type == ARROW_STREAM:
                batch = decode_batch(record.payload)
                if batch.schema.equals(EVENT_SCHEMA):
                    return Events(with_identity(batch, item.partition, item.offset))
                reason = "the record's columns are not those of an event"
            elif record.content_type == DEAD_LETTERS:
                letters = decode_batch(record.payload)
                if letters.schema.equals(DEAD_LETTER_SCHEMA):
                    return Letters(letters)
                reason = "the record's columns are not those of a dead letter"
            else:
                reason = f"nothing here decodes content type {record.content_type!r}"
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = f"the record cannot be decoded: {error}"
    return Letters(_letter(item, reason, now_us))


def _letter(item: LogRecord, reason: str, now_us: int) -> pa.RecordBatch:
    row = {
        "observed_timestamp": now_us,
        "source": f"log partition {item.partition} offset {item.offset}",
        "line": 0,
        "reason": reason,
        "content_type": item.record.content_type,
        "raw": item.record.payload,
    }
    return pa.RecordBatch.from_pylist([row], schema=DEAD_LETTER_SCHEMA)
