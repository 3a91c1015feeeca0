"""What the grammar cannot say: regexes, patterns and templates that are none, and operations that do not go together.

Raises `QueryError` in Loki's words where it has any.
"""

from __future__ import annotations

from tailrace.errors import QueryError
from tailrace.query.logql import tree
from tailrace.query.logql.line_pattern import line_pattern
from tailrace.query.logql.regexes import captures, check_regex
from tailrace.query.logql.template import template

DEPTH_MAX = 100
"""Operations within each other, `1 + 1 + 1` counted too: evaluation is recursive."""
STAGES_MAX = 100
"""Of one pipeline: between two looks at the clock, some thousand lines go through all of them."""

_OF_LINES = frozenset(("count_over_time", "bytes_over_time", "bytes_rate"))
_OF_LINES_OR_VALUES = frozenset(("rate", "absent_over_time"))
_GROUPED = frozenset(
    f"{name}_over_time" for name in ("avg", "stddev", "stdvar", "quantile", "max", "min", "first", "last")
)
_SETS = frozenset(("and", "or", "unless"))
COMPARISONS = frozenset(("==", "!=", ">", ">=", "<", "<="))


def checked(query: tree.Query) -> tree.Query:
    """The same query."""
    if isinstance(query, tree.LogQuery):
        _check_log_query(query)
    else:
        _check_metric(query)
    return query


def _check_metric(metric: tree.Metric, depth: int = 0) -> None:
    if depth > DEPTH_MAX:
        raise QueryError(f"parse error: more than {DEPTH_MAX} operations within each other")
    match metric:
        case tree.RangeAggregation():
            _check_range(metric)
        case tree.VectorAggregation(_, of):
            _check_metric(of, depth + 1)
        case tree.LabelReplace(of):
            _check_metric(of, depth + 1)
            check_regex(metric.regex)
        case tree.Binary():
            _check_metric(metric.left, depth + 1)
            _check_metric(metric.right, depth + 1)
            _check_binary(metric)
        case _:
            pass


def _check_range(aggregation: tree.RangeAggregation) -> None:
    operation = aggregation.operation
    _check_log_query(aggregation.query)
    if aggregation.range_ns <= 0:
        raise QueryError("parse error: the range must be longer than nothing")
    if aggregation.unwrap is None and operation not in _OF_LINES | _OF_LINES_OR_VALUES:
        raise QueryError(f"parse error: invalid aggregation {operation} without unwrap")
    if aggregation.unwrap is not None:
        if operation in _OF_LINES:
            raise QueryError(f"parse error: invalid aggregation {operation} with unwrap")
        for condition in aggregation.unwrap.filters:
            _check_condition(condition)
    if aggregation.grouping is not None and operation not in _GROUPED:
        raise QueryError(f"parse error: grouping not allowed for {operation} aggregation")
    if (operation == "quantile_over_time") != (aggregation.parameter is not None):
        if aggregation.parameter is None:
            raise QueryError(f"parse error: parameter required for operation {operation}")
        raise QueryError(f"parse error: parameter {aggregation.parameter:g} not supported for operation {operation}")


def _check_binary(binary: tree.Binary) -> None:
    sides = (binary.left, binary.right)
    if binary.operator in _SETS:
        if any(map(_is_number, sides)):
            raise QueryError(f"parse error: unexpected literal for {binary.operator}: it joins two vectors")
        if binary.matching.many:
            raise QueryError(f"parse error: no grouping allowed for {binary.operator} operation")
    if binary.as_bool and binary.operator not in COMPARISONS:
        raise QueryError("parse error: bool modifier can only be used on comparison operators")
    if binary.matching.on and set(binary.matching.include) & set(binary.matching.names):
        raise QueryError("parse error: a label must not occur in both the ON and the GROUP clause")


def _is_number(metric: tree.Metric) -> bool:
    return isinstance(metric, tree.Number) or (
        isinstance(metric, tree.Binary) and _is_number(metric.left) and _is_number(metric.right)
    )


def _check_log_query(query: tree.LogQuery) -> None:
    if len(query.stages) > STAGES_MAX:
        raise QueryError(f"parse error: the pipeline has more than {STAGES_MAX} stages")
    for matcher in query.matchers:
        _check_condition(matcher)
    for stage in query.stages:
        _check_stage(stage)


def _check_stage(stage: tree.Stage) -> None:
    match stage:
        case tree.LineFilter("|~" | "!~", texts):
            for text in texts:
                check_regex(text)
        case tree.LineFilter("|>" | "!>", texts):
            for text in texts:
                line_pattern(text, names=False)
        case tree.Regexp(regex):
            _check_captures(regex)
        case tree.Pattern(pattern):
            line_pattern(pattern, names=True)
        case tree.LabelFilter(condition):
            _check_condition(condition)
        case tree.LineFormat(text):
            template(text)
        case tree.LabelFormat(formats):
            _check_formats(formats)
        case tree.Drop(labels) | tree.Keep(labels):
            for label in labels:
                if isinstance(label, tree.Matcher):
                    _check_condition(label)
        case _:
            pass


def _check_captures(regex: str) -> None:
    check_regex(regex)
    _, names = captures(regex)
    if not names:
        raise QueryError("parse error: at least one named capture must be supplied")
    if len(set(names)) < len(names):
        raise QueryError("parse error: duplicate extracted label name")


def _check_formats(formats: tuple[tree.Rename | tree.Render, ...]) -> None:
    seen: set[str] = set()
    for each in formats:
        if each.to == "__error__":
            raise QueryError("parse error: __error__ cannot be formatted")
        if each.to in seen:
            raise QueryError(f"parse error: multiple label name '{each.to}' not allowed in a single format operation")
        seen.add(each.to)
        if isinstance(each, tree.Render):
            template(each.template)


def _check_condition(condition: tree.Condition) -> None:
    match condition:
        case tree.Matcher(_, "=~" | "!~", regex):
            check_regex(regex)
        case tree.AllOf(parts) | tree.AnyOf(parts):
            for part in parts:
                _check_condition(part)
        case _:
            pass
