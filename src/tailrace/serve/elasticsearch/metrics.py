"""Figures over the events of a bucket. Values that are no numbers are left out; percentiles are exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailrace.query.tree import TIME_FIELDS
from tailrace.serve.elasticsearch.aggregation_tree import Aggregation
from tailrace.serve.elasticsearch.date_buckets import iso_ms

# The names of `stats`, and what each is of the number x.
_STATS = {"count": "count({x})", "min": "min({x})", "max": "max({x})", "avg": "avg({x})", "sum": "sum({x})"}
_EXTENDED = {
    "sum_of_squares": "sum({x} * {x})",
    "variance": "var_pop({x})",
    "std_deviation": "stddev_pop({x})",
    "variance_sampling": "var_samp({x})",
    "std_deviation_sampling": "stddev_samp({x})",
}


def number_sql(asked: Aggregation, column: str) -> str:
    """The value as a DOUBLE, null where it is no number; of a time, milliseconds."""
    x = f"({column} / 1000.0)" if asked.field in TIME_FIELDS else f"TRY_CAST({column} AS DOUBLE)"
    # Infinity and NaN are texts that DuckDB reads as numbers, and JSON has no word for.
    return f"(CASE WHEN isfinite({x}) THEN {x} END)"


def metric_sql(asked: Aggregation, column: str) -> list[str]:
    """Expressions whose values, all DOUBLE, `metric_answer` reads in this order."""
    x = number_sql(asked, column)
    match asked.kind:
        case "value_count":
            parts = [f"count({column})"]
        case "cardinality":
            parts = [f"count(DISTINCT {column})"]
        case "stats":
            parts = [each.format(x=x) for each in _STATS.values()]
        case "extended_stats":
            parts = [each.format(x=x) for each in (_STATS | _EXTENDED).values()]
        case "percentiles":
            parts = [f"quantile_cont({x}, {percent / 100!r})" for percent in asked.options["percents"]]
        case kind:
            parts = [f"{kind}({x})"]
    return [f"CAST({part} AS DOUBLE)" for part in parts]


def metric_answer(asked: Aggregation, values: Sequence[float | None] | None) -> dict[str, Any]:
    """`values` None: there is no event."""
    match asked.kind:
        case "value_count" | "cardinality":
            return {"value": int(values[0] or 0) if values else 0}
        case "stats" | "extended_stats":
            return _stats(asked, values)
        case "percentiles":
            return _percentiles(asked, values)
    value = values[0] if values else None
    answer: dict[str, Any] = {"value": 0.0 if value is None and asked.kind == "sum" else value}
    if value is not None and asked.field in TIME_FIELDS:
        answer["value_as_string"] = iso_ms(int(value * 1000))
    return answer


def _stats(asked: Aggregation, values: Sequence[float | None] | None) -> dict[str, Any]:
    names = [*_STATS, *(_EXTENDED if asked.kind == "extended_stats" else ())]
    answer: dict[str, Any] = dict(zip(names, values or [None] * len(names), strict=True))
    answer["count"] = int(answer["count"] or 0)
    answer["sum"] = answer["sum"] or 0.0
    if asked.kind == "extended_stats":
        answer["variance_population"] = answer["variance"]
        answer["std_deviation_population"] = answer["std_deviation"]
        answer["std_deviation_bounds"] = {
            f"{end}{kind}": _moved(answer["avg"], answer[f"std_deviation{kind}"], sign * asked.options["sigma"])
            for kind in ("", "_population", "_sampling")
            for end, sign in (("upper", 1), ("lower", -1))
        }
    return answer


def _moved(average: float | None, deviation: float | None, times: float) -> float | None:
    return None if average is None or deviation is None else average + times * deviation


def _percentiles(asked: Aggregation, values: Sequence[float | None] | None) -> dict[str, Any]:
    percents = asked.options["percents"]
    found = values or [None] * len(percents)
    if not asked.options["keyed"]:
        pairs = zip(percents, found, strict=True)
        return {"values": [{"key": percent, "value": value} for percent, value in pairs]}
    return {"values": {str(percent): value for percent, value in zip(percents, found, strict=True)}}
