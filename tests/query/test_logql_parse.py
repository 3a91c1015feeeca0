from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.query.logql import tree
from tailrace.query.logql.parse import QUERY_CHARACTERS_MAX, parse
from tests.query.logql_queries import LOG_QUERIES, METRIC_QUERIES

QUERIES = (*LOG_QUERIES, *METRIC_QUERIES)


def test_a_log_query_is_a_selector_and_stages() -> None:
    """Matchers, line filters with alternatives, a parser with flags, label filters with their units."""
    found = parse(
        '{app="a", env!~"d.*"} |= "x" or `y` | logfmt --strict k="a b" | took > 1m30s and size<=5KiB or n=-2'
    )
    took = tree.Comparison("took", ">", 90.0, "duration")
    size = tree.Comparison("size", "<=", 5120.0, "bytes")
    assert found == tree.LogQuery(
        (tree.Matcher("app", "=", "a"), tree.Matcher("env", "!~", "d.*")),
        (
            tree.LineFilter("|=", ("x", "y")),
            tree.Logfmt((("k", "a b"),), strict=True),
            tree.LabelFilter(
                tree.AnyOf((tree.AllOf((took, size)), tree.Comparison("n", "==", -2.0, "number"))),
            ),
        ),
    )


def test_a_range_may_stand_before_or_behind_its_pipeline() -> None:
    """Loki takes both, and brackets around either."""
    behind = parse('rate({app="a"} | json [5m] offset 1h)')
    assert parse('rate({app="a"}[5m] offset 1h | json)') == behind
    assert parse('rate(({app="a"} | json)[5m] offset 1h)') == behind
    assert isinstance(behind, tree.RangeAggregation)
    assert (behind.range_ns, behind.offset_ns) == (300 * 10**9, 3600 * 10**9)


def test_operators_bind_as_in_prometheus() -> None:
    """Power to the right and first, then products, sums, comparisons, `and`, `or`."""
    assert parse("1 + 2 * 3 ^ 2 ^ 2") == parse("1 + (2 * (3 ^ (2 ^ 2)))")
    assert parse("1 - 2 - 3 > 4 - 5") == parse("((1 - 2) - 3) > (4 - 5)")
    sides = "vector(1) or vector(2) and vector(3) unless vector(4)"
    assert parse(sides) == parse("vector(1) or ((vector(2) and vector(3)) unless vector(4))")


def test_words_of_the_language_may_be_names_of_labels() -> None:
    """Where only a name can stand, `rate`, `by`, `json` are names."""
    found = parse('{by="a", rate="b", json="c"} | drop sum, offset | label_format or=and')
    assert isinstance(found, tree.LogQuery)
    assert [matcher.name for matcher in found.matchers] == ["by", "rate", "json"]
    assert found.stages == (tree.Drop(("sum", "offset")), tree.LabelFormat((tree.Rename("or", "and"),)))


def test_comments_and_line_breaks_are_blanks() -> None:
    """A query from a file."""
    assert parse('{app="a"} # all of them\n  |= "#x" # but these\n') == parse('{app="a"} |= "#x"')


_PIECES = st.sampled_from(
    ["{", "}", "(", ")", "|", '"', "`", "[5m]", "by", "=~", "1", "5KB", "\\", "{{", "\x00", "é"]
)


@given(st.sampled_from(QUERIES), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 5), _PIECES), max_size=4))
def test_what_is_no_query_is_refused_and_nothing_worse(query: str, changes: list[tuple[int, int, str]]) -> None:
    """Good queries with pieces put in and taken out: a tree or a `QueryError`."""
    for place, length, piece in changes:
        query = query[:place] + piece + query[place + length :]
    with contextlib.suppress(QueryError):
        parse(query)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("1" + "+1" * 101, "operations within each other"),
        ("1" + "+1" * 2_000, "operations within each other"),
        ("sum(" * 99 + "vector(1) + 1" + ")" * 99, None),
        ("{}" + " | json" * 101, "more than 100 stages"),
        ('{} | distinct "x"', "distinct is no operator that is known here"),
        ("{} | dedup by (x)", "dedup is no operator that is known here"),
        ("rate({}[1000y])", "not a valid duration"),
        ("rate({}[1m] offset 1000y)", "not a valid duration"),
        ("{} | a > " + "1" * 5000 + "s", "not a valid duration"),
        ("{} | a > " + "1" * 400 + "KB", "out of range"),
        ("1e400", "out of range"),
        ("0x" + "f" * 400, "out of range"),
        ("(1 + 1) and vector(1)", "unexpected literal for and"),
        ("vector(1) or (1 + 1)", "unexpected literal for or"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_would_be_too_much_is_refused(query: str, reason: str | None) -> None:
    """By depth and length; and what is unknown by its name."""
    if reason is None:
        parse(query)
        return
    with pytest.raises(QueryError, match=reason):
        parse(query)


@pytest.mark.parametrize(
    "query",
    ["{" + " " * QUERY_CHARACTERS_MAX, '{} |= "' + '\\"' * 32_000, '{} |= "' + "\\" * 63_999],
    ids=["blanks", "quotes", "backslashes"],
)
def test_a_query_without_end_is_not_read(query: str) -> None:
    """Nobody's parser is kept busy by megabytes, nor by a text that looks like the beginning of many."""
    with pytest.raises(QueryError):
        parse(query)
