"""Levels as people and programs write them, brought to the six of `LEVELS`."""

from __future__ import annotations

from typing import Literal

from tailrace.model.batch import LEVELS

LEVEL_ALIASES: dict[str, str] = {
    **{level: level for level in LEVELS},
    **dict.fromkeys(("FINER", "FINEST", "VERBOSE", "SILLY", "TRC", "V", "T"), "TRACE"),
    **dict.fromkeys(("FINE", "DBG", "D", "CONFIG"), "DEBUG"),
    **dict.fromkeys(("INFORMATION", "INFORMATIONAL", "NOTICE", "INF", "I", "LOG", "OK", "SUCCESS", "HTTP"), "INFO"),
    **dict.fromkeys(("WARNING", "WRN", "W"), "WARN"),
    **dict.fromkeys(("ERR", "E", "SEVERE", "FAILURE", "EROR"), "ERROR"),
    **dict.fromkeys(
        ("CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "PANIC", "F", "FTL", "DPANIC", "ASSERT"), "FATAL"
    ),
}
"""Upper-case alias to level."""

NumberScale = Literal["syslog", "otel", "pino", "any"]

_SYSLOG = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")


def level_of(text: str, scale: NumberScale = "any") -> str | None:
    """The level that `text` names, or None.

    Numbers follow `scale`: syslog severities 0-7 (RFC 5424, 6.2.1), OpenTelemetry's severity numbers 1-24, or
    pino's 10-60 in tens. `any` takes 0-7 as syslog and tens from 10 on as pino, as GELF and pino write `level`.
    """
    name = text.strip().upper()
    known = LEVEL_ALIASES.get(name)
    if known is not None or not name.isdecimal() or len(name) > 2:
        return known
    number = int(name)
    if scale == "otel":
        return LEVELS[(number - 1) // 4] if 1 <= number <= 24 else None
    if scale in ("syslog", "any") and number <= 7:
        return _SYSLOG[number]
    if scale in ("pino", "any") and number % 10 == 0 and 10 <= number <= 60:
        return LEVELS[number // 10 - 1]
    return None
