"""The log: durable, ordered, replayable; the only thing between an acknowledgement and the stores.

Words, as Kafka uses them. A *record* is the unit of the log: a payload with a content type. A log has one or
more *partitions*; in each, records have *offsets* that rise by at least one. A *group* is a named reader that
commits how far it has come. An offset that is committed or sought always names the **next** record to read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

DAMAGED = "damaged"
"""Header that the log adds to a record whose bytes are not the ones that were appended; its value says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is appended: `payload` is opaque to the log; `rows` counts the events in it, for the figures."""

    content_type: str
    payload: bytes
    rows: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it is read back, with its place."""

    partition: int
    offset: int
    record: Record


@dataclass(frozen=True, slots=True)
class LogLines:
    """Many records of one partition that hold one JSON document each, as other programs fill a topic.

    `payload` is the documents joined by newlines, none of which is inside a document; document `i` was the record
    at `offsets[i]` (int64, rising). Made by logs that would otherwise hand out an object an event.
    """

    partition: int
    offsets: npt.NDArray[np.int64]
    payload: bytes


@dataclass(frozen=True, slots=True)
class LogFigures:
    """How full the log is. `lag_records` and `lag_rows`: what the group has not committed yet, by group.

    `bytes_max` is 0 where the log sets no bound of its own; `lag_rows` is empty where it cannot know events.
    """

    bytes: int
    bytes_max: int
    records: int
    lag_records: Mapping[str, int]
    lag_rows: Mapping[str, int]


class Assignments(Protocol):
    """Told of the partitions that a member reads, from within `poll`, `keep_alive` and `close`, in their thread."""

    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        """These partitions are the member's from now on; the group has committed these offsets (0: none).

        Answers where to read on, for those where that is not the committed offset. Raises `Stop` to give up.
        """
        ...

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        """After the return another member may read these. `lost`: it may be doing so already, and a commit of them
        would fail; otherwise this is the last time to commit them.
        """
        ...


class LogReader(Protocol):
    """One member of a group. Not shared between threads, but for `close`."""

    def poll(self, *, bytes_max: int, timeout_s: float) -> list[LogRecord | LogLines]:
        """The next records, in order within a partition, up to about `bytes_max` of payload but at least one.

        Waits up to `timeout_s` for the first; an empty list says that none came. Raises `RetryLater` while the
        log is away.
        """
        ...

    def keep_alive(self, timeout_s: float) -> None:
        """Stay a member for so long without reading: what a reader calls while it has no room for more."""
        ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Durable on return: after a restart the group goes on from here."""
        ...

    def close(self) -> None: ...


class Log(Protocol):
    """Shared between threads."""

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        """Append all records; a log with transactions appends all or none.

        The future resolves to the `(partition, offset)` of each once they are **durable**: they survive the
        death of the process and of the machine. It fails with `RetryLater` when the log cannot be written (disk
        full, broker away); some may be there nonetheless, as after any answer that was lost. Raises `SlowDown` at
        once when the queue of waiting appends, or the backlog of what was not read yet, is at its bound.
        """
        ...

    def reader(self, group: str, assignments: Assignments | None = None) -> LogReader:
        """Join the group; it is remembered, and nothing it has not committed is trimmed.

        Without `assignments` the member reads on from where the group has committed.
        """
        ...

    def figures(self) -> LogFigures: ...

    def close(self) -> None:
        """Waits for the appends under way, then lets go of the files. Appends after this raise `RetryLater`."""
        ...
