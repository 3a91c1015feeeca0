from __future__ import annotations

import pyarrow as pa
import pytest

from tailrace.broker.port import DAMAGED, LogRecord, Record
from tailrace.model.batch import ARROW_STREAM, EVENT_SCHEMA, STORED_SCHEMA, batch_of_rows, encode_batch
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA, DEAD_LETTERS
from tailrace.process.decode import Events, Letters, decode_record

EVENT = {"timestamp": 1, "observed_timestamp": 2, "message": "hello", "level": "INFO", "attributes": {"a": "b"}}


def record(payload: bytes, content_type: str = ARROW_STREAM, **headers: str) -> LogRecord:
    return LogRecord(3, 7, Record(content_type, payload, 1, headers))


def test_events_are_given_the_identity_of_their_place_in_the_log() -> None:
    """Partition and offset of the record, and the row in it."""
    decoded = decode_record(record(encode_batch(batch_of_rows([EVENT, EVENT]))), now_us=0)
    assert isinstance(decoded, Events)
    assert decoded.batch.schema.equals(STORED_SCHEMA)
    identity = [
        tuple(row[name] for name in ("log_partition", "log_offset", "log_row")) for row in decoded.batch.to_pylist()
    ]
    assert identity == [(3, 7, 0), (3, 7, 1)]


def test_dead_letters_of_the_gateway_come_out_as_they_went_in() -> None:
    """They travel through the log like events."""
    letter = {"observed_timestamp": 1, "source": "s", "line": 2, "reason": "r", "content_type": "c", "raw": b"\xff"}
    batch = pa.RecordBatch.from_pylist([letter], schema=DEAD_LETTER_SCHEMA)
    decoded = decode_record(record(encode_batch(batch), DEAD_LETTERS), now_us=0)
    assert isinstance(decoded, Letters)
    assert decoded.batch.equals(batch)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (record(b"not arrow"), "cannot be decoded"),
        (record(encode_batch(batch_of_rows([EVENT]))[:-40]), "cannot be decoded"),
        (record(encode_batch(pa.RecordBatch.from_pydict({"x": [1]}))), "columns are not those of an event"),
        (record(b"<14>hello", "text/plain"), "nothing here decodes content type 'text/plain'"),
        (record(b"fine", **{DAMAGED: "checksum differs"}), "checksum differs"),
    ],
)
def test_a_record_that_cannot_be_decoded_is_a_dead_letter_with_its_bytes(item: LogRecord, reason: str) -> None:
    """The worker goes on; the bytes, the reason and the place are kept."""
    decoded = decode_record(item, now_us=5)
    assert isinstance(decoded, Letters)
    [letter] = decoded.batch.to_pylist()
    assert reason in letter["reason"]
    assert letter["raw"] == item.record.payload
    assert letter["source"] == "log partition 3 offset 7"


def test_the_schema_that_is_stored_extends_the_one_that_is_sent() -> None:
    """Identity comes last, so that an event's columns keep their places."""
    assert STORED_SCHEMA.names[: len(EVENT_SCHEMA)] == EVENT_SCHEMA.names
