"""What there is to ask for: labels, their values, streams, and how much of each there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import orjson
import pyarrow.compute as pc

from tailrace.errors import BadInput
from tailrace.model.batch import LEVELS
from tailrace.query.logql.parse import parse
from tailrace.query.logql.pushdown import selecting
from tailrace.query.logql.tree import LogQuery, Matcher
from tailrace.query.tree import Exists, Not
from tailrace.serve.loki import answers
from tailrace.serve.loki.asked import LIMIT, Asked
from tailrace.serve.loki.evaluate import Evaluation, line_bytes, piped
from tailrace.serve.loki.events import STREAM_ATTRIBUTE, UNKNOWN_SERVICE, frame_of, stream_labels
from tailrace.serve.loki.fields import detected
from tailrace.serve.loki.frame import Frame
from tailrace.serve.loki.ranges import Counter, Vector
from tailrace.serve.loki.series import Labels, SeriesNumbers, grouped
from tailrace.serve.loki.steps import Steps, Windows, instant
from tailrace.serve.loki.templates import clustered
from tailrace.store.port import Selection

_HOUR_NS = 3_600_000_000_000
_LABELS_SPAN_NS = 6 * _HOUR_NS
"""How far back labels are looked for when nobody says, as in Loki."""
_STREAMS_MAX = 10_000
_VALUES_MAX = 10_000
_SAMPLE_ROWS = 1_000
_PATTERN_LINES_MAX = 20_000
_STREAM_FIELD = f"attributes.{STREAM_ATTRIBUTE}"


def _selection(parameters: Asked, query: LogQuery) -> Selection:
    start_ns, end_ns = parameters.span_ns(_LABELS_SPAN_NS)
    return Selection(selecting(query), -(-start_ns // 1000), -(-end_ns // 1000))


def labels(evaluation: Evaluation, parameters: Asked) -> bytes:
    return answers.success(sorted(_label_values(evaluation, parameters)))


def values(evaluation: Evaluation, parameters: Asked, name: str) -> bytes:
    found = _label_values(evaluation, parameters).get(name, set())
    return answers.success(sorted(found))


def _label_values(evaluation: Evaluation, parameters: Asked) -> dict[str, set[str]]:
    """The labels of streams with their values; exact for a query too, which then reads its lines."""
    query = parameters.selector()
    found: dict[str, set[str]] = {}
    if query.matchers or query.stages:
        for each in _streams(evaluation, parameters, query):
            for name, value in each:
                found.setdefault(name, set()).add(value)
        return found
    snapshot = evaluation.snapshot
    every = _selection(parameters, query)
    for figure in snapshot.values(every, field=_STREAM_FIELD, limit=_STREAMS_MAX):
        for name, value in stream_labels(figure.value):
            found.setdefault(name, set()).add(value)
    # Without streams of the Loki API nobody has to look at attributes: the stores know the columns' values better.
    own = replace(every, where=Not(Exists(_STREAM_FIELD))) if found else every
    services = {
        figure.value or UNKNOWN_SERVICE for figure in snapshot.values(every, field="service", limit=_VALUES_MAX)
    }
    if snapshot.count(replace(every, where=Not(Exists("service")))):
        services.add(UNKNOWN_SERVICE)
    levels = {figure.value.lower() for figure in snapshot.values(own, field="level", limit=len(LEVELS))}
    hosts = {figure.value for figure in snapshot.values(own, field="host", limit=_VALUES_MAX) if figure.value}
    for name, more in (("service_name", services), ("level", levels), ("host", hosts)):
        if more:
            found.setdefault(name, set()).update(more)
    return found


def _streams(evaluation: Evaluation, parameters: Asked, query: LogQuery) -> list[Labels]:
    """The streams that have a line of the query."""
    start_ns, end_ns = parameters.span_ns(_LABELS_SPAN_NS)
    numbers = SeriesNumbers()
    for frame in evaluation.frames(query, -(-start_ns // 1000), -(-end_ns // 1000)):
        numbers.of(*grouped(dict(frame.streams), len(frame)))
        if len(numbers.labels) > _STREAMS_MAX:
            raise BadInput(
                f"there are more than {_STREAMS_MAX} streams; select fewer, or ask for a shorter time range"
            )
    return numbers.labels


def series(evaluation: Evaluation, parameters: Asked) -> bytes:
    """The streams of each `match[]`."""
    texts = parameters.values.get("match[]") or parameters.values.get("match") or ["{}"]
    found: dict[Labels, None] = {}
    for text in texts:
        query = parse(text)
        if not isinstance(query, LogQuery):
            raise BadInput("only stream selectors are accepted in match[]")
        found.update(dict.fromkeys(_streams(evaluation, parameters, query)))
    return answers.success([dict(each) for each in found])


def index_stats(evaluation: Evaluation, parameters: Asked) -> bytes:
    """An estimate, as in Loki: what the stores count at once, and the length of the newest lines."""
    query = parameters.selector()
    selection = _selection(parameters, query)
    snapshot = evaluation.snapshot
    entries = snapshot.count(selection)
    newest = snapshot.search(selection, order="desc", limit=_SAMPLE_ROWS, after=None)
    mean_bytes = (pc.mean(pc.binary_length(newest["message"])).as_py() or 0.0) if newest.num_rows else 0.0
    seen = SeriesNumbers()
    for batch in newest.to_batches():
        frame = piped(frame_of(batch), query)
        seen.of(*grouped(dict(frame.streams), len(frame)))
    figures = {"streams": len(seen.labels), "chunks": 0, "entries": entries, "bytes": int(entries * mean_bytes)}
    return orjson.dumps(figures)


def volume(evaluation: Evaluation, parameters: Asked) -> bytes:
    """Bytes of lines by stream, or by the labels asked for, the most first."""
    start_ns, end_ns = parameters.span_ns()
    steps = instant(end_ns)
    found = _volumes(evaluation, parameters, steps, max(end_ns - start_ns, 1))
    return answers.vector(found, steps, evaluation.work)


def volume_range(evaluation: Evaluation, parameters: Asked) -> bytes:
    steps = parameters.steps()
    return answers.matrix(_volumes(evaluation, parameters, steps, steps.step_ns), steps, evaluation.work)


def _volumes(evaluation: Evaluation, parameters: Asked, steps: Steps, range_ns: int) -> Vector:
    query = parameters.selector()
    asked_for = [matcher.name for matcher in query.matchers]
    targets = [name for text in parameters.values.get("targetLabels", []) for name in text.split(",") if name]
    by_label = parameters.text("aggregateBy") == "labels"
    # As in Loki: a stream needs every label that is aggregated into; without any, it is those of the selector.
    missing = tuple(Matcher(name, "=~", ".+") for name in targets if name not in asked_for)
    query = replace(query, matchers=(*query.matchers, *missing))
    names = targets or ([] if by_label else asked_for)
    windows = Windows(steps, range_ns, 0)
    counter = Counter(windows)
    for frame in evaluation.frames(query, *windows.span_us()):
        columns = {name: column for name, column in frame.streams.items() if not names or name in names}
        counter.add(frame.time_us, *grouped(columns, len(frame)), line_bytes(frame))
    found = counter.vector(1.0)
    if by_label:
        found = _by_label(found)
    limit = LIMIT if parameters.text("limit") == "0" else parameters.limit()
    order = np.argsort(-found.values.sum(axis=1), kind="stable")[: min(limit, answers.SERIES_MAX)]
    return Vector([found.labels[place] for place in order], found.values[order], found.present[order])


def _by_label(found: Vector) -> Vector:
    """A series for each label's name, of all that have it."""
    names = sorted({name for each in found.labels for name, _ in each})
    members = [[place for place, each in enumerate(found.labels) if name in dict(each)] for name in names]
    shape = (len(names), found.values.shape[1])
    values = np.array([found.values[part].sum(axis=0) for part in members]).reshape(shape)
    present = np.array([found.present[part].any(axis=0) for part in members], bool).reshape(shape)
    return Vector([((name, ""),) for name in names], values, present)


def detected_labels(evaluation: Evaluation, parameters: Asked) -> bytes:
    found = _label_values(evaluation, parameters)
    rows = [{"label": name, "cardinality": len(each)} for name, each in sorted(found.items())]
    return orjson.dumps({"detectedLabels": rows})


def detected_fields(evaluation: Evaluation, parameters: Asked) -> bytes:
    """Metadata, and the fields that newest lines have as JSON or logfmt."""
    limit = parameters.limit(_SAMPLE_ROWS)
    found = detected(_newest(evaluation, parameters))[:limit]
    rows = [
        {"label": each.name, "type": each.kind, "cardinality": len(each.values), "parsers": each.parsers or None}
        for each in found
    ]
    return orjson.dumps({"fields": rows, "limit": limit})


def field_values(evaluation: Evaluation, parameters: Asked, name: str) -> bytes:
    limit = parameters.limit(_SAMPLE_ROWS)
    found: Sequence[str] = ()
    for each in detected(_newest(evaluation, parameters)):
        if each.name == name:
            found = sorted(each.values)[:limit]
    return orjson.dumps({"values": found, "limit": limit})


def _newest(evaluation: Evaluation, parameters: Asked) -> Iterator[Frame]:
    start_ns, end_ns = parameters.span_ns()
    rows = parameters.limit(_SAMPLE_ROWS, name="line_limit")
    return evaluation.lines(parameters.selector(), -(-start_ns // 1000), -(-end_ns // 1000), "desc", rows)


def patterns(evaluation: Evaluation, parameters: Asked) -> bytes:
    """What the newest lines have in common, and how many there are of each in every step."""
    steps = parameters.steps()
    frames = evaluation.lines(
        parameters.selector(), -(-steps.start_ns // 1000), -(-steps.end_ns // 1000), "desc", _PATTERN_LINES_MAX
    )
    found = clustered(frames, steps)
    return answers.success([{"pattern": text, "samples": samples} for text, samples in found])
