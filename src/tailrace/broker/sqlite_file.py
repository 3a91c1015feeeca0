"""The file of the embedded log: its layout and every statement that changes it.

Invariants
----------
* A record is one row of `records`, written once and never changed. Its offset is the row's key.
* Offsets rise and are never given twice: the next one is above every row and not below `partitions.next_offset`,
  which is written whenever rows are removed. After an unclean end it jumps by OFFSET_GAP: a disk that lies about
  fsync may have lost the tail of the WAL, and a store that has seen those offsets would take new events for old.
* `records_total`, `rows_total` and `bytes_total` count everything ever appended, up to and including the row, so
  the difference of two rows is the lag between them and no figure needs a scan. `partitions` holds the totals at
  the last removed row.
* `checksum` is the CRC-32 of the row count, the content type, the headers and the payload.
* Rows are removed from the oldest on only, and only below what every group has committed.
* The payload is the last column, so that reading the others never touches its pages.

`docs/formats/log.md` shows the same for people with the `sqlite3` shell.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import orjson

from tailrace.broker.port import Record
from tailrace.errors import RetryLater, Stop, TailraceError

PARTITION = 0
"""The embedded log has one partition."""

OFFSET_GAP = 1 << 24
"""More records than a WAL of WAL_BYTES can hold."""

PAGE_BYTES = 32768
WAL_BYTES = 64 << 20

_APPLICATION_ID = 0x7461696C  # "tail"
_FORMAT_VERSION = 1

_SCHEMA = """
CREATE TABLE records (
    "offset" INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    appended_us INTEGER NOT NULL,
    records_total INTEGER NOT NULL,
    rows_total INTEGER NOT NULL,
    bytes_total INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY,
    next_offset INTEGER NOT NULL,
    records_total INTEGER NOT NULL,
    rows_total INTEGER NOT NULL,
    bytes_total INTEGER NOT NULL
);
CREATE TABLE groups (
    name TEXT NOT NULL,
    partition INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (name, partition)
) WITHOUT ROWID;
INSERT INTO partitions VALUES (0, 0, 0, 0, 0);
"""

_BUSY_S = 5.0  # how long a statement waits for another process's lock
_TRIM_RECORDS = 4096  # rows of one trimming step: some milliseconds of small records


class Totals(NamedTuple):
    """What was ever appended, up to some record."""

    records: int
    rows: int
    payload_bytes: int


class Group(NamedTuple):
    """How far a group has come: its next offset, and the totals before it."""

    committed: int
    before: Totals


@dataclass(frozen=True, slots=True)
class State:
    """What the writer knows without asking the file."""

    next_offset: int
    end: Totals
    trimmed: Totals
    groups: Mapping[str, Group] = field(default_factory=dict)

    def read_by_all(self) -> Group:
        """The group that is furthest behind; without any group nothing was read."""
        return min(self.groups.values(), default=Group(0, self.trimmed))

    def unread_bytes(self) -> int:
        return self.end.payload_bytes - self.read_by_all().before.payload_bytes


def checksum_of(rows: int, content_type: str, headers: str, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(f"{rows}\n{content_type}\n{headers}\n".encode()))


def translate(error: sqlite3.Error, path: Path) -> TailraceError:
    """SQLite's error as one of ours: damage stops, anything else (full, locked, I/O) may pass."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Stop(
            f"{path}: the log file is damaged ({error}); stop Tailrace, keep a copy of the file, "
            f"save what can be read with `sqlite3 {path.name} .recover`, and move it and its -wal file away: "
            "a new log is made at the next start"
        )
    if code == sqlite3.SQLITE_FULL:
        return RetryLater(f"{path}: the log cannot be written, its disk is full; make room", retry_after_s=10)
    return RetryLater(f"{path}: the log cannot be used now: {error}")


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings that every one needs; transactions are begun by hand."""
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    # What is read or written here is read once: a large cache would only hold memory.
    db.execute("PRAGMA cache_size = -4096")
    return db


class LogFile:
    """The one connection of a process that changes the file. For one thread; raises `sqlite3.Error`.

    Changes are made inside `with transaction():` and are durable when the block was left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # An empty or absent WAL says that the last owner closed the file.
        wal = path.with_name(path.name + "-wal")
        unclean = wal.exists() and wal.stat().st_size > 0
        self._db = connect(path)
        try:
            self._prepare()
            self.state = self._read_state()
            self._version = self._data_version()
        except BaseException:
            self._db.close()
            raise
        self.unclean = unclean

    def _prepare(self) -> None:
        db = self._db
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # The WAL keeps its size when it is begun anew: writing over blocks that exist makes fsync cheaper.
        db.execute(f"PRAGMA journal_size_limit = {2 * WAL_BYTES}")
        db.execute("BEGIN IMMEDIATE")
        try:
            tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            version = db.execute("PRAGMA user_version").fetchone()[0]
            application = db.execute("PRAGMA application_id").fetchone()[0]
            if tables == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_FORMAT_VERSION}")
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            elif (application, version) != (_APPLICATION_ID, _FORMAT_VERSION):
                raise Stop(
                    f"{self.path}: not a log of format {_FORMAT_VERSION} (application id {application:#x}, "
                    f"version {version}); name another file in `log.url`"
                )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _read_state(self) -> State:
        next_offset, *trimmed = self._db.execute(
            "SELECT next_offset, records_total, rows_total, bytes_total FROM partitions WHERE partition = ?",
            (PARTITION,),
        ).fetchone()
        last = self._db.execute(
            'SELECT "offset", records_total, rows_total, bytes_total FROM records ORDER BY "offset" DESC LIMIT 1'
        ).fetchone()
        state = State(next_offset, Totals(*trimmed), Totals(*trimmed))
        if last is not None:
            state = replace(state, next_offset=max(next_offset, last[0] + 1), end=Totals(*last[1:]))
        groups = self._db.execute("SELECT name, committed FROM groups WHERE partition = ?", (PARTITION,)).fetchall()
        return replace(
            state, groups={name: Group(committed, self._before(committed, state)) for name, committed in groups}
        )

    def _before(self, offset: int, state: State) -> Totals:
        found = self._db.execute(
            'SELECT records_total, rows_total, bytes_total FROM records WHERE "offset" < ? '
            'ORDER BY "offset" DESC LIMIT 1',
            (offset,),
        ).fetchone()
        return state.trimmed if found is None else Totals(*found)

    def _data_version(self) -> int:
        """Changes when another connection has committed."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version

    @contextmanager
    def transaction(self) -> Iterator[None]:
        before = self.state
        self._db.execute("BEGIN IMMEDIATE")
        try:
            version = self._data_version()
            if version != self._version:  # another process committed for its groups
                self.state = before = self._read_state()
                self._version = version
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self.state = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def refresh(self) -> None:
        """See what other processes have committed."""
        version = self._data_version()
        if version != self._version:
            self.state, self._version = self._read_state(), version

    def append(self, records: Sequence[Record], appended_us: int) -> list[int]:
        """Add the records; returns their offsets."""
        offsets = range(self.state.next_offset, self.state.next_offset + len(records))
        rows = []
        end = self.state.end
        for offset, record in zip(offsets, records, strict=True):
            end = Totals(end.records + 1, end.rows + record.rows, end.payload_bytes + len(record.payload))
            headers = orjson.dumps(dict(record.headers)).decode()
            checksum = checksum_of(record.rows, record.content_type, headers, record.payload)
            small = (record.rows, checksum, record.content_type, headers)
            rows.append((offset, PARTITION, appended_us, *end, *small, record.payload))
        self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.state = replace(self.state, next_offset=offsets.stop, end=end)
        return list(offsets)

    def join(self, group: str) -> int:
        """Remember the group; returns its committed offset."""
        if group not in self.state.groups:
            self._set_group(group, 0)
        return self.state.groups[group].committed

    def keep_groups(self, groups: Collection[str]) -> None:
        for group in self.state.groups.keys() - set(groups):
            self._db.execute("DELETE FROM groups WHERE name = ?", (group,))
        kept = {name: place for name, place in self.state.groups.items() if name in groups}
        self.state = replace(self.state, groups=kept)

    def commit(self, group: str, offset: int) -> None:
        self.give_no_offset_below(offset)
        self._set_group(group, offset)

    def _set_group(self, group: str, offset: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", (group, PARTITION, offset))
        place = Group(offset, self._before(offset, self.state))
        self.state = replace(self.state, groups={**self.state.groups, group: place})

    def give_no_offset_below(self, offset: int) -> None:
        """Somebody has seen offsets that this log has not given: it lost them, and must not give them again.

        Others may have seen a little more, so it goes on OFFSET_GAP above.
        """
        if offset > self.state.next_offset:
            self._raise_next(offset + OFFSET_GAP)

    def skip_gap(self) -> None:
        """The tail of the WAL may be lost: go on where no record of it can have been."""
        self._raise_next(self.state.next_offset + OFFSET_GAP)

    def _raise_next(self, offset: int) -> None:
        self._db.execute("UPDATE partitions SET next_offset = ? WHERE partition = ?", (offset, PARTITION))
        self.state = replace(self.state, next_offset=offset)

    def trim(self, *, appended_before_us: int, bytes_max: int) -> int:
        """Remove up to `bytes_max` of the oldest records (at least one) that every group has read and that were
        appended at or before that time; returns how many."""
        state = self.state
        rows = self._db.execute(
            'SELECT "offset", appended_us, records_total, rows_total, bytes_total FROM records '
            'WHERE "offset" < ? ORDER BY "offset" LIMIT ?',
            (state.read_by_all().committed, _TRIM_RECORDS),
        ).fetchall()
        last: int | None = None
        trimmed = state.trimmed
        for offset, appended_us, *totals in rows:
            above = Totals(*totals).payload_bytes - state.trimmed.payload_bytes > bytes_max
            if appended_us > appended_before_us or (above and last is not None):
                break
            last, trimmed = offset, Totals(*totals)
        if last is None:
            return 0
        self._db.execute('DELETE FROM records WHERE "offset" <= ?', (last,))
        self._db.execute(
            "UPDATE partitions SET next_offset = ?, records_total = ?, rows_total = ?, bytes_total = ? "
            "WHERE partition = ?",
            (state.next_offset, *trimmed, PARTITION),
        )
        self.state = replace(state, trimmed=trimmed)
        return trimmed.records - state.trimmed.records

    def restart_wal(self) -> bool:
        """Copy what is left in the WAL to the file, and let the next change begin it anew; False: try later."""
        # A reader at work holds the WAL for as long as one poll copies; a stopped process must not hold up commits.
        self._db.execute("PRAGMA busy_timeout = 100")
        try:
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {int(_BUSY_S * 1000)}")
        return bool(busy == 0)

    def close(self) -> None:
        """The last connection to close copies the WAL to the file and removes it."""
        self._db.close()
