"""Range aggregations: from lines to a value for each series and step.

Counts of lines and bytes are added up as the lines come: an event adds one where its windows begin, and takes it away
where they end, so that nothing is kept of it. All else keeps a time and a value for each line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tailrace.errors import QueryError
from tailrace.serve.loki.series import Codes, Labels, SeriesNumbers
from tailrace.serve.loki.steps import Times, Windows

Values = npt.NDArray[np.float64]
Present = npt.NDArray[np.bool_]

CELLS_MAX = 2_000_000
"""Series times steps of one range: 16 MB for each of the few copies that are made of their values."""
_SHARE_VALUES = 16_000_000
"""Of windows, between two looks at the clock; those of them that overlap counted several times."""
_SAMPLE_BYTES = 96
"""What a kept line takes at most while its values are sorted."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Series at every step: `values[series, step]` counts where `present`."""

    labels: list[Labels]
    values: Values
    present: Present


def empty_vector(steps: int) -> Vector:
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), bool))


class Counter:
    """Whole numbers for each line, added up in every window."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._numbers = SeriesNumbers()
        self._changes = np.zeros((2, 0, windows.steps.count + 1), np.int64)

    def add(self, time_us: npt.NDArray[np.int64], codes: Codes, labels: list[Labels], amounts: Codes) -> None:
        numbers = self._numbers.of(codes, labels)
        first, behind = self._windows.steps_of(time_us)
        steps = self._windows.steps.count + 1
        self._grow(len(self._numbers.labels))
        for changes, amount in zip(self._changes, (np.ones_like(amounts), amounts), strict=True):
            flat = changes.reshape(-1)
            np.add.at(flat, numbers * steps + first, amount)
            np.subtract.at(flat, numbers * steps + behind, amount)

    def _grow(self, series: int) -> None:
        have = self._changes.shape[1]
        if series <= have:
            return
        _check_cells(series, self._windows.steps.count)
        more = np.zeros((2, max(series, 2 * have) - have, self._changes.shape[2]), np.int64)
        self._changes = np.concatenate([self._changes, more], axis=1)

    def vector(self, divisor: float) -> Vector:
        """The sums, divided."""
        labels = self._numbers.labels
        counts, sums = np.cumsum(self._changes[:, : len(labels), :-1], axis=2)
        return Vector(labels, sums / divisor, counts > 0)


class Samples:
    """The value of each line, kept until all are here."""

    def __init__(self, windows: Windows, *, bytes_max: int, check_time: Callable[[], None]) -> None:
        """`check_time` is called now and then while values are worked on; what it raises ends that."""
        self._windows = windows
        self._numbers = SeriesNumbers()
        self._parts: list[tuple[npt.NDArray[np.int64], Codes, Values]] = []
        self._count = 0
        self._count_max = bytes_max // _SAMPLE_BYTES
        self._check_time = check_time

    def add(self, time_us: npt.NDArray[np.int64], codes: Codes, labels: list[Labels], values: Values) -> None:
        self._count += len(values)
        if self._count > self._count_max:
            raise QueryError(
                f"the range holds more than {self._count_max:,} values, more than query.memory_bytes_max has room "
                "for; ask for a shorter time range"
            )
        self._parts.append((time_us, self._numbers.of(codes, labels), values))
        _check_cells(len(self._numbers.labels), self._windows.steps.count)

    def vector(self, aggregate: Aggregate) -> Vector:
        labels = self._numbers.labels
        steps = self._windows.steps.count
        result = np.zeros((len(labels), steps))
        present = np.zeros((len(labels), steps), bool)
        if not labels:
            return Vector(labels, result, present)
        time_us, numbers, values = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        order = np.lexsort((time_us, numbers))
        time_ns, numbers, values = time_us[order] * 1000, numbers[order], values[order]
        bounds = np.searchsorted(numbers, np.arange(len(labels) + 1))
        ends_ns = self._windows.ends_ns()
        for series in range(len(labels)):
            part = slice(bounds[series], bounds[series + 1])
            low = np.searchsorted(time_ns[part], ends_ns - self._windows.range_ns, side="right")
            high = np.searchsorted(time_ns[part], ends_ns, side="right")
            some = high > low
            present[series] = some
            filled = np.flatnonzero(some)
            for share in _shares(filled, high - low) if aggregate.by_window else [filled]:
                self._check_time()
                if len(share):
                    result[series, share] = aggregate.of(values[part], low[share], high[share])
        return Vector(labels, result, present)


def _shares(windows: Times, lengths: Times) -> list[Times]:
    """The windows in shares that take about the same time; a window alone takes as long as a thousand values."""
    read = np.cumsum(lengths[windows] + 1_000)
    return np.split(windows, np.flatnonzero(np.diff(read // _SHARE_VALUES)) + 1)


def _check_cells(series: int, steps: int) -> None:
    if series * steps > CELLS_MAX:
        raise QueryError(
            f"the range has {series:,} series of {steps:,} steps, more than can be answered; group it with by (…), "
            "select fewer streams, or take a longer step"
        )


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`of` gives a value for each of the windows `[low, high)` into the values of one series, none of them empty."""

    of: Callable[[Values, Times, Times], Values]
    by_window: bool = False
    """It looks at each value of each window, so that windows over each other are work for each."""


def _reduced(ufunc: np.ufunc) -> Callable[[Values, Times, Times], Values]:
    def aggregate(values: Values, low: Times, high: Times) -> Values:
        padded = np.append(values, 0.0)
        reduced: Values = ufunc.reduceat(padded, np.column_stack((low, high)).ravel())[::2]
        return reduced

    return aggregate


def _sum(values: Values, low: Times, high: Times) -> Values:
    if not np.isfinite(values).all():
        return _reduced(np.add)(values, low, high)
    # 64 bits of mantissa: what is taken away from a sum takes no digit of a double with it.
    sums = np.concatenate(([0], np.cumsum(values.astype(np.longdouble))))
    return (sums[high] - sums[low]).astype(np.float64)


def _mean(values: Values, low: Times, high: Times) -> Values:
    return _sum(values, low, high) / (high - low)


def _variance(values: Values, low: Times, high: Times) -> Values:
    centred = values - values.mean()
    return np.maximum(_mean(centred**2, low, high) - _mean(centred, low, high) ** 2, 0.0)


def _deviation(values: Values, low: Times, high: Times) -> Values:
    return np.sqrt(_variance(values, low, high))


def _increase(values: Values, low: Times, high: Times) -> Values:
    """How much a counter grew; it begins again where it falls."""
    resets = np.append(np.where(values[1:] < values[:-1], values[:-1], 0.0), 0.0)
    last = high - 1
    return values[last] - values[low] + np.where(last > low, _sum(resets, low, np.maximum(last, low)), 0.0)


def quantile(q: float) -> Aggregate:
    """Between two values, the part of the way that the rank lies between them."""

    def aggregate(values: Values, low: Times, high: Times) -> Values:
        if not 0 <= q <= 1:
            return np.full(len(low), -np.inf if q < 0 else np.inf)
        return np.array([_quantile(q, values[a:b]) for a, b in zip(low.tolist(), high.tolist(), strict=True)])

    return Aggregate(aggregate, by_window=True)


def _quantile(q: float, values: Values) -> float:
    rank = q * (len(values) - 1)
    low = int(rank)
    high = min(low + 1, len(values) - 1)
    ranked = np.partition(values, (low, high))
    return float(ranked[low] * (1 - (rank - low)) + ranked[high] * (rank - low))


AGGREGATES: dict[str, Aggregate] = {
    "sum_over_time": Aggregate(_sum),
    "rate": Aggregate(_sum),
    "rate_counter": Aggregate(_increase),
    "avg_over_time": Aggregate(_mean),
    "min_over_time": Aggregate(_reduced(np.minimum), by_window=True),
    "max_over_time": Aggregate(_reduced(np.maximum), by_window=True),
    "stdvar_over_time": Aggregate(_variance),
    "stddev_over_time": Aggregate(_deviation),
    "first_over_time": Aggregate(lambda values, low, high: values[low]),
    "last_over_time": Aggregate(lambda values, low, high: values[high - 1]),
}
"""By the operation's name; `rate`s are still to be divided by the range's seconds."""
