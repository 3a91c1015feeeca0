"""Times as people write them in queries: ISO 8601, epochs, and words that count back from now.

A time is a span as long as the precision it was written with: `2025-03-28` is the whole day, `2025-03-28T10:00` the
minute. Without a zone it is UTC. Spans are half open, [start_us, end_us), in microseconds since 1970 in UTC.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime

from tailrace.errors import QueryError

TIME_FORMS = (
    "2025, 2025-03, 2025-03-28, 2025-03-28T10:00, 2025-03-28T10:00:00.123Z, 2025-03-28T10:00+02:00, "
    "an epoch in s, ms, us or ns, now, today, yesterday, yesterday 14:00, 15m, 2h, 7d, 1w, 30y (before now)"
)

_SECOND_US = 1_000_000
_MINUTE_US = 60 * _SECOND_US
_HOUR_US = 60 * _MINUTE_US
_DAY_US = 24 * _HOUR_US
_YEAR_US = 365 * _DAY_US

_AGO_MAX_US = 10_000 * _YEAR_US
"""Counting back further would leave the 64 bits of a timestamp."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_UNIT_US = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1000),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), _SECOND_US),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), _MINUTE_US),
    **dict.fromkeys(("h", "hour", "hours"), _HOUR_US),
    **dict.fromkeys(("d", "day", "days"), _DAY_US),
    **dict.fromkeys(("w", "week", "weeks"), 7 * _DAY_US),
    **dict.fromkeys(("y", "year", "years"), _YEAR_US),
}

_CLOCK = r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
_ZONE = r"(?:\s*(?P<zone>Z|[+-]\d\d(?::?\d\d)?))?"
_ISO = re.compile(
    rf"(?P<year>\d{{4}})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:[T ]\s*{_CLOCK}{_ZONE})?)?)?", re.ASCII | re.IGNORECASE
)
_EPOCH_NUMBER = re.compile(r"(?P<whole>\d{9,20})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)
_DAY_WORD = re.compile(rf"(?P<word>today|yesterday)(?:[T ]\s*{_CLOCK}{_ZONE})?", re.ASCII | re.IGNORECASE)
_AGO = re.compile(r"(?:now\s*-|-)?\s*(?P<count>\d{1,12})\s*(?P<unit>[a-z]+)(?:\s+ago)?", re.ASCII | re.IGNORECASE)


def parse_time(text: str, *, now_us: int) -> tuple[int, int]:
    """The span [start_us, end_us) that `text` names, as seen at `now_us`.

    Raises `QueryError`, which lists the accepted forms, for a text that is none of them.
    """
    absolute = parse_absolute_time(text)
    if absolute is not None:
        return absolute
    words = text.strip()
    if words.lower() == "now":
        return now_us, now_us + 1
    day = _DAY_WORD.fullmatch(words)
    if day is not None:
        midnight_us = now_us - now_us % _DAY_US - (_DAY_US if day["word"].lower() == "yesterday" else 0)
        return (midnight_us, midnight_us + _DAY_US) if day["hour"] is None else _clock_span(midnight_us, day, text)
    ago = _AGO.fullmatch(words)
    if ago is not None and ago["unit"].lower() in _UNIT_US:
        back_us = int(ago["count"]) * _UNIT_US[ago["unit"].lower()]
        if back_us > _AGO_MAX_US:
            raise QueryError(f"{text!r} is more than 10,000 years ago")
        return now_us - back_us, now_us - back_us + 1
    raise QueryError(f"{text!r} is not a time; accepted: {TIME_FORMS}")


def parse_absolute_time(text: str) -> tuple[int, int] | None:
    """The span of a time that does not depend on now; None for every other text.

    Raises `QueryError` for a date or time of day that does not exist, such as 2025-02-30.
    """
    words = text.strip()
    iso = _ISO.fullmatch(words)
    if iso is not None:
        return _iso_span(iso, text)
    epoch = _EPOCH_NUMBER.fullmatch(words)
    return None if epoch is None else _epoch_span(epoch)


def _iso_span(iso: re.Match[str], text: str) -> tuple[int, int]:
    year, month, day = int(iso["year"]), int(iso["month"] or 1), int(iso["day"] or 1)
    try:
        start_us = (datetime(year, month, day, tzinfo=UTC) - _EPOCH).days * _DAY_US
    except ValueError as error:
        raise QueryError(f"{text!r} is not a time: {error}") from error
    if iso["hour"] is not None:
        return _clock_span(start_us, iso, text)
    if iso["day"] is not None:
        days = 1
    elif iso["month"] is not None:
        days = calendar.monthrange(year, month)[1]
    else:
        days = 366 if calendar.isleap(year) else 365
    return start_us, start_us + days * _DAY_US


def _clock_span(midnight_us: int, clock: re.Match[str], text: str) -> tuple[int, int]:
    """The span of a time of day, given the midnight before it and the groups of `_CLOCK` and `_ZONE`."""
    hour, minute, second = int(clock["hour"]), int(clock["minute"] or 0), int(clock["second"] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise QueryError(f"{text!r} is not a time: there is no {hour:02}:{minute:02}:{second:02}")
    start_us = midnight_us + hour * _HOUR_US + minute * _MINUTE_US + second * _SECOND_US
    start_us -= _zone_offset_us(clock["zone"] or "Z", text)
    if clock["fraction"] is not None:
        fraction_us, precision_us = _fraction(clock["fraction"], _SECOND_US)
        return start_us + fraction_us, start_us + fraction_us + precision_us
    if clock["second"] is not None:
        return start_us, start_us + _SECOND_US
    return start_us, start_us + (_HOUR_US if clock["minute"] is None else _MINUTE_US)


def _zone_offset_us(zone: str, text: str) -> int:
    if zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise QueryError(f"{text!r} is not a time: there is no zone {zone}")
    offset_us = hours * _HOUR_US + minutes * _MINUTE_US
    return -offset_us if zone[0] == "-" else offset_us


def _epoch_span(epoch: re.Match[str]) -> tuple[int, int]:
    """The unit follows from the number of digits: each covers the years 1973 to 5138."""
    digits = len(epoch["whole"])
    if digits > 17:
        start_us = int(epoch["whole"]) // 1000
        return start_us, start_us + 1
    unit_us = _SECOND_US if digits < 12 else 1000 if digits < 15 else 1
    start_us = int(epoch["whole"]) * unit_us
    if epoch["fraction"] is None:
        return start_us, start_us + unit_us
    fraction_us, precision_us = _fraction(epoch["fraction"], unit_us)
    return start_us + fraction_us, start_us + fraction_us + precision_us


def _fraction(digits: str, unit_us: int) -> tuple[int, int]:
    """Decimal places of a unit, as (microseconds, precision in microseconds); finer than a microsecond is cut off."""
    scale = 10 ** len(digits)
    return int(digits) * unit_us // scale, max(unit_us // scale, 1)
