"""A query tree as a DuckDB condition over the columns of STORED_SCHEMA.

Literals stand in the text, since a view takes no parameters; `text_literal` is the only way in for the words of a
query. The condition is true or false for every row, never null.
"""

from __future__ import annotations

from tailrace.errors import QueryError
from tailrace.query.leaves import (
    NUMBER_PATTERN,
    attribute_name,
    is_any,
    is_numeric,
    level_named,
    levels_between,
    levels_like,
    number,
)
from tailrace.query.predicate import FALSE, TRUE, Atom, Predicate, every, negate, render, render_lazily, some
from tailrace.query.text_match import (
    REGEX_COST,
    Finder,
    equal_value,
    phrase_in_text,
    regex_in_text,
    text_literal,
    wildcard_in_text,
    wildcard_of_value,
)
from tailrace.query.times import parse_time
from tailrace.query.tree import (
    EVERYWHERE,
    TEXT_FIELDS,
    TIME_FIELDS,
    All,
    And,
    Exists,
    Node,
    Not,
    Or,
    Phrase,
    Range,
    Regex,
    Wildcard,
)

_NULL_COST, _EQUAL_COST, _NUMBER_COST, _ATTRIBUTE_COST, _ATTRIBUTES_COST = 1, 2, 150, 200, 600


def to_sql(node: Node, *, now_us: int) -> str:
    """The condition that holds for just the rows that `node` means; `now_us` is what its relative times count from.

    Raises `QueryError` for what `tailrace.query.tree` says cannot be answered.
    """
    return render(_predicate(node, now_us))


def columns_of(node: Node) -> frozenset[str]:
    """The columns that `to_sql(node)` reads."""
    match node:
        case All():
            return frozenset()
        case And(parts) | Or(parts):
            return frozenset().union(*map(columns_of, parts))
        case Not(part):
            return columns_of(part)
        case Phrase(field) | Wildcard(field) | Regex(field) | Range(field) | Exists(field):
            if field is None:
                return frozenset({*EVERYWHERE, "attributes"})
            return frozenset({field if attribute_name(field) is None else "attributes"})


def _predicate(node: Node, now_us: int) -> Predicate:
    match node:
        case All():
            return TRUE
        case And(parts):
            return every(*(_predicate(part, now_us) for part in parts))
        case Or(parts):
            return some(*(_predicate(part, now_us) for part in parts))
        case Not(part):
            return negate(_predicate(part, now_us))
        case Exists(field):
            return _exists(field)
        case Range():
            return _range(node, now_us)
        case Phrase("level", text):
            return _level_in((level_named(text),))
        case Wildcard("level", pattern):
            return _level_in(levels_like(pattern))
        case Phrase(field, text) if field in TIME_FIELDS:
            return _time_between(field, *parse_time(text, now_us=now_us))
        case Wildcard(field) | Regex(field) if field in TIME_FIELDS:
            raise QueryError(f"{field} is a time: it takes no wildcard and no regular expression, but a range")
        case Wildcard(str() as field, pattern) if is_any(pattern):
            return _exists(field)
        case Phrase(field, text):
            return _text(field, phrase_in_text(text) if _is_text(field) else equal_value(text))
        case Wildcard(field, pattern):
            return _text(field, wildcard_in_text(pattern) if _is_text(field) else wildcard_of_value(pattern))
        case Regex(field, pattern):
            return _text(field, regex_in_text(pattern))


def _is_text(field: str | None) -> bool:
    return field is None or field in TEXT_FIELDS


def _text(field: str | None, find: Finder) -> Predicate:
    """Where a text is looked for: in one column or attribute, or everywhere."""
    if field is None:
        return some(*(_in_column(column, find) for column in EVERYWHERE), _in_any_attribute(find))
    name = attribute_name(field)
    return _in_column(field, find) if name is None else _in_attribute(name, find)


def _in_column(column: str, find: Finder) -> Predicate:
    return find(column) if column in TEXT_FIELDS else every(_not_null(column), find(column))


def _in_attribute(name: str, find: Finder) -> Predicate:
    return Atom(f"coalesce({render_lazily(find(_attribute(name)))}, false)", _ATTRIBUTE_COST)


def _in_any_attribute(find: Finder) -> Predicate:
    """One value at a time, so that a match never spans two."""
    found = f"list_filter(map_values(attributes), lambda v: {render_lazily(find('v'))})"
    return every(
        Atom("(cardinality(attributes) > 0)", _EQUAL_COST),
        Atom(f"(len({found}) > 0)", _ATTRIBUTES_COST),
    )


def _exists(field: str) -> Predicate:
    name = attribute_name(field)
    if name is not None:
        return Atom(f"({_attribute(name)} IS NOT NULL)", _ATTRIBUTE_COST)
    return TRUE if field in TEXT_FIELDS | TIME_FIELDS else _not_null(field)


def _range(node: Range, now_us: int) -> Predicate:
    if node.field in TEXT_FIELDS:
        raise QueryError(f"{node.field} is text: it takes no range")
    if node.low is None and node.high is None:
        return _exists(node.field)
    if node.field in TIME_FIELDS:
        return _time_range(node, now_us)
    if node.field == "level":
        return _level_in(levels_between(node))
    return _text(node.field, lambda column: _value_range(node, column))


def _time_range(node: Range, now_us: int) -> Predicate:
    """A bound is a span: an excluded low one leaves out all of it, an included high one takes all of it in."""
    low_us = None if node.low is None else parse_time(node.low, now_us=now_us)[0 if node.include_low else 1]
    high_us = None if node.high is None else parse_time(node.high, now_us=now_us)[1 if node.include_high else 0]
    return _time_between(node.field, low_us, high_us)


def _time_between(column: str, start_us: int | None, end_us: int | None) -> Predicate:
    # Made from an integer, the literal depends on no session's time zone, and DuckDB prunes row groups by it.
    bounds = ((">=", start_us), ("<", end_us))
    return every(
        *(
            Atom(f"({column} {sign} make_timestamptz({bound_us}))", _EQUAL_COST)
            for sign, bound_us in bounds
            if bound_us is not None
        )
    )


def _value_range(node: Range, column: str) -> Predicate:
    numeric = is_numeric(node)
    value = f"TRY_CAST({column} AS DOUBLE)" if numeric else column
    bounds = ((">=" if node.include_low else ">", node.low), ("<=" if node.include_high else "<", node.high))
    comparisons = " AND ".join(
        f"{value} {sign} {_number_literal(bound) if numeric else text_literal(bound)}"
        for sign, bound in bounds
        if bound is not None
    )
    if not numeric:
        return Atom(f"({comparisons})", _EQUAL_COST)
    # TRY_CAST knows more numbers than we do, such as ' 1', 1_000 and inf.
    shape = Atom(f"regexp_full_match({column}, {text_literal(NUMBER_PATTERN)})", REGEX_COST)
    return every(Atom(f"coalesce({comparisons}, false)", _NUMBER_COST), shape)


def _number_literal(text: str) -> str:
    return f"CAST('{number(text)!r}' AS DOUBLE)"


def _level_in(levels: tuple[str, ...]) -> Predicate:
    if not levels:
        return FALSE
    names = ", ".join(f"'{level}'" for level in levels)
    return every(_not_null("level"), Atom(f"(level IN ({names}))", _EQUAL_COST))


def _not_null(column: str) -> Atom:
    return Atom(f"({column} IS NOT NULL)", _NULL_COST)


def _attribute(name: str) -> str:
    return f"attributes[{text_literal(name)}]"
