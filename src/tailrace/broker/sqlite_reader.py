"""Reading the embedded log: one member of a group, with a connection of its own."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import orjson

from tailrace.broker.port import DAMAGED, Assignments, LogLines, LogRecord, Record
from tailrace.broker.sqlite_file import PARTITION, checksum_of, connect, translate

_SMALL = '"offset", rows, checksum, content_type, headers'


class Owner(Protocol):
    """What a reader needs of its log."""

    path: Path

    def commit_group(self, group: str, offset: int) -> None: ...

    def give_no_offset_below(self, offset: int) -> None: ...

    def appended(self) -> int: ...

    def wait_for_more(self, appended: int, until_s: float, stopped: Callable[[], bool]) -> None: ...

    def wake(self) -> None: ...


class SqliteLogReader:
    """Implements `broker.port.LogReader`. It has its one partition from the first poll on."""

    def __init__(self, log: Owner, group: str, committed: int, assignments: Assignments | None) -> None:
        self._log = log
        self._group = group
        self._next = committed
        self._waiting = assignments
        self._lock = threading.Lock()
        self._closed = False
        self._db = connect(log.path)
        self._db.execute("PRAGMA query_only = ON")
        # Text that damage has made unreadable must reach the checksum, which tells.
        self._db.text_factory = _read_text

    def poll(self, *, bytes_max: int, timeout_s: float) -> list[LogRecord | LogLines]:
        self._assign()
        until_s = time.monotonic() + timeout_s
        while not self._closed:
            appended = self._log.appended()
            records = self._read(bytes_max)
            if records:
                self._next = records[-1].offset + 1
                return [*records]
            if time.monotonic() >= until_s:
                break
            self._log.wait_for_more(appended, until_s, lambda: self._closed)
        return []

    def keep_alive(self, timeout_s: float) -> None:
        self._assign()
        time.sleep(timeout_s)

    def commit(self, offsets: Mapping[int, int]) -> None:
        if PARTITION in offsets:
            self._log.commit_group(self._group, offsets[PARTITION])

    def close(self) -> None:
        """A poll that waits in another thread returns at once, with nothing."""
        self._closed = True
        self._log.wake()
        with self._lock:
            self._db.close()

    def _assign(self) -> None:
        """Tell of the partition, once, and go where the member wants to read on.

        An offset above the log's end says that records were read which this log has lost (its file was replaced or
        cut): the log goes on above it, so that their offsets are not given again.
        """
        if self._waiting is None:
            return
        wanted = self._waiting.assigned({PARTITION: self._next}).get(PARTITION, self._next)
        self._log.give_no_offset_below(wanted)
        self._next = wanted
        self._waiting = None

    def _read(self, bytes_max: int) -> list[LogRecord]:
        with self._lock:
            if self._closed:
                return []
            try:
                self._db.execute("BEGIN")
                try:
                    last = self._last_within(bytes_max)
                    return [] if last is None else self._records(last)
                finally:
                    self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise translate(error, self._log.path) from error

    def _last_within(self, bytes_max: int) -> int | None:
        """The last offset to read now, found without touching any payload."""
        first = self._db.execute(
            'SELECT "offset", bytes_total - length(payload) FROM records WHERE "offset" >= ? '
            'ORDER BY "offset" LIMIT 1',
            (self._next,),
        ).fetchone()
        if first is None:
            return None
        offset, bytes_before = first
        past = self._db.execute(
            'SELECT "offset" FROM records WHERE "offset" > ? AND bytes_total > ? ORDER BY "offset" LIMIT 1',
            (offset, bytes_before + bytes_max),
        ).fetchone()
        if past is None:
            return int(self._db.execute('SELECT max("offset") FROM records').fetchone()[0])
        return int(past[0]) - 1

    def _records(self, last: int) -> list[LogRecord]:
        where = f'FROM records WHERE "offset" BETWEEN {self._next} AND {last} ORDER BY "offset"'
        try:
            return [_record(*row) for row in self._db.execute(f"SELECT {_SMALL}, payload {where}")]
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return [self._read_alone(*row) for row in self._db.execute(f"SELECT {_SMALL} {where}").fetchall()]
            raise

    def _read_alone(self, offset: int, rows: int, checksum: int, content_type: str, headers: str) -> LogRecord:
        """One record of a file with damaged pages: without its payload when that is what is damaged."""
        try:
            payload = self._db.execute('SELECT payload FROM records WHERE "offset" = ?', (offset,)).fetchone()[0]
        except sqlite3.DatabaseError:
            payload = b""
        return _record(offset, rows, checksum, content_type, headers, payload)


def _read_text(data: bytes) -> str:
    return data.decode(errors="replace")


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


def _record(offset: int, rows: int, checksum: int, content_type: str, headers: str, payload: bytes) -> LogRecord:
    found = checksum_of(rows, content_type, headers, payload)
    if found == checksum:
        return LogRecord(PARTITION, offset, Record(content_type, payload, rows, orjson.loads(headers)))
    # The headers cannot be trusted either, so that they are not parsed.
    reason = f"log record {PARTITION}-{offset}: CRC-32 is {found:08x} and was {checksum:08x} when it was appended"
    return LogRecord(PARTITION, offset, Record(content_type, payload, rows, {DAMAGED: reason}))
