"""Between records and Kafka's messages.

A record is one message: its payload the value, its content type and number of rows the headers `content-type` and
`rows`, its own headers beside them, all in UTF-8. Messages of others have what they have.

Other programs send one JSON document a message. Runs of those become one `LogLines`, and nothing is done for each
document that is not one call into C over a whole list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import methodcaller
from typing import Any

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

from tailrace.broker.port import DAMAGED, LogLines, LogRecord, Record

CONTENT_TYPE = "content-type"
ROWS = "rows"

JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/x-ndjson"})

Headers = list[tuple[str, str | bytes | None]]

# Those of 64 bits. Python refuses to read a number of thousands.
_ROWS_DIGITS_MAX = 18

_LINE_FEED = ord("\n")
_BRACE = ord("{")

_value = methodcaller("value")
_offset = methodcaller("offset")
_partition = methodcaller("partition")
_headers = methodcaller("headers")
_error = methodcaller("error")


def headers_of(record: Record) -> Headers:
    named = {CONTENT_TYPE: record.content_type, ROWS: str(record.rows), **record.headers}
    return [(name, value.encode()) for name, value in named.items()]


def record_of(value: bytes, headers: Headers | None) -> Record:
    named = {name: _text(value) for name, value in headers or ()}
    content_type = named.pop(CONTENT_TYPE, "")
    rows = named.pop(ROWS, "")
    count = int(rows) if rows.isdecimal() and len(rows) <= _ROWS_DIGITS_MAX else 0
    return Record(content_type, value, count, named)


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def damaged(partition: int, offset: int, reason: str) -> LogRecord:
    return LogRecord(partition, offset, Record("", b"", 0, {DAMAGED: reason}))


def has_errors(messages: Sequence[Message]) -> bool:
    return any(map(_error, messages))


def items_of(messages: Sequence[Message], first: Mapping[int, int]) -> list[LogRecord | LogLines]:
    """Messages without errors, in the order they came in, as what they hold. Those without a value hold nothing.

    `first`: for each partition that is read the offset from which on it is; messages of others, or below, are left
    out.
    """
    count = len(messages)
    partitions = np.fromiter(map(_partition, messages), np.int32, count)
    offsets = np.fromiter(map(_offset, messages), np.int64, count)
    items: list[LogRecord | LogLines] = []
    starts = [0, *(np.flatnonzero(np.diff(partitions)) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        partition = int(partitions[start])
        if partition not in first:
            continue
        start += int(np.searchsorted(offsets[start:end], first[partition]))
        if start < end:
            items.extend(_run(partition, messages[start:end], offsets[start:end]))
    return items


def _run(
    partition: int, messages: Sequence[Message], offsets: npt.NDArray[np.int64]
) -> Iterator[LogRecord | LogLines]:
    values = list(map(_value, messages))
    if not any(map(_headers, messages)) and None not in values:
        payload = b"\n".join(values)
        if _is_lines(payload, len(values)):
            yield LogLines(partition, offsets, payload)
            return
    yield from _mixed(partition, values, list(map(_headers, messages)), offsets)


def _is_lines(payload: bytes, count: int) -> bool:
    """Whether every one of the `count` documents begins with a brace and is on one line: ten times as fast as to ask
    each of them."""
    if not payload.startswith(b"{") or payload.endswith(b"\n"):
        return False
    text = np.frombuffer(payload, np.uint8)
    breaks = np.flatnonzero(text == _LINE_FEED)
    return len(breaks) == count - 1 and bool((text[breaks + 1] == _BRACE).all())


def _mixed(
    partition: int, values: list[bytes | None], headers: list[Any], offsets: npt.NDArray[np.int64]
) -> Iterator[LogRecord | LogLines]:
    documents: list[bytes] = []
    places: list[int] = []
    for value, named, offset in zip(values, headers, offsets.tolist(), strict=True):
        if value is None:
            continue
        document = _document(value, named)
        if document is not None:
            documents.append(document)
            places.append(offset)
            continue
        if documents:
            yield LogLines(partition, np.array(places, np.int64), b"\n".join(documents))
            documents, places = [], []
        yield LogRecord(partition, offset, record_of(value, named))
    if documents:
        yield LogLines(partition, np.array(places, np.int64), b"\n".join(documents))


def _document(value: bytes, headers: Headers | None) -> bytes | None:
    """The value when it is a JSON document on one line, and nothing is said of it that would be lost."""
    if headers and [name for name, _ in headers] != [CONTENT_TYPE]:
        return None
    if headers and headers[0][1] not in JSON_TYPES:
        return None
    document = value.strip()
    return document if document.startswith(b"{") and b"\n" not in document else None
