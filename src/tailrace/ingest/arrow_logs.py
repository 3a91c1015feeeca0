"""Arrow bodies: batches of events as an IPC stream, for senders that have their events in columns already.

Columns named as in EVENT_SCHEMA are the event's own fields, whatever their types; `attributes` is a map of texts. All
others become attributes: as text, structs by their dotted leaves, lists and maps as JSON. `observed_timestamp` is
left out: it says when an event came in here, and no sender knows that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.arrow_bounds import check_stream
from tailrace.ingest.arrow_columns import Attribute, as_text, flattened, levels_of, times_of
from tailrace.ingest.decoded import Decoded
from tailrace.kernels.json_text import starts_of, view_of
from tailrace.kernels.key_bits import repeats_key
from tailrace.model.batch import ATTRIBUTES, EVENT_SCHEMA, TIMESTAMP, empty_batch, join_batches

Numbers = npt.NDArray[Any]

GROWTH_MAX = 4
"""A batch whose texts, its columns' names at each event included, take more than so many times the bound of a body is
refused: numbers grow when they are written out, and names are short in the schema and long in the events."""

_TEXT_COLUMNS = ("service", "host", "message", "trace_id", "span_id")


def decode_arrow(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """The events of an Arrow IPC stream, row by row in order. It is right or wrong as a whole.

    A missing or odd timestamp and a level that nobody knows are treated as in JSON. Raises `BadInput` for a stream
    that is damaged, has text that is not UTF-8 or keys that are null, and `TooLarge` when it grows past
    `body_bytes_max` (compressed buffers, dictionaries) or an event has more than `fields_max` fields.
    """
    try:
        check_stream(body, bytes_max=limits.body_bytes_max)
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            batches = [_checked_events(batch, limits, now_us) for batch in reader]
        return Decoded(join_batches(batches, EVENT_SCHEMA))
    # KeyError: a time zone that nobody knows, in a value that is nested.
    except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError, KeyError) as error:
        raise BadInput(f"the body is not an Arrow stream of events: {error}") from error


def _checked_events(batch: pa.RecordBatch, limits: IngestSettings, now_us: int) -> pa.RecordBatch:
    # Nothing is computed before all of it is found valid: offsets, dictionary indexes, UTF-8.
    batch.validate(full=True)
    return _events(batch, limits, now_us) if batch.num_rows else empty_batch(EVENT_SCHEMA)


def _events(batch: pa.RecordBatch, limits: IngestSettings, now_us: int) -> pa.RecordBatch:
    rows = batch.num_rows
    if batch.num_columns > limits.fields_max:
        raise BadInput(f"{batch.num_columns} columns are more than {limits.fields_max} (ingest.fields_max)")
    room = _Room(GROWTH_MAX * limits.body_bytes_max)
    now = pa.array(np.full(rows, now_us, np.int64)).cast(TIMESTAMP)
    nothing = pa.nulls(rows, pa.string())
    own = dict.fromkeys(_TEXT_COLUMNS, nothing)
    times, levels = now, nothing
    entries: pa.MapArray | None = None
    extra: list[Attribute] = []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        if field.name == "timestamp":
            times, odd = times_of(array, limits=limits, now_us=now_us)
            extra += odd
        elif field.name == "level":
            levels, odd = levels_of(room.text_of(array))
            extra += odd
        elif field.name in own:
            own[field.name] = room.text_of(array)
        elif field.name == "attributes" and pa.types.is_map(array.type):
            entries = _texts_map(array, room)
        elif field.name != "observed_timestamp":
            for name, leaf in flattened(field.name, array, limits.fields_max - len(extra)):
                extra.append(Attribute(name.removeprefix("attributes."), room.text_of(leaf)))
    columns = [
        times,
        now,
        levels,
        own["service"],
        own["host"],
        own["message"].fill_null("") if own["message"].null_count else own["message"],
        own["trace_id"],
        own["span_id"],
        _attributes(rows, entries, extra, room, limits.fields_max),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=EVENT_SCHEMA)


class _Room:
    """How many bytes the texts of a batch may still take."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max

    def text_of(self, array: pa.Array) -> pa.StringArray:
        texts = as_text(array, self._left)
        self.take(texts.nbytes)
        return texts

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLarge(
                f"as texts the columns are over {GROWTH_MAX} times as large as ingest.body_bytes_max allows a body; "
                "send them in parts"
            )


def _texts_map(array: pa.MapArray, room: _Room) -> pa.MapArray:
    """The map with texts for keys and values, without nulls."""
    keys, items = array.keys, array.items
    offsets = _offsets_of(array)
    whole = offsets[0] == 0 and offsets[-1] == len(keys)
    if keys.null_count:
        raise BadInput("the column attributes has keys that are null")
    if array.type == ATTRIBUTES and whole and not (array.null_count or items.null_count):
        return array
    keys = room.text_of(keys.slice(offsets[0], offsets[-1] - offsets[0]))
    items = room.text_of(items.slice(offsets[0], offsets[-1] - offsets[0]))
    owners = np.repeat(np.arange(len(array)), np.diff(offsets))
    kept = pc.and_(pc.is_valid(items), pa.array(np.asarray(array.is_valid())[owners]))
    return _map_of(len(array), owners[np.asarray(kept)], keys.filter(kept), items.filter(kept))


def _attributes(
    rows: int, entries: pa.MapArray | None, extra: list[Attribute], room: _Room, fields_max: int
) -> pa.MapArray:
    """The map's entries, then the extra columns' texts; of equal keys the last counts, in the place of the first."""
    extra = [column for column in extra if column.texts.null_count < rows]
    if entries is None or extra:
        owners = [np.repeat(np.arange(rows), np.diff(_offsets_of(entries)))] if entries is not None else []
        keys = [entries.keys] if entries is not None else []
        items = [entries.items] if entries is not None else []
        for column in extra:
            valid = np.flatnonzero(np.asarray(column.texts.is_valid()))
            room.take(len(column.name) * len(valid))
            owners.append(valid)
            keys.append(pa.repeat(column.name, len(valid)))
            items.append(column.texts.drop_null())
        entries = _merged(rows, owners, keys, items)
    offsets = _offsets_of(entries)
    if rows and int(np.diff(offsets).max()) > fields_max:
        raise BadInput(f"an event has more than {fields_max} attributes (ingest.fields_max)")
    if repeats_key(offsets, starts_of(entries.keys), view_of(entries.keys.buffers()[2], np.uint8)):
        return pa.array([list(dict(row).items()) for row in entries.to_pylist()], ATTRIBUTES)
    return entries


def _merged(rows: int, owners: list[Numbers], keys: list[pa.Array], items: list[pa.Array]) -> pa.MapArray:
    if not owners:
        return _map_of(rows, np.zeros(0, np.int64), pa.array([], pa.string()), pa.array([], pa.string()))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return _map_of(rows, owner[order], pa.concat_arrays(keys).take(order), pa.concat_arrays(items).take(order))


def _map_of(rows: int, owners: Numbers, keys: pa.Array, items: pa.Array) -> pa.MapArray:
    """A map of `rows` rows; `owners`, ascending, says whose each entry is."""
    offsets = np.searchsorted(owners, np.arange(rows + 1)).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), keys, items)


def _offsets_of(array: pa.MapArray) -> Numbers:
    return np.asarray(array.offsets)
