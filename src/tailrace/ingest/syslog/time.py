"""The times of RFC 3164, which tell neither year nor zone.

The zone is the listener's setting. The year is the one that brings the time nearest to now, and not more than a day
ahead of it: at new year, messages of the last evening are of last year.

A civil time is what a clock on the wall shows, in microseconds since 1970 as if that clock showed UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from tailrace.errors import Stop

AHEAD_MAX_US = 86_400_000_000
"""Clocks differ, and so may zones that nobody has told."""

# 29 February comes back after at most eight years (1896 to 1904).
_LEAP_GAP_YEARS = 8

# No zone has changed its offset but at a quarter of an hour in the last 50 years.
_QUARTER_US = 900_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A leap second may be told of the last day that there is.
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)


def read_zone(text: str) -> tzinfo:
    """`+02:00`, `-0700`, or a name of the tz database. Raises `Stop`, which names the setting."""
    offset = _OFFSET.fullmatch(text)
    if offset is not None and int(offset[2]) < 24 and int(offset[3]) < 60:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-ahead if offset[1] == "-" else ahead)
    try:
        return UTC if text == "UTC" else ZoneInfo(text)
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        raise Stop(
            f"listeners.syslog_timezone = {text!r} is not a zone; give an offset such as +02:00, or a name such as "
            "Europe/Berlin"
        ) from error


def civil_us(time_us: int, zone: tzinfo) -> int:
    """What clocks in `zone` show at a time."""
    shown = (_EPOCH + timedelta(microseconds=time_us)).astimezone(zone).replace(tzinfo=UTC)
    return (shown - _EPOCH) // _MICROSECOND


def utc_us(civil: int, zone: tzinfo) -> int:
    """When clocks in `zone` show this; of an hour that comes twice, the first."""
    return (_wall(min(civil, _LAST_US)).replace(tzinfo=zone) - _EPOCH) // _MICROSECOND


def utc_of_civil(civil: npt.NDArray[np.int64], zone: tzinfo) -> npt.NDArray[np.int64]:
    """`utc_us` of each."""
    if zone is UTC:
        return civil
    quarters, place = np.unique(civil // _QUARTER_US, return_inverse=True)
    ahead = np.array(
        [quarter * _QUARTER_US - utc_us(int(quarter) * _QUARTER_US, zone) for quarter in quarters.tolist()]
    )
    result: npt.NDArray[np.int64] = civil - ahead[place]
    return result


def year_of(civil: int) -> int:
    """The year that the clock shows."""
    return _wall(civil).year


def nearest_year(month: int, day: int, time_of_day_us: int, now_civil_us: int) -> int | None:
    """The civil time of a day that no year was told for; None for a day that is in no year."""
    this_year = year_of(now_civil_us)
    for year in range(this_year + 1, this_year - _LEAP_GAP_YEARS - 1, -1):
        try:
            midnight = datetime(year, month, day, tzinfo=UTC)
        except ValueError:
            continue
        civil = (midnight - _EPOCH) // _MICROSECOND + time_of_day_us
        if civil <= now_civil_us + AHEAD_MAX_US:
            return civil
    return None


def _wall(civil: int) -> datetime:
    return _EPOCH + timedelta(microseconds=civil)
