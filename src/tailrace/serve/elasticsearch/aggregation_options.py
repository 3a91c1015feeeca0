"""What an aggregation of each kind may be told besides its field: read, checked, and with what is left unsaid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tailrace.errors import QueryError
from tailrace.serve.elasticsearch.date_buckets import date_buckets

Options = Mapping[str, Any]

_KNOWN: Mapping[str, frozenset[str]] = {
    "date_histogram": frozenset(
        {
            *("fixed_interval", "calendar_interval", "interval", "time_zone", "offset"),
            *("min_doc_count", "extended_bounds", "format"),
        }
    ),
    "histogram": frozenset({"interval", "offset", "min_doc_count"}),
    "terms": frozenset({"size", "order", "missing", "min_doc_count"}),
    "filters": frozenset({"filters"}),
    "extended_stats": frozenset({"sigma"}),
    "percentiles": frozenset({"percents", "keyed"}),
}
# What changes nothing here: how shards count, and how exactly.
_NEUTRAL = frozenset(
    {
        *("field", "shard_size", "shard_min_doc_count", "show_term_doc_count_error", "collect_mode"),
        *("execution_hint", "precision_threshold", "rehash", "tdigest", "hdr"),
    }
)
_ISO_FORMATS = frozenset(
    {
        None,
        "iso8601",
        *(f"{strict}{name}" for strict in ("", "strict_") for name in ("date_time", "date_optional_time")),
    }
)
_PERCENTS = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)
_TERMS = 10


def options_of(name: str, kind: str, body: Mapping[str, Any]) -> Options:
    """As the reader of the kind names them. Raises `QueryError` for what is wrong, or not supported."""
    what = f"{kind} of {name!r}"
    known = _KNOWN.get(kind, frozenset()) | _NEUTRAL
    unknown = sorted(
        option for option, value in body.items() if option not in known and value is not None and value is not False
    )
    if unknown:
        raise QueryError(f"{what}: {unknown[0]!r} is not supported")
    read = _READERS.get(kind)
    return {} if read is None else read(what, body)


def _date_histogram(what: str, body: Mapping[str, Any]) -> Options:
    """`bounds_us`: between which times, None for none, there are buckets also without events."""
    form, bounds = body.get("format"), body.get("extended_bounds") or {}
    if form != "epoch_millis" and form not in _ISO_FORMATS:
        raise QueryError(f"{what}: the format {form!r} is not supported; keys are ISO 8601 or epoch_millis")
    try:
        low, high = (None if bounds.get(end) is None else int(bounds[end]) * 1000 for end in ("min", "max"))
    except (AttributeError, TypeError, ValueError) as error:
        raise QueryError(f"{what}: extended_bounds are epochs in milliseconds") from error
    return {
        "buckets": date_buckets(body),
        "bounds_us": (low, high),
        "keys_in_ms": form == "epoch_millis",
        "min_doc_count": _whole(what, body, "min_doc_count", 0),
    }


def _histogram(what: str, body: Mapping[str, Any]) -> Options:
    interval = _number(what, body, "interval", math.nan)
    if not interval > 0:
        raise QueryError(f"{what}: interval has to be a number above 0")
    return {
        "interval": interval,
        "offset": _number(what, body, "offset", 0.0),
        "min_doc_count": _whole(what, body, "min_doc_count", 0),
    }


def _terms(what: str, body: Mapping[str, Any]) -> Options:
    """`orders`: what is sorted by and how, the most important first; `missing` stands in for what is not there."""
    asked = body.get("order") or {"_count": "desc"}
    orders: list[tuple[str, Any]] = []
    for each in asked if isinstance(asked, list) else [asked]:
        if not isinstance(each, dict) or any(direction not in ("asc", "desc") for direction in each.values()):
            raise QueryError(f'{what}: the order is an object like {{"_count": "desc"}}')
        orders += each.items()
    missing = body.get("missing")
    return {
        "size": _whole(what, body, "size", _TERMS, least=1),
        "orders": orders,
        "missing": None if missing is None else str(missing),
        "min_doc_count": _whole(what, body, "min_doc_count", 1),
    }


def _percentiles(what: str, body: Mapping[str, Any]) -> Options:
    asked = body.get("percents", _PERCENTS)
    try:
        percents = [float(percent) for percent in asked]
    except (TypeError, ValueError):
        percents = [math.nan]
    if isinstance(asked, str) or not all(0 <= percent <= 100 for percent in percents):
        raise QueryError(f"{what}: percents are a list of numbers from 0 to 100")
    return {"percents": percents, "keyed": body.get("keyed") is not False}


def _extended_stats(what: str, body: Mapping[str, Any]) -> Options:
    return {"sigma": _number(what, body, "sigma", 2.0)}


_READERS: Mapping[str, Callable[[str, Mapping[str, Any]], Options]] = {
    "date_histogram": _date_histogram,
    "histogram": _histogram,
    "terms": _terms,
    "percentiles": _percentiles,
    "extended_stats": _extended_stats,
}


def _whole(what: str, body: Mapping[str, Any], option: str, default: int, *, least: int = 0) -> int:
    value = body.get(option)
    try:
        number = default if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < least:
        raise QueryError(f"{what}: {option} has to be a whole number from {least} on")
    return number


def _number(what: str, body: Mapping[str, Any], option: str, default: float) -> float:
    value = body.get(option)
    try:
        number = default if value is None else float(value)
    except (TypeError, ValueError):
        number = math.inf
    if math.isinf(number) or (value is not None and math.isnan(number)):
        raise QueryError(f"{what}: {option} has to be a number")
    return number
