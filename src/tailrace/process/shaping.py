"""The steps of the pipeline for events that have not been through a gateway: those of topics that others fill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tailrace.broker.port import LogLines, LogRecord
from tailrace.errors import TooLarge
from tailrace.ingest.shape import Shape, Shaped
from tailrace.model.batch import ARROW_STREAM
from tailrace.model.dead_letter import DEAD_LETTERS
from tailrace.process.decode import Decoded


def is_foreign(item: LogRecord | LogLines) -> bool:
    """Whether another program has appended it: ours are batches of so many events as they say, or of letters."""
    if isinstance(item, LogLines):
        return True
    record = item.record
    return record.content_type != DEAD_LETTERS and not (record.content_type == ARROW_STREAM and record.rows)


def shaped(decoded: Decoded, *, store: str, shape: Shape) -> Decoded:
    """What of a foreign item goes on to the store, in its order; its letters are redacted.

    Every event keeps the identity it came with, so that one that is dropped leaves a gap and changes no other's.
    Each store's worker decides alike, as steps are pure.
    """
    letters = None if decoded.letters is None else shape.redact_letters(decoded.letters)
    return Decoded(_events(decoded.events, store, shape), letters, decoded.identities)


def _applied(events: pa.RecordBatch, shape: Shape) -> Sequence[Shaped]:
    """In parts where the steps make too much of all at once: nobody is there who could send less."""
    try:
        return shape.apply(events)
    except TooLarge:
        if events.num_rows == 1:
            raise
        half = events.num_rows // 2
        return [*_applied(events.slice(0, half), shape), *_applied(events.slice(half), shape)]


def _events(events: pa.RecordBatch | None, store: str, shape: Shape) -> pa.RecordBatch | None:
    if events is None:
        return None
    parts = [part.events for part in _applied(events, shape) if part.stores is None or store in part.stores]
    if len(parts) < 2:
        return parts[0] if parts else None
    joined = pa.concat_batches(parts)
    offsets, rows = joined.column("log_offset").to_numpy(), joined.column("log_row").to_numpy()
    return joined.take(pa.array(np.lexsort((rows, offsets))))
