"""The log: durable, ordered, replayable; the only thing between an acknowledgement and the stores.

Words, as Kafka uses them. A *record* is the unit of the log: a payload with a content type. A log has one or
more *partitions*; in each, records have *offsets* that rise by at least one. A *group* is a named reader that
commits how far it has come. An offset that is committed or sought always names the **next** record to read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

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
class LogFigures:
    """How full the log is. `lag_records` and `lag_rows`: what the group has not committed yet."""

    bytes: int
    bytes_max: int
    records: int
    lag_records: Mapping[str, int]
    lag_rows: Mapping[str, int]


class LogReader(Protocol):
    """One member of a group. Not shared between threads, but for `close`."""

    def committed(self) -> Mapping[int, int]:
        """The committed offset of each partition that this member reads; 0 where nothing was committed."""
        ...

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets. A member starts at the committed ones."""
        ...

    def poll(self, *, bytes_max: int, timeout_s: float) -> list[LogRecord]:
        """The next records, in order within a partition, up to about `bytes_max` of payload but at least one.

        Waits up to `timeout_s` for the first; an empty list says that none came. Raises `RetryLater` while the
        log is away.
        """
        ...

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Durable on return: after a restart the group goes on from here."""
        ...

    def close(self) -> None: ...


class Log(Protocol):
    """Shared between threads."""

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        """Append all records or none.

        The future resolves to the `(partition, offset)` of each once they are **durable**: they survive the
        death of the process and of the machine. It fails with `RetryLater` when the log cannot be written (disk
        full, broker away). Raises `SlowDown` at once when the queue of waiting appends, or the backlog of what
        was not read yet, is at its bound.
        """
        ...

    def reader(self, group: str) -> LogReader:
        """Join the group; it is remembered, and nothing it has not committed is trimmed."""
        ...

    def figures(self) -> LogFigures: ...

    def close(self) -> None:
        """Waits for the appends under way, then lets go of the files. Appends after this raise `RetryLater`."""
        ...
