"""SQL conditions put together so that DuckDB does the cheap work first and as little of the rest as it can.

In a WHERE clause DuckDB goes through AND and OR part by part, each on the rows that are still undecided, but computes
what stands under a NOT or inside a function for every row. So a condition is built as a tree, NOT is pushed down to
its atoms, the parts of each AND and OR are ordered by cost, and only then it becomes text.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Atom:
    """One SQL condition that is not cut further. `cost` is in about nanoseconds a row, and only orders."""

    sql: str
    cost: int


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; of no parts: true."""

    parts: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds; of no parts: false."""

    parts: tuple[Predicate, ...] = ()


Predicate = Atom | Every | Some

TRUE = Every()
FALSE = Some()


def every(*parts: Predicate) -> Predicate:
    return parts[0] if len(parts) == 1 else Every(parts)


def some(*parts: Predicate) -> Predicate:
    return parts[0] if len(parts) == 1 else Some(parts)


def negate(predicate: Predicate) -> Predicate:
    """The opposite, by De Morgan, with NOT at the atoms only."""
    match predicate:
        case Atom(sql, cost):
            return Atom(f"NOT {sql}", cost)
        case Every(parts):
            return Some(tuple(negate(part) for part in parts))
        case Some(parts):
            return Every(tuple(negate(part) for part in parts))


def render(predicate: Predicate) -> str:
    """As a condition of a WHERE clause."""
    match predicate:
        case Atom(sql):
            return sql
        case Every(()):
            return "true"
        case Some(()):
            return "false"
        case Every(parts):
            return f"({' AND '.join(render(part) for part in sorted(parts, key=_cost))})"
        case Some(parts):
            return f"({' OR '.join(render(part) for part in sorted(parts, key=_cost))})"


def render_lazily(predicate: Predicate) -> str:
    """As an expression that stops early even inside a function or a lambda, where AND and OR do not."""
    match predicate:
        case Every((first, *rest)) if rest:
            first, *rest = sorted((first, *rest), key=_cost)
            return f"CASE WHEN {render_lazily(first)} THEN {render_lazily(Every(tuple(rest)))} ELSE false END"
        case Some((first, *rest)) if rest:
            first, *rest = sorted((first, *rest), key=_cost)
            return f"CASE WHEN {render_lazily(first)} THEN true ELSE {render_lazily(Some(tuple(rest)))} END"
        case Every((only,)) | Some((only,)):
            return render_lazily(only)
        case _:
            return render(predicate)


def _cost(predicate: Predicate) -> int:
    match predicate:
        case Atom(cost=cost):
            return cost
        case Every(parts) | Some(parts):
            return sum(_cost(part) for part in parts)
