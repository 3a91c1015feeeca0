"""Times as Elasticsearch's queries write them: ISO 8601, epochs, and date math such as `now-1d/d`.

Source: "Date math" in Elasticsearch's documentation of common options. An expression is an anchor, `now` or a date
that ends with `||`, and steps: `+1h` and `-1h` go on and back, `/d` rounds to the start of the unit, or to its end
where the bound takes all of it in.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

from tailrace.errors import QueryError
from tailrace.query.times import parse_absolute_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The first and the last microsecond of the years 1 to 9999."""

_STEP = re.compile(r"([+-])(\d{0,9})([yMwdhHms])|/([yMwdhHms])")
_STEPS = re.compile(rf"(?:{_STEP.pattern})*")
_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "H": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}


def date_span_us(value: object, *, now_us: int, epoch: str | None = None) -> tuple[int, int]:
    """The span [start_us, end_us) that a bound of a range names: a millisecond for a number, as long as its precision
    for a date, the rounded unit for date math that ends in one.

    `epoch` is `epoch_millis` or `epoch_second` where the query's `format` says so. Raises `QueryError`.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QueryError(f"{value!r} is not a time")
    text = str(value).strip()
    if not isinstance(value, str) or (epoch is not None and re.fullmatch(r"-?\d+(\.\d+)?", text)):
        unit_us = 1_000_000 if epoch == "epoch_second" else 1000
        start = float(text) * unit_us
        if not FIRST_US <= start <= LAST_US - unit_us:
            raise QueryError(f"{text[:40]} is not a time between the years 1 and 9999")
        return int(start), int(start) + unit_us
    anchor, separator, steps = text.partition("||")
    if text.startswith("now"):
        return _after(now_us, now_us + 1, text[3:], text)
    span = parse_absolute_time(anchor)
    if span is None:
        if re.fullmatch(r"-?\d+", anchor):
            return date_span_us(anchor, now_us=now_us, epoch="epoch_millis")
        raise QueryError(
            f"{text[:100]!r} is not a time: write ISO 8601, epoch milliseconds, or date math like now-15m"
        )
    return _after(*span, steps, text) if separator else span


def _after(start_us: int, end_us: int, steps: str, text: str) -> tuple[int, int]:
    if not _STEPS.fullmatch(steps):
        raise QueryError(f"{text!r} is not date math: its steps are like +1h, -7d, /d")
    try:
        for sign, count, unit, rounding in _STEP.findall(steps):
            if rounding:
                start = _rounded(_moment(start_us), rounding)
                start_us, end_us = _us(start), _us(_moved(start, 1, rounding))
            else:
                by = int(count or 1) * (1 if sign == "+" else -1)
                start_us, end_us = _us(_moved(_moment(start_us), by, unit)), _us(_moved(_moment(end_us), by, unit))
    except (OverflowError, ValueError) as error:
        raise QueryError(f"{text!r} leaves the years 1 to 9999") from error
    return start_us, end_us


def _moment(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moved(moment: datetime, by: int, unit: str) -> datetime:
    if unit not in "yM":
        return moment + by * _UNITS[unit]
    months = moment.year * 12 + moment.month - 1 + by * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    # As calendars do: a month after 31 January is the last day of February.
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _rounded(moment: datetime, unit: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "y":
            return midnight.replace(month=1, day=1)
        case "M":
            return midnight.replace(day=1)
        case "w":
            return midnight - timedelta(days=midnight.weekday())
        case "d":
            return midnight
        case "h" | "H":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "m":
            return moment.replace(second=0, microsecond=0)
    return moment.replace(microsecond=0)


def iso_us(time_us: int) -> str:
    """ISO 8601 in UTC with six decimal places, which names one microsecond."""
    return _moment(time_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
