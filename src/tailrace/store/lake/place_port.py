"""The place of a lake: where its files are. Two implementations: a folder of this machine, and an object store.

All paths are relative to the lake, with `/` between their parts. Data files and token indexes never change once they
are there, so a local copy of one is as good as itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow.parquet as pq

from tailrace.errors import RetryLater, TailraceError

INDEX_FOLDER = "_index"
"""The underscore keeps Delta readers and their cleaners away."""


def index_path(path: str) -> str:
    """Where the token index of a data file is."""
    return f"{INDEX_FOLDER}/{path.rsplit('/', 1)[-1]}.idx"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is there. `changed_s`: when it came, or (in a folder) when it was last touched."""

    path: str
    size_bytes: int
    changed_s: float

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class NotCommitted(RetryLater):
    """A commit that did not happen, and will not happen later either: its files are waste."""


class Place(Protocol):
    """Shared between threads. Every method may raise `RetryLater` while the place is away, and an `OSError` for what
    the local disk refuses; reading a file that is not there raises `FileNotFoundError`.
    """

    name: str
    """As people write it: the folder or the URL."""
    table_uri: str
    storage_options: dict[str, str] | None
    """What deltalake is given to open the table."""
    look_interval_s: float
    """How long the newest commit that was seen may be taken for the newest there is."""
    is_far: bool
    """Whether files are fetched before they are read: better several at once, then."""
    room_bytes: int
    """How much of them one query should have here at once."""

    # The table.

    def prepare(self) -> None:
        """Before the table is opened. Raises `Stop` where that can never succeed."""
        ...

    def refusal(self, error: Exception) -> TailraceError:
        """What an error means while the table is opened: `RetryLater`, or `Stop` where only a person can mend it."""
        ...

    def has_commit(self, version: int) -> bool: ...

    def make_durable(self, first: int, last: int) -> None:
        """Commits of these versions, as far as they are in the log, survive the death of the machine on return."""
        ...

    def is_final(self, error: Exception) -> bool:
        """Whether a commit that gave this error will not happen later: a request that is lost on its way may still
        arrive.
        """
        ...

    def log_names(self) -> list[str]:
        """The files of the table's log: commits, and checkpoints of them."""
        ...

    def read_log(self, name: str) -> bytes: ...

    # Writing.

    def draft(self, path: str) -> Path:
        """Where the data file of this path is to be written before it is published."""
        ...

    def publish(self, path: str, index: bytes) -> None:
        """Put the data file that was drafted, and its token index, in place; both are durable on return."""
        ...

    def put_index(self, path: str, index: bytes) -> None:
        """The token index of the data file `path`; durable on return, and a reader sees the whole of it or none."""
        ...

    def discard(self, path: str) -> None:
        """Delete a data file or its draft, and its index, as far as can be; the cleaner takes what is left."""
        ...

    # Reading.

    def held(self, files: Mapping[str, int]) -> AbstractContextManager[None]:
        """While this is entered the files, given with their sizes (0: not known), are at `local` on this machine.

        Raises `QueryError` when they are more than there is room for.
        """
        ...

    def local(self, path: str) -> Path:
        """Where a file is on this machine while it is held."""
        ...

    def footer(self, path: str) -> pq.FileMetaData:
        """The footer of a data file, without reading the rest."""
        ...

    def mend_copy(self, path: str) -> bool:
        """The local copy of a file cannot be read: fetch it again. Whether that made a difference."""
        ...

    # Upkeep.

    def released(self, path: str) -> None:
        """The table does not name the data file any more, as of now."""
        ...

    def marks_releases(self) -> bool:
        """Whether `Entry.changed_s` counts from `released`."""
        ...

    def entries(self, folder: str | None = None) -> Iterator[Entry]:
        """Data files and token indexes; with a folder, only what is in it."""
        ...

    def delete(self, path: str) -> bool:
        """Whether it was there."""
        ...

    def remove_empty_days(self, today: str) -> None:
        """Folders of days that are over; a flush may just be making today's."""
        ...

    def take_turn(self, now_us: int) -> bool:
        """Whether the upkeep of the lake is this process's now: of several that ask, one is told so at a time."""
        ...

    def close(self) -> None: ...
