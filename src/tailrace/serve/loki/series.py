"""Lines to series: which lines have the same labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.errors import QueryError
from tailrace.query.logql.tree import Grouping
from tailrace.query.logql.values import quoted
from tailrace.serve.loki.frame import ERROR, ERROR_DETAILS, Frame

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""

NAMES_MAX = 2_000
"""Different labels of one part of the lines: each is a column."""

SERIES_BYTES_MAX = 256 << 20
"""Of the labels of all series of a range, or of the streams of a list."""
_LABEL_BYTES = 200
"""What a label takes as Python objects, beside its value's characters."""

Codes = npt.NDArray[np.int64]


def labels_text(labels: Labels) -> str:
    """`{a="b", c="d"}`"""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in labels) + "}"


def series_of(frame: Frame, grouping: Grouping | None) -> tuple[Codes, list[Labels]]:
    """For each line the number of its series, and the labels of the series; None: every label counts."""
    if grouping is not None and not grouping.without:
        names: Sequence[str] = grouping.names
    else:
        left_out = () if grouping is None else grouping.names
        names = [name for name in (*frame.label_names(), ERROR, ERROR_DETAILS) if name not in left_out]
        if len(names) > NAMES_MAX:
            raise QueryError(f"the lines have more than {NAMES_MAX} different labels; group them with by (…)")
    return grouped({name: frame.get(name) for name in names}, len(frame))


def grouped(columns: dict[str, pa.StringArray], length: int) -> tuple[Codes, list[Labels]]:
    """Rows that are equal in all columns get the same number; null and the empty text are the same: no label."""
    codes: Codes = np.zeros(length, np.int64)
    groups = 1
    for column in columns.values():
        if column.null_count == length:
            continue
        encoded = column.dictionary_encode(null_encoding="encode")
        values = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        # Narrowed after each column, so that the product of two never overflows.
        _, codes = np.unique(codes * (len(encoded.dictionary) + 1) + values, return_inverse=True)
        groups = int(codes.max(initial=0)) + 1
    first = np.full(groups, length, np.int64)
    np.minimum.at(first, codes, np.arange(length))
    if not length:
        return codes, []
    chosen = pa.array(first)
    texts = {name: column.take(chosen).to_pylist() for name, column in columns.items()}
    found = [
        tuple(sorted((name, values[group]) for name, values in texts.items() if values[group]))
        for group in range(groups)
    ]
    return codes, found


class SeriesNumbers:
    """The numbers of series across batches."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        self._numbers: dict[Labels, int] = {}
        self._bytes = 0

    def of(self, codes: Codes, labels: Sequence[Labels]) -> Codes:
        """Numbers that hold for every batch, for numbers that hold for one. Raises `QueryError` for too many."""
        numbers = np.empty(len(labels), np.int64)
        for place, each in enumerate(labels):
            number = self._numbers.setdefault(each, len(self.labels))
            if number == len(self.labels):
                self.labels.append(each)
                self._bytes += sum(_LABEL_BYTES + len(value) for _, value in each)
                if self._bytes > SERIES_BYTES_MAX:
                    raise QueryError(
                        f"the {number:,} series met so far have too many labels to be held in memory; group them "
                        "with by (…), or select fewer streams"
                    )
            numbers[place] = number
        return numbers[codes] if len(labels) else codes
