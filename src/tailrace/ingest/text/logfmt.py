"""logfmt: `key=value key="a value"`, as Go's logrus and slog, Heroku and many others write it."""

from __future__ import annotations

import re
from collections import defaultdict

import pyarrow as pa

from tailrace.ingest.text.columns import ATTRIBUTES_MAX, Columns
from tailrace.ingest.text.levels import levels_of

# Not tried again within a word that is no key: one of a megabyte would take hours.
_PAIR = re.compile(r"(?<![^\s=\"])([^\s=\"]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\"]*))")
_WHOLE = re.compile(r"\s*(?:[^\s=\"]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)(?:\s+|$)){2,}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}

_TELLING = re.compile(r"(?:^|\s)(?:time|ts|timestamp|t|level|lvl|msg|message|severity)=")

_STAMP_KEYS = ("time", "ts", "timestamp", "t", "at_time", "datetime")
_LEVEL_KEYS = ("level", "lvl", "severity", "loglevel")
_SERVICE_KEYS = ("service", "service.name", "app")
_HOST_KEYS = ("host", "hostname")
_TRACE_KEYS = ("trace_id", "traceID", "traceId", "trace.id")
_SPAN_KEYS = ("span_id", "spanID", "spanId", "span.id")
_MESSAGE_KEYS = ("msg", "message")
_OWN_KEYS = frozenset(
    (*_STAMP_KEYS, *_LEVEL_KEYS, *_SERVICE_KEYS, *_HOST_KEYS, *_TRACE_KEYS, *_SPAN_KEYS, *_MESSAGE_KEYS)
)


def looks_like_logfmt(line: str) -> bool:
    return _WHOLE.match(line) is not None and _TELLING.search(line) is not None


def read_logfmt(lines: pa.StringArray) -> Columns:
    """Every pair that has no column of its own is an attribute, of the first ATTRIBUTES_MAX keys; the first of equal
    keys counts.
    """
    rows = len(lines)
    columns: defaultdict[str, list[str | None]] = defaultdict(lambda: [None] * rows)
    for row, line in enumerate(lines.to_pylist()):
        for key, quoted, bare in _PAIR.findall(line):
            if len(columns) >= ATTRIBUTES_MAX and key not in columns and key not in _OWN_KEYS:
                continue
            column = columns[key]
            if column[row] is None:
                column[row] = _ESCAPE.sub(_unescape, quoted) if "\\" in quoted else quoted or bare

    def first(keys: tuple[str, ...]) -> pa.StringArray | None:
        for key in keys:
            if key in columns:
                return pa.array(columns.pop(key), pa.string())
        return None

    stamps, levels = first(_STAMP_KEYS), first(_LEVEL_KEYS)
    service, host, trace_id, span_id = map(first, (_SERVICE_KEYS, _HOST_KEYS, _TRACE_KEYS, _SPAN_KEYS))
    for key in _MESSAGE_KEYS:
        # It is in the line, which is the message; a copy would only be found twice.
        columns.pop(key, None)
    return Columns(
        level=None if levels is None else levels_of(levels),
        service=service,
        host=host,
        trace_id=trace_id,
        span_id=span_id,
        stamps=stamps,
        attributes={key: pa.array(values, pa.string()) for key, values in columns.items()},
    )


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[1])
