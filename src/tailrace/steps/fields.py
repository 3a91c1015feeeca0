"""Fields of a batch, be they columns or attributes: read and written for all rows at once.

Batches have the columns of EVENT_SCHEMA and may have others behind them, which are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.leaves import attribute_name

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TEXT_COLUMNS = ("message", "service", "host", "trace_id", "span_id")
"""Columns that hold any text. `level` holds one of six words."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Keys and values by row, as attributes are. `rows` rises; keys and values are never null; a key stands once in
    a row.
    """

    rows: Integers
    keys: pa.StringArray
    values: pa.StringArray

    def filter(self, kept: Bools) -> Entries:
        if kept.all():
            return self
        mask = pa.array(kept)
        return Entries(self.rows[kept], self.keys.filter(mask), self.values.filter(mask))


NO_ENTRIES = Entries(np.zeros(0, np.int64), pa.array([], pa.string()), pa.array([], pa.string()))


def numpy_bools(mask: pa.BooleanArray) -> Bools:
    """Null is false."""
    found: Bools = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return found


def attributes_of(events: pa.RecordBatch) -> Entries:
    return entries_of_map(events.column("attributes"))


def entries_of_map(attributes: pa.MapArray) -> Entries:
    rows = len(attributes)
    if not rows:
        return NO_ENTRIES
    offsets = attributes.offsets.to_numpy().astype(np.int64)
    first, count = int(offsets[0]), int(offsets[-1] - offsets[0])
    # `keys` and `items` are those of the whole array that this may be a slice of.
    keys, values = attributes.keys.slice(first, count), attributes.items.slice(first, count)
    return Entries(np.repeat(np.arange(rows), np.diff(offsets)), keys, values)


def with_attributes(events: pa.RecordBatch, entries: Entries) -> pa.RecordBatch:
    """The batch with these as all of its attributes."""
    offsets = np.zeros(events.num_rows + 1, np.int32)
    np.cumsum(np.bincount(entries.rows, minlength=events.num_rows), out=offsets[1:])
    return with_columns(
        events, {"attributes": pa.MapArray.from_arrays(pa.array(offsets), entries.keys, entries.values)}
    )


def with_more_attributes(events: pa.RecordBatch, entries: Entries, *, overwrite: bool) -> pa.RecordBatch:
    """The batch with these as well; where an event has the key already, the new value when `overwrite` says so."""
    return with_attributes(events, merged(attributes_of(events), entries, overwrite=overwrite))


def with_columns(events: pa.RecordBatch, changed: Mapping[str, pa.Array]) -> pa.RecordBatch:
    columns = [changed.get(name, column) for name, column in zip(events.schema.names, events.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=events.schema)


def joined(parts: list[Entries]) -> Entries:
    """Entries of different rows, or of different keys, brought into the order of their rows."""
    parts = [part for part in parts if len(part.rows)]
    if len(parts) < 2:
        return parts[0] if parts else NO_ENTRIES
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    take = pa.array(order)
    keys = pa.concat_arrays([part.keys for part in parts]).take(take)
    values = pa.concat_arrays([part.values for part in parts]).take(take)
    return Entries(rows[order], keys, values)


def merged(old: Entries, new: Entries, *, overwrite: bool) -> Entries:
    """Both; where both have a key in a row, the new value when `overwrite` says so, else the old one."""
    if not len(old.rows) or not len(new.rows):
        return joined([old, new])
    keys = pa.concat_arrays([old.keys, new.keys]).dictionary_encode()
    codes = keys.indices.to_numpy().astype(np.int64)
    ours, theirs = codes[: len(old.rows)], codes[len(old.rows) :]
    count = len(keys.dictionary)
    shared = np.zeros(count, np.int8)
    shared[ours] |= 1
    shared[theirs] |= 2
    if (shared == 3).any():
        in_both = shared == 3
        if overwrite:
            again = np.isin(old.rows * count + ours, _identities(new, theirs, in_both, count))
            old = old.filter(~again)
        else:
            again = np.isin(new.rows * count + theirs, _identities(old, ours, in_both, count))
            new = new.filter(~again)
    return joined([old, new])


def _identities(entries: Entries, codes: Integers, in_both: Bools, count: int) -> Integers:
    clashing = in_both[codes]
    identities: Integers = entries.rows[clashing] * count + codes[clashing]
    return identities


def first_of_equal_keys(entries: Entries) -> Entries:
    """Of equal keys in a row the first entry alone."""
    if not len(entries.rows):
        return entries
    keys = entries.keys.dictionary_encode()
    identities = entries.rows * len(keys.dictionary) + keys.indices.to_numpy()
    _, first = np.unique(identities, return_index=True)
    kept = np.zeros(len(identities), bool)
    kept[first] = True
    return entries.filter(kept)


def text_of(events: pa.RecordBatch, field: str) -> pa.StringArray:
    """The field's text, null where an event lacks it. Not for times."""
    name = attribute_name(field)
    if name is None:
        return events.column(field)
    entries = attributes_of(events)
    return values_of(entries, name, events.num_rows)


def values_of(entries: Entries, key: str, rows: int) -> pa.StringArray:
    """The value of one key, a row each, null where there is none."""
    places = np.flatnonzero(numpy_bools(pc.equal(entries.keys, key)))
    return spread(entries.values.take(pa.array(places)), entries.rows[places], rows)


def spread(values: pa.Array, at: Integers, rows: int) -> pa.Array:
    """`rows` values: those given at their places, null elsewhere."""
    if len(at) == rows:
        return values
    source = np.zeros(rows, np.int64)
    source[at] = np.arange(len(at))
    absent = np.ones(rows, bool)
    absent[at] = False
    return values.take(pa.array(source, mask=absent)) if len(at) else pa.nulls(rows, values.type)


def put_in(column: pa.Array, values: pa.Array, at: Integers) -> pa.Array:
    """The column with these values at these rows, which rise."""
    if not len(at):
        return column
    if len(at) == len(column):
        return values
    source = np.arange(len(column))
    source[at] = len(column) + np.arange(len(at))
    return pa.concat_arrays([column, values]).take(pa.array(source))


def without(events: pa.RecordBatch, field: str, rows: Bools) -> pa.RecordBatch:
    """Take a field away from some rows: a column becomes null, the message, which is never null, empty."""
    name = attribute_name(field)
    if name is None:
        gone = pa.scalar("" if field == "message" else None, pa.string())
        return with_columns(events, {field: pc.if_else(pa.array(rows), gone, events.column(field))})
    entries = attributes_of(events)
    taken = numpy_bools(pc.equal(entries.keys, name)) & rows[entries.rows]
    return with_attributes(events, entries.filter(~taken)) if taken.any() else events
