"""Rejected lines as a batch, so that they become durable in the same append as the good lines of their body."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tailrace.ingest.decoded import Rejected
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA


def dead_letter_batch(rejected: list[Rejected], *, source: str, content_type: str, now_us: int) -> pa.RecordBatch:
    """A batch of DEAD_LETTER_SCHEMA, one row for each rejected line, in order."""
    rows = len(rejected)
    columns = [
        pa.array(np.full(rows, now_us, np.int64)).cast(DEAD_LETTER_SCHEMA.field("observed_timestamp").type),
        pa.repeat(source, rows),
        pa.array([item.line for item in rejected], pa.int32()),
        pa.array([item.reason for item in rejected], pa.string()),
        pa.repeat(content_type, rows),
        pa.array([item.raw for item in rejected], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DEAD_LETTER_SCHEMA)
