"""Events as Loki would know them: which of their fields are labels of a stream, and which are metadata.

* An event that came by the Loki API has the stream that it was sent with (the attribute `_loki_stream`), and
  `service_name` beside it.
* Any other event has `service_name`, `level` (in lower case) and `host`.
* Everything else is metadata: attributes by their names, with `_` for what no label name may hold, `trace_id`,
  `span_id`, and `detected_level`.

The line is the message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.logql.values import unquoted
from tailrace.serve.loki.frame import EXTRACTED, Frame, Metadata, present, without

STREAM_ATTRIBUTE = "_loki_stream"
UNKNOWN_SERVICE = "unknown_service"
DETECTED_LEVEL = "detected_level"

_SHORT_CHARACTERS = 128
_SHORT_STREAM_CHARACTERS = 2048
"""What is longer is not remembered, so that the caches have a bound."""
_NO_LETTER = re.compile(r"[^A-Za-z0-9_]")
_LABEL = re.compile(r'[{,]\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*("(?:[^"\\]|\\.)*+")\s*(?=[,}])', re.DOTALL)


def label_name(name: str) -> str:
    """A field's name as a label's: `http.status` is `http_status`."""
    return _short_label_name(name) if len(name) <= _SHORT_CHARACTERS else _label_name(name)


def _label_name(name: str) -> str:
    clean = _NO_LETTER.sub("_", name.strip())
    return f"_{clean}" if clean[:1].isdigit() else clean


# The same few names come with every line; the bound of the cache is some megabytes.
_short_label_name = lru_cache(maxsize=16_384)(_label_name)


def stream_labels(text: str) -> tuple[tuple[str, str], ...]:
    """The labels of `{a="b", c="d"}`, up to what is none; empty values are no labels."""
    return _short_stream_labels(text) if len(text) <= _SHORT_STREAM_CHARACTERS else _stream_labels(text)


def _stream_labels(text: str) -> tuple[tuple[str, str], ...]:
    labels: list[tuple[str, str]] = []
    end = 0
    # One behind the other: anybody may send such an attribute, and a search would try every place of it.
    while match := _LABEL.match(text, end):
        end = match.end()
        if value := unquoted(match[2]):
            labels.append((match[1], value))
    return tuple(labels)


_short_stream_labels = lru_cache(maxsize=4096)(_stream_labels)


def frame_of(events: pa.RecordBatch) -> Frame:
    """Every event as a line."""
    source = _Source(events)
    rows = events.num_rows
    streams = source.streams()
    nothing = pa.nulls(rows, pa.string())
    metadata = Metadata(source.column, source.names_at, np.arange(rows, dtype=np.int64), {})
    return Frame(
        events.column("timestamp").cast(pa.int64()).to_numpy(),
        events.column("message"),
        streams,
        streams,
        metadata,
        {},
        nothing,
        nothing,
    )


class _Source:
    """The columns of one batch, each made once."""

    def __init__(self, events: pa.RecordBatch) -> None:
        self._events = events
        self._length = events.num_rows
        attributes = events.column("attributes")
        offsets = attributes.offsets.to_numpy()
        self._keys = attributes.keys.slice(offsets[0], offsets[-1] - offsets[0])
        self._items = attributes.items.slice(offsets[0], offsets[-1] - offsets[0])
        self._rows = np.repeat(np.arange(self._length), np.diff(offsets))
        encoded = self._keys.dictionary_encode()
        self._codes = encoded.indices.to_numpy()
        self._order = np.argsort(self._codes, kind="stable")
        self._known: list[str] = encoded.dictionary.to_pylist()
        self._bounds = np.searchsorted(self._codes[self._order], np.arange(len(self._known) + 1))
        self._by_name: dict[str, list[int]] = {}
        for code, key in enumerate(self._known):
            if key != STREAM_ATTRIBUTE and (name := label_name(key)):
                self._by_name.setdefault(name, []).append(code)
        self._columns: dict[str, pa.StringArray] = {}
        self._from_loki = np.zeros(self._length, bool)
        self._streams: dict[str, pa.StringArray] = self._stream_columns()

    def streams(self) -> dict[str, pa.StringArray]:
        return self._streams

    def names_at(self, rows: npt.NDArray[np.int64]) -> Sequence[str]:
        """The names of metadata that these events have; what a stream has of them is seen in the columns only."""
        there = np.zeros(self._length, bool)
        there[rows] = True
        codes = np.unique(self._codes[there[self._rows]])
        own = [name for code in codes if (key := self._known[code]) != STREAM_ATTRIBUTE and (name := label_name(key))]
        fixed = [name for name in ("trace_id", "span_id") if self._events.column(name).null_count < self._length]
        taken = [f"{name}{EXTRACTED}" for name in own if name in self._streams]
        return list(dict.fromkeys((*own, *taken, *fixed, DETECTED_LEVEL)))

    def column(self, name: str) -> pa.StringArray:
        if name not in self._columns:
            self._columns[name] = self._made(name)
        return self._columns[name]

    def _made(self, name: str) -> pa.StringArray:
        own = self._attribute(name)
        if name in ("trace_id", "span_id"):
            own = pc.coalesce(_filled(self._events.column(name)), own)
        if name == DETECTED_LEVEL:
            level = pc.utf8_lower(self._events.column("level"))
            own = pc.coalesce(own, level, pa.scalar("unknown"))
        if name in self._streams:
            # Of the Loki API, it is the stream's label itself; of anybody else, another thing with its name.
            own = without(own, present(self._streams[name]))
        if name.endswith(EXTRACTED) and (taken := name.removesuffix(EXTRACTED)) in self._streams:
            moved = without(self._attribute(taken), ~present(self._streams[taken]) | self._from_loki)
            own = pc.coalesce(own, moved)
        return own

    def _attribute(self, name: str) -> pa.StringArray:
        """The first attribute of that label's name, of each event."""
        codes = self._by_name.get(name, ())
        entries = [self._order[self._bounds[code] : self._bounds[code + 1]] for code in codes]
        # Of several attributes of one event, the first is written last.
        return self._items_at(np.sort(np.concatenate(entries))[::-1] if entries else np.zeros(0, np.int64))

    def _items_at(self, entries: npt.NDArray[np.int64]) -> pa.StringArray:
        places = np.full(self._length, -1, np.int64)
        places[self._rows[entries]] = entries
        return self._items.take(pa.array(places, mask=places < 0))

    def _stream_columns(self) -> dict[str, pa.StringArray]:
        events = self._events
        texts = self._raw_attribute(STREAM_ATTRIBUTE)
        self._from_loki = present(texts)
        service = pc.coalesce(_filled(events.column("service")), pa.scalar(UNKNOWN_SERVICE))
        columns = {"service_name": service}
        others = {"level": pc.utf8_lower(events.column("level")), "host": _filled(events.column("host"))}
        columns |= {name: without(column, self._from_loki) for name, column in others.items()}
        if not self._from_loki.any():
            return columns
        encoded = texts.dictionary_encode()
        codes = encoded.indices
        sets = [dict(stream_labels(text)) for text in encoded.dictionary.to_pylist()]
        for name in dict.fromkeys(name for labels in sets for name in labels):
            values = pa.array([labels.get(name) for labels in sets], pa.string()).take(codes)
            columns[name] = pc.coalesce(values, columns[name]) if name in columns else values
        return columns

    def _raw_attribute(self, key: str) -> pa.StringArray:
        if key not in self._known:
            return pa.nulls(self._length, pa.string())
        code = self._known.index(key)
        return self._items_at(self._order[self._bounds[code] : self._bounds[code + 1]])


def _filled(column: pa.StringArray) -> pa.StringArray:
    """An empty text is no label's value."""
    empty = pc.equal(column, "")
    if not pc.any(empty).as_py():
        return column
    return pc.if_else(pc.fill_null(empty, False), pa.scalar(None, pa.string()), column)
