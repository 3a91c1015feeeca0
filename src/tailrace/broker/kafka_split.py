"""Records that are larger than a message may be, split by their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from tailrace.broker.port import Record
from tailrace.errors import TooLarge
from tailrace.model.batch import ARROW_STREAM, decode_batch, encode_batch
from tailrace.model.claim import CLAIM
from tailrace.model.dead_letter import DEAD_LETTERS

_OF_ROWS = frozenset({ARROW_STREAM, DEAD_LETTERS})


def split_record(record: Record, bytes_max: int) -> list[Record]:
    """The record in parts of at most `bytes_max` of payload each, in order; alone when it is small enough.

    It is halved until the parts fit, so that the same rows are always split at the same places. The claim of a part
    names its rows: each part is an event's only copy, and all are to be stored. Raises `TooLarge` for a row that is
    too large by itself, and for a record that has no rows.
    """
    if len(record.payload) <= bytes_max:
        return [record]
    if record.content_type not in _OF_ROWS:
        raise TooLarge(_too_large(record, bytes_max))
    batch = decode_batch(record.payload)
    counts_rows = record.rows == batch.num_rows
    parts = []
    for first, payload, rows in _halves(record, batch, 0, bytes_max):
        headers = record.headers
        if CLAIM in headers:
            headers = {**headers, CLAIM: f"{headers[CLAIM]}/{first}-{first + rows}"}
        parts.append(replace(record, payload=payload, rows=rows if counts_rows else record.rows, headers=headers))
    return parts


def _halves(record: Record, batch: pa.RecordBatch, first: int, bytes_max: int) -> Iterator[tuple[int, bytes, int]]:
    """First row, payload and number of rows of each part of this batch, which is too large."""
    if batch.num_rows < 2:
        raise TooLarge(_too_large(record, bytes_max))
    middle = batch.num_rows // 2
    for start, part in ((0, batch.slice(0, middle)), (middle, batch.slice(middle))):
        payload = encode_batch(part)
        if len(payload) <= bytes_max:
            yield first + start, payload, part.num_rows
        else:
            yield from _halves(record, part, first + start, bytes_max)


def _too_large(record: Record, bytes_max: int) -> str:
    return (
        f"{len(record.payload):,} bytes of {record.content_type} that cannot be split are more than the "
        f"{bytes_max:,} that the Kafka topic takes in one message; raise the topic's max.message.bytes"
    )
