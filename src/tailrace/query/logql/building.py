"""The parser's tree to ours, from the leaves up."""

from __future__ import annotations

from typing import Any, Literal, NoReturn

from lark import Token, Transformer

from tailrace.errors import QueryError
from tailrace.query.leaves import SURROGATE
from tailrace.query.logql import tree
from tailrace.query.logql.json_path import json_path
from tailrace.query.logql.values import bytes_of, duration_ns_of, integer_of, number_of, unquoted

_Children = list[Any]

_DURATION_NS_MAX = 1 << 62
"""146 years. Sums of a time and two such durations fit into 64 bits."""


class _Placed:
    """A value that is known by its kind only: what an optional part of a rule was."""

    def __init__(self, kind: str, value: Any) -> None:
        self.kind = kind
        self.value = value


def _of_kind(children: _Children, kind: str, default: Any = None) -> Any:
    return next((child.value for child in children if isinstance(child, _Placed) and child.kind == kind), default)


def _refuse(token: Token, reason: str) -> NoReturn:
    raise QueryError(f"parse error at line {token.line}, col {token.column}: {reason}")


def _text(token: Token) -> str:
    text = unquoted(token)
    if text is None:
        _refuse(token, f"{token} is not a text: an escape in it is none")
    if SURROGATE.search(text):
        _refuse(token, f"{text!a} holds half of a surrogate pair, which is not a character")
    return text


def _duration_ns(token: Token) -> int:
    duration_ns = duration_ns_of(token.strip("[] \t\n"), calendar=True)
    if duration_ns is None or duration_ns > _DURATION_NS_MAX:
        _refuse(token, f"not a valid duration: {token[:40]}")
    return duration_ns


class Builder(Transformer[Any, Any]):
    """A method for each rule of the grammar that leaves a node."""

    def inner(self, children: _Children) -> tree.LogQuery:
        query: tree.LogQuery = children[0]
        return query

    def log_query(self, children: _Children) -> tree.LogQuery:
        return tree.LogQuery(children[0], tuple(children[1:]))

    def selector(self, children: _Children) -> tuple[tree.Matcher, ...]:
        return tuple(children)

    def matcher(self, children: _Children) -> tree.Matcher:
        name, operator, value = children
        return tree.Matcher(str(name), str(operator), _text(value))  # type: ignore[arg-type]

    # ---- stages

    def line_filter(self, children: _Children) -> tree.LineFilter:
        return tree.LineFilter(str(children[0]), tuple(map(_text, children[1:])))  # type: ignore[arg-type]

    def ip(self, children: _Children) -> NoReturn:
        _refuse(children[0], "ip() is not supported here; match the address with |~ or a label filter with =~")

    def extraction(self, children: _Children) -> tuple[str, Token | None]:
        return str(children[0]), children[2] if len(children) > 1 else None

    def json(self, children: _Children) -> tree.Json:
        return tree.Json(tuple((name, self._path(name, path)) for name, path in children))

    @staticmethod
    def _path(name: str, path: Token | None) -> tuple[str | int, ...]:
        if path is None:
            return (name,)
        keys = json_path(_text(path))
        if keys is None:
            _refuse(path, f"cannot parse expression [{_text(path)}]; write keys and indices like servers[0].name")
        return keys

    def logfmt(self, children: _Children) -> tree.Logfmt:
        flags = {str(child) for child in children if isinstance(child, Token)}
        for child in children:
            if isinstance(child, Token) and child not in ("--strict", "--keep-empty"):
                _refuse(child, f"unknown flag {child}; there are --strict and --keep-empty")
        names = tuple(
            (child[0], child[0] if child[1] is None else _text(child[1]))
            for child in children
            if isinstance(child, tuple)
        )
        return tree.Logfmt(names, "--strict" in flags, "--keep-empty" in flags)

    def regexp(self, children: _Children) -> tree.Regexp:
        return tree.Regexp(_text(children[0]))

    def pattern(self, children: _Children) -> tree.Pattern:
        return tree.Pattern(_text(children[0]))

    def unpack(self, _: _Children) -> tree.Unpack:
        return tree.Unpack()

    def line_format(self, children: _Children) -> tree.LineFormat:
        return tree.LineFormat(_text(children[0]))

    def label_format(self, children: _Children) -> tree.LabelFormat:
        return tree.LabelFormat(tuple(children))

    def format(self, children: _Children) -> tree.Rename | tree.Render:
        to, _, what = children
        if what.type == "NAME":
            return tree.Rename(str(to), str(what))
        return tree.Render(str(to), _text(what))

    def drop(self, children: _Children) -> tree.Drop:
        return tree.Drop(tuple(_name(child) for child in children))

    def keep(self, children: _Children) -> tree.Keep:
        return tree.Keep(tuple(_name(child) for child in children))

    def decolorize(self, _: _Children) -> tree.Decolorize:
        return tree.Decolorize()

    def label_filter(self, children: _Children) -> tree.LabelFilter:
        return tree.LabelFilter(children[0])

    def any_of(self, children: _Children) -> tree.Condition:
        first: tree.Condition = children[0]
        return first if len(children) == 1 else tree.AnyOf(tuple(children))

    def all_of(self, children: _Children) -> tree.Condition:
        first: tree.Condition = children[0]
        return first if len(children) == 1 else tree.AllOf(tuple(children))

    def comparison(self, children: _Children) -> tree.Comparison:
        name, operator, value = children
        sign = "==" if operator == "=" else str(operator)
        if not isinstance(value, Token):
            return tree.Comparison(str(name), sign, value, "number")  # type: ignore[arg-type]
        if value.type == "DURATION":
            return tree.Comparison(str(name), sign, _duration_ns(value) / 1e9, "duration")  # type: ignore[arg-type]
        size = bytes_of(value)
        if size is None:
            _refuse(value, f"the size {value[:40]} is out of range")
        return tree.Comparison(str(name), sign, size, "bytes")  # type: ignore[arg-type]

    def ip_filter(self, children: _Children) -> NoReturn:
        _refuse(children[0], "ip() is not supported here; compare the address with =~")

    # ---- metrics

    def signed(self, children: _Children) -> float:
        token: Token = children[-1]
        whole = integer_of(token)
        value = number_of(token) if whole is None else float(whole)
        if value is None:
            _refuse(token, f"the number {token[:40]} is out of range")
        return -value if children[0] == "-" else value

    def literal(self, children: _Children) -> tree.Number:
        return tree.Number(children[0])

    def vector(self, children: _Children) -> tree.Vector:
        return tree.Vector(children[0])

    def label_replace(self, children: _Children) -> tree.LabelReplace:
        to, replacement, name, regex = map(_text, children[1:])
        return tree.LabelReplace(children[0], to, replacement, name, regex)

    def names(self, children: _Children) -> tuple[str, ...]:
        return tuple(map(str, children))

    def group(self, children: _Children) -> tuple[Literal["left", "right"], tuple[str, ...]]:
        return ("left" if children[0].type == "GROUP_LEFT" else "right"), children[1] if len(children) > 1 else ()

    def matching(self, children: _Children) -> tree.Matching:
        if len(children) == 2:
            return tree.Matching(children[0].type == "ON", children[1])
        many, include = children[2]
        return tree.Matching(children[0].type == "ON", children[1], many, include)

    def modifier(self, children: _Children) -> tuple[bool, tree.Matching]:
        matching = next((child for child in children if isinstance(child, tree.Matching)), tree.Matching())
        return any(isinstance(child, Token) for child in children), matching

    def binary(self, children: _Children) -> tree.Metric:
        left, operator, (as_bool, matching), right = children
        return tree.Binary(str(operator), left, right, matching, as_bool)

    def set_or(self, children: _Children) -> tree.Metric:
        return tree.Binary("or", children[0], children[2], children[1][1])

    def set_and(self, children: _Children) -> tree.Metric:
        return tree.Binary("and", children[0], children[2], children[1][1])

    def set_unless(self, children: _Children) -> tree.Metric:
        return tree.Binary("unless", children[0], children[2], children[1][1])

    def grouping(self, children: _Children) -> _Placed:
        return _Placed("grouping", tree.Grouping(children[1], children[0].type == "WITHOUT"))

    def offset(self, children: _Children) -> _Placed:
        return _Placed("offset", _duration_ns(children[-1]) * (-1 if children[0] == "-" else 1))

    def unwrap_filter(self, children: _Children) -> _Placed:
        return _Placed("filter", children[0])

    def unwrap(self, children: _Children) -> _Placed:
        tokens = [child for child in children if isinstance(child, Token)]
        filters = tuple(child.value for child in children if isinstance(child, _Placed))
        if len(tokens) == 1:
            return _Placed("unwrap", tree.Unwrap(str(tokens[0]), "", filters))
        conversion = "bytes" if tokens[0] == "bytes" else "duration"
        return _Placed("unwrap", tree.Unwrap(str(tokens[1]), conversion, filters))  # type: ignore[arg-type]

    def range_behind(self, children: _Children) -> _Placed:
        return self._ranged(children)

    def range_before(self, children: _Children) -> _Placed:
        return self._ranged(children)

    @staticmethod
    def _ranged(children: _Children) -> _Placed:
        stages = [child for child in children[1:] if not isinstance(child, Token | _Placed)]
        span = next(child for child in children if isinstance(child, Token))
        query = tree.LogQuery(children[0], tuple(stages))
        return _Placed(
            "range", (query, _duration_ns(span), _of_kind(children, "offset", 0), _of_kind(children, "unwrap"))
        )

    def range_aggregation(self, children: _Children) -> tree.RangeAggregation:
        query, range_ns, offset_ns, unwrap = _of_kind(children, "range")
        parameter = next((child for child in children if isinstance(child, float)), None)
        grouping = _of_kind(children, "grouping")
        return tree.RangeAggregation(str(children[0]), query, range_ns, offset_ns, unwrap, parameter, grouping)

    def vector_aggregation(self, children: _Children) -> tree.VectorAggregation:
        operation: Token = children[0]
        of = next(child for child in reversed(children) if not isinstance(child, _Placed))
        parameter = next((child for child in children if isinstance(child, float)), None)
        takes_parameter = operation in ("topk", "bottomk")
        if operation == "approx_topk":
            _refuse(operation, "approx_topk is not supported here; topk gives the exact answer")
        if takes_parameter and parameter is None:
            _refuse(operation, f"parameter required for operation {operation}")
        if parameter is not None and not takes_parameter:
            _refuse(operation, f"unsupported parameter for operation {operation}(")
        if parameter is not None and (parameter != int(parameter) or parameter < 1):
            _refuse(operation, f"invalid parameter {operation}({parameter:g},: it must be a whole number above 0")
        grouping = _of_kind(children, "grouping", tree.Grouping(()))
        return tree.VectorAggregation(str(operation), of, grouping, None if parameter is None else int(parameter))


def _name(child: Any) -> str | tree.Matcher:
    return str(child) if isinstance(child, Token) else child
