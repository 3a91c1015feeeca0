"""Queries over a snapshot: lines for a log query, series for a metric one.

The stores give what time and `selecting` leave, in batches; each goes through the pipeline as columns, and lines that
were answered or counted are let go.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import QuerySettings
from tailrace.errors import QueryError, RetryLater
from tailrace.query.logql import tree
from tailrace.query.logql.pushdown import selecting
from tailrace.query.logql.template import template
from tailrace.serve.loki.events import frame_of
from tailrace.serve.loki.frame import ERROR, EXTRACTED, Frame, present
from tailrace.serve.loki.labels_match import READERS, holds, matched, numbers
from tailrace.serve.loki.ranges import AGGREGATES, Counter, Samples, Vector, empty_vector, quantile
from tailrace.serve.loki.series import Codes, labels_text, series_of
from tailrace.serve.loki.stages import staged
from tailrace.serve.loki.steps import Steps, Windows
from tailrace.serve.loki.vectors import aggregated, calculated, joined, relabelled, with_number
from tailrace.store.duck import cursor_of
from tailrace.store.port import Order, Selection, Snapshot

_PART_ROWS = 8_192
_PART_BYTES = 16 << 20
"""Of the events that are worked on together: between two looks at the clock, and as columns in memory."""
_FIRST_ROWS = 1_024
_PAGE_ROWS_MAX = 65_536
_PAGE_BYTES = 64 << 20
"""Of a log query's reading: what wants few lines and finds them soon reads little."""


@dataclass(slots=True)
class Work:
    """What a query has done, and until when it may go on."""

    until_s: float
    time_max_s: float
    lines: int = 0
    bytes: int = 0
    started_s: float = field(default_factory=time.perf_counter)

    def count(self, batch: pa.RecordBatch) -> None:
        """Raises `RetryLater` when the time is over."""
        self.lines += batch.num_rows
        self.bytes += int(pc.sum(pc.binary_length(batch.column("message"))).as_py() or 0)
        self.check_time()

    def check_time(self) -> None:
        """Raises `RetryLater` when the time is over."""
        if time.monotonic() > self.until_s:
            raise RetryLater(
                f"the query took more than {self.time_max_s:g} s (query.time_max_s); ask for a shorter time range"
            )


class Evaluation:
    """One query on one snapshot, in one thread."""

    def __init__(self, snapshot: Snapshot, settings: QuerySettings) -> None:
        self.snapshot = snapshot
        self._settings = settings
        self.work = Work(time.monotonic() + settings.time_max_s, settings.time_max_s)

    # ---- lines

    def frames(
        self, query: tree.LogQuery, start_us: int, end_us: int, *, needed: frozenset[str] | None = None
    ) -> Iterator[Frame]:
        """The lines of `start_us <= time < end_us` that the query lets through, oldest first."""
        if start_us >= end_us:
            return
        for batch in self.snapshot.stream(Selection(selecting(query), start_us, end_us), order="asc"):
            for part in parts_of(batch):
                self.work.count(part)
                frame = piped(frame_of(part), query, needed)
                if len(frame):
                    yield frame

    def lines(self, query: tree.LogQuery, start_us: int, end_us: int, order: Order, limit: int) -> Iterator[Frame]:
        """The first `limit` lines, in order; no more is read than it takes to find them."""
        if start_us >= end_us:
            return
        selection = Selection(selecting(query), start_us, end_us)
        rows, after = _FIRST_ROWS, None
        while True:
            page = self.snapshot.search(selection, order=order, limit=rows, after=after)
            for part in (part for batch in page.to_batches() for part in parts_of(batch)):
                self.work.count(part)
                frame = piped(frame_of(part), query)
                frame = frame.filtered(np.arange(len(frame)) < limit)
                limit -= len(frame)
                if len(frame):
                    yield frame
                if not limit:
                    return
            if page.num_rows < rows:
                return
            fitting = rows * _PAGE_BYTES // max(page.nbytes, 1)
            rows, after = max(min(rows * 4, fitting, _PAGE_ROWS_MAX), 1), cursor_of(page)

    # ---- series

    def metric(self, metric: tree.Metric, steps: Steps) -> Vector:
        """Raises `QueryError` for what cannot be answered, `RetryLater` when the time is over."""
        match metric:
            case tree.Number(value) | tree.Vector(value):
                return Vector([()], np.full((1, steps.count), value), np.ones((1, steps.count), bool))
            case tree.RangeAggregation():
                return self._range(metric, steps, None)
            case tree.VectorAggregation():
                return aggregated(self._within(metric, steps), metric)
            case tree.LabelReplace(of):
                return relabelled(self.metric(of, steps), metric)
            case tree.Binary():
                return self._binary(metric, steps)

    def _within(self, aggregation: tree.VectorAggregation, steps: Steps) -> Vector:
        """What a sum adds up is grouped already as it is counted, where that makes no difference."""
        of = aggregation.of
        if aggregation.operation == "sum" and isinstance(of, tree.RangeAggregation) and of.operation in _ADDED:
            return self._range(of, steps, aggregation.grouping)
        return self.metric(of, steps)

    def _binary(self, binary: tree.Binary, steps: Steps) -> Vector:
        left, right = binary.left, binary.right
        numbers = [number_of(side) for side in (left, right)]
        if numbers[0] is not None and numbers[1] is not None:
            value = calculated(binary.operator, numbers[0], numbers[1])
            return self.metric(tree.Number(float(value)), steps)
        if numbers[0] is not None:
            return with_number(self.metric(right, steps), numbers[0], binary, number_first=True)
        if numbers[1] is not None:
            return with_number(self.metric(left, steps), numbers[1], binary, number_first=False)
        return joined(self.metric(left, steps), self.metric(right, steps), binary)

    def _range(self, aggregation: tree.RangeAggregation, steps: Steps, grouping: tree.Grouping | None) -> Vector:
        windows = Windows(steps, aggregation.range_ns, aggregation.offset_ns)
        grouping = _grouping(aggregation, grouping)
        counter = Counter(windows)
        samples = Samples(windows, bytes_max=self._settings.memory_bytes_max, check_time=self.work.check_time)
        needed = _needed(aggregation, grouping)
        start_us, end_us = windows.span_us()
        for frame in self.frames(_query(aggregation, needed), start_us, end_us, needed=needed):
            if aggregation.unwrap is None:
                _check_errors(frame, grouping)
                codes, labels = series_of(frame, grouping)
                counter.add(frame.time_us, codes, labels, _amounts(frame, aggregation.operation))
            else:
                self._add_values(samples, frame, aggregation.unwrap, grouping)
        return _finished(aggregation, counter, samples, steps)

    @staticmethod
    def _add_values(samples: Samples, frame: Frame, unwrap: tree.Unwrap, grouping: tree.Grouping | None) -> None:
        column = frame.get(unwrap.name)
        frame = frame.filtered(present(column) & pc.not_equal(pc.fill_null(column, ""), "").to_numpy(False))
        values, wrong = numbers(frame.get(unwrap.name), READERS[unwrap.conversion])
        frame = frame.with_errors("SampleExtractionErr", wrong, f"{unwrap.name} is not a number")
        mask = np.ones(len(frame), bool)
        for condition in unwrap.filters:
            frame, mask = holds(frame, condition, mask)
        frame, values = frame.filtered(mask), np.where(wrong, 0.0, values)[mask]
        if len(frame):
            _check_errors(frame, grouping)
            codes, labels = series_of(frame, grouping)
            samples.add(frame.time_us, codes, labels, values)


_ADDED = frozenset(("count_over_time", "rate", "bytes_over_time", "bytes_rate", "sum_over_time"))


def parts_of(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Each label is a column as long as its part of the batch: so many labels of so many lines fit into memory."""
    rows = max(min(_PART_ROWS, batch.num_rows * _PART_BYTES // max(batch.nbytes, 1)), 1)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def piped(frame: Frame, query: tree.LogQuery, needed: frozenset[str] | None = None) -> Frame:
    """The lines of the query's streams, through its pipeline."""
    mask = np.ones(len(frame), bool)
    for matcher in query.matchers:
        column = frame.streams.get(matcher.name, pa.nulls(len(frame), pa.string()))
        mask &= matched(column, matcher)
    return staged(frame.filtered(mask), query.stages, needed)


def number_of(metric: tree.Metric) -> float | None:
    """What an expression of numbers alone comes to."""
    match metric:
        case tree.Number(value):
            return value
        case tree.Binary(sign, left, right):
            one, other = number_of(left), number_of(right)
            return None if one is None or other is None else float(calculated(sign, one, other))
        case _:
            return None


def _grouping(aggregation: tree.RangeAggregation, outer: tree.Grouping | None) -> tree.Grouping | None:
    grouping = outer if outer is not None else aggregation.grouping
    if aggregation.unwrap is None or (grouping is not None and not grouping.without):
        return grouping
    # The label that is the value is no label of the series.
    return tree.Grouping((*(() if grouping is None else grouping.names), aggregation.unwrap.name), without=True)


def _needed(aggregation: tree.RangeAggregation, grouping: tree.Grouping | None) -> frozenset[str] | None:
    """The labels that decide about the answer; None: all do."""
    if grouping is None or grouping.without:
        return None
    names = set(grouping.names)
    if aggregation.unwrap is not None:
        names.add(aggregation.unwrap.name)
        for condition in aggregation.unwrap.filters:
            names |= _names(condition)
    for stage in aggregation.query.stages:
        match stage:
            case tree.LabelFilter(condition):
                names |= _names(condition)
            case tree.LineFormat(text):
                names |= template(text).labels
            case tree.LabelFormat(formats):
                for each in formats:
                    names |= {each.name} if isinstance(each, tree.Rename) else template(each.template).labels
            case tree.Drop(labels) | tree.Keep(labels):
                names |= {label.name for label in labels if isinstance(label, tree.Matcher)}
            case _:
                pass
    return frozenset(names)


def _query(aggregation: tree.RangeAggregation, needed: frozenset[str] | None) -> tree.LogQuery:
    """Without parsers that nobody needs: as in Loki, a line that is none of their kind is then no error."""
    query = aggregation.query
    if needed is None or needed:
        return query
    idle = tree.Json | tree.Logfmt | tree.Pattern
    return replace(query, stages=tuple(stage for stage in query.stages if not isinstance(stage, idle)))


def _names(condition: tree.Condition) -> set[str]:
    if isinstance(condition, tree.AllOf | tree.AnyOf):
        return set().union(*map(_names, condition.parts))
    return {condition.name, condition.name.removesuffix(EXTRACTED)}


def line_bytes(frame: Frame) -> Codes:
    """The length of each line in UTF-8."""
    lengths: Codes = pc.binary_length(frame.lines).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return lengths


def _amounts(frame: Frame, operation: str) -> Codes:
    if operation in ("bytes_over_time", "bytes_rate"):
        return line_bytes(frame)
    return np.ones(len(frame), np.int64)


def _check_errors(frame: Frame, grouping: tree.Grouping | None) -> None:
    """Lines with errors are no samples: the query has to say what shall become of them, or group by their errors."""
    wrong = present(frame.errors)
    if not wrong.any() or (grouping is not None and not grouping.without and ERROR in grouping.names):
        return
    first = frame.filtered(np.asarray(wrong & (np.cumsum(wrong) == 1), bool))
    error = first.errors[0].as_py()
    _, labels = series_of(first, None)
    raise QueryError(
        f"pipeline error: '{error}' for series: '{labels_text(labels[0])}'.\n"
        f'Use a label filter to intentionally skip this error. (e.g | {ERROR}!="{error}").\n'
        f'To skip all potential errors you can match empty errors.(e.g {ERROR}="")\n'
        f'The label filter can also be specified after unwrap. (e.g | unwrap latency | {ERROR}="" )\n'
    )


def _finished(aggregation: tree.RangeAggregation, counter: Counter, samples: Samples, steps: Steps) -> Vector:
    operation = aggregation.operation
    seconds = aggregation.range_ns / 1e9
    if operation == "absent_over_time":
        found = counter.vector(1.0) if aggregation.unwrap is None else samples.vector(AGGREGATES["sum_over_time"])
        return _absent(aggregation, found, steps)
    if aggregation.unwrap is None:
        counted = counter.vector(seconds if operation in ("rate", "bytes_rate") else 1.0)
        return counted if counted.labels else empty_vector(steps.count)
    if operation == "quantile_over_time":
        return samples.vector(quantile(aggregation.parameter or 0.0))
    vector = samples.vector(AGGREGATES[operation])
    divisor = seconds if operation in ("rate", "rate_counter") else 1.0
    return Vector(vector.labels, vector.values / divisor, vector.present)


def _absent(aggregation: tree.RangeAggregation, found: Vector, steps: Steps) -> Vector:
    """One series, of the labels that the selector names for certain, where nothing was found."""
    names = [matcher.name for matcher in aggregation.query.matchers]
    labels = tuple(
        sorted(
            (matcher.name, matcher.value)
            for matcher in aggregation.query.matchers
            if matcher.operator == "=" and matcher.value and names.count(matcher.name) == 1
        )
    )
    there = np.logical_or.reduce(found.present, axis=0)
    return Vector([labels], np.ones((1, steps.count)), ~there.reshape(1, steps.count))
