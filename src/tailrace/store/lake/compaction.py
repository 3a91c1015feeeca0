"""Compaction: many small files become few, with the same rows of the same identity.

A flush every two seconds makes 43,200 files a day. Files of about the same size are joined eight at a time, each join
making a file of the next size, so that a row is written again about once for each factor of eight; what is left of a
day that is over is joined at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tailrace.config import LakeSettings
from tailrace.errors import TailraceError
from tailrace.store.lake.files import DAY_US, DataFile, date_of_day, read_groups, write_file
from tailrace.store.lake.lake import Lake

log = logging.getLogger(__name__)

_FACTOR = 8


@dataclass(frozen=True, slots=True)
class Compaction:
    """`files_before` were replaced by `files_after`; both hold `rows`."""

    files_before: int = 0
    files_after: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


class Unreadable(TailraceError):
    """A file turned out to be damaged while its rows were to be copied."""

    def __init__(self, file: DataFile, reason: Exception) -> None:
        super().__init__(f"{file.path}: {reason}")
        self.file = file


def compact(
    lake: Lake,
    settings: LakeSettings,
    *,
    everything: bool = False,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Compaction:
    """Join what is worth joining, or with `everything` all that is small. Each join is a commit of its own.

    Ends early when `is_stopping` says so. Raises `RetryLater` when the disk refuses.
    """
    state = lake.table.state()
    files = [file for file in state.files.values() if lake.parts.is_sound(file)]
    today = date_of_day(lake.clock() // DAY_US)
    total = Compaction()
    for group in plan(files, settings, today=today, everything=everything):
        if is_stopping():
            break
        done = _join(lake, group)
        total = Compaction(*(a + b for a, b in zip(_figures(total), _figures(done), strict=True)))
    return total


def plan(
    files: Iterable[DataFile], settings: LakeSettings, *, today: str, everything: bool = False
) -> list[list[DataFile]]:
    """Which files are joined to one each. Pure."""
    small: dict[tuple[str, int], list[DataFile]] = {}
    for file in files:
        if file.rows is None or 2 * file.rows > settings.compact_rows or 2 * file.size_bytes > settings.compact_bytes:
            continue
        is_over = everything or file.date < today
        small.setdefault((file.date, -1 if is_over else _tier(file.rows)), []).append(file)
    groups = []
    for (_, tier), candidates in small.items():
        if tier == -1 or len(candidates) >= _FACTOR:
            groups += _packed(sorted(candidates, key=lambda file: (file.first_observed_us, file.path)), settings)
    return groups


def _tier(rows: int) -> int:
    """0 for less than eight rows, and one more for each factor of eight."""
    return (max(rows, 1).bit_length() - 1) // (_FACTOR.bit_length() - 1)


def _packed(files: Sequence[DataFile], settings: LakeSettings) -> list[list[DataFile]]:
    """Cut a list of files, in order, into groups of at most the target's size."""
    groups: list[list[DataFile]] = [[]]
    rows = size_bytes = 0
    for file in files:
        if groups[-1] and (
            rows + (file.rows or 0) > settings.compact_rows or size_bytes + file.size_bytes > settings.compact_bytes
        ):
            groups.append([])
            rows = size_bytes = 0
        groups[-1].append(file)
        rows += file.rows or 0
        size_bytes += file.size_bytes
    return [group for group in groups if len(group) > 1]


def copied_rows(lake: Lake, files: Iterable[DataFile]) -> Iterator[pa.RecordBatch]:
    """The rows of the files, one after the other, a row group at a time. Raises `Unreadable`."""
    for file in files:
        try:
            with lake.place.held({file.path: file.size_bytes}):
                yield from read_groups(lake.place.local(file.path))
        except (OSError, pa.ArrowException) as error:
            raise Unreadable(file, error) from error


def _join(lake: Lake, old: Sequence[DataFile]) -> Compaction:
    state = lake.table.state()
    try:
        new = write_file(lake.place, old[0].date, copied_rows(lake, old))
    except Unreadable as error:
        lake.parts.examine(error.file)
        return Compaction()
    if not lake.replace(old, [new], is_same_data=True, based_on=state):
        return Compaction()
    lake.metrics.lake_compactions.inc()
    return Compaction(
        files_before=len(old),
        files_after=1,
        rows=new.rows or 0,
        bytes_before=sum(file.size_bytes for file in old),
        bytes_after=new.size_bytes,
    )


def _figures(compaction: Compaction) -> tuple[int, ...]:
    return (
        compaction.files_before,
        compaction.files_after,
        compaction.rows,
        compaction.bytes_before,
        compaction.bytes_after,
    )
