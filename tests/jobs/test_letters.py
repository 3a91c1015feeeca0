"""Dead letters on their way into the ledger's topic."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tailrace.broker.port import Record
from tailrace.jobs.letters import append_letters
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA
from tailrace.store.ledger_operations import Add, decode_operation


class Appended:
    """The one method of a log that is used, and what it was given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        self.records += records
        done: Future[list[tuple[int, int]]] = Future()
        done.set_result([])
        return done


@given(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=8))
def test_every_letter_is_in_an_operation_that_fits_a_message(sizes_bytes: list[int]) -> None:
    """In order, with its identity, and half a megabyte at a time, but for one that is larger by itself."""
    rows = [
        {"observed_timestamp": 1, "source": "s", "line": 0, "reason": "r", "content_type": "t", "raw": b"x" * size}
        for size in sizes_bytes
    ]
    log = Appended()
    identities = [(0, row, 0) for row in range(len(rows))]
    append_letters(log, pa.RecordBatch.from_pylist(rows, schema=DEAD_LETTER_SCHEMA), identities)
    operations = [decode_operation(each.content_type, each.headers, each.payload) for each in log.records]
    assert all(isinstance(each, Add) for each in operations)
    added = [each for each in operations if isinstance(each, Add)]
    assert [place for each in added for place in each.identities] == identities
    assert [len(raw) for each in added for raw in each.letters["raw"].to_pylist()] == sizes_bytes
    for each in added:
        assert each.letters.num_rows == 1 or sum(len(raw) for raw in each.letters["raw"].to_pylist()) <= 512 << 10
