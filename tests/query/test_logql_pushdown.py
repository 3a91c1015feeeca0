from __future__ import annotations

import pytest

from tailrace.query.logql.parse import parse
from tailrace.query.logql.pushdown import selecting
from tailrace.query.logql.tree import LogQuery
from tailrace.query.tokens import AllOf, AnyOf, Level, Token, required_tokens
from tailrace.query.tree import All, And, Node, Not, Or, Phrase, Regex, Wildcard


def pushed(text: str) -> Node:
    query = parse(text)
    assert isinstance(query, LogQuery)
    return selecting(query)


def test_a_service_is_looked_for_in_its_column_and_in_streams() -> None:
    """So that the token filters of the lake leave out what has no such token."""
    node = pushed('{service_name="pay"}')
    assert node == Or((Wildcard("attributes._loki_stream", '*service_name="pay"*'), Phrase("service", "pay")))
    assert required_tokens(node) == Token("pay")


def test_levels_are_columns_too() -> None:
    """In the case that streams have them in; any other is only in a stream of the Loki API."""
    node = pushed('{level="error"}')
    assert isinstance(node, Or)
    assert Phrase("level", "ERROR") in node.parts
    assert pushed('{level="ERROR"}') == Wildcard("attributes._loki_stream", '*level="ERROR"*')


def test_what_grafana_sends_for_several_values_is_several_values() -> None:
    """`=~"a|b"` needs no regex."""
    node = pushed('{service_name=~"a|b"}')
    assert isinstance(node, Or)
    assert [part.parts[1] for part in node.parts if isinstance(part, Or)] == [
        Phrase("service", "a"),
        Phrase("service", "b"),
    ]


def test_line_filters_are_pushed_as_wildcards_with_their_certain_tokens() -> None:
    """A word between blanks is a token; those at the ends may be parts of others."""
    node = pushed('{} |= "of card declined by" |~ "a+b"')
    assert node == And((Wildcard("message", "*of card declined by*"), Regex("message", "a+b")))
    required = required_tokens(node)
    assert isinstance(required, AllOf)
    assert set(required.parts) == {Token("card"), Token("declined")}
    assert pushed('{} |= "a*b?"') == Wildcard("message", r"*a\*b\?*")


def test_label_filters_are_pushed_where_values_are_searched() -> None:
    """A trace id is found by its token, whatever field has it; nothing behind a parser is."""
    assert pushed('{} | trace_id="abc"') == Phrase(None, "abc")
    assert pushed('{} | json | trace_id="abc"') == All()
    required = required_tokens(pushed('{} | detected_level="warn"'))
    assert required == AnyOf((Token("warn"), Level("WARN")))


@pytest.mark.parametrize(
    "query",
    [
        '{} | x > 5 | __error__="LabelFilterErr"',
        '{service_name!="a"}',
        '{service_name=~".*"}',
        '{x=""}',
        '{} != "a"',
        '{} | level!="error"',
        "{} | x > 5",
        "{}",
    ],
)
def test_what_could_leave_out_too_much_is_not_pushed(query: str) -> None:
    """Negations and what an absent label matches too."""
    assert pushed(query) == All()


def test_streams_without_a_service_are_those_of_an_unknown_one() -> None:
    """`unknown_service` has no token of its own."""
    node = pushed('{service_name="unknown_service"}')
    assert isinstance(node, Or)
    assert any(isinstance(part, Not) for part in node.parts)
