"""Rejected lines as a batch."""

from __future__ import annotations

from tailrace.ingest.dead_letters import dead_letter_batch
from tailrace.ingest.decoded import Rejected
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA


def test_rows() -> None:
    """Each rejected line is a row with its raw bytes, whatever they are, its reason and its place."""
    rejected = [Rejected(3, "not JSON", b"\xff\x00"), Rejected(9, "too long", b"")]
    batch = dead_letter_batch(rejected, source="POST /logs", content_type="application/json", now_us=1_000_000)
    assert batch.schema.equals(DEAD_LETTER_SCHEMA)
    batch.validate(full=True)
    assert [(row["line"], row["reason"], row["raw"]) for row in batch.to_pylist()] == [
        (3, "not JSON", b"\xff\x00"),
        (9, "too long", b""),
    ]
    assert {(row["source"], row["content_type"]) for row in batch.to_pylist()} == {("POST /logs", "application/json")}


def test_none() -> None:
    """No rejected lines are an empty batch."""
    assert dead_letter_batch([], source="", content_type="", now_us=0).num_rows == 0
