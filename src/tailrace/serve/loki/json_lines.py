"""Lines that are JSON: what `| json` and `| unpack` find in them.

Numbers keep the text they are written as. An array is no label by itself; a path of `| json` may name one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from tailrace.serve.loki.events import label_name

_NESTING_MAX = 64
_BEGINNINGS = ('"', "{", "[")
"""Of lines that paths are looked for in: a number, say, is JSON too, but not meant."""


class NoJson(ValueError):
    """The line is no JSON object."""


def _constant(name: str) -> Any:
    raise NoJson(f"{name} is not JSON")


_PLAIN = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_constant, strict=False)
# A number in an object that is written again keeps its text.
_FRAGMENTS = json.JSONDecoder(
    parse_float=orjson.Fragment, parse_int=orjson.Fragment, parse_constant=_constant, strict=False
)


def _document(line: str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(line)
    except (ValueError, RecursionError) as error:
        raise NoJson(str(error)) from error


def object_fields(line: str) -> Iterator[tuple[str, str]]:
    """Every field of the line's object by its label's name, nested names joined by `_`. Raises `NoJson`."""
    document = _document(line, _PLAIN)
    if not isinstance(document, dict):
        raise NoJson("expecting a json object")
    return _fields(document, "", _NESTING_MAX)


def _fields(document: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        if value is None or isinstance(value, list):
            continue
        name = label_name(key) if not prefix else _joined(prefix, key)
        if isinstance(value, dict):
            if depth:
                yield from _fields(value, name, depth - 1)
        elif name:
            yield name, value if isinstance(value, str) else "true" if value else "false"


def _joined(prefix: str, key: str) -> str:
    # Only a name's first character may not be a digit.
    clean = label_name(f"x{key.strip()}")[1:]
    return f"{prefix}_{clean}" if clean else prefix


def path_values(line: str, paths: Sequence[tuple[str | int, ...]]) -> list[str | None]:
    """What stands at each path: texts, numbers and booleans as they are, objects and arrays as JSON; null is empty.

    None where there is nothing. Raises `NoJson`.
    """
    if line[:1] not in _BEGINNINGS:
        raise NoJson("the line does not begin like JSON")
    document = _document(line, _FRAGMENTS)
    return [_at(document, path) for path in paths]


def _at(value: Any, path: tuple[str | int, ...]) -> str | None:
    for step in path:
        is_key = isinstance(step, str) and isinstance(value, dict) and step in value
        if not is_key and not (isinstance(step, int) and isinstance(value, list) and step < len(value)):
            return None
        value = value[step]
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, orjson.Fragment):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return None


def packed_fields(line: str) -> tuple[list[tuple[str, str]], str | None]:
    """The texts of an object that Promtail packed, and the line that it packed; nothing of any other object.

    Raises `NoJson`.
    """
    document = _document(line, _FRAGMENTS) if line.startswith("{") else None
    if not isinstance(document, dict):
        raise NoJson("expecting a json object")
    entry = document.pop("_entry", None)
    if not isinstance(entry, str):
        return [], None
    return [(label_name(key), value) for key, value in document.items() if isinstance(value, str)], entry
