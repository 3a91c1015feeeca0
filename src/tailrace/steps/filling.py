"""Fields that were read out of an event, put where they belong: in its columns, or among its attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.ingest.fields import COLUMNS, Alias
from tailrace.model.batch import TIMESTAMP
from tailrace.model.level import level_of
from tailrace.steps.fields import (
    Bools,
    Entries,
    Integers,
    numpy_bools,
    put_in,
    with_columns,
    with_more_attributes,
)
from tailrace.steps.times import read_times

COLUMN_NAMES = tuple(Alias(name, number) for number, name in enumerate(COLUMNS))
"""Each column under its own name, and no other."""


def add_fields(
    events: pa.RecordBatch,
    entries: Entries,
    *,
    names: Sequence[Alias],
    overwrite: bool,
    limits: IngestSettings,
    prefix: str = "",
) -> pa.RecordBatch:
    """Entries whose key is one of `names` fill the column; the others, with `prefix`, become attributes.

    What an event has already stays, unless `overwrite`: a column counts as empty when it is null, a message when it
    is "", a time when it is the arrival's. What does not fill its column becomes an attribute like the others: a
    level nobody knows, a time nobody can read or believe, a second name of one column.
    """
    events, entries = fill_columns(events, entries, names=names, overwrite=overwrite, limits=limits)
    if not len(entries.rows):
        return events
    if prefix:
        keys = pc.binary_join_element_wise(prefix, entries.keys, "")
        entries = Entries(entries.rows, keys, entries.values)
    return with_more_attributes(events, entries, overwrite=overwrite)


def fill_columns(
    events: pa.RecordBatch, entries: Entries, *, names: Sequence[Alias], overwrite: bool, limits: IngestSettings
) -> tuple[pa.RecordBatch, Entries]:
    """The first part of `add_fields`: the events, and the entries that fill no column."""
    if not names:
        return events, entries
    known = pc.index_in(entries.keys, pa.array([name.name for name in names]))
    name_of = pc.fill_null(known, -1).to_numpy().astype(np.int64)
    column_of = np.array([name.column for name in names])[name_of]
    column_of[name_of < 0] = -1
    taken = np.zeros(len(entries.rows), bool)
    filled: dict[str, pa.Array] = {}
    for number, column in enumerate(COLUMNS):
        places = np.flatnonzero(column_of == number)
        if not len(places):
            continue
        texts = entries.values.take(pa.array(places))
        rows = entries.rows[places]
        if column == "timestamp":
            values, good = _times(events, texts, rows, limits)
        elif column == "level":
            values, good = _levels(texts, [names[index].scale for index in name_of[places]])
        else:
            values, good = texts, numpy_bools(pc.not_equal(texts, ""))
        if not overwrite:
            good &= _lacks(events, column)[rows]
        # Of several names of a column in a row, the one that stands first among the names.
        ranked = np.flatnonzero(good)
        ranked = ranked[np.lexsort((name_of[places][ranked], rows[ranked]))]
        _, first = np.unique(rows[ranked], return_index=True)
        chosen = ranked[first]
        taken[places[chosen]] = True
        filled[column] = put_in(events.column(column), values.take(pa.array(chosen)), rows[chosen])
    return with_columns(events, filled) if filled else events, entries.filter(~taken)


def _lacks(events: pa.RecordBatch, column: str) -> Bools:
    if column == "timestamp":
        return numpy_bools(pc.equal(events.column("timestamp"), events.column("observed_timestamp")))
    if column == "message":
        return numpy_bools(pc.equal(events.column("message"), ""))
    return numpy_bools(events.column(column).is_null())


def _times(
    events: pa.RecordBatch, texts: pa.StringArray, rows: Integers, limits: IngestSettings
) -> tuple[pa.Array, Bools]:
    observed_us = events.column("observed_timestamp").cast(pa.int64()).to_numpy()
    times_us, good = read_times(texts, now_us=int(observed_us.max()))
    # As `ingest.timestamps.believable_us`, for each event's own arrival; unlimited settings must fit 64 bits.
    ahead_us = times_us.astype(np.float64) - observed_us[rows]
    good &= (ahead_us >= -limits.timestamp_past_max_s * 1e6) & (ahead_us <= limits.timestamp_future_max_s * 1e6)
    return pa.array(times_us).cast(TIMESTAMP), good


def _levels(texts: pa.StringArray, scales: Sequence[str]) -> tuple[pa.StringArray, Bools]:
    encoded = texts.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    levels = pa.nulls(len(texts), pa.string())
    kinds = np.array(scales)
    for scale in ("syslog", "otel", "any"):
        rows = kinds == scale
        if rows.any():
            known = pa.array([level_of(word, scale) for word in words], pa.string()).take(encoded.indices)
            levels = pc.if_else(pa.array(rows), known, levels)
    return levels, numpy_bools(levels.is_valid())
