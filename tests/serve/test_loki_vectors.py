from __future__ import annotations

import numpy as np
import pytest

from tailrace.errors import QueryError, RetryLater
from tailrace.query.logql.parse import parse
from tailrace.query.logql.tree import Binary, VectorAggregation
from tailrace.serve.loki import ranges
from tailrace.serve.loki.ranges import AGGREGATES, Aggregate, Samples, Vector, quantile
from tailrace.serve.loki.steps import Steps, Windows
from tailrace.serve.loki.vectors import aggregated, joined

NAN = float("nan")


def vector(*rows: tuple[str, list[float | None]]) -> Vector:
    """A series for each row, with the label `a`; None where it has no value."""
    present = np.array([[value is not None for value in values] for _, values in rows])
    values = np.array([[value or 0.0 for value in values] for _, values in rows])
    return Vector([(("a", name),) for name, _ in rows], values, present)


def shown(found: Vector) -> dict[str, list[float | None]]:
    return {
        dict(labels)["a"]: [value if there else None for value, there in zip(values, present, strict=True)]
        for labels, values, present in zip(found.labels, found.values.tolist(), found.present.tolist(), strict=True)
    }


@pytest.mark.parametrize("operation", ["topk", "bottomk"])
def test_what_is_not_a_number_ranks_before_what_is_not_there(operation: str) -> None:
    """A quotient by nothing is all that there is at the first step."""
    aggregation = parse(f"{operation}(1, vector(1))")
    assert isinstance(aggregation, VectorAggregation)
    found = aggregated(vector(("x", [None, 1.0]), ("y", [NAN, NAN]), ("z", [None, 2.0])), aggregation)
    best = "z" if operation == "topk" else "x"
    assert np.isnan(shown(found)["y"][0] or 0.0)
    assert {name: values[1] for name, values in shown(found).items() if values[1] is not None} == {
        best: 2.0 if operation == "topk" else 1.0
    }


def test_series_that_follow_each_other_are_matched_as_one() -> None:
    """Two pods that are never there together both belong to their service, and are one series of the result."""
    binary = parse("vector(1) + on () vector(1)")
    assert isinstance(binary, Binary)
    left, right = vector(("x", [1.0, None]), ("y", [None, 2.0])), vector(("z", [10.0, 20.0]))
    found = joined(left, right, binary)
    assert found.labels == [()]
    assert found.values.tolist() == [[11.0, 22.0]]
    with pytest.raises(QueryError, match="many-to-one"):
        joined(vector(("x", [1.0, 1.0]), ("y", [None, 2.0])), right, binary)


def samples(check_time: object = lambda: None) -> Samples:
    """A hundred values of one series, a second apart, over ten windows of a minute."""
    windows = Windows(Steps(0, 90 * 10**9, 10 * 10**9), 60 * 10**9, 0)
    made = Samples(windows, bytes_max=1 << 20, check_time=check_time)  # type: ignore[arg-type]
    times_us = np.arange(100) * 1_000_000
    made.add(times_us, np.zeros(100, np.int64), [()], np.sin(np.arange(100.0)))
    return made


@pytest.mark.parametrize("aggregate", [AGGREGATES["min_over_time"], AGGREGATES["max_over_time"], quantile(0.9)])
def test_windows_are_worked_on_in_shares(aggregate: Aggregate, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same values, and a look at the clock before each."""
    whole = samples().vector(aggregate)
    looks: list[None] = []
    monkeypatch.setattr(ranges, "_SHARE_VALUES", 2_500)
    parts = samples(lambda: looks.append(None)).vector(aggregate)
    assert parts.values.tolist() == whole.values.tolist()
    assert len(looks) > 2


def test_values_are_not_worked_on_when_the_time_is_over() -> None:
    """A range of a day at every second would take hours."""

    def over() -> None:
        raise RetryLater("over")

    with pytest.raises(RetryLater):
        samples(over).vector(quantile(0.5))
