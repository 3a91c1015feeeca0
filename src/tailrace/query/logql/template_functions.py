"""The functions of Go templates that `line_format` and `label_format` know here.

Each takes its arguments in Go's order; a piped value comes last. What fails raises `ValueError`, and the line gets
`__error__="TemplateFormatErr"`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.logql.regexes import all_captures, expanded
from tailrace.query.logql.values import bytes_of, duration_ns_of, number_of, printed

_TEXT_CHARACTERS_MAX = 1 << 20
"""Of what a function may make: `repeat` and `indent` could fill the memory."""


def text_of(value: Any) -> str:
    """A value as Go prints it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return printed(value)
    return str(value)


def is_true(value: Any) -> bool:
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"wrong type for value; expected string; got {text_of(value)}")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    found = number_of(value) if isinstance(value, str) else float(value)
    if found is None or not math.isfinite(found):
        return 0
    return int(found)


def _number(value: Any) -> float:
    found = number_of(value) if isinstance(value, str) else float(value)
    return 0.0 if found is None else found


def _bounded(text: str) -> str:
    if len(text) > _TEXT_CHARACTERS_MAX:
        raise ValueError(f"the text is longer than {_TEXT_CHARACTERS_MAX} characters")
    return text


def _repeated(count: Any, text: Any) -> str:
    if _integer(count) * len(_text(text)) > _TEXT_CHARACTERS_MAX:
        raise ValueError(f"the text is longer than {_TEXT_CHARACTERS_MAX} characters")
    return _text(text) * max(_integer(count), 0)


def _replaced(text: Any, old: Any, new: Any, count: Any = -1) -> str:
    return _bounded(_text(text).replace(_text(old), _text(new), _integer(count)))


def _truncated(count: Any, text: Any) -> str:
    length = _integer(count)
    if length < 0:
        return _text(text)[length:] if len(_text(text)) + length > 0 else _text(text)
    return _text(text)[:length]


def _part(start: Any, end: Any, text: Any) -> str:
    first, last = _integer(start), _integer(end)
    if first < 0:
        return _text(text)[: max(last, 0)]
    return _text(text)[first:] if last < 0 or last > len(_text(text)) else _text(text)[first:last]


def _aligned(count: Any, text: Any, *, left: bool) -> str:
    width, given = _integer(count), _text(text)
    if width < 0 or width == len(given):
        return given
    if width > len(given):
        padding = _repeated(width - len(given), " ")
        return given + padding if left else padding + given
    return given[:width] if left else given[len(given) - width :]


def _matches(regex: Any, text: Any) -> list[tuple[str, dict[str, str]]]:
    """What lies before each match, with its groups; the last has no groups."""
    rewritten, names = all_captures(_text(regex))
    pattern = f"(?s)\\A(?P<before>.*?)(?P<all>{rewritten})(?P<rest>.*)\\z"
    found: list[tuple[str, dict[str, str]]] = []
    rest = _text(text)
    while True:
        try:
            match = pc.extract_regex(pa.scalar(rest), pattern=pattern).as_py()
        except pa.ArrowInvalid as error:
            raise ValueError(str(error)) from error
        if match is None:
            break
        groups = {name: match[f"g{number + 1}"] for number, name in enumerate(names)}
        groups |= {str(number + 1): match[f"g{number + 1}"] for number in range(len(names))}
        groups["0"] = match["all"]
        found.append((match["before"], groups))
        rest = match["rest"]
        if not match["all"]:
            # An empty match: go on behind the next character, or look at the same place for ever.
            if not rest:
                break
            found.append((rest[0], {}))
            rest = rest[1:]
        elif not rest:
            break
    return [*found, (rest, {})]


def _regex_replaced(regex: Any, text: Any, replacement: Any, *, literal: bool) -> str:
    parts: list[str] = []
    for before, groups in _matches(regex, text):
        parts.append(before)
        if groups:
            parts.append(_text(replacement) if literal else expanded(_text(replacement), groups))
    return _bounded("".join(parts))


def _counted(regex: Any, text: Any) -> int:
    return sum(1 for _, groups in _matches(regex, text) if groups)


def _decoded(text: Any) -> str:
    try:
        return base64.b64decode(_text(text), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as error:
        return str(error)


def _rounded(value: Any, places: Any) -> float:
    factor = 10.0 ** _integer(places)
    return math.floor(_number(value) * factor + 0.5) / factor


def _divided(one: Any, other: Any) -> int:
    quotient = abs(_integer(one)) // abs(_integer(other)) if _integer(other) else None
    if quotient is None:
        raise ValueError("integer divide by zero")
    return quotient if (_integer(one) < 0) == (_integer(other) < 0) else -quotient


def _float_divided(first: Any, *others: Any) -> float:
    value = _number(first)
    for other in others:
        divisor = _number(other)
        value = value / divisor if divisor else math.copysign(math.inf, value) if value else math.nan
    return value


def _product(*values: Any) -> int:
    return math.prod(map(_integer, values))


def _seconds(value: Any) -> float:
    duration_ns = duration_ns_of(_text(value))
    if duration_ns is None:
        raise ValueError(f"invalid duration {text_of(value)!r}")
    return duration_ns / 1e9


def _bytes(value: Any) -> float:
    size = bytes_of(_text(value))
    if size is None:
        raise ValueError(f"invalid size {text_of(value)!r}")
    return size


def _equal(first: Any, *others: Any) -> bool:
    if any(type(first) is not type(other) for other in others):
        raise ValueError("incompatible types for comparison")
    return any(first == other for other in others)


def _indented(count: Any, text: Any) -> str:
    pad = _repeated(count, " ")
    return _bounded(pad + _text(text).replace("\n", "\n" + pad))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ToLower": lambda text: _text(text).lower(),
    "ToUpper": lambda text: _text(text).upper(),
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "title": lambda text: _text(text).title(),
    "Replace": _replaced,
    "replace": lambda old, new, text: _replaced(text, old, new),
    "Trim": lambda text, cut: _text(text).strip(_text(cut)),
    "TrimLeft": lambda text, cut: _text(text).lstrip(_text(cut)),
    "TrimRight": lambda text, cut: _text(text).rstrip(_text(cut)),
    "TrimPrefix": lambda text, cut: _text(text).removeprefix(_text(cut)),
    "TrimSuffix": lambda text, cut: _text(text).removesuffix(_text(cut)),
    "TrimSpace": lambda text: _text(text).strip(),
    "trim": lambda text: _text(text).strip(),
    "trimAll": lambda cut, text: _text(text).strip(_text(cut)),
    "trimPrefix": lambda cut, text: _text(text).removeprefix(_text(cut)),
    "trimSuffix": lambda cut, text: _text(text).removesuffix(_text(cut)),
    "trunc": _truncated,
    "substr": _part,
    "contains": lambda part, text: _text(part) in _text(text),
    "hasPrefix": lambda part, text: _text(text).startswith(_text(part)),
    "hasSuffix": lambda part, text: _text(text).endswith(_text(part)),
    "indent": _indented,
    "nindent": lambda count, text: "\n" + _indented(count, text),
    "repeat": _repeated,
    "alignLeft": lambda count, text: _aligned(count, text, left=True),
    "alignRight": lambda count, text: _aligned(count, text, left=False),
    "default": lambda fallback, value: value if is_true(value) else fallback,
    "count": _counted,
    "regexReplaceAll": lambda regex, text, new: _regex_replaced(regex, text, new, literal=False),
    "regexReplaceAllLiteral": lambda regex, text, new: _regex_replaced(regex, text, new, literal=True),
    "urlencode": lambda text: quote_plus(_text(text)),
    "urldecode": lambda text: unquote_plus(_text(text)),
    "b64enc": lambda text: base64.b64encode(_text(text).encode()).decode(),
    "b64dec": _decoded,
    "int": _integer,
    "float64": _number,
    "add": lambda *values: sum(map(_integer, values)),
    "sub": lambda one, other: _integer(one) - _integer(other),
    "mul": _product,
    "div": _divided,
    "mod": lambda one, other: _integer(one) - _divided(one, other) * _integer(other),
    "addf": lambda *values: sum(map(_number, values)),
    "subf": lambda first, *others: _number(first) - sum(map(_number, others)),
    "mulf": lambda *values: math.prod(map(_number, values)),
    "divf": _float_divided,
    "max": lambda *values: max(map(_integer, values)),
    "min": lambda *values: min(map(_integer, values)),
    "maxf": lambda *values: max(map(_number, values)),
    "minf": lambda *values: min(map(_number, values)),
    "ceil": lambda value: float(math.ceil(_number(value))),
    "floor": lambda value: float(math.floor(_number(value))),
    "round": _rounded,
    "bytes": _bytes,
    "duration": _seconds,
    "duration_seconds": _seconds,
    "unixEpoch": lambda time_ns: str(time_ns // 1_000_000_000),
    "unixEpochMillis": lambda time_ns: str(time_ns // 1_000_000),
    "unixEpochNanos": lambda time_ns: str(time_ns),
    "eq": _equal,
    "ne": lambda one, other: not _equal(one, other),
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "not": lambda value: not is_true(value),
    "and": lambda *values: next((value for value in values if not is_true(value)), values[-1]),
    "or": lambda *values: next((value for value in values if is_true(value)), values[-1]),
    "len": lambda value: len(_text(value).encode()),
    "print": lambda *values: "".join(map(text_of, values)),
}
