"""Records that are too large for a message, in parts."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.broker.kafka_split import split_record
from tailrace.broker.port import Record
from tailrace.errors import TooLarge
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, decode_batch, encode_batch, join_batches
from tailrace.model.claim import CLAIM
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA, DEAD_LETTERS


def events(count: int) -> pa.RecordBatch:
    """Each of about a kilobyte that does not compress."""
    source = random.Random(count)
    rows = [{"timestamp": i, "observed_timestamp": 0, "message": source.randbytes(500).hex()} for i in range(count)]
    return batch_of_rows(rows)


@pytest.mark.slow
@given(st.integers(2, 40), st.integers(6_000, 50_000))
def test_the_parts_are_small_enough_and_together_the_whole(count: int, bytes_max: int) -> None:
    """In order, with their numbers of rows and the headers of the whole."""
    batch = events(count)
    record = Record(ARROW_STREAM, encode_batch(batch), count, {"a": "b"})
    parts = split_record(record, bytes_max)
    assert all(len(part.payload) <= bytes_max for part in parts)
    assert join_batches([decode_batch(part.payload) for part in parts], batch.schema).equals(batch)
    assert [part.rows for part in parts] == [decode_batch(part.payload).num_rows for part in parts]
    assert all(part.headers == {"a": "b"} for part in parts)


def test_a_small_record_stays_the_same() -> None:
    """Whatever its type."""
    record = Record("text/plain", b"x" * 100, 1)
    assert split_record(record, 100) == [record]


def test_dead_letters_are_split_too_and_go_on_counting_no_events() -> None:
    """Their rows are not events."""
    letter = {"observed_timestamp": 1, "source": "s", "line": 1, "reason": "r", "content_type": "c"}
    letters = [{**letter, "raw": random.Random(i).randbytes(2000)} for i in range(8)]
    batch = pa.RecordBatch.from_pylist(letters, schema=DEAD_LETTER_SCHEMA)
    parts = split_record(Record(DEAD_LETTERS, encode_batch(batch), 0), 6000)
    assert len(parts) > 1
    assert {part.rows for part in parts} == {0}
    assert pa.concat_batches([decode_batch(part.payload) for part in parts]).equals(batch)


def test_each_part_of_a_claimed_record_has_a_claim_of_its_own() -> None:
    """One claim would have the first part stored and the others left out. A second copy claims the same."""
    record = Record(ARROW_STREAM, encode_batch(events(9)), 9, {CLAIM: "key/1"})
    claims = [part.headers[CLAIM] for part in split_record(record, 8_000)]
    assert claims == ["key/1/0-4", "key/1/4-9"]
    assert [part.headers[CLAIM] for part in split_record(record, 8_000)] == claims


@pytest.mark.parametrize(
    "record",
    [Record("text/plain", b"x" * 2000, 1), Record(ARROW_STREAM, encode_batch(events(2)), 2)],
    ids=["not of rows", "a row too large"],
)
def test_what_cannot_be_split_says_how_to_make_room(record: Record) -> None:
    """It is the sender's or the operator's to mend, and never half written."""
    with pytest.raises(TooLarge, match=r"max\.message\.bytes"):
        split_record(record, 1000)
