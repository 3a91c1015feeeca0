"""What of the log is a store's, and what of it has claims: pure, the asking is the worker's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.broker.port import LogLines, LogRecord
from tailrace.model.claim import CLAIM, DOCUMENTS, ONLY_STORE, ROW_CLAIMS, STORES, document_claims
from tailrace.process.shaping import is_foreign

Claim = tuple[str, int, int]
"""The claim, partition and offset."""


def is_for_store(item: LogRecord | LogLines, name: str) -> bool:
    """Whether the store has a place for it: it may be what another store alone lacks, or was routed elsewhere.

    What other programs append is for every store: their headers may have our names, and speak of something else.
    """
    if isinstance(item, LogLines) or is_foreign(item):
        return True
    headers = item.record.headers
    stores = headers.get(STORES)
    return headers.get(ONLY_STORE, name) == name and (stores is None or name in stores.split(","))


def claim_of(item: LogRecord | LogLines) -> Claim | None:
    """That of a record as a whole."""
    if isinstance(item, LogLines):
        return None
    key = item.record.headers.get(CLAIM)
    return None if key is None else (key, item.partition, item.offset)


@dataclass(frozen=True, slots=True)
class RowClaims:
    """The rows of a record's events that have claims of their own, and those claims."""

    events: pa.RecordBatch
    rows: npt.NDArray[np.int64]
    claims: Sequence[Claim]

    def held(self, answers: Sequence[bool]) -> pa.RecordBatch:
        """The events without the rows whose claim another record has, or a row before them."""
        keep = np.ones(self.events.num_rows, bool)
        keep[self.rows] = answers
        before: set[str] = set()
        for row, (key, _, _) in zip(self.rows.tolist(), self.claims, strict=True):
            if key in before:
                keep[row] = False
            before.add(key)
        return self.events if keep.all() else self.events.filter(pa.array(keep))


def row_claims_of(item: LogRecord | LogLines, events: pa.RecordBatch | None) -> RowClaims | None:
    """None where no row has one."""
    if events is None or isinstance(item, LogLines) or item.record.headers.get(ROW_CLAIMS) != DOCUMENTS:
        return None
    rows, keys = document_claims(events)
    return RowClaims(events, rows, [(key, item.partition, item.offset) for key in keys]) if keys else None
