"""The SQLite file of dead letters and claims: opened, checked, and used in transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailrace.errors import RetryLater, Stop, TailraceError
from tailrace.store import claims

_APPLICATION_ID = 0x7461696D  # "taim": the log's own and one more
_FORMAT_VERSION = 2
_BUSY_S = 5.0

_SCHEMA = (
    """
CREATE TABLE letters (
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    row INTEGER NOT NULL,
    store TEXT NOT NULL,
    observed_us INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    source TEXT NOT NULL,
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    content_type TEXT NOT NULL,
    raw BLOB NOT NULL
);
CREATE UNIQUE INDEX letters_identity ON letters ("offset", partition, row, store);
CREATE INDEX letters_age ON letters (observed_us, size_bytes);
CREATE TABLE dropped (
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    row INTEGER NOT NULL,
    store TEXT NOT NULL,
    PRIMARY KEY ("offset", partition, row, store)
) WITHOUT ROWID;
CREATE TABLE figures (letters INTEGER NOT NULL, bytes INTEGER NOT NULL, pushed_out INTEGER NOT NULL);
INSERT INTO figures VALUES (0, 0, 0);
CREATE TABLE ledger (applied INTEGER NOT NULL);
INSERT INTO ledger VALUES (0);
"""
    + claims.SCHEMA
)


class DeadLettersFile:
    """One connection, shared between threads behind a lock; other processes may have the file open as well.

    Everything raises `RetryLater` while the file cannot be used (disk full, locked), and `Stop` when it is damaged or
    not a file of dead letters.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _translated(path):
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self.transaction() as db:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_FORMAT_VERSION}")
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            found = tuple(db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
            if found != (_APPLICATION_ID, _FORMAT_VERSION):
                raise Stop(f"{self._path}: not a file of dead letters of format {_FORMAT_VERSION}; move it away")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated(self._path):
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
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, path) from error


def _translate(error: sqlite3.Error, path: Path) -> TailraceError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Stop(
            f"{path}: the file of dead letters is damaged ({error}); keep a copy, save what can be read with "
            f"`sqlite3 {path.name} .recover`, and move it and its -wal file away"
        )
    return RetryLater(f"{path}: the dead letters cannot be used now: {error}")
