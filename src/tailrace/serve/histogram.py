"""From the buckets a snapshot counts to the figure people look at: no gaps, few series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tailrace.errors import BadInput
from tailrace.store.port import Bucket

BUCKETS_MAX = 10_000
SERIES_MAX = 20
"""More colours than these nobody tells apart; the rest is one series, `others`."""

_BUCKETS_WANTED_MAX = 75
_S = 1_000_000
_STEPS_US = tuple(
    [1000, 5000, 10_000, 50_000, 100_000, 500_000]
    + [s * _S for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)]
    + [h * 3600 * _S for h in (1, 3, 6, 12)]
    + [d * 86400 * _S for d in (1, 2, 7, 14, 30, 90, 365)]
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Figure:
    """A histogram over [start_us, end_us), split by the field `by` (None: not split)."""

    start_us: int
    end_us: int
    interval_us: int
    by: str | None


def nice_interval_us(range_us: int) -> int:
    """The smallest customary step that gives at most about 75 buckets, so 60 for an hour."""
    for step_us in _STEPS_US:
        if range_us <= step_us * _BUCKETS_WANTED_MAX:
            return step_us
    years = -(-range_us // (_STEPS_US[-1] * _BUCKETS_WANTED_MAX))
    return _STEPS_US[-1] * years


def check_buckets(figure: Figure) -> None:
    """Raises `BadInput` for an interval that is too narrow for its range."""
    buckets = (figure.end_us - figure.start_us) // figure.interval_us
    if buckets > BUCKETS_MAX:
        raise BadInput(
            f"the interval gives {buckets:,} buckets, more than {BUCKETS_MAX:,}; widen it, or narrow the range"
        )


def histogram_json(figure: Figure, buckets: Sequence[Bucket]) -> dict[str, Any]:
    """The answer of `/api/histogram`, with a bucket for every interval of the range."""
    totals: Counter[str | None] = Counter()
    for bucket in buckets:
        totals[bucket.value] += bucket.count
    absent = totals.pop(None, 0) if figure.by is not None else 0
    kept = [value for value, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0] or ""))[:SERIES_MAX]]
    series = [{"kind": "value", "value": value, "count": totals[value]} for value in kept]
    place = {value: index for index, value in enumerate(kept)}
    others_place = absent_place = len(series)
    if len(totals) > len(kept):
        others = totals.total() - sum(totals[value] for value in kept)
        series.append({"kind": "others", "value": None, "count": others})
        absent_place += 1
    if absent:
        place[None] = absent_place
        series.append({"kind": "absent", "value": None, "count": absent})
    if figure.by is None:
        series, place, others_place = [], {}, -1
    counts: dict[int, list[int]] = {}
    sums: Counter[int] = Counter()
    for bucket in buckets:
        row = counts.setdefault(bucket.start_us, [0] * len(series))
        sums[bucket.start_us] += bucket.count
        if figure.by is not None:
            row[place.get(bucket.value, others_place)] += bucket.count
    return {
        "interval_s": figure.interval_us / _S,
        "by": figure.by,
        "count": sums.total(),
        "series": series,
        "buckets": [
            {
                "start": time_text(start_us),
                "end": time_text(start_us + figure.interval_us - 1),
                "count": sums[start_us],
                "counts": counts.get(start_us, [0] * len(series)),
            }
            for start_us in _starts(figure)
        ],
    }


def _starts(figure: Figure) -> range:
    first_us = figure.start_us - figure.start_us % figure.interval_us
    return range(first_us, figure.end_us, figure.interval_us)


def time_text(timestamp_us: int) -> str:
    """ISO 8601 in UTC with six decimal places."""
    return (_EPOCH + timedelta(microseconds=timestamp_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
