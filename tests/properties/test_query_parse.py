"""No text whatever is more than a mistake in a query, and what parses can be run."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.query.lucene import parse
from tailrace.query.to_sql import columns_of, to_sql
from tailrace.query.tokens import exact_tokens, required_tokens
from tailrace.query.tree import Node
from tests.query_strategies import GAPS, NOW_US, REGEXES, TIMES, WORDS

PIECES = (
    *(
        "AND",
        "OR",
        "NOT",
        "TO",
        "&&",
        "||",
        "!",
        "+",
        "-",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        '"',
        "/",
        "\\",
        "~",
        "^2",
        "*",
        "?",
    ),
    *(
        "level:",
        "x:",
        "timestamp:",
        "message:",
        "_exists_:",
        "*:",
        ":>",
        ":<=",
        "[1 TO 5]",
        "{a TO *}",
        ":",
        " ",
        " ",
        " ",
    ),
    *("(?", "(?i)", "{3}", "\ud800", "ERROR", "15m"),
)

pieces = st.sampled_from(PIECES + WORDS + GAPS + REGEXES + TIMES)
queries = st.lists(pieces, max_size=14).map("".join) | st.text(max_size=20)


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        "CREATE TABLE events (timestamp TIMESTAMPTZ, observed_timestamp TIMESTAMPTZ, level VARCHAR, service VARCHAR, "
        "host VARCHAR, message VARCHAR, trace_id VARCHAR, span_id VARCHAR, attributes MAP(VARCHAR, VARCHAR))"
    )
    return connection


def outcome(text: str) -> Node | QueryError:
    try:
        return parse(text)
    except QueryError as error:
        return error


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(queries)
def test_any_text_parses_or_is_a_query_error(text: str) -> None:
    """Whatever is typed, there is a tree or a QueryError whose column lies in the text."""
    node = outcome(text)
    if isinstance(node, QueryError):
        assert node.column is not None
        assert 1 <= node.column <= len(text) + 1
    else:
        to_sql(node, now_us=NOW_US)
        columns_of(node)
        required_tokens(node)
        exact_tokens(node)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(queries)
def test_what_parses_is_one_condition_for_duckdb(database: duckdb.DuckDBPyConnection, text: str) -> None:
    """No text can end the condition early, start another statement or be refused by DuckDB."""
    node = outcome(text)
    if isinstance(node, QueryError):
        return
    sql = to_sql(node, now_us=NOW_US)
    assert len(database.extract_statements(f"SELECT count(*) FROM events WHERE ({sql})")) == 1
    assert database.execute(f"SELECT count(*) FROM events WHERE ({sql})").fetchone() == (0,)


@pytest.mark.parametrize(
    "piece", ["(", "!", "a ", "((a) ", '"', "[", "a:", "x:[", "/", "\\", "a OR ", "\0", "-(", "*", "^"]
)
def test_huge_texts_are_refused_at_once(piece: str) -> None:
    """100 kB of anything is a QueryError."""
    with pytest.raises(QueryError):
        parse(piece * (100_000 // len(piece)))


@pytest.mark.parametrize(
    "piece", ["(", "!", "a ", "((a) ", '"', "[", "a:", "x:[", "/", "\\", "a OR ", "\0", "-(", "*", "^"]
)
def test_long_texts_of_one_piece_are_harmless(piece: str) -> None:
    """Repetition up to the limit of length gives a tree or a QueryError, and never a stack that is too deep."""
    for length in (600, 8192):
        node = outcome((piece * length)[:length])
        assert not isinstance(node, QueryError) or node.column is not None
