"""A query of Elasticsearch's DSL as our tree.

Field names are those of our columns and their usual aliases (`@timestamp`, `service.name`, …); `.keyword` behind a
name is left out. Words in a `query_string` are read as in our own language: side by side they are joined by AND.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tailrace.errors import QueryError
from tailrace.query.date_math import FIRST_US, LAST_US, date_span_us, iso_us
from tailrace.query.lucene import FIELD_ALIASES, parse
from tailrace.query.tokens import tokens
from tailrace.query.tree import (
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

NOTHING = Not(All())

# A query that nests deeper was not written by anybody.
_DEPTH_MAX = 32

# What changes nothing here, of any clause: scores, and how far a pattern may be rewritten.
_NEUTRAL = frozenset(
    {
        *("boost", "_name", "lenient", "rewrite", "case_insensitive", "analyze_wildcard", "allow_leading_wildcard"),
        *("auto_generate_synonyms_phrase_query", "max_determinized_states", "max_expansions", "prefix_length"),
        *("fuzzy_transpositions", "fuzzy_max_expansions", "fuzzy_prefix_length", "zero_terms_query", "tie_breaker"),
    }
)

_EPOCH_FORMATS = re.compile(r"\b(epoch_millis|epoch_second)\b")


def from_elasticsearch(query: object, *, now_us: int) -> Node:
    """Raises `QueryError` that names the clause, for what is wrong or not supported."""
    return _node(query, now_us, 0)


def field_of(name: str) -> str:
    """Our name of a field."""
    plain = name.removesuffix(".keyword")
    return FIELD_ALIASES.get(plain, plain)


def _node(query: object, now_us: int, depth: int) -> Node:
    if depth > _DEPTH_MAX:
        raise QueryError(f"the query nests more than {_DEPTH_MAX} deep")
    kind, body = _only(query, "a query")
    if kind == "bool":
        return _bool(_object(body, kind), now_us, depth)
    if kind == "constant_score":
        return _node(_object(body, kind).get("filter"), now_us, depth + 1)
    clause = _CLAUSES.get(kind)
    if clause is None:
        raise QueryError(f"the query {kind!r} is not supported; there are {', '.join(sorted((*_CLAUSES, 'bool')))}")
    return clause(body, now_us)


def _bool(body: Mapping[str, Any], now_us: int, depth: int) -> Node:
    unknown = body.keys() - {
        *("must", "filter", "should", "must_not", "minimum_should_match", "boost", "adjust_pure_negative", "_name")
    }
    if unknown:
        raise QueryError(f"bool has no {sorted(unknown)[0]!r}")

    def nodes(name: str) -> list[Node]:
        clauses = body.get(name, [])
        return [_node(each, now_us, depth + 1) for each in (clauses if isinstance(clauses, list) else [clauses])]

    parts = nodes("must") + nodes("filter")
    should = nodes("should")
    wanted = body.get("minimum_should_match", 0 if parts else 1)
    if should and str(wanted) not in ("0", "1"):
        raise QueryError(f"minimum_should_match {wanted!r} is not supported; it is 0 or 1")
    if should and str(wanted) == "1":
        parts.append(_any(should))
    parts += [Not(each) for each in nodes("must_not")]
    return _all(parts)


def _query_string(body: object, _: int) -> Node:
    asked = _options(
        _object(body, "query_string"), "query_string", "query", "default_operator", "fields", "default_field"
    )
    if str(asked.get("default_operator", "and")).lower() != "and":
        raise QueryError("query_string: default_operator OR is not supported; write OR between the words")
    fields = _fields(asked.get("fields", asked.get("default_field")), "query_string")
    text = str(asked.get("query", ""))
    if not text.strip() or text.strip() == "*":
        return All()
    if fields == ["*"]:
        return parse(text)
    return _any([parse(f"{name}:({text})") for name in fields])


def _term(body: object, now_us: int) -> Node:
    field, value = _field_value(body, "term", "value")
    return _equal(field, value, now_us)


def _terms(body: object, now_us: int) -> Node:
    named = {name: value for name, value in _object(body, "terms").items() if name != "boost"}
    name, values = _only(named, "terms")
    if not isinstance(values, list):
        raise QueryError(f"terms: the values of {name!r} have to be a list")
    return _any([_equal(field_of(name), value, now_us) for value in values])


def _equal(field: str, value: object, now_us: int) -> Node:
    if field in TIME_FIELDS:
        return _between(field, *date_span_us(value, now_us=now_us))
    return Phrase(field, _text(value, field))


def _match(body: object, now_us: int) -> Node:
    name, options = _only(_object(body, "match"), "match")
    asked = options if isinstance(options, dict) else {"query": options}
    return _matching(field_of(name), _options(asked, "match", "query", "operator"), now_us)


def _matching(field: str, asked: Mapping[str, Any], now_us: int) -> Node:
    value = asked.get("query")
    words = tokens(_text(value, field))
    if field not in TEXT_FIELDS or len(words) < 2:
        return _equal(field, value, now_us)
    nodes: list[Node] = [Phrase(field, word) for word in words]
    return And(tuple(nodes)) if str(asked.get("operator", "or")).lower() == "and" else Or(tuple(nodes))


def _match_phrase(body: object, now_us: int) -> Node:
    field, value = _field_value(body, "match_phrase", "query")
    return _equal(field, value, now_us)


def _multi_match(body: object, now_us: int) -> Node:
    asked = _options(_object(body, "multi_match"), "multi_match", "query", "operator", "fields", "type")
    fields = _fields(asked.get("fields"), "multi_match")
    kind = asked.get("type", "best_fields")
    if kind not in ("best_fields", "most_fields", "phrase"):
        raise QueryError(f"multi_match: the type {kind!r} is not supported")
    if kind == "phrase":
        return _any([Phrase(None if name == "*" else field_of(name), str(asked.get("query"))) for name in fields])
    if fields == ["*"]:
        words = tokens(str(asked.get("query")))
        nodes: list[Node] = [Phrase(None, word) for word in words]
        return _all(nodes) if str(asked.get("operator", "or")).lower() == "and" else _any(nodes)
    return _any([_matching(field_of(name), asked, now_us) for name in fields])


def _range(body: object, now_us: int) -> Node:
    name, bounds = _only(_object(body, "range"), "range")
    field, asked = field_of(name), _object(bounds, f"the range on {name!r}")
    unknown = asked.keys() - {"gt", "gte", "lt", "lte", "from", "to", "include_lower", "include_upper"}
    unknown -= {"format", "time_zone", "boost", "relation", "_name"}
    if unknown:
        raise QueryError(f"the range on {name!r} has no {sorted(unknown)[0]!r}")
    if asked.get("time_zone") not in (None, "UTC", "Z", "+00:00"):
        raise QueryError("range: time_zone is not supported; write the zone into the times")
    low, with_low = _bound(asked, "gt", "gte", "from", "include_lower")
    high, with_high = _bound(asked, "lt", "lte", "to", "include_upper")
    if field not in TIME_FIELDS:
        low_text, high_text = (None if bound is None else _text(bound, field) for bound in (low, high))
        return Range(field, low_text, high_text, with_low, with_high)
    found = _EPOCH_FORMATS.search(str(asked.get("format", "")))
    epoch = found[1] if found else None
    start_us = None if low is None else date_span_us(low, now_us=now_us, epoch=epoch)[0 if with_low else 1]
    end_us = None if high is None else date_span_us(high, now_us=now_us, epoch=epoch)[1 if with_high else 0]
    return _between(field, start_us, end_us)


def _bound(asked: Mapping[str, Any], without: str, with_it: str, old: str, old_with: str) -> tuple[Any, bool]:
    if asked.get(with_it) is not None:
        return asked[with_it], True
    if asked.get(without) is not None:
        return asked[without], False
    return asked.get(old), bool(asked.get(old_with, True))


def _between(field: str, start_us: int | None, end_us: int | None) -> Node:
    """A bound at the end of time is none: 31 December 9999 is how some write that."""
    start_us = FIRST_US if start_us is None else max(start_us, FIRST_US)
    end_us = LAST_US + 1 if end_us is None else min(end_us, LAST_US + 1)
    if start_us >= end_us:
        return NOTHING
    low = None if start_us == FIRST_US else iso_us(start_us)
    high = None if end_us > LAST_US else iso_us(end_us)
    return Range(field, low, high, include_low=True, include_high=False)


def _exists(body: object, _: int) -> Node:
    return Exists(field_of(str(_options(_object(body, "exists"), "exists", "field").get("field", ""))))


def _prefix(body: object, _: int) -> Node:
    field, value = _field_value(body, "prefix", "value")
    return Wildcard(field, re.sub(r"([*?\\])", r"\\\1", _text(value, field)) + "*")


def _wildcard(body: object, _: int) -> Node:
    name, options = _only(_object(body, "wildcard"), "wildcard")
    if isinstance(options, dict):
        asked = _options(options, "wildcard", "value", "wildcard")
        options = asked.get("value", asked.get("wildcard"))
    return Wildcard(field_of(name), _text(options, name))


def _regexp(body: object, _: int) -> Node:
    field, value = _field_value(body, "regexp", "value")
    # Lucene's expressions cover the whole value.
    return Regex(field, f"^(?:{_text(value, field)})$")


def _ids(body: object, _: int) -> Node:
    values = _object(body, "ids").get("values", [])
    return _any([Phrase("_id", _text(value, "_id")) for value in (values if isinstance(values, list) else [values])])


_CLAUSES: Mapping[str, Callable[[object, int], Node]] = {
    "match_all": lambda *_: All(),
    "match_none": lambda *_: NOTHING,
    "query_string": _query_string,
    "simple_query_string": _query_string,
    "term": _term,
    "terms": _terms,
    "match": _match,
    "match_phrase": _match_phrase,
    "multi_match": _multi_match,
    "range": _range,
    "exists": _exists,
    "prefix": _prefix,
    "wildcard": _wildcard,
    "regexp": _regexp,
    "ids": _ids,
}


def _field_value(body: object, clause: str, member: str) -> tuple[str, object]:
    name, options = _only(_object(body, clause), clause)
    if isinstance(options, dict):
        options = _options(options, clause, member).get(member)
    return field_of(name), options


def _options(asked: Mapping[str, Any], clause: str, *known: str) -> Mapping[str, Any]:
    """The same, when it has nothing but what is known. Switched off, an option is as good as absent."""
    given = {option for option, value in asked.items() if value not in (None, False, 0, "0")}
    unknown = sorted(given - {*known} - _NEUTRAL)
    if unknown:
        raise QueryError(f"{clause}: {unknown[0]!r} is not supported")
    return asked


def _fields(asked: object, clause: str) -> list[str]:
    """Names, without their weights; `*`, that is all, where there are none."""
    names = [asked] if isinstance(asked, str) else asked or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise QueryError(f"{clause}: fields have to be a list of names")
    plain = [name.partition("^")[0] for name in names]
    return ["*"] if not plain or "*" in plain else plain


def _only(value: object, what: str) -> tuple[str, Any]:
    if not isinstance(value, dict) or len(value) != 1:
        raise QueryError(f"{what} has to be an object with one member")
    ((name, body),) = value.items()
    return name, body


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise QueryError(f"{what} has to be an object")
    return value


def _text(value: object, field: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise QueryError(f"the value of {field!r} has to be a text, a number or a boolean")
    return str(value)


def _all(parts: Sequence[Node]) -> Node:
    if not parts:
        return All()
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _any(parts: Sequence[Node]) -> Node:
    if not parts:
        return NOTHING
    return parts[0] if len(parts) == 1 else Or(tuple(parts))
