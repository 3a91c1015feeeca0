"""Messages to records and lines, without a broker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from tailrace.broker.kafka_messages import Headers, headers_of, items_of, record_of
from tailrace.broker.port import LogLines, LogRecord, Record

JSON_HEADERS: Headers = [("content-type", b"application/json")]


def message(offset: int, value: bytes | None, headers: Headers | None = None, partition: int = 0) -> Message:
    return Message(topic="t", partition=partition, offset=offset, value=value, headers=headers)


def told(items: Sequence[LogRecord | LogLines]) -> list[tuple[int, int, bytes]]:
    """Partition, offset and bytes of each document and record."""
    out: list[tuple[int, int, bytes]] = []
    for item in items:
        if isinstance(item, LogRecord):
            out.append((item.partition, item.offset, item.record.payload))
            continue
        assert item.offsets.dtype == np.int64
        documents = item.payload.split(b"\n")
        assert all(document.startswith(b"{") for document in documents)
        out += [(item.partition, int(o), d) for o, d in zip(item.offsets, documents, strict=True)]
    return out


def test_a_record_comes_back_from_its_headers() -> None:
    """Content type and rows travel beside the record's own headers, which may hold any text."""
    record = Record("text/plain; x=ü", b"payload", 12, {"claim": "key/ü", "empty": ""})
    assert record_of(b"payload", headers_of(record)) == record


@pytest.mark.parametrize(
    "headers", [None, [], [("rows", b"many")], [("rows", None)], [("rows", b"\xb2")], [("rows", b"9" * 5000)]]
)
def test_headers_of_others_are_taken_as_they_come(headers: Headers | None) -> None:
    """No content type is an empty one, and rows that are no number are none."""
    record = record_of(b"x", headers)
    assert (record.content_type, record.rows) == ("", 0)
    assert record_of(b"x", [("trace", b"\xff\x00"), ("n", None)]).headers == {"trace": "�\x00", "n": ""}


def test_documents_become_lines_by_partition() -> None:
    """A run of one partition is one item; offsets may have gaps."""
    found = items_of(
        [message(1, b'{"a":1}'), message(5, b"{}"), message(7, b"{}", partition=2), message(6, b'{"b":2}')],
        {0: 0, 2: 0},
    )
    assert [type(item) for item in found] == [LogLines] * 3
    assert told(found) == [(0, 1, b'{"a":1}'), (0, 5, b"{}"), (2, 7, b"{}"), (0, 6, b'{"b":2}')]


def test_what_is_no_document_on_one_line_is_a_record_of_its_own() -> None:
    """Pretty-printed JSON, arrays, text, and documents about which headers say more; their order stays."""
    claimed: Headers = [("content-type", b"application/json"), ("claim", b"key/1")]
    found = items_of(
        [
            message(0, b"{}"),
            message(1, b'{\n"a":1}'),
            message(2, b'{"a":1}\r\n'),
            message(3, b"[{}]"),
            message(4, b'{"c":1}', JSON_HEADERS),
            message(5, b'{"d":1}', claimed),
            message(6, b"text", [("content-type", b"text/plain")]),
            message(7, b"{}", [("content-type", b"text/plain")]),
            message(8, b"{}"),
            message(9, b""),
        ],
        {0: 0},
    )
    kinds = "".join("L" if isinstance(item, LogLines) else "r" for item in found)
    assert kinds == "LrLrLrrrLr"
    assert len(told(found)) == len(found) == 10
    assert told(found)[2] == (0, 2, b'{"a":1}')


def test_what_was_deleted_holds_nothing() -> None:
    """A message without a value is left out, among documents and alone."""
    found = items_of([message(0, b"{}"), message(1, None), message(2, b"{}")], {0: 0})
    assert told(found) == [(0, 0, b"{}"), (0, 2, b"{}")]
    assert items_of([message(1, None)], {0: 0}) == []


def test_only_what_is_read_is_taken() -> None:
    """Partitions that were given up, and offsets below the next one, are left out."""
    messages = [message(0, b"{}"), message(1, b"{}"), message(2, b"{}"), message(9, b"{}", partition=1)]
    assert told(items_of(messages, {0: 1})) == [(0, 1, b"{}"), (0, 2, b"{}")]
    assert items_of(messages, {0: 3}) == []


VALUES = st.sampled_from([b'{"a":1}', b"{}", b"[]", b"", b"{\n}", b"\n{", b"{}\n", b"{}\n{}", b"x", None])
MESSAGES = st.lists(
    st.tuples(st.integers(0, 1), VALUES, st.sampled_from([None, JSON_HEADERS, [("content-type", b"x/y")]])),
    max_size=20,
)


@given(MESSAGES)
def test_every_value_comes_out_once_in_its_place(drawn: list[tuple[int, bytes | None, Headers | None]]) -> None:
    """Whatever stands beside it; of a document only the white space around it may go."""
    messages = [message(i, value, headers, partition) for i, (partition, value, headers) in enumerate(drawn)]
    found = told(items_of(messages, {0: 0, 1: 0})) if messages else []
    wanted = [(partition, i, value) for i, (partition, value, _) in enumerate(drawn) if value is not None]
    assert [(p, o, value.strip()) for p, o, value in found] == [(p, o, value.strip()) for p, o, value in wanted]
