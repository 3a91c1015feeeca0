"""The query DSL of a query: what a server is asked, beyond that the answer is right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailrace.errors import QueryError
from tailrace.query.lexer import TERMS_MAX
from tailrace.query.lucene import parse
from tailrace.query.to_elasticsearch import to_elasticsearch
from tailrace.query.to_elasticsearch_clauses import (
    ALL,
    NONE,
    Condition,
    at_most,
    every,
    every_clause,
    exactly,
    negate,
    not_clause,
    size_of,
    some,
    some_clause,
)
from tailrace.query.to_elasticsearch_fields import number_key
from tailrace.query.tree import Node, Not, Phrase, Range, Regex, Wildcard
from tests.query.test_to_sql import UNANSWERABLE
from tests.query_strategies import NOW_US

A, B, C = ({"term": {"message": word}} for word in "abc")


def asked(text: str) -> Condition:
    return to_elasticsearch(parse(text), now_us=NOW_US)


def everywhere(query: dict[str, Any]) -> dict[str, Any]:
    ((kind, what),) = query.items()
    return {
        "bool": {"should": [{kind: {field: what}} for field in ("message", "other_text")], "minimum_should_match": 1}
    }


EXACT: dict[str, dict[str, Any]] = {
    "*": ALL,
    "Declined": everywhere({"term": "declined"}),
    '"card declined"': everywhere({"match_phrase": "card declined"}),
    "message:pay-Service": {"match_phrase": {"message": "pay service"}},
    "message:Pay*": {"wildcard": {"message": {"value": "pay*"}}},
    "level:>=warning": {"terms": {"level": ["WARN", "ERROR", "FATAL"]}},
    "level:/R$/": {"terms": {"level": ["ERROR"]}},
    "service:7": {"term": {"service": "7"}},
    "service:Pay1": {"regexp": {"service": {"value": "[pP][aA][yY]1", "flags": "NONE"}}},
    "http.path:\\/a*": {"regexp": {"attribute_pairs": {"value": "http\\.path\\=(\\/[aA].*)", "flags": "NONE"}}},
    "user.id:42": {"term": {"attribute_pairs": "user.id=42"}},
    "user.id:*": {"term": {"attribute_names": "user.id"}},
    "trace_id:*": {"exists": {"field": "trace_id"}},
    "latency_ms:>250": {"range": {"attribute_numbers": {"gt": f"latency_ms={number_key(250)}", "lt": "latency_ms>"}}},
    "version:[a TO c}": {"range": {"attribute_pairs": {"gte": "version=a", "lt": "version=c"}}},
    "timestamp:1970-01-02": {"range": {"timestamp_us": {"gte": 86_400_000_000, "lt": 172_800_000_000}}},
}


@pytest.mark.parametrize("text", EXACT)
def test_what_an_index_can_answer_is_exact(text: str) -> None:
    """One clause, which is both what is necessary and what is enough."""
    condition = asked(text)
    assert condition.exact
    assert condition.necessary == EXACT[text]


INEXACT: dict[str, dict[str, Any]] = {
    "/a/": ALL,
    "service:/a/": {"exists": {"field": "service"}},
    "user:/a/": {"term": {"attribute_names": "user"}},
    'message:"=>"': ALL,
    "message:a\\/b*\\/c": {"bool": {"filter": [A, {"wildcard": {"message": {"value": "b*"}}}, C]}},
    "message:a /x/": A,
    "message:a -/x/": A,
}


@pytest.mark.parametrize("text", INEXACT)
def test_the_rest_is_narrowed_as_far_as_it_goes(text: str) -> None:
    """What every match must have is asked for, and nothing is taken for a match unseen."""
    condition = asked(text)
    assert condition.necessary == INEXACT[text]
    assert condition.sufficient == NONE


def test_not_turns_what_is_necessary_and_what_is_enough_around() -> None:
    """What is not even a candidate surely fulfils the NOT; of the candidates nobody knows."""
    condition = negate(at_most(A))
    assert (condition.necessary, condition.sufficient) == (ALL, not_clause(A))
    assert negate(condition) == at_most(A)
    both = some([exactly(B), at_most(A)])
    assert (both.necessary, both.sufficient) == (some_clause([B, A]), B)
    assert every([exactly(B), at_most(A)]).sufficient == NONE


def test_joined_clauses_are_flat_and_lose_nothing() -> None:
    """Only what joins alone is taken apart: a bool with another part in it stays one."""
    mixed = {"bool": {"filter": [A], "must_not": [B]}}
    assert every_clause([mixed, every_clause([A, B]), ALL, C]) == {"bool": {"filter": [mixed, A, B, C]}}
    assert some_clause([some_clause([A, B]), NONE, mixed]) == {
        "bool": {"should": [A, B, mixed], "minimum_should_match": 1}
    }
    assert not_clause(mixed) == {"bool": {"must_not": mixed}}
    assert not_clause(not_clause(A)) == A
    assert (every_clause([]), some_clause([]), every_clause([A, NONE]), some_clause([A, ALL])) == (
        ALL,
        NONE,
        NONE,
        ALL,
    )


@pytest.mark.parametrize("node", UNANSWERABLE, ids=repr)
def test_what_cannot_be_answered_is_a_query_error(node: Node) -> None:
    """The same as everywhere else."""
    with pytest.raises(QueryError):
        to_elasticsearch(Not(node), now_us=NOW_US)


@pytest.mark.parametrize(
    "text",
    [
        "declined OR " * (TERMS_MAX - 1) + "a",
        "(level:ERROR OR (" * 20 + "a" + " b))" * 20,
        "(a -(" * 15 + "b" + "))" * 15,
    ],
)
def test_a_query_that_servers_would_refuse_is_not_sent(text: str) -> None:
    """They count clauses and how deep they lie; past that every event is a candidate."""
    condition = asked(text)
    assert condition == at_most(ALL) or max(size_of(condition.necessary)) < 300


def test_large_automata_are_not_sent() -> None:
    """A `*` before many `?` would take thousands of states: a wider pattern finds the candidates."""
    hard = to_elasticsearch(Wildcard("service", "*a????????b"), now_us=0)
    assert hard.necessary == {"regexp": {"service": {"value": ".*[aA].*.*.*.*.*.*.*.*[bB]", "flags": "NONE"}}}
    assert not hard.exact
    assert to_elasticsearch(Wildcard("service", "a????????b"), now_us=0).exact
    assert to_elasticsearch(Phrase("service", "a" * 2000), now_us=0) == at_most({"exists": {"field": "service"}})


def test_a_name_that_a_pair_cannot_tell_is_in_no_whole_document() -> None:
    """An attribute with `=` in its name would be mistaken for a part of another's value."""
    for node in (Phrase("a=b", "c"), Wildcard("a=b", "c*"), Range("a=b", "c", None)):
        assert to_elasticsearch(node, now_us=0) == exactly(NONE, whole=True)


def test_only_what_rests_on_the_index_of_texts_needs_whole_documents() -> None:
    """Level and time are always indexed."""
    assert not asked("level:ERROR timestamp:>2025 NOT level:WARN").whole
    for text in ("a", "service:a", "k:v", "k:*", "observed_timestamp:<2300"):
        assert asked(text).whole, text


def test_every_clause_is_json() -> None:
    """Texts of any characters go into it as they are."""
    condition = to_elasticsearch(Phrase('a"\0', 'é\\"😀\n'), now_us=0)
    assert json.loads(json.dumps(condition.necessary)) == condition.necessary
    assert to_elasticsearch(Regex("a", "x"), now_us=0).necessary == {"term": {"attribute_names": "a"}}
