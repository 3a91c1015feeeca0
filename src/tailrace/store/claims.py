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

import sqlite3
from collections.abc import Sequence

from tailrace.model.claim import key_and_time

Answers = list[bool]
"""One for each claim: whether that log record has the key."""

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
    found = [_answer(db, claim, window_us) for claim in claims]
    known = [answer for answer in found if answer is not None]
    return known if len(known) == len(found) else None


def claim(db: sqlite3.Connection, claims: Sequence[tuple[str, int, int]], *, now_us: int, window_us: int) -> Answers:
    """As `store.port.Claims.claim`; `now_us` is when the new rows are made."""
    found = []
    for each in claims:
        answer = _answer(db, each, window_us)
        if answer is None:
            name, partition, offset = each
            key, at_us = key_and_time(name)
            db.execute("INSERT INTO claims VALUES (?, ?, ?, ?, ?)", (key, partition, offset, at_us, now_us))
            answer = True
        found.append(answer)
    db.execute("DELETE FROM claims WHERE made_us < ? AND at_us IS NOT NULL", (now_us - window_us,))
    return found


def _answer(db: sqlite3.Connection, claim: tuple[str, int, int], window_us: int) -> bool | None:
    """None: the key is free."""
    name, *place = claim
    key, at_us = key_and_time(name)
    holders = db.execute("SELECT by_partition, by_offset, at_us FROM claims WHERE key = ?", (key,)).fetchall()
    if any([partition, offset] == place for partition, offset, _ in holders):
        return True
    for _, _, held_us in holders:
        if at_us is None or held_us is None or abs(at_us - held_us) <= window_us:
            return False
    return None
