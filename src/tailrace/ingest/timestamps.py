"""Timestamps as programs write them: ISO 8601 and seconds since 1970 in any of four units."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from tailrace.config import IngestSettings

Oddity = Literal["too_far_past", "too_far_future", "unreadable"]
"""Why an event is kept under its arrival time; the value of its attribute `timestamp_adjusted`."""

ORIGINAL = "timestamp_original"
ADJUSTED = "timestamp_adjusted"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?: ?(?:([Zz])|(?:UTC|GMT)|([+-])(\d\d)(?::?(\d\d))?))?)?",
    re.ASCII,
)

_NUMBER = re.compile(r"(-?)(\d{1,40})(?:\.(\d{0,400}))?(?:[eE]([+-]?\d{1,3}))?", re.ASCII)

# The unit of a number is told by its size: as seconds, these bounds lie in the year 5138, and as the unit after
# them, in 1973, so that every time from then on is read right in all four.
_UNIT_BOUNDS = ((10**11, 6), (10**14, 3), (10**17, 0))


def parse_timestamp(text: str) -> int | None:
    """Microseconds since 1970 in UTC that `text` names, or None.

    ISO 8601's extended format (RFC 3339 and its relatives): a `T` or a blank between date and time, a fraction of 1
    to 9 digits behind a dot or a comma, and `Z`, `+hh:mm`, `+hhmm`, `+hh` or nothing for UTC. The seconds, and the
    whole time, may be missing. A number counts seconds, milliseconds, microseconds or nanoseconds since 1970,
    whichever its size says. Digits below the microsecond are cut off.
    """
    text = text.strip()
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return _epoch_us(number)
    iso = _ISO.fullmatch(text)
    return None if iso is None else _iso_us(iso)


def oddity_of(timestamp_us: int, *, limits: IngestSettings, now_us: int) -> Oddity | None:
    """Whether a time is absurdly far from now, by `timestamp_past_max_s` and `timestamp_future_max_s`."""
    earliest_us, latest_us = believable_us(limits, now_us)
    if timestamp_us < earliest_us:
        return "too_far_past"
    return "too_far_future" if timestamp_us > latest_us else None


def believable_us(limits: IngestSettings, now_us: int) -> tuple[int, int]:
    """The earliest and the latest time that is believed, in microseconds since 1970."""
    earliest_us = now_us - int(limits.timestamp_past_max_s * 1_000_000)
    latest_us = now_us + int(limits.timestamp_future_max_s * 1_000_000)
    # An unlimited setting must still fit a 64-bit column.
    return max(earliest_us, -(1 << 62)), min(latest_us, 1 << 62)


def _epoch_us(number: re.Match[str]) -> int | None:
    sign, whole = number[1], number[2]
    fraction, exponent = number[3] or "", number[4] or "0"
    # The number is digits / 10**below, exactly.
    digits, below = int(whole + fraction), len(fraction) - int(exponent)
    if below < 0:
        digits, below = digits * 10**-below, 0
    size = digits // 10**below
    power = next((power for bound, power in _UNIT_BOUNDS if size < bound), -3)
    scale = power - below
    timestamp_us: int = digits * 10**scale if scale >= 0 else digits // 10**-scale
    if timestamp_us >= 1 << 62:
        return None
    return -timestamp_us if sign else timestamp_us


def _iso_us(iso: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = iso.groups()
    # A leap second is the first one of the next minute, as POSIX counts.
    seconds = int(second or 0)
    if seconds > 60:
        return None
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), tzinfo=UTC)
    except ValueError:
        return None
    timestamp_us = (moment - _EPOCH) // _MICROSECOND + seconds * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))
    if sign is not None:
        if int(zone_hours) > 23 or int(zone_minutes or 0) > 59:
            return None
        ahead_us = (int(zone_hours) * 60 + int(zone_minutes or 0)) * 60_000_000
        timestamp_us += -ahead_us if sign == "+" else ahead_us
    return timestamp_us
