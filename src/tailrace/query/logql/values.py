"""Numbers, durations, sizes and quoted texts, read as Go reads them: by `strconv`, `time` and `humanize`.

Each reader gives None for a text that is none of its kind.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal

_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_536_000_000_000_000,
}
_GO_UNITS = frozenset(("ns", "us", "µs", "μs", "ms", "s", "m", "h"))
# Each digit can be taken in one way only: these read values of any length that anybody may have sent.
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([a-zµμ]+)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_HEXADECIMAL = re.compile(r"[+-]?0[xX][0-9a-fA-F]+", re.ASCII)
_NAMED_NUMBERS = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_BYTES = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-zA-Z]*)\s*", re.ASCII)
_INTEGER_MAX = (1 << 63) - 1
"""Nanoseconds of a duration, and bytes of a size, as Go's integers hold them."""
_LETTERS = "kmgtpe"
_BYTE_UNITS = {
    "": 1,
    "b": 1,
    **{letter: 1000 ** (power + 1) for power, letter in enumerate(_LETTERS)},
    **{f"{letter}b": 1000 ** (power + 1) for power, letter in enumerate(_LETTERS)},
    **{f"{letter}i": 1024 ** (power + 1) for power, letter in enumerate(_LETTERS)},
    **{f"{letter}ib": 1024 ** (power + 1) for power, letter in enumerate(_LETTERS)},
}


def number_of(text: str) -> float | None:
    """A decimal number, `NaN` or an infinity, as `strconv.ParseFloat` takes them: none that is too large."""
    if _NUMBER.fullmatch(text):
        value = float(text)
        return None if math.isinf(value) else value
    sign, name = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    return None if name.casefold() not in _NAMED_NUMBERS else sign * _NAMED_NUMBERS[name.casefold()]


def integer_of(text: str) -> int | None:
    """A hexadecimal number of 64 bits at most."""
    value = int(text, 16) if _HEXADECIMAL.fullmatch(text) else None
    return None if value is None or abs(value) > _INTEGER_MAX else value


def duration_ns_of(text: str, *, calendar: bool = False) -> int | None:
    """`1h30m`, `-1.5s`; with `calendar` also days, weeks and years, as durations in a query may have them."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total_ns, end = 0, 0
    while part := _DURATION_PART.match(rest, end):
        number, unit = part.groups()
        if unit not in _NS or not (calendar or unit in _GO_UNITS) or float(number) * _NS[unit] > _INTEGER_MAX:
            return None
        end = part.end()
        total_ns += int(number) * _NS[unit] if number.isdecimal() else int(float(number) * _NS[unit])
    return sign * total_ns if end and end == len(rest) and total_ns <= _INTEGER_MAX else None


def seconds_of(text: str) -> float | None:
    """A duration in seconds."""
    duration_ns = duration_ns_of(text)
    return None if duration_ns is None else duration_ns / 1e9


def bytes_of(text: str) -> float | None:
    """`5KB`, `1.5 MiB`, `42`: a whole number of bytes."""
    match = _BYTES.fullmatch(text)
    factor = None if match is None else _BYTE_UNITS.get(match[2].lower())
    size = None if match is None or factor is None else float(match[1]) * factor
    return None if size is None or size > _INTEGER_MAX else float(math.floor(size))


_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)


def unquoted(literal: str) -> str | None:
    """The text of a Go string literal, `"…"` or raw between backquotes; None for an escape that is none."""
    if literal.startswith("`"):
        return literal[1:-1]
    try:
        return _ESCAPE.sub(_unescaped, literal[1:-1])
    except (KeyError, ValueError):
        return None


def _unescaped(match: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if match[group] is not None:
            return chr(int(match[group], base))
    return _ESCAPES[match[5]]


def quoted(text: str) -> str:
    """A text between double quotes, its special characters escaped."""
    return json.dumps(text, ensure_ascii=False)


def number_text(value: float) -> str:
    """A sample's value as Prometheus writes it: the fewest digits that read back the same, without an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return (format(Decimal(text), "f") if "e" in text else text).removesuffix(".0")


def printed(value: float) -> str:
    """A number as Go prints it: with an exponent where it is very large or very small."""
    if math.isfinite(value) and value and not 1e-4 <= abs(value) < 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent}"
    return number_text(value)
