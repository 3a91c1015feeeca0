"""The SQLite file of dead letters and claims: its tables."""

from __future__ import annotations

from tailrace.store import claims
from tailrace.store.sqlite_file import FileKind

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

DEAD_LETTERS_FILE = FileKind(
    "dead letters",
    application_id=0x7461696D,  # "taim": the log's own and one more
    format_version=2,
    schema=_SCHEMA,
)
