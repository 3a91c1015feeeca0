"""Pushes of Loki for the tests, in both forms, and a plain reading of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.fields import NUMBER_SCALES
from tailrace.ingest.loki.entry import Entry, json_entry, protobuf_entry
from tailrace.ingest.loki.labels import (
    METADATA_NAMES,
    UNKNOWN_SERVICE,
    canonical_labels,
    columns_of_labels,
    read_labels,
)
from tailrace.ingest.timestamps import oddity_of
from tailrace.model.level import level_of

NOW_US = 1_763_726_400_000_000
NOW_NS = NOW_US * 1000
LIMITS = IngestSettings()
TIGHT = IngestSettings(line_bytes_max=200, fields_max=3, timestamp_past_max_s=10 * 365 * 86400)


@dataclass(frozen=True)
class Stream:
    """Labels and entries as their bytes: JSON values, or what stands in the fields of a protobuf message."""

    labels: bytes
    entries: list[bytes] = field(default_factory=list)


def json_push(streams: Sequence[Stream], *, blank: str = "") -> bytes:
    b = blank.encode()
    written = []
    for stream in streams:
        is_old = stream.labels.startswith(b'"')
        names = (b'"labels"', b'"entries"') if is_old else (b'"stream"', b'"values"')
        members = [names[0] + b":" + b + stream.labels, names[1] + b":[" + b + (b"," + b).join(stream.entries) + b"]"]
        written.append(b"{" + b + (b"," + b).join(members) + b + b"}")
    return b + b'{"streams":[' + b + (b + b",").join(written) + b"]}" + b


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def timestamp(seconds: int, nanos: int) -> bytes:
    return (b"\x08" + varint(seconds) if seconds else b"") + (b"\x10" + varint(nanos) if nanos else b"")


def protobuf_of(time_ns: int, line: bytes, metadata: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """An entry as Loki's own clients write it."""
    pairs = b"".join(message(3, message(1, name) + message(2, value)) for name, value in metadata)
    return message(1, timestamp(*divmod(time_ns, 10**9))) + message(2, line) + pairs


def protobuf_push(streams: Sequence[Stream]) -> bytes:
    return b"".join(
        message(1, message(1, stream.labels) + b"".join(message(2, entry) for entry in stream.entries))
        for stream in streams
    )


def read_plainly(
    streams: Sequence[Stream], limits: IngestSettings, *, is_json: bool
) -> tuple[list[dict[str, Any]], list[tuple[int, str, bytes]]]:
    """The rows that the push means, and what is rejected: the number, the reason, the raw bytes."""
    rows: list[dict[str, Any]] = []
    rejected: list[tuple[int, str, bytes]] = []
    number = 0
    for stream in streams:
        first = number + 1
        number += len(stream.entries)
        if not stream.entries:
            continue
        try:
            labels = read_labels(
                stream.labels,
                is_json=is_json,
                line_bytes_max=limits.line_bytes_max,
                fields_max=limits.fields_max,
            )
        except BadInput as error:
            push = json_push if is_json else protobuf_push
            rejected.append((first, str(error), push([stream])))
            continue
        for place, raw in enumerate(stream.entries, first):
            try:
                entry = json_entry(raw, limits) if is_json else protobuf_entry(raw, limits)
            except BadInput as error:
                raw_push = (
                    b'{"streams":[{"stream":' + stream.labels + b',"values":[' + raw + b"]}]}"
                    if is_json
                    else protobuf_push([Stream(stream.labels, [raw])])
                )
                rejected.append((place, str(error), raw_push))
                continue
            rows.append(_row(labels, entry, limits))
    return rows, rejected


def _row(labels: dict[str, str], entry: Entry, limits: IngestSettings) -> dict[str, Any]:
    own = {**labels, "_loki_stream": canonical_labels(labels)}
    oddity = oddity_of(entry.timestamp_us, limits=limits, now_us=NOW_US)
    metadata = list(entry.metadata)
    marks = [] if oddity is None else [("timestamp_original", entry.original), ("timestamp_adjusted", oddity)]
    columns = columns_of_labels(labels)._asdict()
    attributes = {name: value for name, value in own.items() if columns.get(name) != value}
    picked = {column: _picked(column, [*metadata, *marks]) for column in METADATA_NAMES}
    for name, value in [*metadata, *marks]:
        if name in ("trace_id", "span_id") and columns[name] is None and picked[name] is not None:
            continue
        key = f"{name}_metadata" if name in own else name
        if key not in own:
            attributes.setdefault(key, value)
    service = columns["service"] if columns["service"] != UNKNOWN_SERVICE else picked["service"]
    return {
        "timestamp": NOW_US if oddity else entry.timestamp_us,
        "level": columns["level"] or picked["level"] or level_of_line(entry.line),
        "service": UNKNOWN_SERVICE if service is None else service,
        **{
            name: columns[name] if columns[name] is not None else picked[name]
            for name in ("host", "trace_id", "span_id")
        },
        "message": entry.line,
        "attributes": attributes,
    }


def _picked(column: str, metadata: Sequence[tuple[str, str]]) -> str | None:
    for name in METADATA_NAMES[column]:
        values = [value for each, value in metadata if each == name]
        if column == "level":
            values = [level for value in values if (level := _level(value, NUMBER_SCALES.get(name, "any")))]
        if values:
            return values[0]
    return None


def _level(text: str, scale: Any = "any") -> str | None:
    """As the kernels read a level: a word without blanks, of ASCII."""
    return level_of(text, scale) if re.fullmatch(r"[!-~]{1,16}", text) else None


_LEVEL_KEYS = {
    "level", "lvl", "log.level", "loglevel", "severity", "severitytext", "severity_text", "detected_level",
}  # fmt: skip
_LEVEL_WORDS = {
    "TRACE", "TRC", "DEBUG", "DBG", "INFO", "INF", "INFORMATION", "NOTICE", "WARN", "WRN", "WARNING", "ERROR", "ERR",
    "CRITICAL", "CRIT", "SEVERE", "FATAL", "PANIC",
}  # fmt: skip
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def level_of_line(line: str) -> str | None:
    """The level that a line states."""
    # Bytes beyond ASCII as one character each, so that places are bytes.
    text = line.encode().decode("latin-1").lstrip(" \t\n\r")
    while text and text[-1] <= " ":
        text = text[:-1]
    if not text:
        return None
    found = _json_level(text) if text[0] == "{" and text[-1] == "}" else _logfmt_level(text)
    return found or _word_level(text)


def _json_level(text: str) -> str | None:
    place = 0
    while (quote := text.find('"', place)) >= 0:
        key = _TEXT.match(text, quote)
        if key is None:
            return None
        place = key.end()
        colon = re.compile(r"[ \t\n\r]*:[ \t\n\r]*").match(text, place)
        if colon is None:
            continue
        place = colon.end()
        value = _TEXT.match(text, place)
        if value is None and text[place : place + 1] == '"':
            return None
        number = re.compile(r"\d*(?=[\x00-\x20,}]|$)").match(text, place)
        place = value.end() if value else place
        if key[1].lower() in _LEVEL_KEYS:
            word = value[1] if value else number[0] if number else ""
            if level := _level(word):
                return level
    return None


def _logfmt_level(text: str) -> str | None:
    place = 0
    while (equals := text.find("=", place)) >= 0:
        place = equals + 1
        start = re.compile(r"[^\x00-\x20]*$").search(text[:equals])
        assert start is not None
        if start[0].lower() not in _LEVEL_KEYS or len(re.findall(r'(?<!\\)"', text[: start.start()])) % 2:
            continue
        if text[place : place + 1] == '"':
            value = _TEXT.match(text, place)
            if value is None:
                return None
            word, place = value[1], value.end() - 1
        else:
            plain = re.compile(r"[^\x00-\x20]*").match(text, place)
            assert plain is not None
            word, place = plain[0], plain.end()
        if level := _level(word):
            return level
    return None


def _word_level(text: str) -> str | None:
    for word in re.finditer(r"[A-Za-z0-9_\x80-\xff]+", text):
        if word.start() >= 128:
            return None
        if word[0].upper() not in _LEVEL_WORDS or not word[0].isascii():
            continue
        opens, closes = text[max(word.start() - 1, 0) : word.start()], text[word.end() : word.end() + 1]
        if word[0].isupper() or closes == ":" or (opens == "[" and closes == "]"):
            return level_of(word[0])
    return None


def json_of(time_ns: int | str, line: str, metadata: dict[str, str] | None = None) -> bytes:
    """An entry as Loki's own clients write it."""
    return json.dumps([str(time_ns), line, *([] if metadata is None else [metadata])]).encode()
