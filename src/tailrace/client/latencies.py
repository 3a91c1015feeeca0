"""Percentiles of durations, in bounded memory: counts in buckets that are 1 % wide."""

from __future__ import annotations

import math
from collections import Counter

_WIDTH = math.log(1.01)


class Latencies:
    """Durations in seconds; a percentile is right to 1 %, `max_s` is exact."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.max_s = 0.0

    def add(self, duration_s: float) -> None:
        self._buckets[round(math.log(max(duration_s, 1e-9)) / _WIDTH)] += 1
        self.count += 1
        self.max_s = max(self.max_s, duration_s)

    def merge(self, other: Latencies) -> None:
        self._buckets.update(other._buckets)
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def percentile_s(self, percent: float) -> float:
        """The duration that `percent` of all are not longer than; 0 when there are none."""
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(math.exp(bucket * _WIDTH), self.max_s)
        return 0.0

    def line(self, *percents: float) -> str:
        """`p50 3.1 ms  p99 12 ms  max 40 ms`, ready to print."""
        figures = [f"p{percent:g} {milliseconds(self.percentile_s(percent))}" for percent in percents]
        return "  ".join([*figures, f"max {milliseconds(self.max_s)}"])


def milliseconds(duration_s: float) -> str:
    """Three digits, in ms or s."""
    if duration_s >= 10:
        return f"{duration_s:.1f} s"
    return f"{duration_s * 1000:.3g} ms" if duration_s < 1 else f"{duration_s:.2f} s"
