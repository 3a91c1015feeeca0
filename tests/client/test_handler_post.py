"""What answers mean, and how long to wait: pure functions."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.handler.post import Away, Delivered, Refused, backoff_s, outcome

NOW_S = 1_743_156_000.0


def answer(status: int, text: bytes = b"", retry_after: str | None = None) -> object:
    return outcome(status, text, retry_after, count=10, now_s=NOW_S)


@given(st.integers(200, 299), st.binary())
def test_any_2xx_is_delivered_whatever_its_body(status: int, text: bytes) -> None:
    """A body that is not ours (a proxy's) never makes a delivered batch come again."""
    delivered = answer(status, text)
    assert isinstance(delivered, Delivered)
    assert 0 <= delivered.rejected <= 10


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_answers_about_the_body_are_final(status: int) -> None:
    """The same body would be refused again."""
    refused = answer(status)
    assert isinstance(refused, Refused)
    assert refused.too_large == (status == 413)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 425, 429, 500, 502, 503, 504])
def test_answers_about_the_way_are_not(status: int) -> None:
    """A wrong token or a proxy without a backend can be mended; the events wait."""
    assert isinstance(answer(status), Away)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("7", 7),
        (" 7 ", 7),
        ("100000", 300),
        ("-5", 0),
        ("soon", 0),
        ("²", 0),
        (formatdate(NOW_S + 20, usegmt=True), 20),
        (formatdate(NOW_S - 20, usegmt=True), 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: int) -> None:
    """RFC 9110, 10.2.3; capped, and nonsense counts as none."""
    away = answer(503, retry_after=header)
    assert isinstance(away, Away)
    assert away.retry_after_s == seconds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_grows_to_a_bound(attempt: int, fraction: float) -> None:
    """Never less than an eighth of a second, never more than thirty, and never less than half of the ceiling."""
    assert 0.125 <= backoff_s(attempt, fraction) <= 30
    assert backoff_s(attempt + 1, 0) >= backoff_s(attempt, 0)
