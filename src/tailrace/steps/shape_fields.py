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
    Bools,
    Entries,
    attributes_of,
    joined,
    numpy_bools,
    text_of,
    with_attributes,
    without,
)
from tailrace.steps.filling import COLUMN_NAMES, add_fields, fill_columns


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
        moving = numpy_bools(pc.not_equal(texts, ""))
        name = attribute_name(new)
        if not self.overwrite and name is not None:
            moving &= ~numpy_bools(text_of(events, new).is_valid())
        if not moving.any():
            return events
        rows = np.flatnonzero(moving)
        entries = Entries(rows, pa.repeat(name or new, len(rows)), texts.take(pa.array(rows)))
        if name is not None:
            events = add_fields(events, entries, names=(), overwrite=self.overwrite, limits=self.limits)
            return without(events, old, moving)
        events, refused = fill_columns(
            events, entries, names=COLUMN_NAMES, overwrite=self.overwrite, limits=self.limits
        )
        moving[refused.rows] = False
        return without(events, old, moving)


@dataclass(frozen=True, slots=True)
class Set:
    fields: Mapping[str, str]
    overwrite: bool
    limits: IngestSettings

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        rows = np.arange(events.num_rows)
        for field, text in self.fields.items():
            name = attribute_name(field)
            entries = Entries(rows, pa.repeat(name or field, len(rows)), pa.repeat(text, len(rows)))
            if name is None and not self.overwrite:
                entries = entries.filter(_is_empty(events, field))
            names = COLUMN_NAMES if name is None else ()
            events = add_fields(events, entries, names=names, overwrite=self.overwrite, limits=self.limits)
        return events


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
    """`keys` are distinct; `columns`, by the attribute's name, have a value, or null, for each of them."""

    field: str
    keys: pa.StringArray
    columns: Mapping[str, pa.StringArray]
    overwrite: bool
    limits: IngestSettings

    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        found = pc.index_in(text_of(events, self.field), self.keys)
        rows = np.flatnonzero(numpy_bools(found.is_valid()))
        if not len(rows):
            return events
        at = found.take(pa.array(rows))
        parts = []
        for name, column in self.columns.items():
            values = column.take(at)
            present = numpy_bools(pc.not_equal(values, ""))
            its_rows = rows[present]
            parts.append(Entries(its_rows, pa.repeat(name, len(its_rows)), values.filter(pa.array(present))))
        return add_fields(events, joined(parts), names=(), overwrite=self.overwrite, limits=self.limits)


def _is_empty(events: pa.RecordBatch, column: str) -> Bools:
    return ~numpy_bools(pc.not_equal(events.column(column), ""))
