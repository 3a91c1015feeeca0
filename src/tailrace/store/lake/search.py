"""The first rows in order without reading all: which row groups come next, and when enough is known.

Row groups are taken by the time at which they may begin to matter: the newest first, or the oldest. A group that
cannot hold a row before the last of the best rows is never read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count

import numpy as np
import pyarrow as pa

from tailrace.model.batch import IDENTITY, STORED_SCHEMA
from tailrace.store import duck
from tailrace.store.lake.files import DataFile
from tailrace.store.lake.parts import Part, Parts
from tailrace.store.lake.scan import merged
from tailrace.store.port import Order, Selection

# Files that are looked into together where that takes requests to an object store.
_AHEAD = 16


class Best:
    """The first `limit` rows of those added so far, in order."""

    def __init__(self, order: Order, limit: int) -> None:
        self.rows: pa.Table = STORED_SCHEMA.empty_table()
        self._order = order
        self._limit = limit
        direction = "ascending" if order == "asc" else "descending"
        self._keys = [(key, direction) for key in ("timestamp", *IDENTITY)]

    def add(self, rows: pa.Table) -> None:
        """`rows` are in order too."""
        rows = duck.stored(rows)
        if self.rows.num_rows and rows.num_rows:
            rows = pa.concat_tables([self.rows, rows]).sort_by(self._keys)
        self.rows = (rows if rows.num_rows else self.rows).slice(0, self._limit)

    @property
    def bound_us(self) -> int | None:
        """The time of the last row, when no more rows than these are wanted."""
        return duck.cursor_of(self.rows).timestamp_us if self.rows.num_rows == self._limit else None

    def bound_sql(self) -> str:
        """The condition on rows that can still be among the best."""
        bound_us = self.bound_us
        sign = "<=" if self._order == "asc" else ">="
        return "true" if bound_us is None else f"timestamp {sign} {duck.timestamp_literal(bound_us)}"


class Queue:
    """Row groups in the order in which they may matter. Files are looked into only when it is their turn."""

    def __init__(self, parts: Parts, selection: Selection, order: Order, files: Iterable[DataFile]) -> None:
        self._parts = parts
        self._selection = selection
        self._sign = 1 if order == "asc" else -1
        self._tickets = count()
        self._heap: list[tuple[int, int, DataFile | Part]] = []
        for file in files:
            self._push(file)

    def take(self, rows: int, bound_us: int | None) -> list[Part]:
        """The next groups of about so many rows, but none that lies behind the bound; nothing at the end."""
        taken: list[Part] = []
        while self._heap and rows > 0 and (bound_us is None or self._heap[0][0] <= self._sign * bound_us):
            item = heapq.heappop(self._heap)[2]
            if isinstance(item, Part):
                taken.append(item)
                rows -= item.rows
            else:
                self._look_into(item)
        return merged(taken)

    def _look_into(self, file: DataFile) -> None:
        if self._parts.place.is_far:
            next_ones = (item for _, _, item in heapq.nsmallest(_AHEAD, self._heap) if isinstance(item, DataFile))
            self._parts.look_into([file, *next_ones], self._selection)
        part = self._parts.select(file, self._selection)
        if part is not None:
            for group in part.groups.tolist():
                # Exactly: what another step has read must not be found again.
                self._push(part.only(np.array([group]), exactly=True))

    def _push(self, item: DataFile | Part) -> None:
        key = item.first_us if self._sign > 0 else -item.last_us
        heapq.heappush(self._heap, (key, next(self._tickets), item))
