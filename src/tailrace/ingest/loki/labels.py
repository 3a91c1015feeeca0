"""The labels of a Loki stream: read from either form, written in the canonical one, and what columns they are.

    {app="web", level="error"}              text: protobuf, and the older JSON
    {"app": "web", "level": "error"}        an object: JSON

Names are those of Prometheus' data model (`[a-zA-Z_][a-zA-Z0-9_]*`), values are quoted as Go quotes strings. As in
Loki, labels with an empty value are left out, and a stream without any label is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.fields import LEVEL_NAMES, NUMBER_SCALES, TEXT_NAMES
from tailrace.model.level import level_of

STREAM = "_loki_stream"
"""The attribute that has a stream's labels in their canonical form."""

UNKNOWN_SERVICE = "unknown_service"

SERVICE_LABELS = (
    "service_name",
    "service",
    "app",
    "application",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "component",
    "workload",
    "job",
)
"""Where Loki finds a service's name (`discover_service_name`), the first one wins."""

HOST_LABELS = ("host", "hostname", "instance", "node_name")

METADATA_NAMES: dict[str, Sequence[str]] = {
    "level": ("detected_level", *LEVEL_NAMES, "lvl", "log_level"),
    "service": ("service_name", *TEXT_NAMES["service"][:2], "resource.service.name"),
    "host": (*TEXT_NAMES["host"], "host_name", "node_name"),
    "trace_id": (*TEXT_NAMES["trace_id"], "traceID", "traceid"),
    "span_id": (*TEXT_NAMES["span_id"], "spanID", "spanid"),
}
"""Names of structured metadata that are columns too; within a column the first one wins."""

_LABEL_NAMES: dict[str, Sequence[str]] = {**METADATA_NAMES, "service": SERVICE_LABELS, "host": HOST_LABELS}

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PAIR = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*(?:\"((?:[^\"\\\n]|\\.)*)\"|`([^`]*)`)\s*(,|$)", re.ASCII)
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_QUOTED = {**{char: f"\\{name}" for name, char in _ESCAPED.items()}, "\\": "\\\\", '"': '\\"'}
_SURROGATES = re.compile("[\ud800-\udfff]")

_SHOWN_CHARACTERS = 100
_SHORT_BYTES = 1024


class BadLabels(BadInput):
    """The labels of a stream are wrong; all of its entries are rejected."""


class LabelColumns(NamedTuple):
    """The columns of EVENT_SCHEMA that labels give a value."""

    level: str | None
    service: str
    host: str | None
    trace_id: str | None
    span_id: str | None


class StreamLabels(NamedTuple):
    """What the labels of a stream give each of its events.

    `names` and `values` are attributes: the first `kept` of them, and behind those what the column of its name says.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    kept: int
    columns: LabelColumns


def stream_labels(raw: bytes, *, is_json: bool, limits: IngestSettings) -> StreamLabels:
    """What the labels in `raw`, as `read_labels` takes them, give. Raises `BadLabels` with the reason."""
    # Shippers send the same few streams in each push.
    read = _known_stream_labels if len(raw) <= _SHORT_BYTES else _stream_labels
    return read(raw, is_json, limits.line_bytes_max, limits.fields_max)


def _stream_labels(raw: bytes, is_json: bool, line_bytes_max: int, fields_max: int) -> StreamLabels:
    labels = read_labels(raw, is_json=is_json, line_bytes_max=line_bytes_max, fields_max=fields_max)
    columns = columns_of_labels(labels)
    of_columns = columns._asdict()
    said = {name: text for name, text in labels.items() if of_columns.get(name) == text}
    attributes = {name: text for name, text in labels.items() if name not in said}
    attributes[STREAM] = canonical_labels(labels)
    return StreamLabels((*attributes, *said), (*attributes.values(), *said.values()), len(attributes), columns)


# Some megabytes, and some tens of them when a sender does its worst.
_known_stream_labels = lru_cache(maxsize=4096)(_stream_labels)


def read_labels(raw: bytes, *, is_json: bool, line_bytes_max: int, fields_max: int) -> dict[str, str]:
    """The labels that `raw` stands for: the text itself, or a JSON value, object or string.

    Raises `BadLabels` with the reason.
    """
    if len(raw) > line_bytes_max:
        raise BadLabels(f"labels of {len(raw):,} bytes are more than {line_bytes_max:,} (ingest.line_bytes_max)")
    text = raw.decode(errors="replace")
    labels = _read_json(text) if is_json else _read_text(text)
    labels = {name: value for name, value in labels.items() if value}
    if not labels:
        raise BadLabels("a stream needs a label at least, with a value")
    if len(labels) > fields_max:
        raise BadLabels(f"{len(labels)} labels are more than {fields_max} (ingest.fields_max)")
    return labels


def canonical_labels(labels: Mapping[str, str]) -> str:
    """`{a="b", c="d"}`: sorted by name, values quoted as Go's `strconv.Quote` does."""
    return "{" + ", ".join(f'{name}="{_quoted(labels[name])}"' for name in sorted(labels)) + "}"


def columns_of_labels(labels: Mapping[str, str]) -> LabelColumns:
    return LabelColumns(
        _level(labels),
        _first(labels, "service") or UNKNOWN_SERVICE,
        _first(labels, "host"),
        _first(labels, "trace_id"),
        _first(labels, "span_id"),
    )


def _first(labels: Mapping[str, str], column: str) -> str | None:
    return next((labels[name] for name in _LABEL_NAMES[column] if name in labels), None)


def _level(labels: Mapping[str, str]) -> str | None:
    for name in _LABEL_NAMES["level"]:
        if name in labels:
            level = level_of(labels[name], NUMBER_SCALES.get(name, "any"))
            if level is not None:
                return level
    return None


def _read_text(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    text = text.strip()
    if not text.startswith("{") or not text.endswith("}"):
        raise BadLabels(f'labels {_shown(text)} are not {{name="value", …}}')
    inner = text[1:-1].strip()
    place = 0
    while place < len(inner):
        pair = _PAIR.match(inner, place)
        if pair is None:
            raise BadLabels(f'labels {_shown(text)} are not {{name="value", …}}, from character {place + 2} on')
        name, quoted, plain = pair[1], pair[2], pair[3]
        if name in labels:
            raise BadLabels(f"the label {name} stands twice in {_shown(text)}")
        labels[name] = plain if quoted is None else _unquoted(quoted)
        place = pair.end()
    return labels


def _read_json(text: str) -> dict[str, str]:
    try:
        # Not strict: Loki's reader, too, lets raw control characters pass. Numbers keep their digits.
        value = json.loads(text, strict=False, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadLabels(f"labels {_shown(text)} are not JSON: {error}") from None
    if isinstance(value, str):
        return _read_text(_SURROGATES.sub("\ufffd", value))
    if not isinstance(value, dict):
        raise BadLabels(f"labels are an object of texts, not {_shown(text)}")
    return {name: _label_value(name, each) for name, each in value.items() if each is not None}


def _label_value(name: str, value: Any) -> str:
    if _NAME.fullmatch(name) is None:
        raise BadLabels(f"{_shown(name)} is not a label's name; it has to be letters, digits and underscores")
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise BadLabels(f"the label {name} is not a text")
    return _SURROGATES.sub("\ufffd", value)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(escape: re.Match[str]) -> str:
    short, byte, code, long_code, octal, wrong = escape.groups()
    if short is not None:
        return _ESCAPED.get(short, short)
    if wrong is not None:
        # Clients put Windows paths between quotes as they are; Loki refuses the whole request.
        return escape[0]
    # \xFF and \377 are bytes in Go, which here can only be those of ASCII.
    if octal is not None or byte is not None:
        number = int(octal, 8) if octal is not None else int(byte, 16)
        return chr(number) if number < 0x80 else "\ufffd"
    number = int(code if code is not None else long_code, 16)
    return "\ufffd" if number > 0x10FFFF or 0xD800 <= number < 0xE000 else chr(number)


def _quoted(value: str) -> str:
    if value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return "".join(_quoted_character(char) for char in value)


def _quoted_character(char: str) -> str:
    short = _QUOTED.get(char)
    if short is not None or char.isprintable():
        return short or char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")
