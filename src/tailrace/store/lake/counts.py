"""Answers from the counts that are kept with each file: events by minute, level and service.

Whole minutes are counted from them. What the selection's ends cut off from a minute, and files without counts, are
left for a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.to_sql import columns_of
from tailrace.query.tree import Node
from tailrace.store.lake.files import DataFile
from tailrace.store.lake.parts import Parts
from tailrace.store.port import Selection
from tailrace.store.token_index.counts import COUNTS_SCHEMA

MINUTE_US = 60_000_000

COUNTED_FIELDS = frozenset({"level", "service"})


@dataclass(frozen=True, slots=True)
class Scan:
    """What is to be counted by reading: these files, within the selection's time."""

    files: Sequence[DataFile]
    selection: Selection


def is_countable(where: Node, by: str | None = None) -> bool:
    """Whether the counts hold all that decides the answer."""
    return columns_of(where) <= COUNTED_FIELDS and (by is None or by in COUNTED_FIELDS)


def take_counts(parts: Parts, files: Sequence[DataFile], selection: Selection) -> tuple[pa.Table, list[Scan]]:
    """The counts of files that may hold events of the selection's time, and what they do not cover.

    The table has COUNTS_SCHEMA and, of the selection, only the time taken into account.
    """
    start_us, end_us = selection.start_us, selection.end_us
    first_us = None if start_us is None else -(-start_us // MINUTE_US) * MINUTE_US
    last_us = None if end_us is None else end_us // MINUTE_US * MINUTE_US
    if first_us is not None and last_us is not None and first_us >= last_us:
        return COUNTS_SCHEMA.empty_table(), [Scan(files, selection)]
    parts.gather_counts(files)
    tables: list[pa.Table] = []
    counted: list[DataFile] = []
    uncounted: list[DataFile] = []
    for file in files:
        counts = parts.counts(file) if parts.is_sound(file) else None
        if counts is None:
            uncounted.append(file)
        else:
            counted.append(file)
            tables.append(_within(counts, file, first_us, last_us))
    scans = [Scan(uncounted, selection)]
    if first_us != start_us:
        scans.append(Scan(overlapping(counted, start_us, first_us), replace(selection, end_us=first_us)))
    if last_us != end_us:
        scans.append(Scan(overlapping(counted, last_us, end_us), replace(selection, start_us=last_us)))
    return pa.concat_tables([COUNTS_SCHEMA.empty_table(), *tables]), [scan for scan in scans if scan.files]


def overlapping(files: Sequence[DataFile], start_us: int | None, end_us: int | None) -> list[DataFile]:
    """The files that may hold a time with `start_us <= time < end_us`."""
    return [
        file
        for file in files
        if (start_us is None or file.last_us >= start_us) and (end_us is None or file.first_us < end_us)
    ]


def _within(counts: pa.Table, file: DataFile, first_us: int | None, last_us: int | None) -> pa.Table:
    if first_us is not None and file.first_us < first_us:
        counts = counts.filter(pc.greater_equal(counts["minute_us"], first_us))
    if last_us is not None and file.last_us >= last_us:
        counts = counts.filter(pc.less(counts["minute_us"], last_us))
    return counts
