"""Stores: where events are kept, and how they are found again.

Two capabilities, because not every store has both: a `Store` is written to by the worker; a `Searchable` answers
queries. Events come as batches of STORED_SCHEMA.

Rows are ordered by `(timestamp, log_partition, log_offset, log_row)`, a total order, so that a cursor can name a
place between two rows for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import pyarrow as pa

from tailrace.query.tree import All, Node

Order = Literal["asc", "desc"]


class Store(Protocol):
    """Written by one worker thread."""

    name: str

    def reached(self) -> Mapping[int, int]:
        """For each partition the offset of the next record that this store lacks: its own durable progress."""
        ...

    def write(self, batches: Sequence[pa.RecordBatch], through: Mapping[int, int]) -> None:
        """Keep the events; **durable on return**, together with the progress `through`.

        `through` gives the next offset of each partition after these batches (records without events count).
        The batches hold every event from `reached()` to `through`, or start below it. Idempotent: events of
        offsets below `reached()` are left out, so a replay changes nothing, nor does a second writer that still
        believes a partition is its own. Raises `RetryLater` while the place is away, full, or being written to by
        somebody else at that moment; the same call later completes what was done in part.
        """
        ...

    def close(self) -> None: ...


class Cursor(NamedTuple):
    """A place in the total order: the row that was read last."""

    timestamp_us: int
    partition: int
    offset: int
    row: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events: those that match `where`, with `start_us <= timestamp < end_us` (None: no bound)."""

    where: Node = field(default_factory=All)
    start_us: int | None = None
    end_us: int | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bar of a histogram: `start_us` is a multiple of the interval; `value` None: events without the field."""

    start_us: int
    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class FieldFigure:
    """A field name and the number of selected events that have it."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ValueFigure:
    value: str
    count: int


class Snapshot(Protocol):
    """A frozen view of one store; it never changes while it is held. Shared between threads.

    Every method may raise `QueryError`, and `RetryLater` while the place is away or a time cap is reached.
    """

    reached: Mapping[int, int]
    """Events of offsets below these, and no others, are in this view."""

    def search(self, selection: Selection, *, order: Order, limit: int, after: Cursor | None) -> pa.Table:
        """Up to `limit` rows of STORED_SCHEMA in order, starting behind `after`."""
        ...

    def stream(self, selection: Selection, *, order: Order) -> Iterator[pa.RecordBatch]:
        """Every matching row, in order, in batches of STORED_SCHEMA, with bounded memory."""
        ...

    def count(self, selection: Selection) -> int: ...

    def histogram(self, selection: Selection, *, interval_us: int, by: str | None) -> list[Bucket]:
        """Counts by time and, when `by` names a field, by its value; buckets without events are left out."""
        ...

    def fields(self, selection: Selection) -> list[FieldFigure]:
        """The fields that the selected events have, most frequent first, attributes by their dotted names."""
        ...

    def values(self, selection: Selection, *, field: str, limit: int) -> list[ValueFigure]:
        """The field's values, most frequent first."""
        ...


class Searchable(Protocol):
    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Hold a view: nothing it reads is deleted before it is let go (or before the query time cap is over)."""
        ...


class Subscription(Protocol):
    """A live feed of newly stored batches. `missed` counts events that a slow reader was not given."""

    missed: int

    def take(self, timeout_s: float) -> list[pa.RecordBatch]:
        """What came since the last call; waits up to `timeout_s` for the first batch."""
        ...

    def close(self) -> None: ...


class HotSnapshot(Snapshot, Protocol):
    table: pa.Table
    """Every row of STORED_SCHEMA, in no order."""

    def above(self, reached: Mapping[int, int]) -> HotSnapshot:
        """The part of this view at or above these offsets: what a store that has `reached` them lacks.

        Take the hot snapshot **before** the store's: an event that moves from hot to the store in between is then
        in the store's view, and left out here; the other way round it could be in neither.
        """
        ...


class DeadLetterBox(Protocol):
    """Keeps what could not be decoded or stored."""

    def add(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        """Keep the letters (DEAD_LETTER_SCHEMA), one for each identity `(partition, offset, row)`.

        Durable on return; a letter of an identity that is kept already changes nothing. Raises `RetryLater`.
        """
        ...


class Claims(Protocol):
    """Who was first: so that what is in the log twice is in the stores once."""

    def claim(self, claims: Sequence[tuple[str, int, int]]) -> list[bool]:
        """For each `(key, partition, offset)`: whether that log record is the one that has the key.

        The first record that claims a key has it, for all who ask, until the claim is older than the settings'
        window; asking again gives the same answer. Durable on return. Raises `RetryLater`.
        """
        ...


class HotWriter(Protocol):
    """The newest events, visible the moment the worker has read them; bounded."""

    def put(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Show these events to queries and to the live tail. Idempotent by identity.

        Never waits for room: past its bound the oldest events are let go, and seen again once a store has them. A
        place that is away is no error either, for the same reason.
        """
        ...

    def settle(self, reached: Mapping[int, int]) -> None:
        """Events of offsets below these are in the store now, so they may be let go when room is needed."""
        ...

    def close(self) -> None: ...


class HotReader(Protocol):
    """The newest events as queries and live tails see them, in whatever process those are."""

    def snapshot(self) -> AbstractContextManager[HotSnapshot]:
        """What has arrived here. Raises `RetryLater` where nothing can be said."""
        ...

    def subscribe(self) -> Subscription:
        """Events that arrive from now on, and none from before."""
        ...

    def close(self) -> None: ...


class Hot(HotWriter, HotReader, Protocol):
    """Both in one process."""
