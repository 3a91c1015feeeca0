"""What is known of the lake's files without reading their rows: where their row groups are, and what can be in them.

Footers, token indexes and counts are read once and kept, the least recently used going first. A file, or a row
group, that turned out to be damaged is left out from then on.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tailrace.errors import QueryError
from tailrace.ops.metrics import Metrics
from tailrace.query.tokens import Unknown, required_tokens
from tailrace.store.lake.files import ROW_GROUP_ROWS, DataFile, read_group
from tailrace.store.lake.place_port import Place, index_path
from tailrace.store.port import Selection
from tailrace.store.token_index.index import DamagedIndex, TokenIndex

log = logging.getLogger(__name__)

T = TypeVar("T")
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# The part of a footer that is kept is about a kilobyte, an open index a mapping and some kilobytes: at a million
# rows a file, enough for four billion events.
_FOOTERS_MAX = 4096
_INDEXES_MAX = 4096
_COUNTS_BYTES_MAX = 64 << 20

# Requests to an object store at once: each waits for it most of the time.
_FETCHES = 8

_EARLIEST_US, _LATEST_US = -(1 << 63), (1 << 63) - 1
"""Bounds of a row group without usable statistics, as another program may write one."""


@dataclass(frozen=True, slots=True)
class Footer:
    """The row groups of a file: where each begins, its length, and bounds of its times."""

    starts: Numbers
    rows: Numbers
    first_us: Numbers
    last_us: Numbers

    def overlaps(self, start_us: int | None, end_us: int | None) -> Flags:
        """The groups that may hold a time with `start_us <= time < end_us`."""
        chosen = np.ones(len(self.rows), np.bool_)
        if start_us is not None:
            chosen &= self.last_us >= start_us
        if end_us is not None:
            chosen &= self.first_us < end_us
        return chosen

    def lies_within(self, start_us: int | None, end_us: int | None) -> Flags:
        """The groups whose times are all `start_us <= time < end_us`."""
        chosen = np.ones(len(self.rows), np.bool_)
        if start_us is not None:
            chosen &= self.first_us >= start_us
        if end_us is not None:
            chosen &= self.last_us < end_us
        return chosen


@dataclass(frozen=True, slots=True)
class Part:
    """Row groups of one file, by number in rising order, at least one. `exactly`: the others must not be read."""

    file: DataFile
    footer: Footer
    groups: Numbers
    exactly: bool = False

    @property
    def rows(self) -> int:
        return int(self.footer.rows[self.groups].sum())

    @property
    def first_us(self) -> int:
        return int(self.footer.first_us[self.groups].min())

    @property
    def last_us(self) -> int:
        return int(self.footer.last_us[self.groups].max())

    def only(self, groups: Numbers, *, exactly: bool = False) -> Part:
        return Part(self.file, self.footer, groups, self.exactly or exactly)


class Parts:
    """Looks into the files of one lake. Shared between threads.

    `is_current(path)` says whether the table still names a file: one that it does not may be gone by now.
    """

    def __init__(self, place: Place, *, is_current: Callable[[str], bool], metrics: Metrics) -> None:
        self.place = place
        self._is_current = is_current
        self._metrics = metrics
        self._footers: _Kept[Footer] = _Kept(_FOOTERS_MAX)
        self._indexes: _Kept[TokenIndex | None] = _Kept(_INDEXES_MAX)
        self._counts: _Kept[pa.Table | None] = _Kept(_COUNTS_BYTES_MAX, lambda counts: counts.nbytes if counts else 0)
        self._lost_indexes: set[str] = set()
        self._damaged_files: set[str] = set()
        self._damaged_groups: dict[str, frozenset[int]] = {}

    def select(self, file: DataFile, selection: Selection) -> Part | None:
        """The row groups of the file that may hold a selected row."""
        footer = self._footer(file)
        if footer is None:
            return None
        chosen = footer.overlaps(selection.start_us, selection.end_us)
        required = required_tokens(selection.where)
        if not isinstance(required, Unknown) and chosen.any():
            possible = self.ask_index(file, lambda index: index.candidates(required))
            if possible is not None and len(possible) == len(chosen):
                chosen &= possible
        damaged = self._damaged_groups.get(file.path, frozenset())
        chosen[list(damaged)] = False
        groups = np.flatnonzero(chosen)
        return Part(file, footer, groups, exactly=bool(damaged)) if len(groups) else None

    def look_into(self, files: Sequence[DataFile], selection: Selection) -> None:
        """Fetch side by side what `select` of these files needs and does not have; nothing where files are near."""
        if not self.place.is_far:
            return
        by_index = not isinstance(required_tokens(selection.where), Unknown)
        unknown = [
            file
            for file in files
            if not self._footers.has(file.path) or (by_index and not self._indexes.has(file.name))
        ]
        if len(unknown) > 1:
            with ThreadPoolExecutor(min(_FETCHES, len(unknown)), thread_name_prefix="lake parts") as pool:
                for _ in pool.map(lambda file: self._prepare(file, by_index), unknown):
                    pass

    def _prepare(self, file: DataFile, by_index: bool) -> None:
        self._footer(file)
        if by_index:
            self.ask_index(file, lambda index: index.row_group_rows)

    def is_sound(self, file: DataFile) -> bool:
        """Whether no damage of the file is known."""
        return file.path not in self._damaged_files and file.path not in self._damaged_groups

    def ask_index(self, file: DataFile, ask: Callable[[TokenIndex], T]) -> T | None:
        """What the file's token index says; None when it has none, or a damaged one."""
        index = self._indexes.get(file.name, lambda: self._open_index(file))
        try:
            return None if index is None else ask(index)
        except DamagedIndex as error:
            self._lose_index(file.name, error)
            self._indexes.put(file.name, None)
            return None

    def counts(self, file: DataFile) -> pa.Table | None:
        """Events by minute, level and service, as the file's index has them; None when they must be counted."""
        return self._counts.get(file.name, lambda: self.ask_index(file, lambda index: index.counts))

    def gather_counts(self, files: Sequence[DataFile]) -> None:
        """Fetch side by side what `counts` of these files needs; nothing where files are near."""
        unknown = [file for file in files if not self._counts.has(file.name)] if self.place.is_far else []
        if len(unknown) > 1:
            with ThreadPoolExecutor(min(_FETCHES, len(unknown)), thread_name_prefix="lake counts") as pool:
                for _ in pool.map(self.counts, unknown):
                    pass

    def lost_index(self, file: DataFile) -> bool:
        """Whether its index was found to be damaged."""
        return file.name in self._lost_indexes

    def forget(self, path: str) -> None:
        """The file is gone, or its index was made anew."""
        name = path.rsplit("/", 1)[-1]
        self._lost_indexes.discard(name)
        self._indexes.drop(name)
        self._counts.drop(name)
        self._footers.drop(path)
        self._damaged_files.discard(path)
        self._damaged_groups.pop(path, None)
        self._count_damaged()

    def sound(self, parts: Sequence[Part], error: Exception) -> list[Part]:
        """The parts that can still be read, after reading them gave `error`.

        Damage is looked for by reading: first in files that the error names. Raises `QueryError` when there is none.
        """
        named = [part for part in parts if part.file.name in str(error)]
        for suspects in ([], named, parts):
            found = next((found for part in suspects if (found := self._examine(part.file)) != "sound"), "sound")
            kept = [sound for part in parts if (sound := self._without_damage(part)) is not None]
            if found == "mended" or sum(len(part.groups) for part in kept) < sum(len(part.groups) for part in parts):
                return kept
        raise QueryError(f"DuckDB refuses the query: {error}") from error

    def examine(self, file: DataFile) -> bool:
        """Read the whole file; whether damage was found that was not known."""
        return self._examine(file) == "damaged"

    def _examine(self, file: DataFile) -> Literal["sound", "damaged", "mended"]:
        """`mended`: what was damaged was a copy of the file on this machine, and it is as it should be now."""
        damage = self._damage(file)
        if damage is None:
            return "sound"
        if self.place.mend_copy(file.path):
            damage = self._damage(file)
            if damage is None:
                return "mended"
        if isinstance(damage, Exception):
            return "damaged" if self._note_file(file, damage) else "sound"
        for group, error in damage.items():
            log.error("%s/%s: row group %d is damaged and left out: %s", self.place.name, file.path, group, error)
        self._damaged_groups[file.path] = self._damaged_groups.get(file.path, frozenset()) | damage.keys()
        # What was taken from the table's word for it may be wrong.
        self._footers.drop(file.path)
        self._count_damaged()
        return "damaged"

    def _damage(self, file: DataFile) -> Exception | dict[int, Exception] | None:
        """Why the file cannot be read at all, or the row groups that cannot and were not known to be so."""
        known = self._damaged_groups.get(file.path, frozenset())
        damaged: dict[int, Exception] = {}
        try:
            with (
                self.place.held({file.path: file.size_bytes}),
                pq.ParquetFile(self.place.local(file.path), page_checksum_verification=True) as opened,
            ):
                for group in set(range(opened.num_row_groups)) - known:
                    try:
                        read_group(opened, group)
                    except (OSError, pa.ArrowException) as error:
                        damaged[group] = error
        except (OSError, pa.ArrowException) as error:
            return error
        return damaged or None

    def _without_damage(self, part: Part) -> Part | None:
        if part.file.path in self._damaged_files:
            return None
        damaged = self._damaged_groups.get(part.file.path)
        if not damaged:
            return part
        groups = part.groups[~np.isin(part.groups, list(damaged))]
        return Part(part.file, part.footer, groups, exactly=True) if len(groups) else None

    def _note_file(self, file: DataFile, error: Exception) -> bool:
        if file.path in self._damaged_files:
            return False
        self._damaged_files.add(file.path)
        if self._is_current(file.path):
            log.error(
                "%s/%s: the file is missing or damaged, and its events left out: %s",
                self.place.name,
                file.path,
                error,
            )
        self._count_damaged()
        return True

    def _count_damaged(self) -> None:
        damaged = {*self._damaged_files, *self._damaged_groups}
        self._metrics.lake_damaged_files.set(sum(map(self._is_current, damaged)))

    def _footer(self, file: DataFile) -> Footer | None:
        if file.path in self._damaged_files:
            return None
        try:
            return self._footers.get(file.path, lambda: self._read_footer(file))
        except (OSError, pa.ArrowException) as error:
            self._note_file(file, error)
            return None

    def _read_footer(self, file: DataFile) -> Footer:
        if file.rows is not None and file.rows <= ROW_GROUP_ROWS and self.is_sound(file):
            # There are thousands of these between two compactions: what the table says of them is enough.
            return _one_group(file)
        return footer_of(self.place.footer(file.path))

    def _open_index(self, file: DataFile) -> TokenIndex | None:
        path = index_path(file.path)
        try:
            # It stays mapped, whatever becomes of the copy.
            with self.place.held({path: 0}):
                return TokenIndex.open(self.place.local(path))
        except FileNotFoundError:
            return None
        except (OSError, DamagedIndex) as error:
            self._lose_index(file.name, error)
            return None

    def _lose_index(self, name: str, error: Exception) -> None:
        log.warning("a token index cannot be used; until it is made again its file is read whole: %s", error)
        self._lost_indexes.add(name)


def footer_of(metadata: pq.FileMetaData) -> Footer:
    columns = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    column = columns.index("timestamp")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = np.array([group.num_rows for group in groups], np.int64)
    bounds = [_bounds(group.column(column)) for group in groups]
    return Footer(
        starts=np.cumsum(rows) - rows,
        rows=rows,
        first_us=np.array([first for first, _ in bounds], np.int64),
        last_us=np.array([last for _, last in bounds], np.int64),
    )


def _bounds(column: pq.ColumnChunkMetaData) -> tuple[int, int]:
    statistics = column.statistics
    if (
        statistics is None
        or not statistics.has_min_max
        or "timeUnit=microseconds" not in str(statistics.logical_type)
    ):
        return _EARLIEST_US, _LATEST_US
    return statistics.min_raw, statistics.max_raw


def _one_group(file: DataFile) -> Footer:
    def single(value: int | None) -> Numbers:
        return np.array([value], np.int64)

    return Footer(single(0), single(file.rows), single(file.first_us), single(file.last_us))


class _Kept(Generic[T]):
    """What was made for a name, for the names used last. Shared between threads."""

    def __init__(self, weight_max: int, weigh: Callable[[T], int] = lambda _: 1) -> None:
        self._weight_max = weight_max
        self._weigh = weigh
        self._lock = threading.Lock()
        self._weight = 0
        self._kept: OrderedDict[str, T] = OrderedDict()

    def get(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        made = make()
        self.put(name, made)
        return made

    def has(self, name: str) -> bool:
        with self._lock:
            return name in self._kept

    def put(self, name: str, made: T) -> None:
        with self._lock:
            self._take_out(name)
            self._kept[name] = made
            self._weight += self._weigh(made)
            while self._weight > self._weight_max:
                self._take_out(next(iter(self._kept)))

    def drop(self, name: str) -> None:
        with self._lock:
            self._take_out(name)

    def _take_out(self, name: str) -> None:
        if name in self._kept:
            self._weight -= self._weigh(self._kept.pop(name))
