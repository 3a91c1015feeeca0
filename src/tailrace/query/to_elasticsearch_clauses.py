"""Clauses of Elasticsearch's query DSL, two at a time: what a match cannot do without, and what is enough for one.

An index cannot say everything that a query may ask. So each condition is kept as two clauses, `necessary` and
`sufficient`: every document that matches fulfils the first, and every one that fulfils the second matches. Where they
are the same the server's answer is exact; between them lie the documents that somebody has to look at. NOT turns the
two around. Clauses are never changed once they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Clause = dict[str, Any]

ALL: Clause = {"match_all": {}}
NONE: Clause = {"match_none": {}}


@dataclass(frozen=True, slots=True)
class Condition:
    """`whole`: this is true of documents that the index holds wholly; it says nothing of those that are `partial`."""

    necessary: Clause
    sufficient: Clause
    whole: bool = False

    @property
    def exact(self) -> bool:
        return self.necessary == self.sufficient


def exactly(clause: Clause, *, whole: bool = False) -> Condition:
    return Condition(clause, clause, whole)


def at_most(necessary: Clause) -> Condition:
    """Some of the documents that fulfil the clause match, and no others."""
    return Condition(necessary, NONE, whole=True)


def every(parts: Sequence[Condition]) -> Condition:
    return Condition(
        every_clause([part.necessary for part in parts]),
        every_clause([part.sufficient for part in parts]),
        any(part.whole for part in parts),
    )


def some(parts: Sequence[Condition]) -> Condition:
    return Condition(
        some_clause([part.necessary for part in parts]),
        some_clause([part.sufficient for part in parts]),
        any(part.whole for part in parts),
    )


def negate(part: Condition) -> Condition:
    return Condition(not_clause(part.sufficient), not_clause(part.necessary), part.whole)


def every_clause(clauses: Sequence[Clause]) -> Clause:
    """Kept flat: servers count how deep clauses lie within each other."""
    flat = [inner for clause in clauses for inner in _parts(clause, "filter")]
    if NONE in flat:
        return NONE
    kept = [clause for clause in flat if clause != ALL]
    if len(kept) < 2:
        return kept[0] if kept else ALL
    return {"bool": {"filter": kept}}


def some_clause(clauses: Sequence[Clause]) -> Clause:
    flat = [inner for clause in clauses for inner in _parts(clause, "should")]
    if ALL in flat:
        return ALL
    kept = [clause for clause in flat if clause != NONE]
    if len(kept) < 2:
        return kept[0] if kept else NONE
    return {"bool": {"should": kept, "minimum_should_match": 1}}


def not_clause(clause: Clause) -> Clause:
    if clause in (ALL, NONE):
        return NONE if clause == ALL else ALL
    match clause:
        case {"bool": {"must_not": dict(negated), **others}} if not others:
            return negated
    return {"bool": {"must_not": clause}}


def size_of(clause: Clause) -> tuple[int, int]:
    """How many clauses these are, and how deep they lie within each other."""
    inner = [
        size_of(each)
        for value in clause.get("bool", {}).values()
        for each in (value if isinstance(value, list) else [value] if isinstance(value, dict) else [])
    ]
    return 1 + sum(count for count, _ in inner), 1 + max((depth for _, depth in inner), default=0)


def _parts(clause: Clause, kind: Literal["filter", "should"]) -> Sequence[Clause]:
    """The clauses that `clause` joins, when it does nothing else."""
    match clause:
        case {"bool": {"filter": parts, **others}} if kind == "filter" and not others:
            return list(parts)
        case {"bool": {"should": parts, "minimum_should_match": 1, **others}} if kind == "should" and not others:
            return list(parts)
    return [clause]
