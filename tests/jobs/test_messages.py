"""What Spark reads of a topic is what the worker reads of it."""

from __future__ import annotations

from typing import Any, cast

import pyarrow as pa
import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from tailrace.broker import kafka_messages
from tailrace.broker.port import LogLines, LogRecord
from tailrace.config import IngestSettings
from tailrace.jobs.messages import items_of
from tailrace.process.decode import decode

_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_ROWS = pa.schema([("partition", pa.int32()), ("offset", pa.int64()), ("value", pa.binary()), ("headers", _HEADERS)])

Row = tuple[int, int, bytes | None, list[tuple[str, bytes | None]] | None]

DOCUMENT = b'{"message": "one"}'


class Read:
    """A message as the worker's consumer gives it."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def partition(self) -> int:
        return self._row[0]

    def offset(self) -> int:
        return self._row[1]

    def value(self) -> bytes | None:
        return self._row[2]

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self._row[3]


def rows_of(rows: list[Row]) -> pa.RecordBatch:
    """As Spark's Kafka source gives them."""
    return pa.RecordBatch.from_pylist(
        [
            {
                "partition": partition,
                "offset": offset,
                "value": value,
                "headers": None if headers is None else [{"key": key, "value": text} for key, text in headers],
            }
            for partition, offset, value, headers in rows
        ],
        schema=_ROWS,
    )


def by_offset(items: list[LogRecord | LogLines]) -> dict[tuple[int, int], Any]:
    """What becomes of each message, however the items were cut."""
    found: dict[tuple[int, int], Any] = {}
    for item in items:
        decoded = decode(item, limits=IngestSettings(), now_us=1)
        for event in decoded.events.to_pylist() if decoded.events is not None else ():
            found.setdefault((event["log_partition"], event["log_offset"]), []).append(event)
        for letter, place in zip(
            decoded.letters.to_pylist() if decoded.letters is not None else (), decoded.identities, strict=True
        ):
            found.setdefault(place[:2], []).append((letter, place))
    return found


VALUES = st.none() | st.sampled_from(
    [
        DOCUMENT,
        b' {"a": 1} ',
        b'{"a":\n1}',
        b'{"a": 1}\n{"b": 2}',
        b"",
        b"[1]",
        b"not json",
        b"{",
        b"\xff\xff\xff\xff",
    ]
)
HEADERS = st.none() | st.lists(
    st.sampled_from(
        [
            ("content-type", b"application/json"),
            ("content-type", b"text/plain"),
            ("rows", b"1"),
            ("claim", b"key/1/a"),
            ("trace", None),
        ]
    ),
    max_size=2,
)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 2), VALUES, HEADERS), min_size=1, max_size=12))
def test_each_message_becomes_what_the_worker_makes_of_it(drawn: list[Any]) -> None:
    """Whatever is mixed in a topic: the same events, letters, identities, and headers that ask for something."""
    rows: list[Row] = [
        (partition, offset, value, headers)
        for offset, (partition, value, headers) in enumerate(sorted(drawn, key=lambda row: row[0]))
    ]
    ours = list(items_of(rows_of(rows)))
    theirs = kafka_messages.items_of(cast("list[Message]", [Read(row) for row in rows]), {0: 0, 1: 0, 2: 0})
    assert by_offset(ours) == by_offset(theirs)
    asked_ours, asked_theirs = (
        {item.offset: item.record.headers for item in items if isinstance(item, LogRecord) and item.record.headers}
        for items in (ours, theirs)
    )
    assert asked_ours == asked_theirs


def test_documents_without_headers_are_one_item_a_partition() -> None:
    """Nothing is made for each of them."""
    rows: list[Row] = [(partition, offset, DOCUMENT, None) for partition in (0, 1) for offset in range(5, 9)]
    items = list(items_of(rows_of(rows)))
    assert [(type(item), item.partition) for item in items] == [(LogLines, 0), (LogLines, 1)]
    assert isinstance(items[0], LogLines)
    assert items[0].offsets.tolist() == [5, 6, 7, 8]
