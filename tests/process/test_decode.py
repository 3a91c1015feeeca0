"""What is in a record of the log comes out as events and dead letters, each with its identity."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.broker.port import DAMAGED, LogLines, LogRecord, Record
from tailrace.config import IngestSettings
from tailrace.ingest.decoders import decoder_of
from tailrace.ingest.otlp.decode import OTLP_JSON, OTLP_PROTOBUF
from tailrace.model.batch import ARROW_STREAM, EVENT_SCHEMA, STORED_SCHEMA, batch_of_rows, encode_batch
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA, DEAD_LETTERS
from tailrace.process.decode import Decoded, decode
from tests.ingest.otlp_requests import as_json, log_record, request

EVENT = {"timestamp": 1, "observed_timestamp": 2, "message": "hello", "level": "INFO", "attributes": {"a": "b"}}
NOW_US = 1_743_156_000_000_000


def record(payload: bytes, content_type: str = ARROW_STREAM, rows: int = 0, damaged: str = "") -> LogRecord:
    return LogRecord(3, 7, Record(content_type, payload, rows, {DAMAGED: damaged} if damaged else {}))


def lines(*documents: bytes, offsets: list[int] | None = None) -> LogLines:
    places = offsets or list(range(100, 100 + 2 * len(documents), 2))
    return LogLines(3, np.array(places, np.int64), b"\n".join(documents))


def decoded(item: LogRecord | LogLines) -> Decoded:
    return decode(item, limits=IngestSettings(), now_us=NOW_US)


def events_of(found: Decoded) -> list[dict[str, Any]]:
    if found.events is None:
        return []
    assert found.events.schema.equals(STORED_SCHEMA)
    found.events.validate(full=True)
    return [{**row, "attributes": dict(row["attributes"])} for row in found.events.to_pylist()]


def letters_of(found: Decoded) -> list[dict[str, Any]]:
    if found.letters is None:
        assert len(found.identities) == 0
        return []
    assert found.letters.schema.equals(DEAD_LETTER_SCHEMA)
    assert len(found.identities) == found.letters.num_rows == len(set(found.identities))
    rows: list[dict[str, Any]] = found.letters.to_pylist()
    return rows


def identities_of(events: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    return [(row["log_partition"], row["log_offset"], row["log_row"]) for row in events]


def test_events_are_given_the_identity_of_their_place_in_the_log() -> None:
    """Partition and offset of the record, and the row in it; nothing else of them changes."""
    found = decoded(record(encode_batch(batch_of_rows([EVENT, EVENT])), rows=2))
    assert identities_of(events_of(found)) == [(3, 7, 0), (3, 7, 1)]
    assert found.events is not None
    assert found.events.select(EVENT_SCHEMA.names).equals(batch_of_rows([EVENT, EVENT]))
    assert letters_of(found) == []


def test_arrow_of_others_is_checked_and_brought_into_shape() -> None:
    """Their columns become attributes, their levels ours; no header says that it is Arrow."""
    batch = pa.RecordBatch.from_pylist([{"timestamp": NOW_US, "level": "warning", "message": "m", "shard": 7}])
    for content_type in (ARROW_STREAM, ""):
        (event,) = events_of(decoded(record(encode_batch(batch), content_type)))
        assert (event["level"], event["message"], event["attributes"]) == ("WARN", "m", {"shard": "7"})
        assert identities_of([event]) == [(3, 7, 0)]


def test_arrow_with_our_columns_that_we_did_not_write_is_checked() -> None:
    """A level that no query knows cannot come in by a producer of one's own."""
    batch = batch_of_rows([{**EVENT, "timestamp": NOW_US, "level": "loud"}])
    (event,) = events_of(decoded(record(encode_batch(batch))))
    assert event["level"] is None
    assert event["attributes"] == {"a": "b", "level": "loud"}


def test_dead_letters_of_the_gateway_come_out_as_they_went_in() -> None:
    """They travel through the log like events, and each has the identity of its row."""
    letter = {"observed_timestamp": 1, "source": "s", "line": 2, "reason": "r", "content_type": "c", "raw": b"\xff"}
    batch = pa.RecordBatch.from_pylist([letter, letter], schema=DEAD_LETTER_SCHEMA)
    found = decoded(record(encode_batch(batch), DEAD_LETTERS))
    assert found.events is None
    assert found.letters is not None
    assert found.letters.equals(batch)
    assert list(found.identities) == [(3, 7, 0), (3, 7, 1)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (record(b"not arrow"), "not an Arrow stream"),
        (record(encode_batch(batch_of_rows([EVENT]))[:-40]), "not an Arrow stream"),
        (record(encode_batch(batch_of_rows([EVENT]))[:-40], rows=1), "not an Arrow stream"),
        (record(encode_batch(batch_of_rows([EVENT])), DEAD_LETTERS), "columns are not those of a dead letter"),
        (record(b"<14>hello", "text/plain"), "nothing here decodes content type 'text/plain'"),
        (record(b"hello", ""), "nothing here decodes content type ''"),
        (record(b"fine", damaged="checksum differs"), "checksum differs"),
        (record(b"{", "application/json"), "not JSON"),
    ],
)
def test_a_record_that_cannot_be_decoded_is_a_dead_letter_with_its_bytes(item: LogRecord, reason: str) -> None:
    """The worker goes on; the bytes, the reason and the place are kept."""
    found = decoded(item)
    assert events_of(found) == []
    (letter,) = letters_of(found)
    assert reason in letter["reason"]
    assert letter["raw"] == item.record.payload
    assert letter["source"] == "log partition 3 offset 7"
    assert list(found.identities) == [(3, 7, 0)]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "", "text/plain"])
@pytest.mark.parametrize(
    "payload",
    [b'[{"message":"a"},{"message":"b"}]', b'{"message":"a"}\n{"message":"b"}', b' {\n"message":"a"}\n{"msg":"b"}\n'],
)
def test_a_record_of_json_is_read_like_a_body(payload: bytes, content_type: str) -> None:
    """An array, lines, or objects over several lines; the content type may be missing or wrong."""
    events = events_of(decoded(record(payload, content_type)))
    assert [event["message"] for event in events] == ["a", "b"]
    assert identities_of(events) == [(3, 7, 0), (3, 7, 1)]


def test_bad_lines_of_a_record_have_identities_that_no_event_has() -> None:
    """A store may make a letter of an event, under the event's identity."""
    found = decoded(record(b'{"message":"a"}\n{"bad"\n{"message":"b"}\nnull', "application/x-ndjson"))
    assert identities_of(events_of(found)) == [(3, 7, 0), (3, 7, 1)]
    assert [(letter["line"], letter["raw"]) for letter in letters_of(found)] == [(2, b'{"bad"'), (4, b"null")]
    assert list(found.identities) == [(3, 7, 2), (3, 7, 3)]


def test_each_document_of_lines_is_row_0_of_its_own_record() -> None:
    """Offsets with gaps are taken as they are; a bad document is a letter with the place of its record."""
    found = decoded(lines(b'{"message":"a"}', b'{"bad"', b'{"message":"b"}', b"{}", offsets=[5, 6, 9, 40]))
    events = events_of(found)
    assert identities_of(events) == [(3, 5, 0), (3, 9, 0), (3, 40, 0)]
    assert [event["message"] for event in events] == ["a", "b", ""]
    (letter,) = letters_of(found)
    assert (letter["raw"], letter["line"], letter["source"]) == (b'{"bad"', 0, "log partition 3 offset 6")
    assert list(found.identities) == [(3, 6, 0)]


@pytest.mark.parametrize(
    "first",
    [b'{"a":', b'{"a":1', b'{"message":"x"}{"message":"y"}', b'{"a":"' + b"x" * (2 << 20) + b'"}', b'{"a":1}\r'],
)
def test_documents_are_never_read_across_lines(first: bytes) -> None:
    """Whatever the first one looks like: half an object, two objects, one past the limits."""
    found = decoded(lines(first, b'{"x":1}}', b'{"message":"b"}'))
    events, bad = events_of(found), letters_of(found)
    assert len(events) + len(bad) == 3
    assert (events[-1]["message"], events[-1]["log_offset"]) == ("b", 104)
    assert bad[-1]["raw"] == b'{"x":1}}'
    assert found.identities[-1] == (3, 102, 0)


def test_more_bad_documents_than_are_rejected_one_by_one_are_all_letters_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The decoder of bodies joins the rest of the bad lines into one; here each is a record with a place."""
    monkeypatch.setattr("tailrace.ingest.json_logs.REJECTED_MAX", 20)
    count = 23
    found = decoded(lines(*[b"{oops"] * count, b'{"message":"good"}'))
    assert len(letters_of(found)) == count
    assert [place[1] for place in found.identities] == list(range(100, 100 + 2 * count, 2))
    assert identities_of(events_of(found)) == [(3, 100 + 2 * count, 0)]


DOCUMENTS = st.lists(
    st.one_of(
        st.dictionaries(
            st.text(max_size=5), st.one_of(st.text(max_size=9), st.integers(), st.none()), max_size=4
        ).map(lambda value: json.dumps(value, ensure_ascii=True).encode()),
        st.sampled_from([b"{", b"{}{}", b'{"a":[}', b'{"message":"\\ud800"}', b'{"message":"x"} ', b'{"a":1,"a":2}']),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@given(DOCUMENTS)
def test_documents_together_are_what_each_is_alone(documents: list[bytes]) -> None:
    """Every document gives one event or one letter, under its own offset, in order."""
    together = decoded(lines(*documents))
    alone = [decoded(lines(each, offsets=[100 + 2 * i])) for i, each in enumerate(documents)]
    assert events_of(together) == [event for each in alone for event in events_of(each)]
    assert letters_of(together) == [letter for each in alone for letter in letters_of(each)]
    assert list(together.identities) == [place for each in alone for place in each.identities]
    assert len(events_of(together)) + len(together.identities) == len(documents)


def test_what_filebeat_fluent_bit_and_vector_send_fills_the_fields() -> None:
    """Time, message and host are found where each shipper puts them; the rest are attributes by dotted names."""
    filebeat = {
        "@timestamp": "2025-03-28T10:00:00.123Z",
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.17.0"},
        "message": "GET /cart 200",
        "log": {"offset": 12, "file": {"path": "/var/log/app.log"}},
        "agent": {"type": "filebeat", "name": "web-1"},
        "host": {"name": "web-1"},
        "ecs": {"version": "8.0.0"},
    }
    fluent_bit = {"@timestamp": 1743156000.25, "log": "started", "stream": "stderr", "kubernetes": {"pod_name": "p"}}
    vector = {
        "message": "ready",
        "timestamp": "2025-03-28T10:00:00.5Z",
        "host": "db-1",
        "source_type": "file",
        "file": "/x",
    }
    documents = (json.dumps(each).encode() for each in (filebeat, fluent_bit, vector))
    beat, bit, vec = events_of(decoded(lines(*documents)))
    assert [int(event["timestamp"].timestamp() * 1000) - NOW_US // 1000 for event in (beat, bit, vec)] == [
        123,
        250,
        500,
    ]
    assert [event["message"] for event in (beat, bit, vec)] == ["GET /cart 200", "started", "ready"]
    assert [event["host"] for event in (beat, bit, vec)] == ["web-1", None, "db-1"]
    assert beat["attributes"]["log.file.path"] == "/var/log/app.log"
    assert beat["attributes"]["agent.name"] == "web-1"
    assert bit["attributes"] == {"stream": "stderr", "kubernetes.pod_name": "p"}
    assert vec["attributes"] == {"source_type": "file", "file": "/x"}


OTLP = request([log_record("one"), log_record("two", {"n": 1})], {"service.name": "s"})


@pytest.mark.parametrize("content_type", ["", "application/x-protobuf", "application/octet-stream", OTLP_PROTOBUF])
def test_otlp_in_protobuf_is_known_by_its_type_or_its_bytes(content_type: str) -> None:
    """A record holds many events: rows 0, 1… of its offset."""
    events = events_of(decoded(record(OTLP.SerializeToString(), content_type)))
    assert [(event["message"], event["service"]) for event in events] == [("one", "s"), ("two", "s")]
    assert identities_of(events) == [(3, 7, 0), (3, 7, 1)]


@pytest.mark.parametrize("content_type", ["", "application/json"])
def test_otlp_in_json_is_known_by_its_first_key(content_type: str) -> None:
    """It is not one event with a deep attribute."""
    events = events_of(decoded(record(as_json(OTLP), content_type)))
    assert [event["message"] for event in events] == ["one", "two"]
    assert identities_of(events) == [(3, 7, 0), (3, 7, 1)]


def test_otlp_among_the_documents_of_a_topic() -> None:
    """Each document by itself: requests have rows, others are row 0, what is neither is a letter, all in order."""
    found = decoded(
        lines(b'{"message":"first"}', as_json(OTLP), b'{"message":', b'{"message":"last"}', as_json(OTLP))
    )
    events = events_of(found)
    assert [event["message"] for event in events] == ["first", "one", "two", "last", "one", "two"]
    places = [(100, 0), (102, 0), (102, 1), (106, 0), (108, 0), (108, 1)]
    assert identities_of(events) == [(3, offset, row) for offset, row in places]
    assert found.identities == [(3, 104, 0)]
    assert len(letters_of(found)) == 1


def test_a_bad_record_of_otlp_is_a_letter_that_says_how_to_read_it() -> None:
    """It stands behind the events of its request; replayed with that type, it is read as OTLP."""
    small = IngestSettings(fields_max=1)
    body = request([log_record("bad", {"a": 1, "b": 2}), log_record("good")]).SerializeToString()
    item = record(body, "")
    found = decode(item, limits=small, now_us=NOW_US)
    assert [event["message"] for event in events_of(found)] == ["good"]
    (letter,) = letters_of(found)
    assert (letter["line"], letter["content_type"], found.identities) == (1, OTLP_PROTOBUF, [(3, 7, 1)])
    replayed = decoder_of(letter["content_type"])(letter["raw"], limits=IngestSettings(), now_us=NOW_US)
    assert replayed.events["message"].to_pylist() == ["bad"]


def test_what_says_that_it_is_otlp_and_is_not_is_a_letter() -> None:
    """Whole, with the reason, and as OTLP."""
    for payload, content_type in ((b"\x0a\x05", "application/x-protobuf"), (b'{"resourceLogs":7}', "")):
        found = decoded(record(payload, content_type))
        (letter,) = letters_of(found)
        assert events_of(found) == []
        assert letter["raw"] == payload
        assert "ExportLogsServiceRequest" in letter["reason"]
        assert letter["content_type"] in (OTLP_PROTOBUF, OTLP_JSON)


def test_the_schema_that_is_stored_extends_the_one_that_is_sent() -> None:
    """Identity comes last, so that an event's columns keep their places."""
    assert STORED_SCHEMA.names[: len(EVENT_SCHEMA)] == EVENT_SCHEMA.names
