"""Retention: what is deleted from the lake by age, by service and by size.

A file is looked at as a whole, by the arrival of its newest event: all its events of a service go together, never
before their time. Where other services stay, the file is written anew without the ones that go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tailrace.config import RetentionSettings
from tailrace.store.lake.compaction import Unreadable, copied_rows
from tailrace.store.lake.files import DataFile, write_file
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.place_port import INDEX_FOLDER, index_path
from tailrace.store.lake.table import TableState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """`bytes_freed` are free on disk after the vacuum that follows."""

    files_deleted: int
    files_rewritten: int
    events_deleted: int
    bytes_freed: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which events of a file go: those of the services in `services`, or of all but those when `others`."""

    services: frozenset[str]
    others: bool

    def spares_all(self) -> bool:
        return not self.others and not self.services

    def spares_none(self) -> bool:
        return self.others and not self.services

    def mask(self, services: pa.Array) -> pa.Array:
        """True for the events that stay; an event without a service is one of the others."""
        listed = pc.is_in(services, value_set=pa.array(sorted(self.services), pa.string()))
        return listed if self.others else pc.invert(listed)


def verdict(file: DataFile, settings: RetentionSettings, *, now_us: int) -> Verdict:
    """What the ages say of a file. Pure."""

    def is_over(age_s: float | None) -> bool:
        return age_s is not None and file.last_observed_us < now_us - round(age_s * 1_000_000)

    over = frozenset(service for service, age_s in settings.services.items() if is_over(age_s))
    if is_over(settings.age_s):
        return Verdict(frozenset(settings.services) - over, others=True)
    return Verdict(over, others=False)


def retain(lake: Lake, settings: RetentionSettings, *, is_stopping: Callable[[], bool] = lambda: False) -> Retention:
    """Delete what the settings do not keep. Ends early when `is_stopping` says so; raises `RetryLater`."""
    done = _Done()
    now_us = lake.clock()
    for file in list(lake.table.state().files.values()):
        if is_stopping():
            break
        judged = verdict(file, settings, now_us=now_us)
        if judged.spares_none():
            _replace(lake, file, [], done)
        elif not judged.spares_all() and lake.parts.is_sound(file) and _has_any_to_go(lake, file, judged):
            _rewrite(lake, file, judged, done)
    if settings.bytes_max is not None:
        for file in _oldest_beyond(lake, lake.table.state(), settings.bytes_max):
            _replace(lake, file, [], done)
    lake.metrics.lake_events_deleted.inc(done.events)
    return Retention(done.deleted, done.rewritten, done.events, done.bytes)


@dataclass(slots=True)
class _Done:
    deleted: int = 0
    rewritten: int = 0
    events: int = 0
    bytes: int = 0


def _replace(lake: Lake, old: DataFile, new: list[DataFile], done: _Done) -> None:
    state = lake.table.state()
    if not lake.replace([old], new, is_same_data=False, based_on=state):
        return
    if new:
        done.rewritten += 1
    else:
        done.deleted += 1
    done.events += (old.rows or 0) - sum(file.rows or 0 for file in new)
    done.bytes += old.size_bytes - sum(file.size_bytes for file in new)


def _rewrite(lake: Lake, file: DataFile, judged: Verdict, done: _Done) -> None:
    def kept_rows() -> Iterator[pa.RecordBatch]:
        for batch in copied_rows(lake, [file]):
            kept = batch.filter(judged.mask(batch["service"]))
            if kept.num_rows:
                yield kept

    rows = kept_rows()
    try:
        first = next(rows, None)
        if first is None:
            _replace(lake, file, [], done)
            return
        new = write_file(lake.place, file.date, _chained(first, rows))
    except Unreadable as error:
        lake.parts.examine(error.file)
        return
    _replace(lake, file, [new], done)


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _has_any_to_go(lake: Lake, file: DataFile, judged: Verdict) -> bool:
    """Whether the file holds an event that goes: a file must not be written anew for nothing."""
    counts = lake.parts.counts(file)
    if counts is not None:
        services = counts["service"]
    else:
        try:
            with lake.place.held({file.path: file.size_bytes}):
                path = lake.place.local(file.path)
                services = pq.read_table(path, columns=["service"], partitioning=None)["service"]
        except (OSError, pa.ArrowException):
            lake.parts.examine(file)
            return False
    return not pc.all(judged.mask(services.unique())).as_py()


def _oldest_beyond(lake: Lake, state: TableState, bytes_max: int) -> list[DataFile]:
    """The oldest files, as many as must go for the rest to fit."""
    gone = []
    files = sorted(state.files.values(), key=lambda file: (file.last_observed_us, file.path))
    of_index = index_sizes(lake)
    sizes = [file.size_bytes + of_index.get(index_path(file.path), 0) for file in files]
    excess_bytes = sum(sizes) - bytes_max
    for file, size_bytes in zip(files, sizes, strict=True):
        if excess_bytes <= 0:
            break
        gone.append(file)
        excess_bytes -= size_bytes
    return gone


def index_sizes(lake: Lake) -> dict[str, int]:
    """Bytes of the token indexes that are there, by their paths."""
    return {entry.path: entry.size_bytes for entry in lake.place.entries(INDEX_FOLDER)}
