"""The dead letter: input that could not be decoded, kept with its raw bytes, its reason and its place.

Dead letters travel through the log like events, in records of content type DEAD_LETTERS, so that the same fsync
that makes a body's good lines durable makes its bad lines durable too, and both have an identity.
"""

from __future__ import annotations

import pyarrow as pa

from tailrace.model.batch import TIMESTAMP

DEAD_LETTERS = "application/vnd.tailrace.dead-letters.arrow.stream"

REPLAYS = "replays"
"""Header of a log record made from a dead letter: the letter's identity, so that it is replayed only once."""

DEAD_LETTER_SCHEMA = pa.schema(
    [
        pa.field("observed_timestamp", TIMESTAMP, nullable=False),
        pa.field("source", pa.string(), nullable=False),  # where it came in: "POST /logs from 127.0.0.1"
        pa.field("line", pa.int32(), nullable=False),  # 1-based place in the body; 0: the whole record
        pa.field("reason", pa.string(), nullable=False),
        pa.field("content_type", pa.string(), nullable=False),  # how to decode `raw` when it is replayed
        pa.field("raw", pa.binary(), nullable=False),
    ]
)
