"""The timestamps of a stream of lines, chunk by chunk; the layouts that were learnt are kept for the next chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.text.dates import DateOrder, Reference, learn_order, timestamps_us
from tailrace.ingest.text.layout import Layout, learn_layouts
from tailrace.ingest.text.timestamps import TIME_ONLY

# Lines looked at one by one to learn a layout: enough to tell a column from a coincidence.
_SAMPLE_LINES = 256

# Each round learns the layouts of the lines that the rounds before could not read.
_ROUNDS_MAX = 4

# What every kind of timestamp has somewhere near the beginning of the line.
_STAMP_LIKE = r"^[^\n]{0,200}?(?:\d:\d|\d\.\d\d\.\d|\d{6})"


@dataclass(frozen=True, slots=True)
class Stamps:
    """`times_us` and, for each line, the index of its layout; -1 where the line has no time of its own."""

    times_us: np.ndarray
    layout_of: np.ndarray


class StampReader:
    """Stateful: what it learnt from the first lines holds for those that follow."""

    def __init__(self) -> None:
        self.layouts: list[Layout] = []
        self._orders: dict[Layout, DateOrder] = {}

    def read(self, lines: pa.StringArray, reference: Reference) -> Stamps:
        times_us = np.zeros(len(lines), np.int64)
        layout_of = np.full(len(lines), -1, np.int32)
        open_rows = np.arange(len(lines))
        untried = range(len(self.layouts))
        for round_ in range(_ROUNDS_MAX + 1):
            for index in sorted(untried, key=lambda index: self.layouts[index].rank):
                if not len(open_rows):
                    break
                texts = lines if len(open_rows) == len(lines) else lines.take(pa.array(open_rows))
                hits, found_us = self._extract(self.layouts[index], texts, reference)
                rows = open_rows[hits]
                times_us[rows] = found_us
                layout_of[rows] = index
                open_rows = np.delete(open_rows, hits)
            if not len(open_rows) or round_ == _ROUNDS_MAX:
                break
            if self.layouts:
                like = pc.match_substring_regex(lines.take(pa.array(open_rows)), _STAMP_LIKE)
                open_rows = open_rows[like.to_numpy(zero_copy_only=False)]
            before = len(self.layouts)
            self.layouts += self._learn(lines, open_rows)
            untried = range(before, len(self.layouts))
            if not untried:
                break
        return Stamps(times_us, layout_of)

    def _learn(self, lines: pa.StringArray, rows: np.ndarray) -> list[Layout]:
        """Layouts that are not known yet, from a sample of these rows."""
        if not self.layouts:
            return learn_layouts(lines.take(pa.array(rows[:_SAMPLE_LINES])).to_pylist())
        if len(rows) > _SAMPLE_LINES:
            rows = rows[np.linspace(0, len(rows) - 1, _SAMPLE_LINES).astype(np.int64)]
        # Deeper in the line than is the file's custom, a time is one that the line talks of.
        deepest = max(layout.words_before for layout in self.layouts)
        indented = any(layout.indented for layout in self.layouts)
        known = {layout.place for layout in self.layouts}
        return [
            layout
            for layout in learn_layouts(lines.take(pa.array(rows)).to_pylist(), words_before_max=deepest)
            if layout.place not in known and layout.kind is not TIME_ONLY and (indented or not layout.indented)
        ]

    def _extract(self, layout: Layout, texts: pa.StringArray, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
        """Which of the lines have this layout's time, and that time."""
        found = pc.extract_regex(texts, layout.stamp_pattern)
        hits = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
        if not len(hits):
            return hits, np.zeros(0, np.int64)
        parts = found if len(hits) == len(found) else found.take(pa.array(hits))
        if "a" in layout.kind.groups and layout not in self._orders:
            self._orders[layout] = learn_order(parts, reference)
        found_us, real = timestamps_us(parts, reference, self._orders.get(layout, "ymd"))
        return hits[real], found_us[real]
