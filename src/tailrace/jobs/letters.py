"""Dead letters from an executor: appended to the topic that every process of the platform follows (`store.ledger`).

An executor needs no copy of all the letters to add one: a letter that is there already is known by its identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.broker.port import Record
from tailrace.store.ledger_operations import OPERATION, Add

_WAIT_S = 30.0
# Well below the smallest limit that is usual for a message (1 MB), since one letter may pass it.
_RECORD_BYTES_MAX = 512 << 10


class LettersLog(Protocol):
    """The log of the ledger's operations, as far as it is needed."""

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]: ...


def append_letters(log: LettersLog, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
    """`letters` has DEAD_LETTER_SCHEMA. Durable on return; raises `RetryLater`."""
    records = []
    for start, end in _cuts(pc.binary_length(letters["raw"]).to_pylist()):
        headers, payload = Add(letters.slice(start, end - start), identities[start:end]).encode()
        records.append(Record(OPERATION, payload, 0, headers))
    log.append(records).result(_WAIT_S)


def _cuts(sizes_bytes: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = total_bytes = 0
    for row, size_bytes in enumerate(sizes_bytes):
        if row > start and total_bytes + size_bytes > _RECORD_BYTES_MAX:
            yield start, row
            start, total_bytes = row, 0
        total_bytes += size_bytes
    yield start, len(sizes_bytes)
