"""The parts of timestamps, as columns of digits, to microseconds since 1970: all rows at once.

What a line leaves out is taken from `Reference`: the zone; the year, or the whole date, as the nearest in the past.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.text.zones import zone_offset_s

DateOrder = Literal["ymd", "mdy", "dmy"]

_DAY_US = 86_400_000_000
_MONTHS = pa.array(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])

# A line may be ahead of the reference: clocks differ, and so may time zones that the line does not tell.
_AHEAD_MAX_US = _DAY_US

# 29 February comes back after at most eight years (1896 to 1904).
_LEAP_GAP_YEARS = 8


@dataclass(frozen=True, slots=True)
class Reference:
    """`time_us` is when the lines were written at the latest; `zone_offset_s` is theirs where they tell none."""

    time_us: int
    zone_offset_s: int = 0

    @property
    def year(self) -> int:
        return datetime.fromtimestamp(self.time_us / 1_000_000 + self.zone_offset_s, UTC).year


def timestamps_us(parts: pa.StructArray, reference: Reference, order: DateOrder) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds, and which rows are real times (no 13th month, no 25th hour).

    `parts` has a child for each named group of a kind (see `timestamps`), empty where it took no part.
    """
    columns: dict[str, pa.StringArray] = {field.name: parts.field(index) for index, field in enumerate(parts.type)}
    if "e" in columns:
        return _epoch_us(columns, reference)
    rows = len(parts)
    time_us, valid = _time_of_day_us(columns, rows)
    offset_us = _offsets_us(columns, rows, reference)
    if "mi" in columns and not {"d", "a"} & columns.keys():
        return _nearest_day_us(time_us - offset_us, reference), valid

    if "a" in columns:
        year, month, day = _ordered(columns, order, reference)
    else:
        month = _month_numbers(columns["mon"]) if "mon" in columns else numbers(columns["mo"])
        year, day = _years(columns.get("y"), reference), numbers(columns["d"])
    valid &= (month >= 1) & (month <= 12) & (day >= 1)
    if year is None:
        return _nearest_year_us(month, day, time_us - offset_us, valid, reference)
    missing = year < 0
    valid &= day <= _days_in_month(np.where(missing, 2000, year), month)
    times_us = _days_from_civil(year, month, day) * _DAY_US + time_us - offset_us
    if missing.any():
        nearest_us, real = _nearest_year_us(month, day, time_us - offset_us, valid, reference)
        times_us, valid = np.where(missing, nearest_us, times_us), np.where(missing, real, valid)
    return times_us, valid


def learn_order(parts: pa.StructArray, reference: Reference) -> DateOrder:
    """The order of the parts in numeric dates like 03/04/2020, learnt from all of a file's dates at hand.

    First the order in which most of them are dates at all; then the one in which the day changes more often than
    the month, and the month than the year; then the custom: with four digits of year the month first behind
    slashes (1/31/2020) and the day first otherwise (31.1.2020), with two the year first, as log4j writes it; and
    without a year the month first.
    """
    a, b = numbers(parts.field("a")), numbers(parts.field("b"))
    if parts.type.get_field_index("c") < 0:
        candidates: dict[DateOrder, tuple[np.ndarray, ...]] = {"mdy": (a, b), "dmy": (b, a)}
    else:
        third = parts.field("c")
        c = numbers(third)
        candidates = {"mdy": (a, b, c), "dmy": (b, a, c)}
        if len(parts) and len(third[0].as_py()) == 2:
            candidates = {"ymd": (b, c, a), **candidates}
        elif len(parts) and parts.field("mark")[0].as_py() != "/":
            candidates = {"dmy": (b, a, c), "mdy": (a, b, c)}

    def merit(order: DateOrder) -> tuple[int, int]:
        month, day, *years = candidates[order]
        real = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        kinds = [len(np.unique(day)), len(np.unique(month))]
        for year in years:
            full = _full_years(year, reference)
            real &= full <= reference.year + 1
            kinds.append(len(np.unique(full)))
        disorder = sum(max(0, rarer - commoner) for commoner, rarer in itertools.pairwise(kinds))
        return int(np.count_nonzero(real)), -disorder

    return max(candidates, key=merit)


def numbers(digits: pa.StringArray) -> np.ndarray:
    """Digits to int64; -1 where there are none."""
    filled = pc.if_else(pc.equal(digits, ""), "-1", digits)
    result: np.ndarray = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)
    return result


def _epoch_us(columns: Mapping[str, pa.StringArray], reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    length = pc.utf8_length(columns["e"]).to_numpy()
    unit_us = np.select([length <= 10, length <= 13, length <= 16], [1_000_000, 1_000, 1], 0)
    value = numbers(columns["e"])
    times_us = np.where(unit_us > 0, value * unit_us, value // 1000)
    times_us = times_us + np.where(unit_us == 1_000_000, _fraction_us(columns), 0)
    return times_us, times_us <= reference.time_us + _AHEAD_MAX_US


def _time_of_day_us(columns: Mapping[str, pa.StringArray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    hour, minute = numbers(columns["h"]), numbers(columns["mi"])
    second = np.maximum(numbers(columns["s"]), 0)
    valid = (minute <= 59) & (second <= 60) & (hour <= 23)
    if "half" in columns:
        half = columns["half"]
        pm, am = (pc.is_in(half, pa.array(letters)).to_numpy(False) for letters in (["P", "p"], ["A", "a"]))
        valid &= ~(pm | am) | ((hour >= 1) & (hour <= 12))
        hour = np.where(pm & (hour < 12), hour + 12, np.where(am & (hour == 12), 0, hour))
    return (hour * 3600 + minute * 60 + second) * 1_000_000 + _fraction_us(columns), valid


def _fraction_us(columns: Mapping[str, pa.StringArray]) -> np.ndarray | int:
    total: np.ndarray | int = 0
    for name in ("f", "g"):
        if name in columns:
            digits = pc.utf8_slice_codeunits(pc.ascii_rpad(columns[name], 6, "0"), 0, 6)
            total = total + numbers(digits)
    if "ms" in columns:
        total = total + np.maximum(numbers(columns["ms"]), 0) * 1000
    return total


def _offsets_us(columns: Mapping[str, pa.StringArray], rows: int, reference: Reference) -> np.ndarray:
    offsets = np.full(rows, reference.zone_offset_s * 1_000_000, np.int64)
    for name in ("zone", "zone2"):
        if name not in columns:
            continue
        encoded = columns[name].dictionary_encode()
        known = [zone_offset_s(text) for text in encoded.dictionary.to_pylist()]
        if not any(offset is not None for offset in known):
            continue
        by_code = np.array([np.iinfo(np.int64).min if one is None else one * 1_000_000 for one in known])
        found = by_code[encoded.indices.to_numpy()]
        offsets = np.where(found == np.iinfo(np.int64).min, offsets, found)
    return offsets


def _ordered(
    columns: Mapping[str, pa.StringArray], order: DateOrder, reference: Reference
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    a, b = numbers(columns["a"]), numbers(columns["b"])
    month, day = (b, a) if order == "dmy" else (a, b)
    if "c" not in columns:
        return None, month, day
    c = numbers(columns["c"])
    if order == "ymd":
        return _full_years(a, reference), b, c
    return _full_years(c, reference), month, day


def _years(digits: pa.StringArray | None, reference: Reference) -> np.ndarray | None:
    return None if digits is None else _full_years(numbers(digits), reference)


def _full_years(year: np.ndarray, reference: Reference) -> np.ndarray:
    """Two digits to the nearest year in the past (or the next); -1 and four digits stay."""
    century = reference.year // 100 * 100
    full = np.where(century + year > reference.year + 1, century - 100 + year, century + year)
    result: np.ndarray = np.where((year >= 0) & (year <= 99), full, year)
    return result


def _month_numbers(names: pa.StringArray) -> np.ndarray:
    index = pc.index_in(pc.ascii_lower(names), value_set=_MONTHS)
    result: np.ndarray = pc.fill_null(index, -1).to_numpy().astype(np.int64) + 1
    return result


def _nearest_day_us(time_us: np.ndarray, reference: Reference) -> np.ndarray:
    latest_us = reference.time_us + 60_000_000
    result: np.ndarray = time_us + (latest_us - time_us) // _DAY_US * _DAY_US
    return result


def _nearest_year_us(
    month: np.ndarray, day: np.ndarray, time_us: np.ndarray, valid: np.ndarray, reference: Reference
) -> tuple[np.ndarray, np.ndarray]:
    latest_us = reference.time_us + _AHEAD_MAX_US
    times_us = np.zeros(len(month), np.int64)
    open_rows = valid.copy()
    for year in range(reference.year + 1, reference.year - _LEAP_GAP_YEARS - 1, -1):
        if not open_rows.any():
            break
        years = np.full(len(month), year)
        candidate_us = _days_from_civil(years, month, day) * _DAY_US + time_us
        hit = open_rows & (day <= _days_in_month(years, month)) & (candidate_us <= latest_us)
        times_us = np.where(hit, candidate_us, times_us)
        open_rows &= ~hit
    return times_us, valid & ~open_rows


def _days_in_month(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    result: np.ndarray = lengths[np.clip(month, 0, 12)] + (leap & (month == 2))
    return result


def _days_from_civil(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms, `days_from_civil`)."""
    shifted = year - (month <= 2)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    result: np.ndarray = era * 146097 + day_of_era - 719468
    return result
