"""What people save in the dashboard, kept in an SQLite file: that of one machine, or a copy of what many share.

Invariants
----------
* A view's id is given once and for all; what was removed does not come back under it.
* The last write wins: a change replaces name, kind and state as a whole.
* Which changes are made depends on the file and the arguments alone, so that copies that are given the same changes
  in the same order are alike. The bounds are therefore asked about before a change is made, by whoever makes it; a
  few changes made at the same instant may pass them by that much.

`docs/formats/saved-views.md` shows the tables.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tailrace.errors import BadInput, NotFound
from tailrace.model.clock import Clock
from tailrace.store.sqlite_file import FileKind, SqliteFile

VIEWS_MAX = 10_000
"""Far more than people can tell apart; a list of them is one answer."""

BYTES_MAX = 64 << 20
"""Of all states together: what the list of them may weigh."""

_FILE = FileKind(
    "saved views",
    application_id=0x74616973,  # "tais"
    format_version=1,
    schema="""
CREATE TABLE views (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX views_updated ON views (updated_us);
CREATE TABLE followed (applied INTEGER NOT NULL);
INSERT INTO followed VALUES (0);
""",
)
_COLUMNS = "id, name, kind, state, created_us, updated_us"

# 72 random bits: nobody guesses one, and no two are the same.
_ID_BYTES = 9


@dataclass(frozen=True, slots=True)
class Content:
    """What a person saves. `state` is a JSON object as text; what is in it is the dashboard's affair."""

    name: str
    kind: str
    state: str


@dataclass(frozen=True, slots=True)
class SavedView:
    id: str
    content: Content
    created_us: int
    updated_us: int


def random_id() -> str:
    """Letters, digits, `-` and `_`, so that it needs no quoting in a link."""
    return secrets.token_urlsafe(_ID_BYTES)


class SavedViews:
    """Shared between threads, and by several processes of one machine. Every change is durable on return.

    Raises `RetryLater` while the file cannot be used (disk full, locked), and `Stop` when it is damaged or not a file
    of saved views.
    """

    def __init__(self, path: str | Path, *, clock: Clock, new_id: Callable[[], str] = random_id) -> None:
        self._clock = clock
        self._new_id = new_id
        self._file = SqliteFile(Path(path), _FILE)

    def list(self) -> Sequence[SavedView]:
        """The last changed first."""
        with self._file.reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM views ORDER BY updated_us DESC, id").fetchall()
        return [_view(*row) for row in rows]

    def get(self, id: str) -> SavedView:
        """Raises `NotFound`."""
        with self._file.reading() as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM views WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no saved view {id}; it may have been deleted")
        return _view(*row)

    def create(self, content: Content) -> SavedView:
        """Under a new id. Raises `BadInput` when there is no room."""
        view = self.draft(content)
        with self.changes() as changes:
            changes.put(view)
        return view

    def change(self, id: str, content: Content) -> SavedView:
        """Raises `NotFound`, and `BadInput` when there is no room."""
        self.check_room(content, new=False)
        with self.changes() as changes:
            changes.change(id, content, at_us=self._clock())
        return self.get(id)

    def remove(self, id: str) -> None:
        """For good. Raises `NotFound`."""
        with self.changes() as changes:
            if not changes.remove(id):
                raise NotFound(f"there is no saved view {id}; it may have been deleted")

    def draft(self, content: Content) -> SavedView:
        """The view that `create` would make. Raises `BadInput` when there is no room."""
        self.check_room(content, new=True)
        now_us = self._clock()
        return SavedView(self._new_id(), content, now_us, now_us)

    def check_room(self, content: Content, *, new: bool) -> None:
        """Raises `BadInput`."""
        with self._file.reading() as db:
            views, size_bytes = db.execute("SELECT count(*), coalesce(sum(length(state)), 0) FROM views").fetchone()
        if new and views >= VIEWS_MAX:
            raise BadInput(f"{VIEWS_MAX:,} views are saved, and there is no room for more; delete some")
        if size_bytes + len(content.state) > BYTES_MAX:
            raise BadInput(
                f"what is saved has reached {BYTES_MAX:,} bytes, and there is no room for more; delete some"
            )

    @contextmanager
    def changes(self) -> Iterator[Changes]:
        """Several changes in one transaction; durable when the block is left."""
        with self._file.transaction() as db:
            yield Changes(db)

    def applied(self) -> int:
        """How far the log of changes, of which this is a copy, was applied: the offset of its next change."""
        with self._file.reading() as db:
            return _applied(db)

    def close(self) -> None:
        self._file.close()


class Changes:
    """What can be done within a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def put(self, view: SavedView) -> None:
        """Changes nothing when there is one of that id."""
        content = view.content
        self._db.execute(
            f"INSERT OR IGNORE INTO views ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
            (view.id, content.name, content.kind, content.state, view.created_us, view.updated_us),
        )

    def change(self, id: str, content: Content, *, at_us: int) -> None:
        """Changes nothing when there is no such view."""
        self._db.execute(
            "UPDATE views SET name = ?, kind = ?, state = ?, updated_us = ? WHERE id = ?",
            (content.name, content.kind, content.state, at_us, id),
        )

    def remove(self, id: str) -> bool:
        """False when there is no such view."""
        return self._db.execute("DELETE FROM views WHERE id = ?", (id,)).rowcount > 0

    def applied(self) -> int:
        return _applied(self._db)

    def set_applied(self, offset: int) -> None:
        self._db.execute("UPDATE followed SET applied = ?", (offset,))


def _applied(db: sqlite3.Connection) -> int:
    offset: int = db.execute("SELECT applied FROM followed").fetchone()[0]
    return offset


def _view(id: str, name: str, kind: str, state: str, created_us: int, updated_us: int) -> SavedView:
    return SavedView(id, Content(name, kind, state), created_us, updated_us)
