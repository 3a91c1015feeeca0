"""The SQL of a query: what DuckDB is asked, beyond that the answer is right."""

from __future__ import annotations

import duckdb
import pytest

from tailrace.errors import QueryError
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.query.lexer import TERMS_MAX
from tailrace.query.lucene import parse
from tailrace.query.predicate import FALSE, TRUE, Atom, every, negate, render, render_lazily, some
from tailrace.query.to_sql import columns_of, to_sql
from tailrace.query.tree import All, Node, Not, Phrase, Range, Regex, Wildcard
from tests.query_strategies import NOW, NOW_US

EVERYWHERE = {"message", "service", "host", "trace_id", "span_id", "attributes"}

EVENT = {"timestamp": NOW, "observed_timestamp": NOW, "message": "a x-y"}

COLUMNS: dict[str, set[str]] = {
    "*": set(),
    "declined": EVERYWHERE,
    "/a/": EVERYWHERE,
    "level:ERROR": {"level"},
    "NOT service:pay*": {"service"},
    "timestamp:>15m x:>5 (level:* OR message:a)": {"timestamp", "attributes", "level", "message"},
    "attributes.level:x": {"attributes"},
}

UNANSWERABLE: list[Node] = [
    Phrase("level", "loud"),
    Phrase("timestamp", "soon"),
    Range("level", "loud", None),
    Range("timestamp", None, "soon"),
    Range("message", "a", "b"),
    Wildcard("timestamp", "2025*"),
    Regex("observed_timestamp", "2025"),
    Regex(None, "("),
    Regex("x", "\ud800"),
    Phrase(None, "..\ud800"),
    Phrase("x\udfff", "a"),
]


@pytest.mark.parametrize("text", COLUMNS)
def test_columns_that_are_read(text: str) -> None:
    """A reader is told just the columns of the condition: with those alone, DuckDB can answer."""
    node = parse(text)
    assert columns_of(node) == COLUMNS[text]
    batch = with_identity(batch_of_rows([EVENT]), 0, 0).select(["log_row", *COLUMNS[text]])
    connection = duckdb.connect(config={"threads": 1})
    connection.register("events", batch)
    sql = to_sql(node, now_us=NOW_US)
    assert connection.execute(f"SELECT count(*) FROM events WHERE {sql}").fetchone() is not None


@pytest.mark.parametrize("node", UNANSWERABLE, ids=repr)
def test_what_cannot_be_answered_is_a_query_error(node: Node) -> None:
    """A tree that no parser made is checked as well, also under a NOT."""
    with pytest.raises(QueryError):
        to_sql(Not(node), now_us=NOW_US)


def test_relative_times_count_from_the_given_now() -> None:
    """The same tree asks for another span at another time."""
    node = parse("timestamp:>=15m")
    assert f"timestamp >= make_timestamptz({NOW_US - 900_000_000})" in to_sql(node, now_us=NOW_US)
    assert to_sql(node, now_us=0) != to_sql(node, now_us=1)


def test_not_stands_at_the_atoms_only() -> None:
    """DuckDB stops early in AND and OR, but not under NOT."""
    cheap, dear = Atom("(cheap)", 1), Atom("(dear)", 9)
    assert render(every(dear, cheap)) == "((cheap) AND (dear))"
    assert render(negate(every(dear, some(cheap, dear)))) == "(NOT (dear) OR (NOT (cheap) AND NOT (dear)))"
    assert (render(TRUE), render(FALSE), render(negate(TRUE))) == ("true", "false", "false")
    assert render_lazily(every(dear, cheap)) == "CASE WHEN (cheap) THEN (dear) ELSE false END"
    assert render_lazily(some(dear, cheap)) == "CASE WHEN (cheap) THEN true ELSE (dear) END"


def test_a_word_costs_a_regex_only_where_a_cheaper_test_holds() -> None:
    """The test for a part of the text comes before the regex: by case-exact `contains` where that is enough."""
    assert to_sql(parse("message:blk_1073741825"), now_us=0).startswith("(contains(message, '_1073741825') AND ")
    sql = to_sql(parse("message:declined"), now_us=0)
    assert 0 <= sql.index("ILIKE '%declined%'") < sql.index("regexp_matches")


def test_the_sql_of_a_query_is_always_the_same() -> None:
    """Ties between words do not depend on the hash of the day, so plans and caches can rely on the text."""
    assert "ILIKE '%cc%'" in to_sql(parse('message:"aa bb cc"'), now_us=0)
    assert "ILIKE '%aa%'" not in to_sql(parse('message:"aa bb cc"'), now_us=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["declined OR " * (TERMS_MAX - 1) + "a", "x y " * (TERMS_MAX // 2), "-(" * 25 + "a" + ")" * 25]
)
def test_duckdb_plans_the_largest_queries(text: str) -> None:
    """What the parser's limits allow, DuckDB's own limits allow too."""
    batch = with_identity(batch_of_rows([EVENT]), 0, 0)
    connection = duckdb.connect(config={"threads": 1})
    connection.register("events", batch)
    sql = to_sql(parse(text), now_us=NOW_US)
    assert connection.execute(f"SELECT count(*) FROM events WHERE {sql}").fetchone() is not None


def test_every_event_is_true() -> None:
    """All is the condition that DuckDB leaves out."""
    assert to_sql(All(), now_us=0) == "true"


ANSWERED: dict[Node, bool] = {
    Phrase(None, "one two"): True,
    Phrase(None, "two three"): False,  # the end of one value and the start of the next
    Wildcard(None, "two*three"): False,
    Regex(None, "two.*three"): False,
    Wildcard("absent", "*"): False,
    Wildcard("k", "*"): True,
    Wildcard("k", "one?two"): True,
    Range("timestamp", "2025-03-28", None): True,
    Range("timestamp", "2025-03-28", None, include_low=False): False,
    Range("timestamp", None, "2025-03-28"): True,
    Range("timestamp", None, "2025-03-28", include_high=False): False,
    Range("n", "9", None): True,
    Range("n", "9", "x"): False,  # no number: "10" is before "9"
    Not(Range("absent", "9", None)): True,
}


@pytest.mark.parametrize("node", ANSWERED, ids=repr)
def test_answers_that_are_easily_got_wrong(node: Node) -> None:
    """One event with three attributes, and what each query says of it."""
    event = {**EVENT, "attributes": [("k", "one two"), ("l", "three"), ("n", "10")]}
    connection = duckdb.connect(config={"threads": 1})
    connection.register("events", with_identity(batch_of_rows([event]), 0, 0))
    sql = to_sql(node, now_us=NOW_US)
    assert connection.execute(f"SELECT {sql} FROM events").fetchone() == (ANSWERED[node],)
