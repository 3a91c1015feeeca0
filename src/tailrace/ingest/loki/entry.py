"""One entry of a Loki push in plain Python: what it means, or what is wrong with it.

This is the twin of the kernels (`kernels/loki/`) and their oracle in the tests. A
server reads entries here only to give a reason for those that the kernels found wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.json_slow import Members, Number, clean
from tailrace.ingest.timestamps import parse_timestamp

_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=Members, parse_int=Number, parse_float=Number)

# Nanoseconds of today have 19 digits; 9 of 10 such numbers fit 64 bits.
_NUMBER = re.compile(r"(?:\d{1,18}|[0-8]\d{18})(?:\.\d{0,20})?", re.ASCII)
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:[0-5]\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799


class BadEntry(BadInput):
    """The entry is wrong; the others of its stream are kept."""


class Entry(NamedTuple):
    """`original` is the time as it was sent; `metadata` is in order, equal names included."""

    timestamp_us: int
    original: str
    line: str
    metadata: list[tuple[str, str]]


def json_entry(raw: bytes, limits: IngestSettings) -> Entry:
    """The entry that `raw` stands for: `[time, line, metadata]` or `{"ts": …, "line": …}`. Raises `BadEntry`."""
    _check_size(raw, limits)
    try:
        value, end = _DECODER.raw_decode(raw.decode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise BadEntry(f"not JSON: {error}") from None
    if end != len(raw.decode(errors="replace")):
        raise BadEntry("not JSON: unexpected text behind the entry")
    if isinstance(value, Members):
        members = dict(value)
        parts = [members.get("timestamp", members.get("ts")), members.get("line")]
        if "ts" in members and "timestamp" in members:
            parts[0] = [each for name, each in value if name in ("ts", "timestamp")][-1]
        parts.append(members.get("structuredMetadata"))
    elif isinstance(value, list) and len(value) in (2, 3):
        parts = value
    else:
        raise BadEntry('an entry is ["nanoseconds", "line"], with an object of metadata behind it or not')
    if not isinstance(parts[1], str) or isinstance(parts[1], Number):
        raise BadEntry("the line is not a text")
    timestamp_us = _time_of(parts[0])
    metadata = _metadata(parts[2] if len(parts) == 3 else None)
    _check_fields(metadata, limits)
    return Entry(timestamp_us, str(parts[0]), clean(parts[1]), metadata)


def protobuf_entry(raw: bytes, limits: IngestSettings) -> Entry:
    """The entry that `raw`, an `EntryAdapter`, stands for. Raises `BadEntry`."""
    _check_size(raw, limits)
    seconds = nanos = 0
    line = b""
    metadata: list[tuple[str, str]] = []
    for number, value in _fields(raw, texts=3):
        if number == 1 and isinstance(value, bytes):
            for part, count in _fields(value, numbers=2):
                if part == 1 and isinstance(count, int):
                    seconds = count
                elif part == 2 and isinstance(count, int):
                    nanos = count
        elif number == 2 and isinstance(value, bytes):
            line = value
        elif number == 3 and isinstance(value, bytes):
            pair = dict(_fields(value, texts=2))
            name, text = pair.get(1, b""), pair.get(2, b"")
            assert isinstance(name, bytes)
            assert isinstance(text, bytes)
            metadata.append((name.decode(errors="replace"), text.decode(errors="replace")))
    if not _SECONDS_MIN <= seconds <= _SECONDS_MAX or not 0 <= nanos < 10**9:
        raise BadEntry(f"the timestamp, {seconds} seconds and {nanos} nanoseconds, is not a time")
    _check_fields(metadata, limits)
    original = f"{seconds}.{nanos:09}"
    return Entry(seconds * 10**6 + nanos // 1000, original, line.decode(errors="replace"), metadata)


def _time_of(value: Any) -> int:
    text = value if isinstance(value, str) else None
    if text is None or not (_NUMBER.fullmatch(text) or _ISO.fullmatch(text)):
        raise BadEntry(f"the timestamp {str(value)[:100]!r} is neither nanoseconds since 1970 nor a time of RFC 3339")
    timestamp_us = parse_timestamp(text)
    if timestamp_us is None:
        raise BadEntry(f"the timestamp {text!r} is not a time")
    return timestamp_us


def _metadata(value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if not isinstance(value, Members):
        raise BadEntry("structured metadata is not an object")
    pairs: list[tuple[str, str]] = []
    for name, each in value:
        if isinstance(each, list):
            raise BadEntry(f"the structured metadata {name[:100]!r} is neither text nor a number")
        if isinstance(each, bool):
            pairs.append((clean(name), "true" if each else "false"))
        elif each is not None:
            pairs.append((clean(name), clean(each)))
    return pairs


def _check_size(raw: bytes, limits: IngestSettings) -> None:
    if len(raw) > limits.line_bytes_max:
        raise BadEntry(f"{len(raw):,} bytes are more than {limits.line_bytes_max:,} (ingest.line_bytes_max)")


def _check_fields(metadata: list[tuple[str, str]], limits: IngestSettings) -> None:
    if len(metadata) > limits.fields_max:
        raise BadEntry(f"more than {limits.fields_max} fields (ingest.fields_max)")


def _fields(raw: bytes, *, texts: int = 0, numbers: int = 0) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message. Those up to `texts` have to have a length, those up to `numbers` to be varints."""
    place = 0
    while place < len(raw):
        tag, place = _varint(raw, place)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise BadEntry(f"not protobuf: there is no field {number}")
        if (number <= texts and wire != _BYTES) or (number <= numbers and wire != _VARINT):
            raise BadEntry(f"not protobuf: field {number} has the wire type {wire}")
        value: int | bytes = b""
        if wire == _VARINT:
            value, place = _varint(raw, place)
        elif wire in (_BYTES, _FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            if wire == _BYTES:
                size, place = _varint(raw, place)
            if not 0 <= size <= len(raw) - place:
                raise BadEntry(f"not protobuf: field {number} is longer than its message")
            value = raw[place : place + size]
            place += size
        else:
            raise BadEntry(f"not protobuf: wire type {wire} of field {number}")
        yield number, value


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    """The number, signed as an int64, and the place behind it."""
    value = 0
    for index in range(10):
        if place + index >= len(raw):
            raise BadEntry("not protobuf: a number is cut off")
        byte = raw[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            value &= (1 << 64) - 1
            return value - (1 << 64) if value >= 1 << 63 else value, place + index + 1
    raise BadEntry("not protobuf: a number is longer than ten bytes")
