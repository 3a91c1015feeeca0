"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.query.times import parse_absolute_time, parse_time

NOW = datetime(2025, 3, 28, 10, 30, 15, 250, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TICK = timedelta(microseconds=1)


def us(moment: datetime) -> int:
    return (moment - EPOCH) // TICK


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


SPANS: dict[str, tuple[datetime, timedelta]] = {
    "2025": (utc(2025, 1, 1), 365 * DAY),
    "2024": (utc(2024, 1, 1), 366 * DAY),
    "2024-02": (utc(2024, 2, 1), 29 * DAY),
    "2025-12": (utc(2025, 12, 1), 31 * DAY),
    "2025-03-28": (utc(2025, 3, 28), DAY),
    "2025-03-28T10": (utc(2025, 3, 28, 10), HOUR),
    "2025-03-28T10:05": (utc(2025, 3, 28, 10, 5), MINUTE),
    "2025-03-28 10:05:07": (utc(2025, 3, 28, 10, 5, 7), SECOND),
    "2025-03-28t10:05:07z": (utc(2025, 3, 28, 10, 5, 7), SECOND),
    "2025-03-28T10:05:07.25": (utc(2025, 3, 28, 10, 5, 7, 250_000), timedelta(milliseconds=10)),
    "2025-03-28T10:05:07,123456Z": (utc(2025, 3, 28, 10, 5, 7, 123_456), TICK),
    "2025-03-28T10:05:07.123456789Z": (utc(2025, 3, 28, 10, 5, 7, 123_456), TICK),
    "2025-03-28T10:05+02:00": (utc(2025, 3, 28, 8, 5), MINUTE),
    "2025-03-28T10:05:07 -0330": (utc(2025, 3, 28, 13, 35, 7), SECOND),
    "2025-03-28T10:05+02": (utc(2025, 3, 28, 8, 5), MINUTE),
    " 2025-03-28 ": (utc(2025, 3, 28), DAY),
    "1743156000": (utc(2025, 3, 28, 10), SECOND),
    "1743156000.5": (utc(2025, 3, 28, 10, 0, 0, 500_000), timedelta(milliseconds=100)),
    "1743156000123": (utc(2025, 3, 28, 10, 0, 0, 123_000), timedelta(milliseconds=1)),
    "1743156000123456": (utc(2025, 3, 28, 10, 0, 0, 123_456), TICK),
    "1743156000123456789": (utc(2025, 3, 28, 10, 0, 0, 123_456), TICK),
    "now": (NOW, TICK),
    "NOW": (NOW, TICK),
    "today": (utc(2025, 3, 28), DAY),
    "yesterday": (utc(2025, 3, 27), DAY),
    "yesterday 14:00": (utc(2025, 3, 27, 14), MINUTE),
    "today 09:30:01": (utc(2025, 3, 28, 9, 30, 1), SECOND),
    "15m": (NOW - 15 * MINUTE, TICK),
    "15m ago": (NOW - 15 * MINUTE, TICK),
    "-15m": (NOW - 15 * MINUTE, TICK),
    "now-15m": (NOW - 15 * MINUTE, TICK),
    "now - 15 min": (NOW - 15 * MINUTE, TICK),
    "2 Hours ago": (NOW - 2 * HOUR, TICK),
    "90s": (NOW - 90 * SECOND, TICK),
    "250ms": (NOW - timedelta(milliseconds=250), TICK),
    "7d": (NOW - 7 * DAY, TICK),
    "1w": (NOW - 7 * DAY, TICK),
    "30y": (NOW - 30 * 365 * DAY, TICK),
}

NOT_TIMES = (
    *("", "soon", "2025-13", "2025-02-30", "2025-03-28T24:00", "2025-03-28T10:60", "2025-03-28T10:00:60", "0000"),
    *("2025-03-28T10:00+25:00", "2025-3-28", "15", "15x", "15m15s", "now+15m", "999999999999y", "99999y", "1e9"),
    *("20250328", "123456789012345678901", "2025-03-28T10:00 Europe/Berlin", "today 25:00", "٢٠٢٥", "1743156000."),
)


@pytest.mark.parametrize("text", SPANS)
def test_a_time_is_a_span_as_long_as_its_precision(text: str) -> None:
    """Each form names its moment, from its start to the end of what was written."""
    start, length = SPANS[text]
    assert parse_time(text, now_us=us(NOW)) == (us(start), us(start + length))


@pytest.mark.parametrize("text", NOT_TIMES)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Anything else is a QueryError that repeats the text."""
    with pytest.raises(QueryError, match=r"is not a time|years ago") as caught:
        parse_time(text, now_us=us(NOW))
    assert repr(text) in str(caught.value)


def test_the_error_lists_the_accepted_forms() -> None:
    """Who writes a time that is none is told what would be one."""
    with pytest.raises(QueryError, match=r"2025-03-28T10:00.*yesterday 14:00.*15m"):
        parse_time("soon", now_us=0)


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    """9999, which people write for an open end, is a year like any other."""
    assert (
        parse_time("9999", now_us=0)[1]
        == parse_time("9999-12-31", now_us=0)[1]
        == us(utc(9999, 12, 31)) + DAY // TICK
    )


def test_absolute_times_are_told_from_relative_ones() -> None:
    """Only a time that does not depend on now is absolute."""
    assert parse_absolute_time("15m") is parse_absolute_time("yesterday 14:00") is parse_absolute_time("x") is None
    assert parse_absolute_time("2025-03-28") == (us(utc(2025, 3, 28)), us(utc(2025, 3, 29)))


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_python_prints_is_read_back(moment: datetime) -> None:
    """Every moment's ISO text gives the moment."""
    assert parse_time(moment.isoformat(timespec="microseconds"), now_us=0) == (us(moment), us(moment) + 1)


@given(st.text(max_size=30) | st.text("0123456789-:.+TZ nowagyesterdmhs", max_size=25), st.integers(0, 2**52))
def test_no_text_breaks_it(text: str, now_us: int) -> None:
    """Any text is a span that is not empty and fits 64 bits, or a QueryError."""
    try:
        start_us, end_us = parse_time(text, now_us=now_us)
    except QueryError:
        return
    assert -(2**63) < start_us < end_us < 2**63
