"""What an index is told to look for is never more than what a matching row holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows
from tailrace.query.tokens import AllOf, AnyOf, Level, Required, Token, Unknown, exact_tokens, required_tokens, tokens
from tailrace.query.tree import And, Node, Phrase
from tests.query_oracle import cut, matches
from tests.query_strategies import NOW_US, nodes, rows, texts


def held_tokens(row: dict[str, Any]) -> set[str]:
    columns = [row[name] for name in ("message", "service", "host", "trace_id", "span_id")]
    values = [value for _, value in row["attributes"]]
    return {token for text in columns + values if text is not None for token in cut(text)}


def is_held(required: Required, held: set[str], levels: set[str]) -> bool:
    match required:
        case Token(text):
            return text in held
        case Level(name):
            return name in levels
        case AllOf(parts):
            return all(is_held(part, held, levels) for part in parts)
        case AnyOf(parts):
            return any(is_held(part, held, levels) for part in parts)
        case Unknown():
            return True


@pytest.mark.slow
@given(texts)
def test_tokens_are_those_of_the_oracle(text: str) -> None:
    """Any text is cut where the definition says."""
    assert tokens(text) == cut(text)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=4), nodes)
def test_a_block_with_a_match_holds_what_is_required(events: list[dict[str, Any]], node: Node) -> None:
    """A block of rows in which one matches is never skipped."""
    block = batch_of_rows(events).to_pylist()
    held = set().union(*map(held_tokens, block))
    levels = {row["level"] for row in block if row["level"] is not None}
    if any(matches(node, row, now_us=NOW_US) for row in block):
        assert is_held(required_tokens(node), held, levels)


conjunctions = st.lists(st.builds(Phrase, st.none(), texts), min_size=1, max_size=3).map(
    lambda parts: And(tuple(parts))
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(rows(), conjunctions | nodes)
def test_exact_tokens_decide_alone(event: dict[str, Any], node: Node) -> None:
    """Where tokens are said to be exact, a row that holds them all matches, and no other row does."""
    exact = exact_tokens(node)
    if exact is not None:
        (row,) = batch_of_rows([event]).to_pylist()
        assert matches(node, row, now_us=NOW_US) == (set(exact) <= held_tokens(row))
