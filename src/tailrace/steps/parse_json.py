"""Texts that hold a JSON object, read by the kernel that reads bodies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.fields import ATTRIBUTES_PREFIX
from tailrace.ingest.json_slow import flatten_object
from tailrace.kernels.name_table import name_table
from tailrace.kernels.ndjson.read import Bounds, Framing, Names, scan
from tailrace.steps.fields import Bools, Entries, Integers, attributes_of, joined, numpy_bools

# No name means anything here: all is read as attributes.
_NO_NAMES = Names(name_table(()), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))
_NO_OBJECT_IS_WHOLE: frozenset[str] = frozenset()


class JsonReader:
    """Nested keys are joined by dots; numbers keep their digits, arrays are JSON text, null is as good as absent."""

    def read(self, texts: pa.StringArray, limits: IngestSettings) -> tuple[Entries, Bools]:
        matched = np.zeros(len(texts), bool)
        object_like = numpy_bools(pc.match_substring_regex(texts, r"\A\s*\{"))
        over_lines = numpy_bools(pc.match_substring(texts, "\n"))
        parts = _read_lines(texts, np.flatnonzero(object_like & ~over_lines), limits, matched)
        rows = np.flatnonzero(object_like & over_lines)
        for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
            parts += _read_one(row, text.encode(), limits, matched)
        return joined(parts), matched


def _read_lines(texts: pa.StringArray, rows: Integers, limits: IngestSettings, matched: Bools) -> list[Entries]:
    """The texts of these rows, each of which is one line."""
    if not len(rows):
        return []
    body = _lines(texts.take(pa.array(rows)))
    bounds = Bounds(0, 0, 0, limits.line_bytes_max, limits.fields_max, limits.nesting_max)
    scanned = scan(body, _NO_NAMES, bounds, framing=Framing.LINES)
    read = rows[np.delete(np.arange(len(rows)), scanned.others[:, 2] - 1)]
    found = attributes_of(scanned.events)
    parts = [Entries(read[found.rows], found.keys, found.values)]
    matched[read] = True
    for begin, end, number, _ in scanned.others.tolist():
        parts += _read_one(int(rows[number - 1]), body[begin:end], limits, matched)
    return parts


def _read_one(row: int, raw: bytes, limits: IngestSettings, matched: Bools) -> list[Entries]:
    """In plain Python: what the kernel is not sure of, and what is no JSON at all."""
    try:
        leaves = flatten_object(raw, limits=limits, whole=_NO_OBJECT_IS_WHOLE)
    except BadInput:
        return []
    matched[row] = True
    return [_entries(row, {key.removeprefix(ATTRIBUTES_PREFIX): value for key, value in leaves.items()})]


def _entries(row: int, fields: dict[str, str]) -> Entries:
    keys, values = pa.array(fields.keys(), pa.string()), pa.array(fields.values(), pa.string())
    return Entries(np.full(len(fields), row, np.int64), keys, values)


def _lines(documents: pa.StringArray) -> bytes:
    ended = pc.binary_join_element_wise(documents, "\n", "")
    offsets = np.frombuffer(ended.buffers()[1], np.int32, len(ended) + 1, 4 * ended.offset)
    data: pa.Buffer = ended.buffers()[2]
    return bytes(data[int(offsets[0]) : int(offsets[-1])])
