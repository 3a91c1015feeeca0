"""The dead letters: what could not be decoded, kept in an SQLite file until somebody mends, replays or drops it.

Invariants
----------
* A letter's identity is `(partition, offset, row)`: the log record it came in and its place in there; as text
  `0-17-3`. Adding it again changes nothing.
* `figures` counts letters and bytes in the same transaction as the letters, so that no figure needs a scan. Past
  `bytes_max` the oldest go, and `figures` counts those too: they are never gone in silence.
* A claim says which log record replays a letter. It outlives the letter, so that a second record made of the same
  letter (a double click) is known even after the letter was dropped.

`docs/formats/dead-letters.md` shows the tables.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tailrace.config import MIB
from tailrace.errors import NotFound, RetryLater, Stop, TailraceError

_APPLICATION_ID = 0x7461696D  # "taim": the log's own and one more
_FORMAT_VERSION = 1
_BUSY_S = 5.0

# What a letter takes besides its texts: the row, its key and its place in the index.
_LETTER_BYTES = 100

_SCHEMA = """
CREATE TABLE letters (
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    row INTEGER NOT NULL,
    observed_us INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    source TEXT NOT NULL,
    line INTEGER NOT NULL,
    reason TEXT NOT NULL,
    content_type TEXT NOT NULL,
    raw BLOB NOT NULL
);
CREATE UNIQUE INDEX letters_identity ON letters ("offset", partition, row);
CREATE INDEX letters_age ON letters (observed_us, size_bytes);
CREATE TABLE claims (
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    row INTEGER NOT NULL,
    by_partition INTEGER NOT NULL,
    by_offset INTEGER NOT NULL,
    PRIMARY KEY ("offset", partition, row)
) WITHOUT ROWID;
CREATE TABLE figures (letters INTEGER NOT NULL, bytes INTEGER NOT NULL, pushed_out INTEGER NOT NULL);
INSERT INTO figures VALUES (0, 0, 0);
"""

_SELECT = (
    'SELECT letters.partition, letters."offset", letters.row, observed_us, source, line, reason, content_type, raw, '
    "by_partition, by_offset FROM letters LEFT JOIN claims "
    'ON claims."offset" = letters."offset" AND claims.partition = letters.partition AND claims.row = letters.row '
)

_ID = re.compile(r"(\d{1,10})-(\d{1,18})-(\d{1,10})")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row of DEAD_LETTER_SCHEMA with its identity.

    `replayed_as` names the log record ("partition-offset") that was made of it, None while there is none.
    """

    id: str
    observed_us: int
    source: str
    line: int
    reason: str
    content_type: str
    raw: bytes
    replayed_as: str | None


@dataclass(frozen=True, slots=True)
class DeadLetterFigures:
    """How many are kept and their bytes; `pushed_out` counts those that had to go to make room, ever."""

    letters: int
    bytes: int
    bytes_max: int
    pushed_out: int


class DeadLetters:
    """Shared between threads, and by several processes.

    Every change is durable on return. Raises `RetryLater` while the file cannot be used (disk full, locked), and
    `Stop` when it is damaged or not a file of dead letters.
    """

    def __init__(self, path: str | Path, *, bytes_max: int = 256 * MIB) -> None:
        self._path = Path(path)
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _translated(self._path):
            self._db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            if self._one("SELECT count(*) FROM sqlite_master")[0] == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_FORMAT_VERSION}")
                self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            found = (self._one("PRAGMA application_id")[0], self._one("PRAGMA user_version")[0])
            if found != (_APPLICATION_ID, _FORMAT_VERSION):
                raise Stop(f"{self._path}: not a file of dead letters of format {_FORMAT_VERSION}; move it away")

    def add(self, letters: pa.RecordBatch, partition: int, offset: int) -> None:
        """Keep the letters (DEAD_LETTER_SCHEMA) of one log record, and push out the oldest when there are too many.

        One letter stays, however large. A letter that was dropped comes back when its record is added again.
        """
        rows = [
            (partition, offset, row, *_columns(letter))
            for row, letter in enumerate(
                letters.set_column(0, "observed_us", letters.column(0).cast(pa.int64())).to_pylist()
            )
        ]
        with self._transaction():
            for values in rows:
                added = self._db.execute(
                    "INSERT OR IGNORE INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values
                ).rowcount
                self._count(added, added * values[4], 0)
            self._push_out()

    def _push_out(self) -> None:
        letters, size_bytes, _ = self._one("SELECT * FROM figures")
        excess_bytes = size_bytes - self._bytes_max
        gone: list[tuple[int]] = []
        if excess_bytes > 0:
            oldest = self._db.execute(
                'SELECT rowid, size_bytes FROM letters ORDER BY observed_us, "offset", row LIMIT ?', (letters - 1,)
            )
            freed_bytes = 0
            for rowid, letter_bytes in oldest:
                if freed_bytes >= excess_bytes:
                    break
                gone.append((rowid,))
                freed_bytes += letter_bytes
            self._db.executemany("DELETE FROM letters WHERE rowid = ?", gone)
            self._count(-len(gone), -freed_bytes, len(gone))

    def _count(self, letters: int, size_bytes: int, pushed_out: int) -> None:
        self._db.execute(
            "UPDATE figures SET letters = letters + ?, bytes = bytes + ?, pushed_out = pushed_out + ?",
            (letters, size_bytes, pushed_out),
        )

    def list(self, *, limit: int, before: str | None = None) -> Sequence[DeadLetter]:
        """Newest first by identity; those below the id `before`, which need not be there any more."""
        if before is None:
            return self._letters("TRUE", (), limit)
        partition, offset, row = _parse(before)
        return self._letters(
            '(letters."offset", letters.partition, letters.row) < (?, ?, ?)', (offset, partition, row), limit
        )

    def get(self, id: str) -> DeadLetter:
        """Raises `NotFound`."""
        partition, offset, row = _parse(id)
        found = self._letters(
            'letters."offset" = ? AND letters.partition = ? AND letters.row = ?', (offset, partition, row), 1
        )
        if not found:
            raise NotFound(f"there is no dead letter {id}")
        return found[0]

    def _letters(self, where: str, values: tuple[int, ...], limit: int) -> Sequence[DeadLetter]:
        order = 'ORDER BY letters."offset" DESC, letters.partition DESC, letters.row DESC LIMIT ?'
        with self._lock, _translated(self._path):
            rows = self._db.execute(f"{_SELECT} WHERE {where} {order}", (*values, limit)).fetchall()
        return [_letter(*row) for row in rows]

    def drop(self, id: str) -> None:
        """Raises `NotFound`."""
        partition, offset, row = _parse(id)
        with self._transaction():
            found = self._db.execute(
                'DELETE FROM letters WHERE "offset" = ? AND partition = ? AND row = ? RETURNING size_bytes',
                (offset, partition, row),
            ).fetchall()
            if not found:
                raise NotFound(f"there is no dead letter {id}")
            self._count(-1, -found[0][0], 0)

    def claim(self, letter_id: str, by: tuple[int, int]) -> bool:
        """Whether the log record `by` (partition, offset) is the one that replays this letter.

        True for the first record that asks and whenever it asks again, as it does when it is read again after a
        crash; False for any other record.
        """
        partition, offset, row = _parse(letter_id)
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO claims VALUES (?, ?, ?, ?, ?)", (partition, offset, row, *by))
            holder = self._one(
                'SELECT by_partition, by_offset FROM claims WHERE "offset" = ? AND partition = ? AND row = ?',
                (offset, partition, row),
            )
        return holder == by

    def count(self) -> int:
        return self.figures().letters

    def figures(self) -> DeadLetterFigures:
        with self._lock, _translated(self._path):
            letters, size_bytes, pushed_out = self._one("SELECT * FROM figures")
        return DeadLetterFigures(letters, size_bytes, self._bytes_max, pushed_out)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _one(self, statement: str, values: tuple[int, ...] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._db.execute(statement, values).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, _translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _columns(letter: dict[str, Any]) -> tuple[Any, ...]:
    texts = (letter["source"], letter["line"], letter["reason"], letter["content_type"], letter["raw"])
    # Sizes in characters do for texts that are short beside `raw`.
    size_bytes = _LETTER_BYTES + len(texts[0]) + len(texts[2]) + len(texts[3]) + len(texts[4])
    return (letter["observed_us"], size_bytes, *texts)


def _letter(partition: int, offset: int, row: int, *columns: Any) -> DeadLetter:
    *fields, by_partition, by_offset = columns
    fields.append(None if by_offset is None else f"{by_partition}-{by_offset}")
    return DeadLetter(f"{partition}-{offset}-{row}", *fields)


def _parse(id: str) -> tuple[int, int, int]:
    found = _ID.fullmatch(id)
    if found is None:
        raise NotFound(f"{id!r} is not the id of a dead letter, which looks like 0-17-3")
    partition, offset, row = found.groups()
    return int(partition), int(offset), int(row)


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
