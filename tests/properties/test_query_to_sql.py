"""DuckDB answers every query as the oracle does."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.query.to_sql import to_sql
from tailrace.query.tree import Node, Phrase, Wildcard
from tests.query_oracle import matches
from tests.query_strategies import NOW, NOW_US, WORDS, nodes, rows, variants


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'Asia/Kathmandu'")
    return connection


examples = given(st.lists(rows(), min_size=1, max_size=8), st.lists(nodes, min_size=1, max_size=4))


def check(database: duckdb.DuckDBPyConnection, events: list[dict[str, Any]], queries: list[Node]) -> None:
    batch = with_identity(batch_of_rows(events), 0, 7)
    plain = batch.to_pylist()
    database.register("events", batch)
    for node in queries:
        expected = [row["log_row"] for row in plain if matches(node, row, now_us=NOW_US)]
        sql = to_sql(node, now_us=NOW_US)
        found = database.execute(f"SELECT log_row FROM events WHERE {sql} ORDER BY log_row").fetchall()
        assert [row for (row,) in found] == expected, sql
        computed = database.execute(f"SELECT {sql} FROM events ORDER BY log_row").fetchall()
        assert [row for row, (holds,) in enumerate(computed) if holds] == expected, sql
        assert all(isinstance(holds, bool) for (holds,) in computed), sql


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@examples
def test_sql_finds_the_rows_of_the_oracle(
    database: duckdb.DuckDBPyConnection, events: list[dict[str, Any]], queries: list[Node]
) -> None:
    """For every tree and events, WHERE gives the oracle's rows, and the condition alone is never null."""
    check(database, events, queries)


@pytest.mark.slow
@settings(max_examples=700, deadline=None)
@examples
def test_sql_finds_the_rows_of_the_oracle_in_many_more(
    database: duckdb.DuckDBPyConnection, events: list[dict[str, Any]], queries: list[Node]
) -> None:
    """The same, long enough to meet rare pairs of query and event."""
    check(database, events, queries)


@pytest.mark.slow
def test_words_and_lookalikes_are_told_apart(database: duckdb.DuckDBPyConnection) -> None:
    """Each word, as phrase and as wildcard, on text and on values, finds itself in either case and no lookalike."""
    seeds = [word for word in WORDS if any(character.isalpha() for character in word)]
    texts = sorted({text for word in seeds for text in (*variants(word), f"{word}-{word}", f".{word}.")})
    events = [
        {"timestamp": NOW, "observed_timestamp": NOW, "message": text, "service": text, "attributes": [("k", text)]}
        for text in texts
    ]
    queries: list[Node] = [
        node
        for word in seeds
        for field in ("message", "service")
        for node in (Phrase(field, word), Wildcard(field, f"{word}*"), Wildcard(field, f"?{word}"))
    ]
    check(database, events, queries + [Phrase("k", word) for word in seeds] + [Phrase(None, word) for word in seeds])
