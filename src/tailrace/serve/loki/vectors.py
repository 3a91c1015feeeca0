"""Aggregations of vectors, their matching with each other and with numbers: over all steps at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError
from tailrace.query.logql.checks import COMPARISONS
from tailrace.query.logql.regexes import all_captures, expanded, whole
from tailrace.query.logql.tree import Binary, Grouping, LabelReplace, Matching, VectorAggregation
from tailrace.serve.loki.ranges import Present, Values, Vector, empty_vector
from tailrace.serve.loki.series import Labels


def aggregated(vector: Vector, aggregation: VectorAggregation) -> Vector:
    groups: dict[Labels, list[int]] = {}
    for series, labels in enumerate(vector.labels):
        groups.setdefault(group_labels(labels, aggregation.grouping), []).append(series)
    if aggregation.operation in ("topk", "bottomk"):
        return _ranked(vector, groups.values(), aggregation)
    if aggregation.operation in ("sort", "sort_desc"):
        return _sorted(vector, descending=aggregation.operation == "sort_desc")
    reduce = _REDUCERS[aggregation.operation]
    steps = vector.values.shape[1]
    values, present = np.zeros((len(groups), steps)), np.zeros((len(groups), steps), bool)
    for row, members in enumerate(groups.values()):
        present[row] = vector.present[members].any(axis=0)
        values[row] = reduce(vector.values[members], vector.present[members])
    return Vector(list(groups), values, present)


def group_labels(labels: Labels, grouping: Grouping) -> Labels:
    """The labels of the group that a series belongs to."""
    return tuple(pair for pair in labels if (pair[0] in grouping.names) != grouping.without)


def _count(values: Values, present: Present) -> Values:
    counts: Values = present.sum(axis=0).astype(float)
    return counts


def _sum(values: Values, present: Present) -> Values:
    sums: Values = np.where(present, values, 0.0).sum(axis=0)
    return sums


def _mean(values: Values, present: Present) -> Values:
    return _sum(values, present) / np.maximum(_count(values, present), 1)


def _variance(values: Values, present: Present) -> Values:
    return _mean((values - _mean(values, present)) ** 2, present)


def _extreme(take: Callable[..., Any], none: float) -> Callable[[Values, Present], Values]:
    """NaN only where there is nothing else."""

    def reduce(values: Values, present: Present) -> Values:
        usable = present & ~np.isnan(values)
        found = take(np.where(usable, values, none), axis=0)
        return np.where(usable.any(axis=0), found, np.nan)

    return reduce


_REDUCERS: dict[str, Callable[[Values, Present], Values]] = {
    "sum": _sum,
    "avg": _mean,
    "count": _count,
    "min": _extreme(np.min, np.inf),
    "max": _extreme(np.max, -np.inf),
    "stdvar": _variance,
    "stddev": lambda values, present: np.sqrt(_variance(values, present)),
}


def _ranked(vector: Vector, groups: Any, aggregation: VectorAggregation) -> Vector:
    """The series that are among the first of their group, at the steps where they are."""
    count = aggregation.parameter or 1
    sign = -1.0 if aggregation.operation == "topk" else 1.0
    present = np.zeros_like(vector.present)
    for members in groups:
        # NaN comes last of those that are there; the series first met wins a draw.
        there = vector.present[members]
        keys = sign * vector.values[members]
        order = np.lexsort((keys, np.isnan(keys), ~there), axis=0)
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(len(members))[:, None], axis=0)
        present[members] = there & (ranks < count)
    kept = np.flatnonzero(present.any(axis=1))
    ranked = Vector([vector.labels[series] for series in kept], vector.values[kept], present[kept])
    return _sorted(ranked, descending=aggregation.operation == "topk")


def _sorted(vector: Vector, *, descending: bool) -> Vector:
    """By the value at the first step that there is: what an instant query shows in this order."""
    if not vector.labels:
        return vector
    first = vector.values[np.arange(len(vector.labels)), vector.present.argmax(axis=1)]
    order = np.argsort(-first if descending else first, kind="stable")
    return Vector([vector.labels[series] for series in order], vector.values[order], vector.present[order])


# ---- two sides

_ARITHMETIC: dict[str, Callable[[Values, Values], Values]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    # Loki gives NaN for a division by zero, whatever is divided.
    "/": lambda one, other: np.where(other == 0, np.nan, np.divide(one, other)),
    "%": lambda one, other: np.where(other == 0, np.nan, np.fmod(one, other)),
    "^": np.power,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def calculated(sign: str, one: Any, other: Any) -> Values:
    """Comparisons are 1 or 0."""
    with np.errstate(all="ignore"):
        return np.asarray(_ARITHMETIC[sign](np.asarray(one, float), np.asarray(other, float)), float)


def with_number(vector: Vector, number: float, binary: Binary, *, number_first: bool) -> Vector:
    """A comparison leaves out what it does not hold for, unless it asks for `bool`."""
    sides = (number, vector.values) if number_first else (vector.values, number)
    values = calculated(binary.operator, *sides)
    if binary.operator not in COMPARISONS or binary.as_bool:
        return Vector(vector.labels, values, vector.present)
    return Vector(vector.labels, vector.values, vector.present & (values == 1))


def joined(left: Vector, right: Vector, binary: Binary) -> Vector:
    if binary.operator in ("and", "or", "unless"):
        return _set(left, right, binary)
    return _matched(left, right, binary)


def _signature(labels: Labels, matching: Matching) -> Labels:
    return tuple(pair for pair in labels if (pair[0] in matching.names) == matching.on)


def _by_signature(vector: Vector, matching: Matching) -> dict[Labels, list[int]]:
    found: dict[Labels, list[int]] = {}
    for series, labels in enumerate(vector.labels):
        found.setdefault(_signature(labels, matching), []).append(series)
    return found


def _set(left: Vector, right: Vector, binary: Binary) -> Vector:
    first, second = (right, left) if binary.operator == "or" else (left, right)
    others = _by_signature(second, binary.matching)
    present = first.present.copy()
    for series, labels in enumerate(first.labels):
        members = others.get(_signature(labels, binary.matching), [])
        there = second.present[members].any(axis=0)
        present[series] &= there if binary.operator == "and" else ~there
    if binary.operator != "or":
        return Vector(left.labels, left.values, present)
    return merged(
        Vector(
            [*left.labels, *right.labels],
            np.concatenate([left.values, right.values]),
            np.concatenate([left.present, present]),
        )
    )


def merged(vector: Vector) -> Vector:
    """Series of the same labels become one; the first that is there at a step counts."""
    rows: dict[Labels, list[int]] = {}
    for series, labels in enumerate(vector.labels):
        rows.setdefault(labels, []).append(series)
    if len(rows) == len(vector.labels):
        return vector
    values, present = vector.values.copy(), vector.present.copy()
    for first, *others in rows.values():
        for other in others:
            values[first] = np.where(present[first], values[first], values[other])
            present[first] |= present[other]
    kept = [members[0] for members in rows.values()]
    return Vector(list(rows), values[kept], present[kept])


def _matched(left: Vector, right: Vector, binary: Binary) -> Vector:
    matching = binary.matching
    many, one = (right, left) if matching.many == "right" else (left, right)
    ones = _by_signature(one, matching)
    _check_unique(one, ones, "left" if matching.many == "right" else "right")
    steps = left.values.shape[1]
    # For each labels of the result: the values, where there is one, and where two series were matched at all.
    rows: dict[Labels, tuple[Values, Present, Present]] = {}
    for series, own in enumerate(many.labels):
        signature = _signature(own, matching)
        for other in ones.get(signature, ()):
            there = many.present[series] & one.present[other]
            if not there.any():
                continue
            result = _result_labels(own, one.labels[other], matching)
            if result not in rows:
                rows[result] = np.zeros(steps), np.zeros(steps, bool), np.zeros(steps, bool)
            values, present, taken = rows[result]
            if (taken & there).any():
                raise QueryError(
                    "multiple matches for labels: grouping labels must ensure unique matches"
                    if matching.many
                    else "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
            taken |= there
            sides = [many.values[series], one.values[other]]
            lhs, rhs = sides[::-1] if matching.many == "right" else sides
            found = calculated(binary.operator, lhs, rhs)
            if binary.operator in COMPARISONS and not binary.as_bool:
                there, found = there & (found == 1), lhs
            values[there] = found[there]
            present |= there
    if not rows:
        return empty_vector(steps)
    values, present, _ = (np.array(column) for column in zip(*rows.values(), strict=True))
    return Vector(list(rows), values, present)


def _check_unique(vector: Vector, by_signature: dict[Labels, list[int]], side: str) -> None:
    for members in by_signature.values():
        if len(members) > 1 and (vector.present[members].sum(axis=0) > 1).any():
            raise QueryError(
                f"found duplicate series on the {side} hand-side;many-to-many matching not allowed: matching labels "
                "must be unique on one side"
            )


def _result_labels(many: Labels, one: Labels, matching: Matching) -> Labels:
    kept = dict(many if matching.many else _signature(many, matching))
    others = dict(one)
    for name in matching.include:
        kept.pop(name, None)
        if others.get(name):
            kept[name] = others[name]
    return tuple(sorted(kept.items()))


def relabelled(vector: Vector, replacement: LabelReplace) -> Vector:
    """The label set from a part of another, where the regex covers that one's whole value."""
    pattern, names = all_captures(replacement.regex)
    sources = [dict(labels).get(replacement.name, "") for labels in vector.labels]
    found = pc.extract_regex(pa.array(sources, pa.string()), pattern=f"(?P<g0>{whole(pattern)})").to_pylist()
    labels: list[Labels] = []
    for own, match in zip(vector.labels, found, strict=True):
        if match is None:
            labels.append(own)
            continue
        groups = {"0": match["g0"]}
        for number, name in enumerate(names):
            groups[str(number + 1)] = groups[name] = match[f"g{number + 1}"]
        value = expanded(replacement.replacement, groups)
        others = {name: text for name, text in own if name != replacement.to}
        labels.append(tuple(sorted({**others, **({replacement.to: value} if value else {})}.items())))
    _check_same(labels, vector)
    return Vector(labels, vector.values, vector.present)


def _check_same(labels: Sequence[Labels], vector: Vector) -> None:
    members: dict[Labels, list[int]] = {}
    for series, each in enumerate(labels):
        members.setdefault(each, []).append(series)
    if any((vector.present[series].sum(axis=0) > 1).any() for series in members.values() if len(series) > 1):
        raise QueryError("vector cannot contain metrics with the same labelset")
