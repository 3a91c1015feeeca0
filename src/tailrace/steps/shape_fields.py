"""Steps that name fields: rename, set, drop_fields; and enrich, which looks them up in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.query.leaves import attribute_name
from tailrace.steps.fields import (
    Entries,
    attributes_of,
    joined,
    numpy_bools,
    text_of,
    with_attributes,
    with_columns,
    with_more_attributes,
    without,
)
from tailrace.steps.filling import COLUMN_NAMES, fill_columns
from tailrace.steps.table import Table


@dataclass(frozen=True, slots=True)
class Rename:
    fields: Mapping[str, str]
    overwrite: bool
    limits: IngestSettings

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        for old, new in self.fields.items():
            events = self._renamed(events, old, new)
        return events

    def _renamed(self, events: pa.RecordBatch, old: str, new: str) -> pa.RecordBatch:
        texts = text_of(events, old)
        name = attribute_name(new)
        # A column is as good as empty with an empty text.
        moving = numpy_bools(pc.not_equal(texts, "") if name is None else texts.is_valid())
        if not self.overwrite and name is not None:
            moving &= ~numpy_bools(text_of(events, new).is_valid())
        if not moving.any():
            return events
        rows = np.flatnonzero(moving)
        entries = Entries(rows, pa.repeat(name or new, len(rows)), texts.take(pa.array(rows)))
        if name is not None:
            events = with_more_attributes(events, entries, overwrite=self.overwrite)
            return without(events, old, moving)
        events, refused = fill_columns(
            events, entries, names=COLUMN_NAMES, overwrite=self.overwrite, limits=self.limits
        )
        moving[refused.rows] = False
        return without(events, old, moving)


@dataclass(frozen=True, slots=True)
class Set:
    """A level among `fields` is one of LEVELS."""

    fields: Mapping[str, str]
    overwrite: bool

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        rows = np.arange(events.num_rows)
        columns: dict[str, pa.Array] = {}
        for field, text in self.fields.items():
            name = attribute_name(field)
            texts = pa.repeat(text, len(rows))
            if name is not None:
                entries = Entries(rows, pa.repeat(name, len(rows)), texts)
                events = with_more_attributes(events, entries, overwrite=self.overwrite)
            elif self.overwrite:
                columns[field] = texts
            else:
                there = events.column(field)
                columns[field] = pc.if_else(pc.fill_null(pc.not_equal(there, ""), False), there, texts)
        return with_columns(events, columns) if columns else events


@dataclass(frozen=True, slots=True)
class DropFields:
    fields: Sequence[str]

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        everywhere = np.ones(events.num_rows, bool)
        names = [(field, attribute_name(field)) for field in self.fields]
        for field in (field for field, name in names if name is None):
            events = without(events, field, everywhere)
        attributes = [name for _, name in names if name is not None]
        entries = attributes_of(events)
        dropped = numpy_bools(pc.is_in(entries.keys, pa.array(attributes, pa.string())))
        for name in attributes:
            if name.endswith(".*"):
                dropped |= numpy_bools(pc.starts_with(entries.keys, name[:-1]))
        return with_attributes(events, entries.filter(~dropped)) if dropped.any() else events


@dataclass(frozen=True, slots=True)
class Enrich:
    """`table.columns` have the names of attributes."""

    field: str
    table: Table
    overwrite: bool

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        # Not by Arrow, which would go through all keys of the table for each batch.
        encoded = text_of(events, self.field).dictionary_encode()
        row_of_word = [self.table.row_of.get(word) for word in encoded.dictionary.to_pylist()]
        found = pa.array(row_of_word, pa.int64()).take(encoded.indices)
        rows = np.flatnonzero(numpy_bools(found.is_valid()))
        if not len(rows):
            return events
        at = found.drop_null()
        parts = []
        for name, column in self.table.columns.items():
            values = column.take(at)
            present = numpy_bools(pc.not_equal(values, ""))
            its_rows = rows[present]
            parts.append(Entries(its_rows, pa.repeat(name, len(its_rows)), values.filter(pa.array(present))))
        return with_more_attributes(events, joined(parts), overwrite=self.overwrite)
