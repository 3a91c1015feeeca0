"""The dead letter: input that could not be decoded, kept with its raw bytes, its reason and its place.

Dead letters travel through the log like events, in records of content type DEAD_LETTERS, so that the same fsync
that makes a body's good lines durable makes its bad lines durable too, and both have an identity. An event that a
store refuses becomes a dead letter as well, under the event's identity.
"""

from __future__ import annotations

import re

import pyarrow as pa

from tailrace.model.batch import TIMESTAMP

DEAD_LETTERS = "application/vnd.tailrace.dead-letters.arrow.stream"

DEAD_LETTER_SCHEMA = pa.schema(
    [
        pa.field("observed_timestamp", TIMESTAMP, nullable=False),
        # Where it came in, "POST /logs from 127.0.0.1", or which store refused it, "elasticsearch: logs-2025.03.28".
        pa.field("source", pa.string(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),  # 1-based place in the body; 0: the whole record
        pa.field("reason", pa.string(), nullable=False),
        pa.field("content_type", pa.string(), nullable=False),  # how to decode `raw` when it is replayed
        pa.field("raw", pa.binary(), nullable=False),
    ]
)

_STORE = re.compile(r"([a-z][a-z0-9_-]*): ")


def store_of(source: str) -> str | None:
    """The name of the store that refused the event, None for what could not be decoded."""
    found = _STORE.match(source)
    return None if found is None else found[1]
