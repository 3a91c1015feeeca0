"""Answers in the shapes of Loki's API."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson
import pyarrow as pa

from tailrace.errors import QueryError
from tailrace.query.logql.values import number_text
from tailrace.serve.loki.asked import CATEGORIZE
from tailrace.serve.loki.evaluate import Work
from tailrace.serve.loki.frame import ERROR, ERROR_DETAILS, Columns, Frame
from tailrace.serve.loki.ranges import Vector
from tailrace.serve.loki.series import Labels
from tailrace.serve.loki.steps import Steps

SERIES_MAX = 500
"""Series of an answer, as in Loki: no chart shows more, and the browser has to draw them all."""

LINE_BYTES_MAX = 64 << 20
"""Of an answer's lines together: they are in memory several times over until it is sent."""

_PART_ROWS = 128
"""Lines that are written at a time: each of their labels is a column first, and every line may have others."""


def success(data: Any) -> bytes:
    return orjson.dumps({"status": "success", "data": data})


def result(kind: Literal["streams", "matrix", "vector", "scalar"], found: Any, work: Work, **members: Any) -> bytes:
    return success({"resultType": kind, "result": found, "stats": _stats(work), **members})


def streams_of(frames: Iterable[Frame], *, categorize: bool) -> list[dict[str, Any]]:
    """Lines by their labels, in the order they come; categorized: by those of the stream alone.

    Raises `QueryError` when the lines are too long for one answer.
    """
    found: dict[Labels, list[Any]] = {}
    line_bytes = 0
    for frame in (part for whole in frames for part in whole.parts(_PART_ROWS)):
        line_bytes += frame.lines.nbytes
        if line_bytes > LINE_BYTES_MAX:
            raise QueryError(f"the lines are more than {LINE_BYTES_MAX:,} bytes; ask for fewer with limit")
        streams, metadata, parsed = _categories(frame)
        lines = frame.lines.to_pylist()
        for row, time_us in enumerate(frame.time_us.tolist()):
            labels = streams[row] if categorize else {**streams[row], **metadata[row], **parsed[row]}
            value: list[Any] = [f"{time_us * 1000}", lines[row]]
            if categorize:
                parts = {"structuredMetadata": metadata[row], "parsed": parsed[row]}
                value.append({name: part for name, part in parts.items() if part})
            found.setdefault(tuple(sorted(labels.items())), []).append(value)
    return [{"stream": dict(labels), "values": values} for labels, values in found.items()]


def streams(frames: Iterable[Frame], work: Work, *, categorize: bool) -> bytes:
    flags = {"encodingFlags": [CATEGORIZE]} if categorize else {}
    return result("streams", streams_of(frames, categorize=categorize), work, **flags)


def _categories(frame: Frame) -> tuple[list[dict[str, str]], list[dict[str, str]], list[dict[str, str]]]:
    """For each line its labels of the stream, its metadata, and what was parsed."""
    parsed = _rows({**frame.parsed, ERROR: frame.errors, ERROR_DETAILS: frame.error_details}, len(frame))
    metadata = _rows({name: frame.metadata.column(name) for name in frame.metadata.names()}, len(frame))
    own = _rows(frame.streams, len(frame))
    hidden = [
        {name: value for name, value in labels.items() if name not in over}
        for labels, over in zip(metadata, parsed, strict=True)
    ]
    streams = [
        {name: value for name, value in labels.items() if name not in over and name not in beside}
        for labels, over, beside in zip(own, parsed, hidden, strict=True)
    ]
    return streams, hidden, parsed


def _rows(columns: Columns, length: int) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = [{} for _ in range(length)]
    for name, column in columns.items():
        if isinstance(column, pa.Array) and column.null_count == length:
            continue
        for row, value in zip(rows, column.to_pylist(), strict=True):
            if value is not None:
                row[name] = value
    return rows


def vector(found: Vector, steps: Steps, work: Work) -> bytes:
    """The values at the first step; in the order that `topk` and `sort` gave them."""
    _check(found)
    second = _second(steps.start_ns)
    rows = [
        {"metric": dict(labels), "value": [second, number_text(float(found.values[series, 0]))]}
        for series, labels in enumerate(found.labels)
        if found.present[series, 0]
    ]
    return result("vector", rows, work)


def scalar(value: float, steps: Steps, work: Work) -> bytes:
    return result("scalar", [_second(steps.start_ns), number_text(value)], work)


def matrix(found: Vector, steps: Steps, work: Work) -> bytes:
    """Every series with its values at the steps where it has one, ordered by its labels."""
    return result("matrix", matrix_rows(found, steps), work)


def matrix_rows(found: Vector, steps: Steps) -> list[Mapping[str, Any]]:
    _check(found)
    seconds = [_second(time_ns) for time_ns in steps.times_ns().tolist()]
    rows = [
        {
            "metric": dict(labels),
            "values": [
                [second, number_text(value)]
                for second, value, there in zip(
                    seconds, found.values[series].tolist(), found.present[series].tolist(), strict=True
                )
                if there
            ],
        }
        for series, labels in enumerate(found.labels)
        if found.present[series].any()
    ]
    return sorted(rows, key=lambda row: sorted(row["metric"].items()))


def _check(found: Vector) -> None:
    there = int(found.present.any(axis=1).sum())
    if there > SERIES_MAX:
        raise QueryError(
            f"maximum number of series ({SERIES_MAX}) reached for a single query; consider reducing query "
            "cardinality by adding more specific stream selectors, reducing the time range, or aggregating results "
            "with functions like sum, count or topk"
        )


def _second(time_ns: int) -> int | float:
    """Seconds with milliseconds, as Prometheus has them."""
    milliseconds = time_ns // 1_000_000
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def _stats(work: Work) -> dict[str, Any]:
    """What clients print of it; there are no chunks here."""
    seconds = max(time.perf_counter() - work.started_s, 1e-6)
    store = {"totalChunksRef": 0, "totalChunksDownloaded": 0, "chunksDownloadTime": 0, "chunk": {}}
    return {
        "summary": {
            "bytesProcessedPerSecond": int(work.bytes / seconds),
            "linesProcessedPerSecond": int(work.lines / seconds),
            "totalBytesProcessed": work.bytes,
            "totalLinesProcessed": work.lines,
            "execTime": round(seconds, 6),
            "queueTime": 0,
            "subqueries": 0,
            "totalEntriesReturned": 0,
            "splits": 0,
            "shards": 0,
        },
        "querier": {"store": store},
        "ingester": {
            "totalReached": 0,
            "totalChunksMatched": 0,
            "totalBatches": 0,
            "totalLinesSent": 0,
            "store": store,
        },
        "cache": {},
    }
