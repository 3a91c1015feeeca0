"""Kinds of timestamps: how each is written, as one pattern that Python's `re` and RE2 read alike.

The named groups say what a part is:
    y mo d h mi s    numbers          mon      the month's name
    a b c            the parts of a numeric date whose order has to be learnt (c may be missing)
    f g / ms         the digits of a fraction / a whole number of milliseconds behind a colon
    half             AM or PM         zone     Z, an offset or a name
    e                seconds, ms, us or ns since 1970, told apart by their number of digits
    letter           the level letter that glog writes right before the date
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tailrace.ingest.text.zones import ZONE_NAMES

_WEEKDAY = r"(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? +)?"
_MONTH = r"(?P<mon>(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))[a-z]{0,6}\.?"
_FRACTION = r"(?:[.,](?P<f>\d{3,9})|\.(?P<g>\d{1,2})|:(?P<ms>\d{1,3}))?"
_HALF = r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
_TIME = rf"(?P<h>\d{{1,2}}):(?P<mi>\d{{1,2}}):(?P<s>\d{{1,2}}){_FRACTION}{_HALF}"
_TIME_MINUTES = rf"(?P<h>\d{{1,2}}):(?P<mi>\d{{2}})(?::(?P<s>\d{{1,2}}){_FRACTION})?{_HALF}"
_TIME_DOTS = r"(?P<h>\d{2})\.(?P<mi>\d{2})\.(?P<s>\d{2})(?:\.(?P<f>\d{1,9}))?"
_TIME_DIGITS = r"(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?"
_OFFSET = r"[+-]\d{2}:?\d{2}"
_ZONE = rf"(?:(?P<zone>Z|[+-]\d{{2}}(?::?\d{{2}})?)| ?(?P<zone2>(?:UTC|GMT)?{_OFFSET}|{'|'.join(ZONE_NAMES)}))?"
_BETWEEN = r"(?:[T_]|[ \t]+(?:- +)?|, *|[-:;] ?)"


@dataclass(frozen=True, slots=True)
class Kind:
    """`pattern` is RE2 as well as Python syntax, without anchors, and `end` what must follow. `groups` are its named
    groups.
    """

    name: str
    pattern: str
    end: str = r"(?:[^0-9A-Za-z]|$)"
    compiled: re.Pattern[str] = field(init=False)
    groups: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        compiled = re.compile(self.pattern + r"(?![0-9A-Za-z])", re.ASCII)
        object.__setattr__(self, "compiled", compiled)
        object.__setattr__(self, "groups", frozenset(compiled.groupindex))


# RE2 cannot look ahead: what follows is spelled out, so that asctime's year is never passed over.
_NO_YEAR = r"(?:[^0-9A-Za-z ]| +[^0-9 ]| +\d{1,3}[^0-9]| +\d{5}|$)"

_YMD = r"(?P<y>\d{4})[-/.](?P<mo>\d{1,2})[-/.](?P<d>\d{1,2})"
_COMPACT = r"(?P<y>(?:19|20)\d{2})(?P<mo>\d{2})(?P<d>\d{2})"
_DAY_MONTH_YEAR = rf"{_WEEKDAY}(?P<d>\d{{1,2}})[-/ ]{_MONTH}[-/ ,]+(?P<y>\d{{4}}|\d{{2}})(?:[ T]+| at |, *|::?)"
_MONTH_DAY = rf"{_WEEKDAY}{_MONTH} +(?P<d>\d{{1,2}})"

TIME_ONLY = Kind("time", rf"{_TIME}{_ZONE}")

KINDS = (
    # 2015-10-18 18:01:47,978  2016-05-16T00:00:00.008Z  2020/01/31 10:00  2017.05.16-13:53:08 +0200
    Kind("year-month-day", rf"{_YMD}{_BETWEEN}{_TIME_MINUTES}{_ZONE}"),
    # 2005-06-03-15.42.50.363779
    Kind("year-month-day.dots", rf"{_YMD}{_BETWEEN}{_TIME_DOTS}{_ZONE}"),
    # 20171223-22:15:29:606
    Kind("yearmonthday", rf"{_COMPACT}[-T_ ]{_TIME}{_ZONE}"),
    # 20200131T101112Z  20200131 101112.123  20200131101112
    Kind("yearmonthday.digits", rf"{_COMPACT}[-T_ ]?{_TIME_DIGITS}{_ZONE}"),
    # 31/12/2020 10:00:00  12-31-20, 10:00:00 PM  17/06/09 20:10:40
    Kind(
        "numeric",
        rf"(?P<a>\d{{1,2}})(?P<mark>[-/.])(?P<b>\d{{1,2}})[-/.](?P<c>\d{{4}}|\d{{2}}){_BETWEEN}{_TIME_MINUTES}{_ZONE}",
    ),
    # 10/Oct/2000:13:55:36 -0700  01-Jan-2020 00:00:00.000  Fri, 01 Jan 2020 00:00:00 GMT  1-Jan-2020::00:00:00
    Kind("day-month-year", rf"{_DAY_MONTH_YEAR}{_TIME_MINUTES}{_ZONE}"),
    # Jan 01, 2020 12:00:00 AM
    Kind("month-day-year", rf"{_MONTH_DAY}(?:st|nd|rd|th)?,? +(?P<y>\d{{4}}),?(?: at)? +{_TIME_MINUTES}{_ZONE}"),
    # Sun Dec 04 04:47:44 2005  Thu Jun  9 12:00:00.123456 UTC 2011
    Kind("asctime", rf"{_MONTH_DAY} +{_TIME}{_ZONE} +(?P<y>(?:19|20)\d{{2}})"),
    # Jul  1 09:00:55
    Kind("month-day", rf"{_MONTH_DAY},? +{_TIME}{_ZONE}", end=_NO_YEAR),
    # 03-17 16:13:38.811  10.30 16:49:06
    Kind("numeric.short", rf"(?P<a>\d{{2}})(?P<mark>[-/.])(?P<b>\d{{2}})[ T]+{_TIME}{_ZONE}"),
    # 081109 20:36:15
    Kind("yymmdd", rf"(?P<y>\d{{2}})(?P<mo>\d{{2}})(?P<d>\d{{2}}) +{_TIME}{_ZONE}"),
    # 081109 203615
    Kind("yymmdd.digits", rf"(?P<y>\d{{2}})(?P<mo>\d{{2}})(?P<d>\d{{2}}) +{_TIME_DIGITS}{_ZONE}"),
    # E0314 12:00:00.000000  I20200314 12:00:00.000000
    Kind("glog", rf"(?P<letter>[IWEFDVT])(?P<y>\d{{4}})?(?P<mo>\d{{2}})(?P<d>\d{{2}}) +{_TIME}"),
    # 1131566461  1286536309.450  1445144423722
    Kind("epoch", r"(?P<e>[12]\d{9}|1\d{12}|1\d{15}|1\d{18})(?:\.(?P<f>\d{1,9}))?"),
    TIME_ONLY,
)
"""In the order in which they are tried at a place: whatever is the beginning of another comes later."""

_GROUP = re.compile(r"\(\?P<\w+>")


def without_groups(pattern: str) -> str:
    """The same pattern, reading nothing out."""
    return _GROUP.sub("(?:", pattern)
