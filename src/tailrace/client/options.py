"""Options and value types that several client commands share."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click

from tailrace.client.connection import DEFAULT_URL

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.IGNORECASE)
_RATE = re.compile(r"(\d+(?:\.\d+)?)([km])?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def duration_s(text: str) -> float:
    """`30s`, `1.5m`, `2h` to seconds, more than 0; a bare number is in seconds. For `click.option(type=…)`."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _UNIT_S[(found[2] or "s").lower()] if found else 0.0
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} is not a duration such as 500ms, 30s, 10m, 2h or 1d")
    return seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` is more than 0; None: as fast as it goes."""

    per_s: float | None


def rate(text: str) -> Rate:
    """`1000`, `50k`, `1.5M` or `max`. For `click.option(type=…)`."""
    word = text.strip().lower().removesuffix("/s")
    if word == "max":
        return Rate(None)
    found = _RATE.fullmatch(word)
    per_s = float(found[1]) * {"k": 1e3, "m": 1e6, None: 1.0}[found[2]] if found else 0.0
    if per_s <= 0:
        raise click.BadParameter(f"{text!r} is not a rate such as 500, 50k, 1.5M or max")
    return Rate(per_s)


url_option = click.option(
    "--url", envvar="TAILRACE_URL", show_envvar=True, default=DEFAULT_URL, show_default=True, help="The server."
)
