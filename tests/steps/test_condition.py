"""`where` means in a step what it means in a search."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.query.tree import Node, Phrase, Wildcard
from tailrace.steps.condition import matching
from tests.query_oracle import matches
from tests.query_strategies import NOW_US, WORDS, nodes, rows, variants

examples = given(st.lists(rows(), min_size=1, max_size=8), st.lists(nodes, min_size=1, max_size=4))


def check(events: list[dict[str, Any]], queries: list[Node]) -> None:
    batch = with_identity(batch_of_rows(events), 0, 7)
    plain = batch.to_pylist()
    for node in queries:
        expected = [matches(node, row, now_us=NOW_US) for row in plain]
        assert matching(node, batch, now_us=NOW_US).tolist() == expected, node
        # A part of a batch shares its buffers with the whole.
        assert matching(node, batch.slice(1), now_us=NOW_US).tolist() == expected[1:], node


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@examples
def test_a_condition_finds_the_events_of_the_oracle(events: list[dict[str, Any]], queries: list[Node]) -> None:
    """For every tree and events, the events are the oracle's."""
    check(events, queries)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@examples
def test_a_condition_finds_them_in_many_more(events: list[dict[str, Any]], queries: list[Node]) -> None:
    """The same, long enough to meet rare pairs of condition and event."""
    check(events, queries)


@pytest.mark.parametrize("word", WORDS)
def test_no_case_but_that_of_ascii_is_folded(word: str) -> None:
    """Words that fold to each other in Unicode are told apart, those of ASCII are not."""
    events = [{"timestamp": 0, "observed_timestamp": 0, "message": text, "service": text} for text in variants(word)]
    check(events, [Phrase("message", word), Phrase("service", word), Phrase(None, word), Wildcard("service", word)])
