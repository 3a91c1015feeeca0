"""Claims in an SQLite file: which log record has a key.

Invariants
----------
* A holder of a key stays a holder: asking again gives the same answer, until the row is forgotten.
* Claims of a request have a time, that of the request, and stand for the window around it. So a key may have several
  holders, whose times lie further apart than the window. A pipeline that reads the log days after the others, when
  the key has been used anew, still gets the answers that they got.
* A row is forgotten when it was made longer ago than the window, by the clock of whoever makes another one. Claims
  without a time, those of dead letters, are never forgotten.

The functions run inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from tailrace.model.claim import DOCUMENT_KEYS, document_of_key, key_and_time

Answers = list[bool]
"""One for each claim: whether that log record has the key."""

_Place = tuple[int, int, int | None]
"""Partition and offset of a record that has a key, and the claim's time."""

_Holder = tuple[str, int, int, int | None]
"""The key, and the same."""

SCHEMA = """
CREATE TABLE claims (
    key TEXT NOT NULL,
    by_partition INTEGER NOT NULL,
    by_offset INTEGER NOT NULL,
    at_us INTEGER,
    made_us INTEGER NOT NULL,
    PRIMARY KEY (key, by_partition, by_offset)
) WITHOUT ROWID;
CREATE INDEX claims_age ON claims (made_us) WHERE at_us IS NOT NULL;
"""


def answers(db: sqlite3.Connection, claims: Sequence[tuple[str, int, int]], *, window_us: int) -> Answers | None:
    """What `claim` would answer, or None when it would have to write."""
    found, new = _answers(db, claims, window_us)
    return None if new else found


def claim(db: sqlite3.Connection, claims: Sequence[tuple[str, int, int]], *, now_us: int, window_us: int) -> Answers:
    """As `store.port.Claims.claim`; `now_us` is when the new rows are made."""
    found, new = _answers(db, claims, window_us)
    db.executemany("INSERT INTO claims VALUES (?, ?, ?, ?, ?)", [(*holder, now_us) for holder in sorted(new)])
    db.execute("DELETE FROM claims WHERE made_us < ? AND at_us IS NOT NULL", (now_us - window_us,))
    return found


def newest_documents(db: sqlite3.Connection, limit: int) -> list[bytes]:
    """The digests of the documents that were claimed last."""
    rows = db.execute(
        "SELECT key FROM claims WHERE at_us IS NOT NULL AND key GLOB ? ORDER BY made_us DESC LIMIT ?",
        (DOCUMENT_KEYS, limit),
    )
    return [document_of_key(key) for (key,) in rows]


def _answers(
    db: sqlite3.Connection, claims: Sequence[tuple[str, int, int]], window_us: int
) -> tuple[Answers, list[_Holder]]:
    """The answers, and the rows that they need and that are not there."""
    asked = [(*key_and_time(name), partition, offset) for name, partition, offset in claims]
    holders = _holders(db, {key for key, _, _, _ in asked})
    found = []
    new: list[_Holder] = []
    for key, at_us, partition, offset in asked:
        of_key = holders.setdefault(key, [])
        answer = _answer(of_key, at_us, partition, offset, window_us)
        if answer is None:
            of_key.append((partition, offset, at_us))
            new.append((key, partition, offset, at_us))
        found.append(answer is not False)
    return found, new


def _holders(db: sqlite3.Connection, keys: Collection[str]) -> dict[str, list[_Place]]:
    """Who has these keys. One statement for all, since each would cost more than the rows it finds."""
    rows = db.execute(
        "SELECT key, by_partition, by_offset, at_us FROM claims WHERE key IN (SELECT value FROM json_each(?))",
        (json.dumps(list(keys)),),
    )
    holders: dict[str, list[_Place]] = {}
    for key, partition, offset, at_us in rows:
        holders.setdefault(key, []).append((partition, offset, at_us))
    return holders


def _answer(holders: Sequence[_Place], at_us: int | None, partition: int, offset: int, window_us: int) -> bool | None:
    """None: the key is free."""
    if not holders:
        return None
    if any((by_partition, by_offset) == (partition, offset) for by_partition, by_offset, _ in holders):
        return True
    for _, _, held_us in holders:
        if at_us is None or held_us is None or abs(at_us - held_us) <= window_us:
            return False
    return None
