"""Timestamps as programs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.ingest.timestamps import oddity_of, parse_timestamp

MOMENT_US = 1_743_156_000_123_456  # 2025-03-28T10:00:00.123456Z
SECOND_US = 1_743_156_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("2025-03-28T10:00:00", SECOND_US),
        ("2025-03-28 10:00:00", SECOND_US),
        ("2025-03-28T10:00:00Z", SECOND_US),
        ("2025-03-28t10:00:00z", SECOND_US),
        ("2025-03-28T10:00:00.123456Z", MOMENT_US),
        ("2025-03-28T10:00:00,123456789Z", MOMENT_US),
        ("2025-03-28T10:00:00.1Z", SECOND_US + 100_000),
        ("2025-03-28T12:00:00+02:00", SECOND_US),
        ("2025-03-28T12:00:00+0200", SECOND_US),
        ("2025-03-28T12:00:00+02", SECOND_US),
        ("2025-03-28 04:30:00-05:30", SECOND_US),
        ("2025-03-28 10:00:00 UTC", SECOND_US),
        ("2025-03-28T10:00", SECOND_US),
        ("2025-03-28", SECOND_US - 36_000_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("1743156000", SECOND_US),
        ("1743156000.123456789", MOMENT_US),
        ("1743156000123", SECOND_US + 123_000),
        ("1743156000123.456", MOMENT_US),
        ("1743156000123456", MOMENT_US),
        ("1743156000123456789", MOMENT_US),
        ("1.743156e9", SECOND_US),
        (" 1743156000 ", SECOND_US),
        ("0", 0),
        ("-1", -1_000_000),
    ],
)
def test_written_so(text: str, expected_us: int) -> None:
    """Each usual way to write a time is read, to the microsecond."""
    assert parse_timestamp(text) == expected_us


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2025-02-29", "2025-13-01", "2025-03-28T24:00:00", "2025-03-28T10:61:00", "2025-03-28T10:00:61",
     "2025-03-28T10:00:00.1234567890", "2025-03-28T10:00:00+25:00", "2025-03-28T", "0x10", "1e999", "NaN", "1_000",
     "٢٠٢٥-03-28", "2025-03-28T10:00:00Z trailing"],
)  # fmt: skip
def test_not_a_time(text: str) -> None:
    """What is no time is said to be none."""
    assert parse_timestamp(text) is None


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-1439, 1439))
def test_iso_of_any_moment(moment: datetime, offset_minutes: int) -> None:
    """Any moment in any zone, as Python writes it, is read back."""
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    assert parse_timestamp(zoned.isoformat()) == (zoned - EPOCH) // timedelta(microseconds=1)


@settings(deadline=None)
@given(st.integers(min_value=200_000_000, max_value=9_000_000_000))
def test_units_by_size(second: int) -> None:
    """From 1976 to 2255, a number means the same time in seconds, milli-, micro- and nanoseconds."""
    assert {parse_timestamp(str(second * unit)) for unit in (1, 10**3, 10**6, 10**9)} == {second * 1_000_000}


@settings(deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    """No text raises, and what is read fits 64 bits."""
    timestamp_us = parse_timestamp(text)
    assert timestamp_us is None or abs(timestamp_us) < 1 << 63


def test_oddity() -> None:
    """Both bounds are believed, and one microsecond past them is odd."""
    limits = IngestSettings(timestamp_past_max_s=10, timestamp_future_max_s=5)
    now_us = 1_000_000_000
    assert oddity_of(now_us - 10_000_000, limits=limits, now_us=now_us) is None
    assert oddity_of(now_us - 10_000_001, limits=limits, now_us=now_us) == "too_far_past"
    assert oddity_of(now_us + 5_000_000, limits=limits, now_us=now_us) is None
    assert oddity_of(now_us + 5_000_001, limits=limits, now_us=now_us) == "too_far_future"
