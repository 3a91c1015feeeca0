"""Aggregations over the events of a snapshot: the columns that they need as one table, and a GROUP BY for each level.

    snapshot ──stream, a batch at a time──> the columns that are asked about ──> DuckDB ──> nested buckets
                                                                  ──completed──> those without events among them

`date_histogram` and `terms` that stand alone are answered by the snapshot itself, which knows shorter ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

from tailrace.errors import QueryError
from tailrace.query.leaves import attribute_name
from tailrace.query.text_match import text_literal
from tailrace.query.to_sql import to_sql
from tailrace.query.tree import TIME_FIELDS
from tailrace.serve.elasticsearch.aggregation_tree import METRIC_KINDS, Aggregation, every_one
from tailrace.serve.elasticsearch.buckets import BUCKETS_MAX, TooManyBuckets, date_answer, number_answer, terms_answer
from tailrace.serve.elasticsearch.completed import completed
from tailrace.serve.elasticsearch.metrics import metric_answer, metric_sql, number_sql
from tailrace.store.duck import Duck
from tailrace.store.port import Selection, Snapshot

_VALUES_MAX = 10_000
_MINUTE_US = 60_000_000
# At one level: before `terms` is cut to its size there may be more groups than buckets.
_GROUPS_MAX = 4 * BUCKETS_MAX

Parent = tuple[Any, ...]
Answers = dict[str, Any]


def aggregate(
    snapshot: Snapshot,
    selection: Selection,
    aggregations: Sequence[Aggregation],
    duck: Duck,
    *,
    now_us: int,
    memory_bytes_max: int,
) -> Answers:
    """The answers by name. Raises `QueryError`, also where they would need too much memory or too many buckets."""
    answers: Answers = {}
    others = []
    for each in aggregations:
        short = _short_way(snapshot, selection, each)
        if short is None:
            others.append(each)
        else:
            answers[each.name] = short
    if others:
        table = _Table(others, now_us)
        rows = table.read(snapshot, selection, duck, memory_bytes_max)
        if rows is not None:
            answers |= _Run(duck, rows, table.columns, table.conditions).answers(others, (), "true").get((), {})
    return completed(aggregations, answers)


def _short_way(snapshot: Snapshot, selection: Selection, asked: Aggregation) -> Answers | None:
    if asked.below:
        return None
    if asked.kind == "date_histogram" and asked.field == "timestamp":
        buckets, start_us, end_us = asked.options["buckets"], selection.start_us, selection.end_us
        if not buckets.is_plain:
            return None
        is_short = start_us is not None and end_us is not None and end_us - start_us <= BUCKETS_MAX * buckets.fixed_us
        if not is_short and buckets.fixed_us < _MINUTE_US:
            # The snapshot gives all there are, and there may be one for each event.
            return None
        counted = snapshot.histogram(selection, interval_us=buckets.fixed_us, by=None)
        return date_answer(asked, {each.start_us: each.count for each in counted}, {})
    if asked.kind == "terms" and asked.field not in (None, *TIME_FIELDS) and asked.options["missing"] is None:
        values = snapshot.values(selection, field=str(asked.field), limit=_VALUES_MAX)
        if len(values) == _VALUES_MAX:
            return None
        return terms_answer(asked, {each.value: each.count for each in values}, {})
    return None


class _Table:
    """Which columns are needed, and where they come from."""

    def __init__(self, aggregations: Sequence[Aggregation], now_us: int) -> None:
        asked = list(every_one(aggregations))
        fields = dict.fromkeys(each.field for each in asked if each.field is not None)
        self.columns = {field: f"c{number}" for number, field in enumerate(fields)}
        filters = [each for aggregation in asked for each in aggregation.filters]
        self.conditions = {id(each): f"f{number}" for number, each in enumerate(filters)}
        expressions = [f"{_expression(field)} AS {name}" for field, name in self.columns.items()]
        expressions += [f"({to_sql(each.where, now_us=now_us)}) AS {self.conditions[id(each)]}" for each in filters]
        self._sql = f"SELECT {', '.join(expressions)} FROM events"

    def read(self, snapshot: Snapshot, selection: Selection, duck: Duck, memory_bytes_max: int) -> pa.Table | None:
        parts: list[pa.Table] = []
        held_bytes = 0
        for batch in snapshot.stream(selection, order="desc"):
            part = duck.table(self._sql, {"events": pa.Table.from_batches([batch])})
            held_bytes += part.nbytes
            if held_bytes > memory_bytes_max:
                raise QueryError(
                    "the aggregation needs more memory than query.memory_bytes_max; ask for a shorter time range"
                )
            parts.append(part)
        return pa.concat_tables(parts) if parts else None


def _expression(field: str) -> str:
    if field in TIME_FIELDS:
        return f"epoch_us({field})"
    name = attribute_name(field)
    return field if name is None else f"attributes[{text_literal(name)}]"


@dataclass(frozen=True, slots=True)
class _Run:
    """`conditions`: the columns of filters, by their identity."""

    duck: Duck
    rows: pa.Table
    columns: Mapping[str, str]
    conditions: Mapping[int, str]

    def answers(self, asked: Sequence[Aggregation], group: tuple[str, ...], where: str) -> dict[Parent, Answers]:
        """For each bucket of the levels above, the answers of all that is asked below it.

        `group`: the expressions of those levels; a parent is their values. Of what has no event nothing is said.
        """
        found: dict[Parent, Answers] = {}
        metrics = [each for each in asked if each.kind in METRIC_KINDS]
        if metrics:
            for parent, answers in self._metrics(metrics, group, where).items():
                found.setdefault(parent, {}).update(answers)
        for each in asked:
            if each.kind in METRIC_KINDS:
                continue
            answered = self._filters(each, group, where) if each.filters else self._buckets(each, group, where)
            for parent, answer in answered.items():
                found.setdefault(parent, {})[each.name] = answer
        return found

    def _metrics(self, asked: Sequence[Aggregation], group: tuple[str, ...], where: str) -> dict[Parent, Answers]:
        expressions = [metric_sql(each, self.columns[str(each.field)]) for each in asked]
        rows = self._select(group, [f"[{', '.join(parts)}]" for parts in expressions], where)
        return {
            row[: len(group)]: {
                each.name: metric_answer(each, values) for each, values in zip(asked, row[len(group) :], strict=True)
            }
            for row in rows
        }

    def _filters(self, asked: Aggregation, group: tuple[str, ...], where: str) -> dict[Parent, Answers]:
        by_filter: list[dict[Parent, Answers]] = []
        for each in asked.filters:
            condition = f"{where} AND {self.conditions[id(each)]}"
            below = self.answers(asked.below, group, condition)
            rows = self._select(group, ["count(*)"], condition)
            by_filter.append({row[:-1]: {"doc_count": row[-1], **below.get(row[:-1], {})} for row in rows})
        answers: dict[Parent, Answers] = {}
        for parent in set(chain.from_iterable(by_filter)):
            buckets = [found.get(parent, {"doc_count": 0}) for found in by_filter]
            if asked.kind == "filter":
                answers[parent] = buckets[0]
            elif asked.filters[0].name is None:
                answers[parent] = {"buckets": buckets}
            else:
                named = zip(asked.filters, buckets, strict=True)
                answers[parent] = {"buckets": {str(each.name): bucket for each, bucket in named}}
        return answers

    def _buckets(self, asked: Aggregation, group: tuple[str, ...], where: str) -> dict[Parent, Answers]:
        key = self._key(asked)
        present = f"{where} AND ({key}) IS NOT NULL"
        counts: dict[Parent, dict[Any, int]] = {}
        for *parent, value, count in self._select((*group, key), ["count(*)"], present):
            counts.setdefault(tuple(parent), {})[value] = count
        below = self.answers(asked.below, (*group, key), present) if asked.below else {}
        by_parent: dict[Parent, dict[Any, Answers]] = {}
        for (*parent, value), answers in below.items():
            by_parent.setdefault(tuple(parent), {})[value] = answers
        answer = {"date_histogram": date_answer, "histogram": number_answer, "terms": terms_answer}[asked.kind]
        return {parent: answer(asked, found, by_parent.get(parent, {})) for parent, found in counts.items()}

    def _key(self, asked: Aggregation) -> str:
        column = self.columns[str(asked.field)]
        if asked.kind == "date_histogram":
            return str(asked.options["buckets"].sql(column))
        if asked.kind == "histogram":
            interval, offset = asked.options["interval"], asked.options["offset"]
            return f"floor(({number_sql(asked, column)} - {offset!r}) / {interval!r}) * {interval!r} + {offset!r}"
        missing = asked.options["missing"]
        text = column if asked.field not in TIME_FIELDS else f"{column} // 1000"
        return text if missing is None else f"coalesce({text}, {text_literal(missing)})"

    def _select(self, group: tuple[str, ...], values: Sequence[str], where: str) -> list[tuple[Any, ...]]:
        """Raises `TooManyBuckets` past _GROUPS_MAX rows."""
        columns = ", ".join([*group, *values])
        grouped = f" GROUP BY {', '.join(str(number + 1) for number in range(len(group)))}" if group else ""
        sql = f"SELECT {columns} FROM events WHERE {where}{grouped} LIMIT {_GROUPS_MAX + 1}"
        table = self.duck.table(sql, {"events": self.rows})
        if table.num_rows > _GROUPS_MAX:
            raise TooManyBuckets
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
