"""One JSON event in plain Python: what an event means, and the oracle of the kernel in `kernels/ndjson/`.

The kernel reads what nearly all programs send; the rest comes here one by one: keys with escapes, keys that stand
twice, timestamps nobody can read, and all that is wrong.

Meaning of an event
-------------------
* Keys of nested objects are joined by dots. Of equal keys the last one counts, in the place of the first. A null
  is as good as absent.
* Texts have their escapes undone; a lone surrogate (`\\ud800`) becomes U+FFFD. Numbers keep the digits they were
  written with, booleans are `true` and `false`, arrays are JSON text without blanks.
* The event's own fields are found by the names in `fields.py`. An event is never refused for the type of one.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.fields import ALIASES, ATTRIBUTES_PREFIX, COLUMNS, MESSAGE_OBJECTS
from tailrace.ingest.timestamps import ADJUSTED, ORIGINAL, oddity_of, parse_timestamp
from tailrace.model.level import level_of

# Joined keys may make an event so much larger than its JSON, and no more: a hostile one could grow 100-fold.
FLATTENED_GROWTH_MAX = 16

_BY_COLUMN = {
    column: tuple(alias for alias in ALIASES if alias.column == index) for index, column in enumerate(COLUMNS)
}
_TEXT_COLUMNS = COLUMNS[2:]
_SURROGATES = re.compile("[\ud800-\udfff]")


class NotJson(BadInput):
    """The text is not JSON."""


class NotAnEvent(BadInput):
    """The text is past a limit or not an object."""


class NotParsed(NotAnEvent):
    """The text is past a limit before anybody knows whether it is JSON."""


class Number(str):
    """The digits of a number, as written."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object's members in order, equal keys included."""

    __slots__ = ()


def _refuse_constant(name: str) -> Any:
    raise NotJson(f"not JSON: {name} is not a JSON value")


DECODER = JSONDecoder(
    object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)
"""Makes `Members`, lists, `str`, `Number`, booleans and None."""


class Row(NamedTuple):
    """One event; all that EVENT_SCHEMA has but `observed_timestamp`."""

    timestamp: int
    level: str | None
    service: str | None
    host: str | None
    message: str
    trace_id: str | None
    span_id: str | None
    attributes: dict[str, str]


def decode_event(raw: bytes, *, limits: IngestSettings, now_us: int) -> Row:
    """The event that `raw`, one JSON object with nothing but white space around it, stands for.

    Raises `NotJson` with the column (and, past the first line, the line), and `NotAnEvent` with the limit's setting.
    """
    return _row(flatten_object(raw, limits=limits), limits, now_us)


def flatten_object(raw: bytes, *, limits: IngestSettings, whole: frozenset[str] = MESSAGE_OBJECTS) -> dict[str, str]:
    """The leaves of one JSON object as text, by their joined keys; objects under the names in `whole` are leaves.

    Raises as `decode_event`.
    """
    if len(raw) > limits.line_bytes_max:
        raise NotParsed(f"{len(raw):,} bytes are more than {limits.line_bytes_max:,} (ingest.line_bytes_max)")
    value = parse_json(raw, limits)
    if not isinstance(value, Members):
        raise NotAnEvent(f"{_kind(value)} is not an event; send an object")
    _check_limits(value, limits)
    leaves: dict[str, str] = {}
    _flatten(value, "", leaves, [FLATTENED_GROWTH_MAX * len(raw)], whole)
    return leaves


def parse_json(raw: bytes, limits: IngestSettings) -> Any:
    """The value of a JSON text: `Members`, lists, `str`, `Number`, booleans and None."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"not JSON: invalid UTF-8 at byte {error.start + 1}") from None
    try:
        return DECODER.decode(text)
    except JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        message = error.msg.removesuffix(" at").removesuffix(" starting")
        raise NotJson(f"not JSON: {message}, {line}column {error.colno}") from None
    except RecursionError:
        raise NotParsed(_too_deep(limits)) from None


def _kind(value: Any) -> str:
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "null" if value is None else "a boolean"


def _too_deep(limits: IngestSettings) -> str:
    return f"objects and arrays are nested more than {limits.nesting_max} deep (ingest.nesting_max)"


def _check_limits(event: Members, limits: IngestSettings) -> None:
    fields = 0
    # Values by depth, so that a hostile one costs no recursion.
    level: list[Any] = [event]
    depth = 0
    while level:
        depth += 1
        if depth > limits.nesting_max:
            raise NotAnEvent(_too_deep(limits))
        below: list[Any] = []
        for container in level:
            values: Any = container
            if isinstance(container, Members):
                fields += len(container)
                values = [value for _, value in container]
            below.extend(value for value in values if isinstance(value, list))
        if fields > limits.fields_max:
            raise NotAnEvent(f"more than {limits.fields_max} fields (ingest.fields_max)")
        level = below


def _flatten(members: Members, prefix: str, leaves: dict[str, str], room: list[int], whole: frozenset[str]) -> None:
    """Add the members' leaves as text, by their joined keys. `room`: how many bytes of keys may still be added."""
    for key, value in members:
        if value is None:
            continue
        name = prefix + clean(key)
        if isinstance(value, Members) and name not in whole:
            _flatten(value, name + ".", leaves, room, whole)
            continue
        room[0] -= len(name.encode())
        if room[0] < 0:
            raise NotAnEvent(f"its nested keys, joined, are over {FLATTENED_GROWTH_MAX} times as long as the event")
        leaves[name] = text_of(value)


def clean(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 has."""
    return _SURROGATES.sub("\ufffd", text)


def text_of(value: Any) -> str:
    """A value of `parse_json` as an attribute's text: strings as they are, the rest as JSON without blanks."""
    return clean(value) if isinstance(value, str) else _compact(value)


def _compact(value: Any) -> str:
    """JSON text without blanks; escaped only where JSON asks for it."""
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return encode_basestring(clean(value))
    if isinstance(value, Members):
        return "{" + ",".join(f"{encode_basestring(clean(key))}:{_compact(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    if value is None:
        return "null"
    return "true" if value else "false"


def _row(leaves: dict[str, str], limits: IngestSettings, now_us: int) -> Row:
    taken: set[str] = set()
    marks: dict[str, str] = {}
    timestamp_us = _take_timestamp(leaves, taken, marks, limits, now_us)
    level = _take_level(leaves, taken)
    texts = {column: _take_text(column, leaves, taken) for column in _TEXT_COLUMNS}
    attributes: dict[str, str] = {}
    for name, text in leaves.items():
        if name not in taken:
            attributes[name.removeprefix(ATTRIBUTES_PREFIX)] = text
    attributes.update(marks)
    return Row(
        timestamp=timestamp_us,
        level=level,
        service=texts["service"],
        host=texts["host"],
        message=texts["message"] or "",
        trace_id=texts["trace_id"],
        span_id=texts["span_id"],
        attributes=attributes,
    )


def _take_timestamp(
    leaves: dict[str, str], taken: set[str], marks: dict[str, str], limits: IngestSettings, now_us: int
) -> int:
    present = [alias.name for alias in _BY_COLUMN["timestamp"] if alias.name in leaves]
    for name in present:
        timestamp_us = parse_timestamp(leaves[name])
        if timestamp_us is None:
            continue
        taken.add(name)
        oddity = oddity_of(timestamp_us, limits=limits, now_us=now_us)
        if oddity is None:
            return timestamp_us
        marks.update({ORIGINAL: leaves[name], ADJUSTED: oddity})
        return now_us
    if present:
        taken.add(present[0])
        marks.update({ORIGINAL: leaves[present[0]], ADJUSTED: "unreadable"})
    return now_us


def _take_level(leaves: dict[str, str], taken: set[str]) -> str | None:
    for alias in _BY_COLUMN["level"]:
        text = leaves.get(alias.name)
        level = None if text is None else level_of(text, alias.scale)
        if level is not None:
            taken.add(alias.name)
            return level
    return None


def _take_text(column: str, leaves: dict[str, str], taken: set[str]) -> str | None:
    for alias in _BY_COLUMN[column]:
        if alias.name in leaves:
            taken.add(alias.name)
            return leaves[alias.name]
    return None
