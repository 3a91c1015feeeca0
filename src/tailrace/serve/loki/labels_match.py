"""Columns of labels beside matchers and numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.logql.regexes import whole
from tailrace.query.logql.tree import AllOf, AnyOf, Comparison, Condition, Matcher
from tailrace.query.logql.values import bytes_of, number_of, seconds_of
from tailrace.serve.loki.frame import Frame, Mask, present

READERS: dict[str, Callable[[str], float | None]] = {
    "number": number_of,
    "": number_of,
    "duration": seconds_of,
    "bytes": bytes_of,
}
_COMPARISONS: dict[str, Callable[[npt.NDArray[np.float64], float], Mask]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def matched(column: pa.StringArray, matcher: Matcher) -> Mask:
    """An absent label is the empty text."""
    texts = pc.fill_null(column, "")
    if matcher.operator in ("=", "!="):
        found = pc.equal(texts, pa.scalar(matcher.value))
    else:
        found = pc.match_substring_regex(texts, pattern=whole(matcher.value))
    mask: Mask = found.to_numpy(zero_copy_only=False)
    return mask if matcher.operator in ("=", "=~") else ~mask


def numbers(column: pa.StringArray, read: Callable[[str], float | None]) -> tuple[npt.NDArray[np.float64], Mask]:
    """The values of a column and where they are none; each different text is read once. Null is no number."""
    encoded = column.dictionary_encode()
    found = [read(text) for text in encoded.dictionary.to_pylist()]
    values = np.array([np.nan if value is None else value for value in found] + [np.nan])
    wrong = np.array([value is None for value in found] + [True])
    codes = pc.fill_null(encoded.indices, len(found)).to_numpy(zero_copy_only=False)
    return values[codes], wrong[codes]


def holds(frame: Frame, condition: Condition, among: Mask) -> tuple[Frame, Mask]:
    """Where a condition holds, of the lines `among`; the frame comes back with the errors of values that are none.

    A line whose value cannot be read stays: its error says why.
    """
    match condition:
        case Matcher():
            return frame, matched(frame.get(condition.name), condition) & among
        case Comparison():
            return _compared(frame, condition, among)
        case AllOf(parts):
            mask = among
            for part in parts:
                # As in Loki, each part is looked at, and may leave an error that another branch lets through.
                frame, found = holds(frame, part, among)
                mask = mask & found
            return frame, mask
        case AnyOf(parts):
            mask = np.zeros(len(frame), bool)
            for part in parts:
                frame, found = holds(frame, part, among & ~mask)
                mask = mask | found
            return frame, mask


def _compared(frame: Frame, comparison: Comparison, among: Mask) -> tuple[Frame, Mask]:
    column = frame.get(comparison.name)
    there = present(column) & among
    values, wrong = numbers(column, READERS[comparison.unit])
    with np.errstate(invalid="ignore"):
        fits = _COMPARISONS[comparison.operator](values, comparison.value)
    # What went wrong before is the cause, and is told.
    reason = f"{comparison.name} is not a {comparison.unit}"
    frame = frame.with_errors("LabelFilterErr", there & wrong, reason, first_counts=True)
    return frame, there & (fits | wrong)
