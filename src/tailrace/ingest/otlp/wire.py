"""OTLP's messages in protobuf's wire format, in plain Python: read, and written where an answer needs it.

Source: "Encoding" of the Protocol Buffers documentation, and `opentelemetry/proto/{common,resource,logs}/v1`.
A field of an unknown number, or with another wire type than its own, is left out, as every protobuf parser does. A
text that is not UTF-8 has its wrong bytes replaced.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.json_slow import Members, NotAnEvent, Number
from tailrace.ingest.otlp.events import Context, LogRecord, check_size, context_of_resource, context_of_scope

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_VARINT_BYTES_MAX = 10
_WORD = (1 << 64) - 1


class NotProtobuf(BadInput):
    """The bytes are not a message."""


class Field(NamedTuple):
    """`value` is an int, or bytes where the wire type is BYTES."""

    number: int
    wire: int
    value: Any


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a message in the order they stand. Raises `NotProtobuf` where it is none."""
    p, end = 0, len(message)
    while p < end:
        start = p
        tag, p = _varint(message, p)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise NotProtobuf(f"not a protobuf message: field number {number} at byte {start + 1}")
        if wire == VARINT:
            value, p = _varint(message, p)
            yield Field(number, wire, value)
            continue
        if wire == BYTES:
            size, p = _varint(message, p)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire, -1)
        if size < 0:
            raise NotProtobuf(f"not a protobuf message: wire type {wire} at byte {start + 1}")
        if size > end - p:
            raise NotProtobuf(f"not a protobuf message: the field at byte {start + 1} goes past its end")
        content = message[p : p + size]
        p += size
        yield Field(number, wire, content if wire == BYTES else int.from_bytes(content, "little"))


def _varint(message: bytes, p: int) -> tuple[int, int]:
    """An unsigned number of 64 bits, and the index behind it."""
    value = 0
    for i in range(p, min(p + _VARINT_BYTES_MAX, len(message))):
        value |= (message[i] & 0x7F) << (7 * (i - p))
        if message[i] < 0x80:
            return value & _WORD, i + 1
    raise NotProtobuf(f"not a protobuf message: a number that does not end at byte {p + 1}")


def read_record(message: bytes, *, limits: IngestSettings) -> LogRecord:
    """A `LogRecord`. Raises `NotProtobuf`, and `NotAnEvent` past a limit."""
    check_size(len(message), limits)
    values: dict[str, Any] = {}
    attributes = Members()
    for number, wire, value in fields(message):
        if number == 6 and wire == BYTES:
            attributes.append(_key_value(value, limits, 1))
        elif number == 5 and wire == BYTES:
            values["body"] = _any_value(value, limits, 1)
        elif number in (9, 10) and wire == BYTES:
            values["trace_id" if number == 9 else "span_id"] = value.hex()
        elif number in (3, 12) and wire == BYTES:
            values["severity_text" if number == 3 else "event_name"] = _text(value)
        elif number in (1, 11) and wire == FIXED64:
            values["time_ns" if number == 1 else "observed_ns"] = value
        elif number == 2 and wire == VARINT:
            values["severity"] = _signed(value & 0xFFFF_FFFF, 32)
        elif number == 7 and wire == VARINT:
            values["dropped"] = value & 0xFFFF_FFFF
        elif number == 8 and wire == FIXED32:
            values["flags"] = value
    return LogRecord(len(message), attributes=attributes, **values)


def read_resource(message: bytes, *, limits: IngestSettings) -> Context:
    """A `Resource`. Raises as `read_record`."""
    check_size(len(message), limits)
    pairs = (value for number, wire, value in fields(message) if number == 1 and wire == BYTES)
    attributes = Members(_key_value(pair, limits, 1) for pair in pairs)
    return context_of_resource(attributes, size_bytes=len(message), limits=limits)


def read_scope(message: bytes, resource: Context, *, limits: IngestSettings) -> Context:
    """An `InstrumentationScope` of the resource. Raises as `read_record`."""
    check_size(resource.size_bytes + len(message), limits)
    name = version = ""
    attributes = Members()
    for number, wire, value in fields(message):
        if number == 1 and wire == BYTES:
            name = _text(value)
        elif number == 2 and wire == BYTES:
            version = _text(value)
        elif number == 3 and wire == BYTES:
            attributes.append(_key_value(value, limits, 1))
    return context_of_scope(resource, name, version, attributes, size_bytes=len(message), limits=limits)


def _key_value(message: bytes, limits: IngestSettings, depth: int) -> tuple[str, Any]:
    key, value = "", None
    for number, wire, content in fields(message):
        if number == 1 and wire == BYTES:
            key = _text(content)
        elif number == 2 and wire == BYTES:
            value = _any_value(content, limits, depth)
    return key, value


def _any_value(message: bytes, limits: IngestSettings, depth: int) -> Any:
    if depth > limits.nesting_max:
        raise NotAnEvent(f"values are nested more than {limits.nesting_max} deep (ingest.nesting_max)")
    found: Any = None
    for number, wire, content in fields(message):
        if number == 1 and wire == BYTES:
            found = _text(content)
        elif number == 2 and wire == VARINT:
            found = content != 0
        elif number == 3 and wire == VARINT:
            found = Number(_signed(content, 64))
        elif number == 4 and wire == FIXED64:
            found = number_of(struct.unpack("<d", content.to_bytes(8, "little"))[0])
        elif number == 5 and wire == BYTES:
            items = [each for each in fields(content) if each.number == 1 and each.wire == BYTES]
            found = [_any_value(each.value, limits, depth + 1) for each in items]
        elif number == 6 and wire == BYTES:
            items = [each for each in fields(content) if each.number == 1 and each.wire == BYTES]
            found = Members(_key_value(each.value, limits, depth + 1) for each in items)
        elif number == 7 and wire == BYTES:
            found = base64.b64encode(content).decode()
    return found


def number_of(value: float) -> str:
    """The shortest digits that mean this number, as Arrow writes them; one that JSON has no number for is a text."""
    text: str = pa.scalar(value).cast(pa.string()).as_py()
    return Number(text) if text[-1].isdigit() else text


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def varint(value: int) -> bytes:
    """A number of at least 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def bytes_field(number: int, content: bytes) -> bytes:
    """A field that is a text, bytes or a message."""
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A field that is a number; left out when 0, as proto3 does."""
    return varint(number << 3 | VARINT) + varint(value) if value else b""


def request_of(resource: bytes, scopes: Sequence[tuple[bytes, Sequence[bytes]]]) -> bytes:
    """An `ExportLogsServiceRequest` of one resource: its scopes, each with its records."""
    scope_logs = (
        bytes_field(1, scope) + b"".join(bytes_field(2, record) for record in records) for scope, records in scopes
    )
    return bytes_field(1, bytes_field(1, resource) + b"".join(bytes_field(2, logs) for logs in scope_logs))
