"""A view of the events in Elasticsearch or OpenSearch.

The server answers whatever its index can answer for sure. What lies between `sufficient` and `necessary`, and the few
documents that are `partial`, come here in pages and are looked at by DuckDB, with the very condition that the lake
uses: an answer is always the lake's answer, and only its speed depends on the query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from tailrace.config import QuerySettings
from tailrace.model.batch import STORED_SCHEMA, join_batches
from tailrace.model.clock import Clock
from tailrace.query.to_elasticsearch import time_clause, to_elasticsearch
from tailrace.query.to_elasticsearch_clauses import NONE, Clause, Condition, every_clause, not_clause, some_clause
from tailrace.query.to_elasticsearch_fields import PARTIAL
from tailrace.store import duck
from tailrace.store.duck import Duck
from tailrace.store.elasticsearch import figures
from tailrace.store.elasticsearch.figures import Ask, NotCounted
from tailrace.store.elasticsearch.snapshot_hits import batch_of
from tailrace.store.elasticsearch.snapshot_view import Deadline, View
from tailrace.store.port import Bucket, Cursor, FieldFigure, Order, Selection, ValueFigure

# The servers' own bound of one answer.
_PAGE_ROWS_MAX = 10_000
# One page is held as JSON, as Python objects and as Arrow at the same time, which is some ten times as much.
_PAGE_BYTES = 4 << 20
# So many rows, if they are as large as events may be, are still few enough.
_FIRST_PAGE_ROWS = 200

_IS_PARTIAL: Clause = {"term": {PARTIAL: True}}
_SORT = ("timestamp_us", "log_partition", "log_offset", "log_row")


Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the view, for the server and for DuckDB. `scope` holds for every document that is meant."""

    scope: Clause
    condition: Condition
    sql: str

    @property
    def candidates(self) -> Clause:
        """Every document that may match."""
        partial = [_IS_PARTIAL] if self.condition.whole else []
        return every_clause([self.scope, some_clause([self.condition.necessary, *partial])])

    @property
    def sure(self) -> Clause:
        """The documents that match for sure."""
        whole = [not_clause(_IS_PARTIAL)] if self.condition.whole else []
        return every_clause([self.scope, self.condition.sufficient, *whole])

    @property
    def unsure(self) -> Clause:
        """The other candidates."""
        if self.condition.exact:
            return every_clause([self.scope, _IS_PARTIAL if self.condition.whole else NONE])
        between = every_clause([self.condition.necessary, not_clause(self.condition.sufficient)])
        partial = [_IS_PARTIAL] if self.condition.whole else []
        return every_clause([self.scope, some_clause([between, *partial])])


class Page(NamedTuple):
    """Some documents, never none; `partial`: which of them are not wholly in the index."""

    rows: pa.RecordBatch
    partial: Sequence[bool]


class ElasticsearchSnapshot:
    """Implements `port.Snapshot`: documents of the view that are below `reached`."""

    def __init__(
        self, view: View, reached: Mapping[int, int], *, engine: Duck, clock: Clock, settings: QuerySettings
    ) -> None:
        self.reached = reached
        self._view = view
        self._engine = engine
        self._clock = clock
        self._settings = settings
        self._visible = visible_clause(reached)
        self._has_partial: bool | None = None

    def search(self, selection: Selection, *, order: Order, limit: int, after: Cursor | None) -> pa.Table:
        question = self._question(selection)
        deadline = self._deadline()
        rows: list[pa.RecordBatch] = []
        wanted = limit
        for batch in self._matching(question, lambda: deadline, order=order, after=after, wanted=limit):
            rows.append(batch.slice(0, wanted))
            wanted -= rows[-1].num_rows
            if wanted <= 0:
                break
        return pa.Table.from_batches(rows, STORED_SCHEMA)

    def stream(self, selection: Selection, *, order: Order) -> Iterator[pa.RecordBatch]:
        # Each page has the time cap anew, as the reader's own pace does not count.
        return self._matching(self._question(selection), self._deadline, order=order)

    def count(self, selection: Selection) -> int:
        question, deadline = self._question(selection), self._deadline()
        sql = duck.count_sql("candidates", question.sql)
        looked_at = sum(duck.count_of(self._run(sql, page)) for page in self._unsure(question, deadline))
        return looked_at + figures.count(self._asking(deadline), question.sure)

    def histogram(self, selection: Selection, *, interval_us: int, by: str | None) -> list[Bucket]:
        question = self._question(selection, whole=True)
        counts = self._counted(
            question,
            lambda ask, _: figures.histogram(ask, question.sure, interval_us=interval_us, by=by),
            duck.histogram_sql("candidates", question.sql, interval_us=interval_us, by=by),
            lambda found: [((bucket.start_us, bucket.value), bucket.count) for bucket in duck.buckets(found)],
        )
        ordered = sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] is not None, item[0][1] or ""))
        return [Bucket(start_us, value, count) for (start_us, value), count in ordered]

    def fields(self, selection: Selection) -> list[FieldFigure]:
        question = self._question(selection, whole=True)
        counts = self._counted(
            question,
            lambda ask, _: figures.fields(ask, question.sure),
            duck.fields_sql("candidates", question.sql),
            lambda found: [(figure.name, figure.count) for figure in duck.field_figures(found)],
        )
        return [FieldFigure(name, count) for name, count in _most_frequent(counts)]

    def values(self, selection: Selection, *, field: str, limit: int) -> list[ValueFigure]:
        question = self._question(selection, whole=True)
        counts = self._counted(
            question,
            lambda ask, alone: figures.values(ask, question.sure, field=field, limit=limit if alone else None),
            duck.values_sql("candidates", question.sql, field=field),
            lambda found: [(figure.value, figure.count) for figure in duck.value_figures(found)],
        )
        return [ValueFigure(value, count) for value, count in _most_frequent(counts)[:limit]]

    def _question(self, selection: Selection, *, whole: bool = False) -> Question:
        """`whole`: what is counted by a value is wrong for partial documents, whatever the condition says."""
        now_us = self._clock()
        sql = duck.condition(selection, now_us=now_us)
        condition = to_elasticsearch(selection.where, now_us=now_us)
        scope = every_clause([self._visible, time_clause(selection.start_us, selection.end_us)])
        question = Question(scope, replace(condition, whole=condition.whole or whole), sql)
        if question.condition.whole and not self._may_be_partial():
            question = replace(question, condition=replace(question.condition, whole=False))
        return question

    def _may_be_partial(self) -> bool:
        """Asked once: most views have no such document, and need not look for any again."""
        if self._has_partial is None:
            query = every_clause([self._visible, _IS_PARTIAL])
            self._has_partial = figures.count(self._asking(self._deadline()), query) > 0
        return self._has_partial

    def _counted(
        self,
        question: Question,
        by_server: Callable[[Ask, bool], Counter[Key]],
        sql: str,
        read: Callable[[pa.Table], Iterable[tuple[Key, int]]],
    ) -> Counter[Key]:
        """The server's counts of what is sure, and ours of the rest; `by_server` is told whether its are all."""
        deadline = self._deadline()
        counts = self._looked_at(self._unsure(question, deadline), sql, read)
        try:
            return counts + by_server(self._asking(deadline), not counts)
        except NotCounted:
            pages = self._pages(question.candidates, lambda: deadline, order="desc", rows=_FIRST_PAGE_ROWS)
            return self._looked_at(pages, sql, read)

    def _looked_at(
        self, pages: Iterable[Page], sql: str, read: Callable[[pa.Table], Iterable[tuple[Key, int]]]
    ) -> Counter[Key]:
        counts: Counter[Key] = Counter()
        for page in pages:
            for key, count in read(self._run(sql, page)):
                counts[key] += count
            figures.check_values(counts)
        return counts

    def _unsure(self, question: Question, deadline: Deadline) -> Iterator[Page]:
        if question.unsure == NONE:
            return iter(())
        return self._pages(question.unsure, lambda: deadline, order="desc", rows=_FIRST_PAGE_ROWS)

    def _matching(
        self,
        question: Question,
        deadline: Callable[[], Deadline],
        *,
        order: Order,
        after: Cursor | None = None,
        wanted: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Rows that match, in order; never empty batches."""
        if wanted is not None and wanted <= 0:
            return
        exact = question.condition.exact
        rows = wanted if wanted is not None and exact else _FIRST_PAGE_ROWS
        where = f"(NOT {PARTIAL} OR ({question.sql}))" if exact else question.sql
        sql = duck.rows_sql("candidates", where, order=order)
        for page in self._pages(question.candidates, deadline, order=order, rows=rows, after=after):
            is_sure = exact and not (question.condition.whole and any(page.partial))
            matching = page.rows if is_sure else _one_batch(duck.stored(self._run(sql, page)))
            if matching.num_rows:
                yield matching

    def _pages(
        self,
        query: Clause,
        deadline: Callable[[], Deadline],
        *,
        order: Order,
        rows: int,
        after: Cursor | None = None,
    ) -> Iterator[Page]:
        """The documents of a clause in order, `rows` of them first, then as many as make a page."""
        if query == NONE:
            return
        body: dict[str, Any] = {
            "query": query,
            "sort": [{field: order} for field in _SORT],
            "track_total_hits": False,
        }
        size = min(rows, _PAGE_ROWS_MAX)
        while True:
            following = {} if after is None else {"search_after": list(after)}
            answer, answer_bytes = self._view.ask({**body, **following, "size": size}, deadline())
            found = [hit["_source"] for hit in answer.get("hits", {}).get("hits", [])]
            if found:
                page = Page(batch_of(found), [PARTIAL in source for source in found])
                after = duck.cursor_of(page.rows)
                yield page
            if len(found) < size:
                return
            size = max(1, min(size * _PAGE_BYTES // answer_bytes, size * 10, _PAGE_ROWS_MAX))

    def _asking(self, deadline: Deadline) -> Ask:
        return lambda body: self._view.ask(body, deadline)[0]

    def _deadline(self) -> Deadline:
        return Deadline.after(self._settings.time_max_s)

    def _run(self, sql: str, page: Page) -> pa.Table:
        candidates = pa.Table.from_batches([page.rows]).append_column(PARTIAL, pa.array(page.partial))
        return self._engine.table(sql, {"candidates": candidates})


def visible_clause(reached: Mapping[int, int]) -> Clause:
    """The documents of offsets below `reached`; none of them is of a partition that is not there.

    Said by what is left out, for that is little: most documents of a view are below.
    """
    if not reached:
        return NONE
    partitions = {"range": {"log_partition": {"gte": min(reached), "lte": max(reached)}}}
    unknown = [partition for partition in range(min(reached), max(reached)) if partition not in reached]
    hidden = [
        every_clause([{"term": {"log_partition": partition}}, {"range": {"log_offset": {"gte": offset}}}])
        for partition, offset in reached.items()
    ]
    hidden += [{"terms": {"log_partition": unknown}}] if unknown else []
    return {"bool": {"filter": [partitions], "must_not": hidden}}


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    return join_batches(rows.to_batches(), STORED_SCHEMA)


def _most_frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
