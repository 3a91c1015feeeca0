"""A small SQLite file of the program's own: opened, checked, and used in transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tailrace.errors import RetryLater, Stop, TailraceError

_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class FileKind:
    """`name` is what people call the contents. `schema` makes a new file of `format_version`."""

    name: str
    application_id: int
    format_version: int
    schema: str


class SqliteFile:
    """One connection, shared between threads behind a lock; other processes may have the file open as well.

    Everything raises `RetryLater` while the file cannot be used (disk full, locked), and `Stop` when it is damaged or
    not a file of this kind.
    """

    def __init__(self, path: Path, kind: FileKind) -> None:
        self._path = path
        self._kind = kind
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._translated():
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        kind = self._kind
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self.transaction() as db:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                for statement in filter(str.strip, kind.schema.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {kind.format_version}")
                db.execute(f"PRAGMA application_id = {kind.application_id}")
            found = tuple(db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
            if found != (kind.application_id, kind.format_version):
                raise Stop(f"{self._path}: not a file of {kind.name} of format {kind.format_version}; move it away")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            yield self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it is durable when the block is left, or none of it happened."""
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error) -> TailraceError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Stop(
                f"{self._path}: the file of {self._kind.name} is damaged ({error}); keep a copy, save what can be "
                f"read with `sqlite3 {self._path.name} .recover`, and move it and its -wal file away"
            )
        return RetryLater(f"{self._path}: the {self._kind.name} cannot be used now: {error}")
