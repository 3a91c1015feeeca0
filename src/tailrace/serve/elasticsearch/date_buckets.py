"""The buckets of `date_histogram`: of a fixed length, or of the calendar, in a zone.

Buckets start at round local times, all moved by the offset. As Elasticsearch's, one that starts in the hour that
comes twice when clocks are put back starts in that hour in which its events are, and of the hour that is left out
when they are put forward there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from tailrace.errors import QueryError

_UNITS_US = {"ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_FIXED = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_LENGTH_MAX_US = 10_000 * 366 * _UNITS_US["d"]
"""Longer than all of time, and short enough for 64 bits."""

_CALENDAR = {
    **dict.fromkeys(("1m", "minute"), "minute"),
    **dict.fromkeys(("1h", "hour"), "hour"),
    **dict.fromkeys(("1d", "day"), "day"),
    **dict.fromkeys(("1w", "week"), "week"),
    **dict.fromkeys(("1M", "month"), "month"),
    **dict.fromkeys(("1q", "quarter"), "quarter"),
    **dict.fromkeys(("1y", "year"), "year"),
}
_SHORT_UNITS_US = {"minute": _UNITS_US["m"], "hour": _UNITS_US["h"]}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DateBuckets:
    """Either `fixed_us` or `unit`, a word of DuckDB's `date_trunc`. Times are microseconds since 1970."""

    fixed_us: int | None
    unit: str | None
    zone: tzinfo
    offset_us: int

    @property
    def is_plain(self) -> bool:
        """Whether buckets are multiples of their length since 1970."""
        return self.fixed_us is not None and self.zone is UTC and self.offset_us == 0

    def sql(self, us: str) -> str:
        """The start of the bucket of the time that the expression `us` gives."""
        time = f"({us} - {self.offset_us})"
        local = self._local_sql(time)
        if self.fixed_us is not None:
            start = f"({local} - (({local} % {self.fixed_us}) + {self.fixed_us}) % {self.fixed_us})"
        else:
            start = f"epoch_us(date_trunc('{self.unit}', make_timestamp({local})))"
        near = f"({start} - {local} + {time})"
        if isinstance(self.zone, ZoneInfo):
            changed = f"epoch_us(make_timestamp({start}) AT TIME ZONE '{self.zone.key}')"
            near = f"CASE WHEN {self._local_sql(near)} = {start} THEN {near} ELSE {changed} END"
        return f"({near} + {self.offset_us})"

    def start_of(self, time_us: int) -> int:
        """The start of the bucket that holds the time. Raises `OverflowError` out of the years 1 to 9999."""
        return self._start_of(time_us - self.offset_us) + self.offset_us

    def starts(self, first_us: int, last_us: int) -> Iterator[int]:
        """Every bucket from the one that starts at `first_us` to that which holds `last_us`. Raises as `start_of`."""
        if self.is_plain:
            yield from range(first_us, last_us + 1, self.fixed_us or 1)
            return
        while first_us <= last_us:
            yield first_us
            first_us = self._next(first_us - self.offset_us) + self.offset_us

    # Without the offset, which is added to what is found without it.

    def _start_of(self, time_us: int) -> int:
        local_us = self._local_us(time_us)
        start_us = self._floor_us(local_us)
        near_us = start_us - local_us + time_us
        if self._local_us(near_us) == start_us:
            return near_us
        # The clocks were changed since.
        return self._time_us(start_us)

    def _next(self, start_us: int) -> int:
        length_us = self.fixed_us or _SHORT_UNITS_US.get(str(self.unit))
        if length_us is None:
            return self._time_us(_us_of(_next_unit(_moment_of(self._local_us(start_us)), str(self.unit))))
        inside_us = start_us
        while True:
            # A bucket in which clocks are put back is longer than others.
            inside_us += length_us
            next_us = self._start_of(inside_us)
            if next_us > start_us:
                return next_us

    def _floor_us(self, local_us: int) -> int:
        if self.fixed_us is not None:
            return local_us - local_us % self.fixed_us
        return _us_of(_floor(_moment_of(local_us), str(self.unit)))

    def _local_us(self, time_us: int) -> int:
        """What the clocks show then, as if they were UTC's."""
        if self.zone is UTC:
            return time_us
        return _us_of((_EPOCH + timedelta(microseconds=time_us)).astimezone(self.zone).replace(tzinfo=None))

    def _time_us(self, local_us: int) -> int:
        """When the clocks show that, the first time."""
        return (_moment_of(local_us).replace(tzinfo=self.zone) - _EPOCH) // _MICROSECOND

    def _local_sql(self, us: str) -> str:
        if isinstance(self.zone, ZoneInfo):
            return f"epoch_us(make_timestamptz({us}) AT TIME ZONE '{self.zone.key}')"
        ahead = self.zone.utcoffset(None)
        return f"({us} + {(ahead or timedelta()) // _MICROSECOND})"


def date_buckets(body: Mapping[str, Any]) -> DateBuckets:
    """Raises `QueryError` for an interval or a zone that is none."""
    zone = _zone(body.get("time_zone"))
    offset_us = _signed_us(str(body.get("offset", "0s")))
    asked = str(body.get("fixed_interval", body.get("calendar_interval", body.get("interval"))))
    if "calendar_interval" in body or (
        "fixed_interval" not in body and (not _FIXED.fullmatch(asked) or asked == "1d")
    ):
        unit = _CALENDAR.get(asked)
        if unit is None:
            raise QueryError(f"{asked!r} is no interval of the calendar; write {', '.join(_CALENDAR)}")
        return DateBuckets(None, unit, zone, offset_us)
    fixed_us = _length_us(asked)
    if not fixed_us:
        raise QueryError(f"{asked!r} is no interval; write a number and one of {', '.join(_UNITS_US)}, like 30s")
    return DateBuckets(fixed_us, None, zone, offset_us)


def iso_ms(time_us: int, zone: tzinfo = UTC) -> str:
    """As Elasticsearch writes times: three decimal places, and the zone."""
    moment = (_EPOCH + timedelta(microseconds=time_us)).astimezone(zone)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _signed_us(text: str) -> int:
    length_us = _length_us(text.removeprefix("-").removeprefix("+"))
    if length_us is None:
        raise QueryError(f"{text!r} is no offset; write one like +6h")
    return -length_us if text.startswith("-") else length_us


def _length_us(text: str) -> int | None:
    found = _FIXED.fullmatch(text)
    if found is None:
        return None
    length_us = int(found[1]) * _UNITS_US[found[2]]
    if length_us > _LENGTH_MAX_US:
        raise QueryError(f"{text!r} is longer than 10,000 years")
    return length_us


def _zone(asked: object) -> tzinfo:
    if asked in (None, "UTC", "Z", "GMT", "+00:00"):
        return UTC
    name = str(asked)
    offset = _OFFSET.fullmatch(name)
    if offset is not None and int(offset[2]) < 24 and int(offset[3]) < 60:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-ahead if offset[1] == "-" else ahead)
    if name not in _zone_names():
        raise QueryError(f"{name!r} is no time zone; write one like Europe/Berlin or +02:00")
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    """What both Python and DuckDB know. None of them ends a text in SQL."""
    return frozenset(available_timezones() - {"localtime"})


def _moment_of(local_us: int) -> datetime:
    return _NAIVE_EPOCH + timedelta(microseconds=local_us)


def _us_of(moment: datetime) -> int:
    return (moment - _NAIVE_EPOCH) // _MICROSECOND


def _next_unit(start: datetime, unit: str) -> datetime:
    """The start of the next one; `start` is that of a day or of something longer."""
    if unit in _MONTHS:
        year, month = divmod(start.year * 12 + start.month - 1 + _MONTHS[unit], 12)
        if year > datetime.max.year:
            raise OverflowError
        return start.replace(year=year, month=month + 1)
    return start + timedelta(days=7 if unit == "week" else 1)


def _floor(local: datetime, unit: str) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "year":
            return midnight.replace(month=1, day=1)
        case "quarter":
            return midnight.replace(month=(local.month - 1) // 3 * 3 + 1, day=1)
        case "month":
            return midnight.replace(day=1)
        case "week":
            return midnight - timedelta(days=local.weekday())
        case "day":
            return midnight
        case "hour":
            return local.replace(minute=0, second=0, microsecond=0)
    return local.replace(second=0, microsecond=0)
