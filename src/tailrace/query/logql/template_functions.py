"""The functions of Go templates that `line_format` and `label_format` know here.

Each takes its arguments in Go's order; a piped value comes last. What fails raises `ValueError`, and the line gets
`__error__="TemplateFormatErr"`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError
from tailrace.query.logql.regexes import all_captures, check_regex, rewritten
from tailrace.query.logql.values import bytes_of, duration_ns_of, number_of, printed

TEXT_CHARACTERS_MAX = 1 << 20
"""Of what a function, or a template, may make of a line: `repeat` and `indent` could fill the memory."""
_MADE_CHARACTERS_MAX = 16 * TEXT_CHARACTERS_MAX
"""Of what may be made before it is known how long it is."""


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


def check_length(characters: int, *, most: int = TEXT_CHARACTERS_MAX) -> None:
    """Raises `ValueError` for a text that would be too long; to be asked before it is made."""
    if characters > most:
        raise ValueError(f"the text is longer than {TEXT_CHARACTERS_MAX} characters")


def _repeated(count: Any, text: Any) -> str:
    check_length(_integer(count) * len(_text(text)))
    return _text(text) * max(_integer(count), 0)


def _replaced(text: Any, old: Any, new: Any, count: Any = -1) -> str:
    whole, most = _text(text), min(_integer(count), TEXT_CHARACTERS_MAX)
    found = whole.count(_text(old)) if most < 0 else min(whole.count(_text(old)), most)
    check_length(len(whole) + found * (len(_text(new)) - len(_text(old))))
    return whole.replace(_text(old), _text(new), max(most, -1))


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


@lru_cache(maxsize=64)
def _numbered(regex: str) -> tuple[str, tuple[str, ...]]:
    """`all_captures` of a regex that RE2 takes; raises `ValueError` for any other."""
    try:
        check_regex(regex)
    except QueryError as error:
        raise ValueError(str(error)) from error
    return all_captures(regex)


def _regex_replaced(regex: Any, text: Any, replacement: Any, *, literal: bool) -> str:
    pattern, names = _numbered(_text(regex))
    given, new = _text(text), _text(replacement)
    new = new.replace("\\", "\\\\") if literal else rewritten(new, names)
    matches = len(given) + 1
    if matches * len(new) > TEXT_CHARACTERS_MAX:
        matches = _counted(regex, text)
    # Over all matches, each group that the replacement names gives the whole text at most.
    check_length(matches * len(new) + len(given) * new.count("\\"), most=_MADE_CHARACTERS_MAX)
    made: str = pc.replace_substring_regex(pa.scalar(given), pattern=pattern, replacement=new).as_py()
    return made


def _counted(regex: Any, text: Any) -> int:
    pattern, _ = _numbered(_text(regex))
    given = pa.scalar(_text(text))
    without, marked = (pc.replace_substring_regex(given, pattern=pattern, replacement=each) for each in ("", "#"))
    return len(marked.as_py()) - len(without.as_py())


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
    return pad + _replaced(text, "\n", "\n" + pad)


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
