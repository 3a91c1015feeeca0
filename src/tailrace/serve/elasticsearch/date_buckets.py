"""The buckets of `date_histogram`: of a fixed length, or of the calendar, in a zone."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from tailrace.errors import QueryError

_UNITS_US = {"ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_FIXED = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_CALENDAR = {
    **dict.fromkeys(("1m", "minute"), "minute"),
    **dict.fromkeys(("1h", "hour"), "hour"),
    **dict.fromkeys(("1d", "day"), "day"),
    **dict.fromkeys(("1w", "week"), "week"),
    **dict.fromkeys(("1M", "month"), "month"),
    **dict.fromkeys(("1q", "quarter"), "quarter"),
    **dict.fromkeys(("1y", "year"), "year"),
}
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_SIGNED = re.compile(r"([+-]?)(\d{1,9}(?:ms|s|m|h|d))")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DateBuckets:
    """Either `fixed_us` or `unit`, a word of DuckDB's `date_trunc`. `zone` is None for UTC."""

    fixed_us: int | None
    unit: str | None
    zone: str | None
    offset_us: int

    @property
    def is_plain(self) -> bool:
        """Whether buckets are multiples of their length since 1970."""
        return self.fixed_us is not None and self.zone is None and self.offset_us == 0

    def sql(self, us: str) -> str:
        """The start of the bucket, in microseconds since 1970, of the time that the expression `us` gives."""
        local = us if self.zone is None else f"epoch_us(make_timestamptz({us}) AT TIME ZONE '{self.zone}')"
        if self.fixed_us is not None:
            length = self.fixed_us
            start = f"({local} - ((({local} - {self.offset_us}) % {length}) + {length}) % {length})"
        else:
            moved = f"make_timestamp({local} - {self.offset_us})"
            start = f"(epoch_us(date_trunc('{self.unit}', {moved})) + {self.offset_us})"
        return start if self.zone is None else f"epoch_us(make_timestamp({start}) AT TIME ZONE '{self.zone}')"

    def starts(self, first_us: int, last_us: int) -> Iterator[int]:
        """Every bucket from the one that starts at `first_us` to the one that holds `last_us`."""
        zone = _zone(self.zone)
        local = (_EPOCH + timedelta(microseconds=first_us)).astimezone(zone).replace(tzinfo=None)
        while True:
            start_us = (local.replace(tzinfo=zone) - _EPOCH) // _MICROSECOND
            if start_us > last_us:
                return
            yield start_us
            local = self._next(local)

    def start_of(self, time_us: int) -> int:
        """The start of the bucket that holds the time."""
        zone = _zone(self.zone)
        local = (_EPOCH + timedelta(microseconds=time_us)).astimezone(zone).replace(tzinfo=None)
        moved = local - timedelta(microseconds=self.offset_us)
        if self.fixed_us is not None:
            since_us = (moved - _NAIVE_EPOCH) // _MICROSECOND
            floor = _NAIVE_EPOCH + timedelta(microseconds=since_us - since_us % self.fixed_us)
        else:
            floor = _floor(moved, str(self.unit))
        start = (floor + timedelta(microseconds=self.offset_us)).replace(tzinfo=zone)
        return (start - _EPOCH) // _MICROSECOND

    def _next(self, local: datetime) -> datetime:
        if self.fixed_us is not None:
            return local + timedelta(microseconds=self.fixed_us)
        match self.unit:
            case "month" | "quarter" | "year":
                months = {"month": 1, "quarter": 3, "year": 12}[self.unit]
                year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
                day = min(local.day, calendar.monthrange(year, month + 1)[1])
                return local.replace(year=year, month=month + 1, day=day)
        return local + {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "week": timedelta(weeks=1)}.get(
            str(self.unit), timedelta(days=1)
        )


def date_buckets(body: Mapping[str, Any]) -> DateBuckets:
    """Raises `QueryError` for an interval or a zone that is none."""
    zone = body.get("time_zone")
    name = None if zone in (None, "UTC", "Z", "+00:00", "GMT") else str(zone)
    _zone(name)
    offset_us = _signed_us(str(body.get("offset", "0s")))
    asked = body.get("fixed_interval", body.get("calendar_interval", body.get("interval")))
    fixed = _FIXED.fullmatch(str(asked))
    if "calendar_interval" in body or ("fixed_interval" not in body and (not fixed or str(asked) == "1d")):
        unit = _CALENDAR.get(str(asked))
        if unit is None:
            raise QueryError(f"{asked!r} is no interval of the calendar; write {', '.join(_CALENDAR)}")
        return DateBuckets(None, unit, _duckdb_zone(name), offset_us)
    if fixed is None or int(fixed[1]) == 0:
        raise QueryError(f"{asked!r} is no interval; write a number and one of {', '.join(_UNITS_US)}, like 30s")
    return DateBuckets(int(fixed[1]) * _UNITS_US[fixed[2]], None, _duckdb_zone(name), offset_us)


def iso_ms(time_us: int, zone: str | None = None) -> str:
    """As Elasticsearch writes times: three decimal places, and the zone."""
    moment = (_EPOCH + timedelta(microseconds=time_us)).astimezone(_zone(zone))
    offset = "Z" if zone is None else f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:]
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}{offset}"


def _signed_us(text: str) -> int:
    found = _SIGNED.fullmatch(text)
    parts = _FIXED.fullmatch(found[2]) if found else None
    if found is None or parts is None:
        raise QueryError(f"{text!r} is no offset; write one like +6h")
    return int(parts[1]) * _UNITS_US[parts[2]] * (-1 if found[1] == "-" else 1)


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-ahead if offset[1] == "-" else ahead)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise QueryError(f"{name!r} is no time zone; write one like Europe/Berlin or +02:00") from error


def _duckdb_zone(name: str | None) -> str | None:
    """A name that `_zone` knows is safe to stand in SQL; DuckDB has names for whole hours only."""
    offset = None if name is None else _OFFSET.fullmatch(name)
    if offset is None:
        return name
    if offset[3] != "00":
        raise QueryError(f"the zone {name!r} is not supported: name the place, such as Asia/Kolkata")
    # POSIX counts the other way about.
    return f"Etc/GMT{'-' if offset[1] == '+' else '+'}{int(offset[2])}"


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
