"""What the tests of the lake share: a lake somewhere, and events that are easy to tell apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tailrace.config import QuerySettings
from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.place import Place, open_place
from tailrace.store.lake.place_local import LocalPlace
from tailrace.store.port import Selection

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

NOON_US = 1_742_040_000 * SECOND_US
"""2025-03-15T12:00:00Z."""


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_us: int = NOON_US) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


@contextlib.contextmanager
def open_lake(place: Path | Place, clock: Clock | None = None) -> Iterator[Lake]:
    """What is sorted on disk is kept beside a lake in a folder; a lake elsewhere has nothing to sort."""
    beside = place.parent / "temporary" if isinstance(place, Path) else None
    engine = Duck(QuerySettings(), temp_directory=beside)
    opened = open_place(place) if isinstance(place, Path) else place
    lake = Lake(opened, engine=engine, clock=clock or FakeClock(), metrics=Metrics())
    try:
        yield lake
    finally:
        lake.close()
        engine.close()


def folder(lake: Lake) -> Path:
    """Of a lake on local disk."""
    assert isinstance(lake.place, LocalPlace)
    return lake.place.folder


def event(message: str, *, at_us: int = NOON_US, **fields: Any) -> dict[str, Any]:
    return {"timestamp": at_us, "observed_timestamp": at_us, "message": message, **fields}


def stored(events: Sequence[dict[str, Any]], offset: int, partition: int = 0) -> pa.RecordBatch:
    return with_identity(batch_of_rows(events), partition, offset)


def numbered(offset: int, rows: int = 1, **fields: Any) -> pa.RecordBatch:
    """A record whose messages say its offset and row, a second between two records."""
    at_us = fields.pop("at_us", NOON_US + offset * SECOND_US)
    return stored([event(f"{offset}-{row}", at_us=at_us, **fields) for row in range(rows)], offset)


def fill(lake: Lake, offsets: range, rows: int = 1, **fields: Any) -> None:
    """One write, and so one file a day, for each offset."""
    for offset in offsets:
        lake.write([numbered(offset, rows, **fields)], {0: offset + 1})


def messages(lake: Lake, selection: Selection | None = None) -> list[str]:
    """In order."""
    with lake.snapshot() as snapshot:
        batches = list(snapshot.stream(selection or Selection(), order="asc"))
    return [str(text) for text in pa.Table.from_batches(batches, STORED_SCHEMA)["message"].to_pylist()]
