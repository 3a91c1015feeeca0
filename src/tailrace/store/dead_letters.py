"""The dead letters and the claims, kept in an SQLite file: those of one machine, or a copy of what many share.

Invariants
----------
* A letter's identity is `(partition, offset, row)`: the log record it came in and its place in there; and, for an
  event that a store refused, that store's name. Adding it again changes nothing, also after it was dropped.
* `figures` counts letters and bytes in the same transaction as the letters, so that no figure needs a scan. Past
  `bytes_max` the oldest go, and `figures` counts those too: they are never gone in silence.
* Claims are described in `store.claims`. That of a letter outlives it, so that a second record made of the same
  letter (a double click) is known even after the letter was dropped.

`docs/formats/dead-letters.md` shows the tables.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tailrace.config import MIB
from tailrace.errors import NotFound
from tailrace.model.clock import Clock, system_clock_us
from tailrace.model.dead_letter import store_of
from tailrace.store import claims as claims_table
from tailrace.store.claims import Answers
from tailrace.store.dead_letters_file import DEAD_LETTERS_FILE
from tailrace.store.sqlite_file import SqliteFile

# What a letter takes besides its texts: the row, its key and its place in the index.
_LETTER_BYTES = 100

_SELECT = (
    'SELECT partition, "offset", row, store, observed_us, source, line, reason, content_type, raw, '
    "by_partition, by_offset FROM letters LEFT JOIN claims ON claims.key = 'letter/' || partition || '-' || "
    "\"offset\" || '-' || row || iif(store = '', '', '-' || store)"
)
_ADD = (
    "INSERT OR IGNORE INTO letters SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE NOT EXISTS "
    '(SELECT 1 FROM dropped WHERE "offset" = ?2 AND partition = ?1 AND row = ?3 AND store = ?4)'
)
_IDENTITY = 'partition = ? AND "offset" = ? AND row = ? AND store = ?'

_ID = re.compile(r"(\d{1,10})-(\d{1,18})-(\d{1,10})(?:-([a-z][a-z0-9_-]*))?")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row of DEAD_LETTER_SCHEMA with its identity, `0-17-3`, or `0-17-3-elasticsearch` when a store refused it.

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


class Identity(NamedTuple):
    """Which letter. `store` is empty for what could not be decoded."""

    partition: int
    offset: int
    row: int
    store: str

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}-{self.row}" + (self.store and f"-{self.store}")


def parse_id(id: str) -> Identity:
    """Raises `NotFound`."""
    found = _ID.fullmatch(id)
    if found is None:
        raise NotFound(f"{id!r} is not the id of a dead letter, which looks like 0-17-3")
    partition, offset, row, store = found.groups()
    return Identity(int(partition), int(offset), int(row), store or "")


class DeadLetters:
    """Implements `DeadLetterBox` and `Claims` of `store.port`. Shared between threads, and by several processes.

    Every change is durable on return. Raises `RetryLater` while the file cannot be used (disk full, locked), and
    `Stop` when it is damaged or not a file of dead letters. `window_s` is `ingest.idempotency_window_s`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        bytes_max: int = 256 * MIB,
        window_s: float = 86_400,
        clock: Clock = system_clock_us,
    ) -> None:
        self._bytes_max = bytes_max
        self._window_us = round(window_s * 1e6)
        self._clock = clock
        self._file = SqliteFile(Path(path), DEAD_LETTERS_FILE)

    @contextmanager
    def changes(self) -> Iterator[Changes]:
        """Several changes in one transaction; durable when the block is left."""
        with self._file.transaction() as db:
            yield Changes(db, self._bytes_max, self._window_us)

    def add(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        """Keep the letters, and push out the oldest when there are too many. One letter stays, however large."""
        with self.changes() as changes:
            changes.add(letters, identities)

    def lacks(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> list[int]:
        """The rows that `add` would add, were there room."""
        with self._file.reading() as db:
            return [
                number
                for number, identity in enumerate(_identities(letters, identities))
                if db.execute(
                    f"SELECT 1 FROM letters WHERE {_IDENTITY} UNION ALL SELECT 1 FROM dropped WHERE {_IDENTITY}",
                    (*identity, *identity),
                ).fetchone()
                is None
            ]

    def list(self, *, limit: int, before: str | None = None) -> Sequence[DeadLetter]:
        """Newest first by identity; those below the id `before`, which need not be there any more."""
        if before is None:
            return self._letters("TRUE", (), limit)
        partition, offset, row, store = parse_id(before)
        return self._letters(
            '("offset", partition, row, store) < (?, ?, ?, ?)', (offset, partition, row, store), limit
        )

    def get(self, id: str) -> DeadLetter:
        """Raises `NotFound`."""
        found = self._letters(_IDENTITY, parse_id(id), 1)
        if not found:
            raise NotFound(f"there is no dead letter {id}")
        return found[0]

    def _letters(self, where: str, values: tuple[int | str, ...], limit: int) -> Sequence[DeadLetter]:
        order = 'ORDER BY "offset" DESC, partition DESC, row DESC, store DESC LIMIT ?'
        with self._file.reading() as db:
            rows = db.execute(f"{_SELECT} WHERE {where} {order}", (*values, limit)).fetchall()
        return [_letter(*row) for row in rows]

    def drop(self, id: str) -> None:
        """For good: adding it again does not bring it back. Raises `NotFound`."""
        with self.changes() as changes:
            if not changes.drop(parse_id(id)):
                raise NotFound(f"there is no dead letter {id}")

    def claim(self, claims: Sequence[tuple[str, int, int]]) -> Answers:
        # One tells whether they are new or read again, and saves those that are new from being looked for twice.
        if self.answers(claims[:1]) is not None and (known := self.answers(claims)) is not None:
            return known
        with self.changes() as changes:
            return changes.claim(claims, now_us=self._clock())

    def answers(self, claims: Sequence[tuple[str, int, int]]) -> Answers | None:
        """What `claim` answers, or None when it would have to write."""
        with self._file.reading() as db:
            return claims_table.answers(db, claims, window_us=self._window_us)

    def newest_documents(self, limit: int) -> Sequence[bytes]:
        """The digests (`model.claim`) of the documents that were claimed last."""
        with self._file.reading() as db:
            return claims_table.newest_documents(db, limit)

    def applied(self) -> int:
        """How far the ledger, of which this is a copy, was applied: the offset of its next operation."""
        with self._file.reading() as db:
            return _applied(db)

    def count(self) -> int:
        return self.figures().letters

    def figures(self) -> DeadLetterFigures:
        with self._file.reading() as db:
            letters, size_bytes, pushed_out = db.execute("SELECT * FROM figures").fetchone()
        return DeadLetterFigures(letters, size_bytes, self._bytes_max, pushed_out)

    def close(self) -> None:
        self._file.close()


class Changes:
    """What can be done within a transaction. What comes out depends on the file and the arguments alone."""

    def __init__(self, db: sqlite3.Connection, bytes_max: int, window_us: int) -> None:
        self._db = db
        self._bytes_max = bytes_max
        self._window_us = window_us

    def add(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        plain = letters.set_column(0, "observed_us", letters.column(0).cast(pa.int64()))
        for letter, identity in zip(plain.to_pylist(), _identities(letters, identities), strict=True):
            values = (*identity, *_columns(letter))
            added = self._db.execute(_ADD, values).rowcount
            self._count(added, added * values[5], 0)
        self._push_out()

    def drop(self, identity: Identity) -> bool:
        """False when there is no such letter."""
        found = self._db.execute(f"DELETE FROM letters WHERE {_IDENTITY} RETURNING size_bytes", identity).fetchall()
        if found:
            self._db.execute("INSERT OR IGNORE INTO dropped VALUES (?, ?, ?, ?)", identity)
            self._count(-1, -found[0][0], 0)
        return bool(found)

    def claim(self, claims: Sequence[tuple[str, int, int]], *, now_us: int) -> Answers:
        return claims_table.claim(self._db, claims, now_us=now_us, window_us=self._window_us)

    def applied(self) -> int:
        return _applied(self._db)

    def set_applied(self, offset: int) -> None:
        self._db.execute("UPDATE ledger SET applied = ?", (offset,))

    def _push_out(self) -> None:
        letters, size_bytes, _ = self._db.execute("SELECT * FROM figures").fetchone()
        excess_bytes = size_bytes - self._bytes_max
        gone: list[tuple[int]] = []
        if excess_bytes > 0:
            oldest = self._db.execute(
                'SELECT rowid, size_bytes FROM letters ORDER BY observed_us, "offset", partition, row, store LIMIT ?',
                (letters - 1,),
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


def _applied(db: sqlite3.Connection) -> int:
    offset: int = db.execute("SELECT applied FROM ledger").fetchone()[0]
    return offset


def _identities(letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> Iterator[Identity]:
    for source, identity in zip(letters["source"].to_pylist(), identities, strict=True):
        yield Identity(*identity, store_of(source) or "")


def _columns(letter: dict[str, Any]) -> tuple[Any, ...]:
    texts = (letter["source"], letter["line"], letter["reason"], letter["content_type"], letter["raw"])
    # Sizes in characters do for texts that are short beside `raw`.
    size_bytes = _LETTER_BYTES + len(texts[0]) + len(texts[2]) + len(texts[3]) + len(texts[4])
    return (letter["observed_us"], size_bytes, *texts)


def _letter(partition: int, offset: int, row: int, store: str, *columns: Any) -> DeadLetter:
    *fields, by_partition, by_offset = columns
    fields.append(None if by_offset is None else f"{by_partition}-{by_offset}")
    return DeadLetter(str(Identity(partition, offset, row, store)), *fields)
