"""A Loki push: streams of lines with labels, as JSON or as protobuf (Loki's HTTP API, `POST /loki/api/v1/push`).

body ──kernels──> entries ──labels of their streams──> one batch
              └──> bad entries, bad streams, what lies behind an error ──> dead letters

An event has its line as the message, byte for byte. Its attributes are the labels of its stream by their names, all
of them once more as `_loki_stream` in the canonical form, and its structured metadata; a name that a label has gets
`_metadata` behind it. Level, service, host, trace and span are also columns, found in labels, in the metadata, or, a
level, in the line. What stands as it is in the column of its own name, a label or an id of the metadata, is no
attribute besides: the stores would hold most of a push twice.

A rejected entry's raw bytes are a push of their own, with that entry and the labels of its stream, so that it can be
mended and replayed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.fields import NUMBER_SCALES
from tailrace.ingest.loki.labels import (
    METADATA_NAMES,
    UNKNOWN_SERVICE,
    BadLabels,
    LabelColumns,
    stream_labels,
)
from tailrace.ingest.loki.rejected import BadStreams, rejected_of
from tailrace.ingest.timestamps import ADJUSTED, ORIGINAL, believable_us
from tailrace.kernels.loki.entries import TOO_FAR_PAST, Offsets
from tailrace.kernels.loki.read import (
    Bounds,
    Ending,
    Entries,
    Form,
    Names,
    StreamAttributes,
    attributes_bytes,
    attributes_of,
    columns_of,
    complete_levels,
    distinct_streams,
    original_times,
    read_entries,
)
from tailrace.kernels.name_table import name_table
from tailrace.kernels.ndjson.values import SCALE_ANY, SCALE_OTEL, SCALE_SYSLOG
from tailrace.model.batch import ATTRIBUTES, EVENT_SCHEMA, LEVELS, TIMESTAMP, empty_batch

LOKI_JSON = "application/vnd.loki.push+json"
LOKI_PROTOBUF = "application/vnd.loki.push+protobuf"
"""Content types of dead letters: a push that is not compressed."""

BODY_BYTES_MAX = 512 << 20
"""Past this the 32-bit offsets of Arrow's strings could not be trusted to do."""

GROWTH_MAX = 4
"""Labels stand once in a body and at each event in its batch. A body that would grow to more than so many times what
`body_bytes_max` allows is refused."""

# With the metadata of the largest body beside them, the labels still fit the 32-bit offsets of Arrow's strings.
_LABELS_BYTES_MAX = 512 << 20

STREAMS_MAX = 100_000
"""Different streams of a push: each costs some ten microseconds of Python. Loki takes 5,000 of a tenant."""

# What a row takes beside its texts: two times, the offsets and lengths of its columns.
_ROW_BYTES = 64

_SCALES = {"any": SCALE_ANY, "syslog": SCALE_SYSLOG, "otel": SCALE_OTEL}
_METADATA = [(name, column) for column, names in enumerate(METADATA_NAMES.values()) for name in names]
_NAMES = Names(
    table=name_table([name for name, _ in _METADATA]),
    columns=np.array([column for _, column in _METADATA], np.int64),
    scales=np.array([_SCALES[NUMBER_SCALES.get(name, "any")] for name, _ in _METADATA], np.int64),
)
# Metadata that is in the column of its own name only. LogQL knows the ids' columns as metadata, and no others.
_IDS = ("trace_id", "span_id")
_LEVELS = pa.array(LEVELS)


def decode_loki_json(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """The events of a push in JSON, of today's form (`stream`, `values`) or the older one (`labels`, `entries`).

    Rejected alone are an entry that is wrong or past a limit, all of a stream whose labels are wrong, and what lies
    behind an error in the syntax. `Rejected.line` is the number of the entry, or of the first one concerned. Raises
    `BadInput` when the body has no stream and is not such a push, `TooLarge` when it grows past GROWTH_MAX.
    """
    return _decode(body, Form.JSON, limits, now_us)


def decode_loki_protobuf(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """The same for a `PushRequest`, without snappy around it."""
    return _decode(body, Form.PROTOBUF, limits, now_us)


class _Streams(NamedTuple):
    """The different streams of a body that are good.

    `indexes`, for each stream of the body: which of the good ones it is, or -1 when it is bad or has no entries.
    """

    indexes: Offsets
    attributes: StreamAttributes
    columns: list[LabelColumns]
    bad: BadStreams


def _decode(body: bytes, form: Form, limits: IngestSettings, now_us: int) -> Decoded:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"{len(body):,} bytes of a push are more than {BODY_BYTES_MAX:,}; lower ingest.body_bytes_max")
    earliest_us, latest_us = believable_us(limits, now_us)
    bounds = Bounds(now_us, earliest_us, latest_us, limits.line_bytes_max, limits.fields_max)
    entries = read_entries(body, form, bounds)
    if entries.ending is not Ending.COMPLETE and len(entries.streams) == 0:
        name = "JSON" if form is Form.JSON else "protobuf"
        raise BadInput(f"the body is not a push of Loki in {name}: it is wrong from byte {entries.end + 1} on")
    streams = _read_streams(body, form, entries, limits)
    events = _events(body, form, entries, streams, limits, now_us)
    return Decoded(events, rejected_of(body, form, entries, streams.bad, limits))


def _read_streams(body: bytes, form: Form, entries: Entries, limits: IngestSettings) -> _Streams:
    distinct = distinct_streams(body, entries, STREAMS_MAX)
    if distinct is None:
        raise TooLarge(f"the push has more than {STREAMS_MAX:,} different streams; send it in parts")
    # Which good one each of the different labels is, with a last place for the -1 of streams without entries.
    good = np.full(len(distinct.firsts) + 1, -1, np.int32)
    columns: list[LabelColumns] = []
    offsets = [0]
    kept: list[int] = []
    keys: list[str] = []
    values: list[str] = []
    reasons: dict[int, str] = {}
    for number, (begin, end) in enumerate(entries.streams[distinct.firsts, 2:4].tolist()):
        try:
            if begin < 0:
                raise BadLabels("the stream has no labels")
            labels = stream_labels(body[begin:end], is_json=form is Form.JSON, limits=limits)
        except BadLabels as error:
            reasons[number] = str(error)
            continue
        good[number] = len(columns)
        columns.append(labels.columns)
        kept.append(labels.kept)
        keys += labels.names
        values += labels.values
        offsets.append(len(keys))
    of_streams = pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(keys, pa.string()), pa.array(values, pa.string()), ATTRIBUTES
    )
    strange = (entries.streams[:, 5] == 1) & (distinct.indexes < 0) if form is Form.JSON else np.zeros(0, np.bool_)
    bad = BadStreams(distinct.indexes, reasons, np.flatnonzero(strange))
    attributes_of_streams = StreamAttributes(of_streams, np.array(kept, np.int32))
    return _Streams(good[distinct.indexes], attributes_of_streams, columns, bad)


def _events(
    body: bytes, form: Form, entries: Entries, streams: _Streams, limits: IngestSettings, now_us: int
) -> pa.RecordBatch:
    row_streams = streams.indexes[entries.row_streams]
    keep = row_streams >= 0
    row_streams = row_streams[keep]
    rows = len(row_streams)
    if rows == 0:
        return empty_batch(EVENT_SCHEMA)
    _check_growth(rows, attributes_bytes(row_streams, streams.attributes), limits)
    pairs = pa.MapArray.from_arrays(pa.array(entries.pair_rows), entries.keys, entries.values, ATTRIBUTES)
    if len(entries.odd):
        pairs = _with_oddities(pairs, entries, original_times(body, form, entries.originals))
    times, lines = pa.array(entries.times), entries.lines
    if rows < len(keep):
        kept = pa.array(keep)
        pairs, times, lines = pairs.filter(kept), times.filter(kept), lines.filter(kept)
    columns = [pa.array(column, pa.string()) for column in list(zip(*streams.columns, strict=True))[1:]]
    picked = columns_of(pairs, _NAMES)
    level_codes = np.array(
        [-1 if each.level is None else LEVELS.index(each.level) for each in streams.columns], np.int8
    )
    stream_levels = level_codes[row_streams]
    levels = np.where(stream_levels >= 0, stream_levels, picked.levels)
    complete_levels(levels, row_streams, level_codes, lines)
    taken = pa.array(row_streams)
    of_streams = [column.take(taken) for column in columns]
    said = np.zeros(rows, np.uint8)
    for bit, (column, own) in enumerate(zip(of_streams[2:], picked.texts[2:], strict=True)):
        if own is not None:
            said |= pc.and_(column.is_null(), own.is_valid()).to_numpy(zero_copy_only=False).astype(np.uint8) << bit
    service, host, trace_id, span_id = (
        _completed(column, own, default)
        for column, own, default in zip(of_streams, picked.texts, (UNKNOWN_SERVICE, None, None, None), strict=True)
    )
    return pa.RecordBatch.from_arrays(
        [
            times.view(TIMESTAMP),
            pa.array(np.full(rows, now_us, np.int64)).view(TIMESTAMP),
            _LEVELS.take(pa.array(levels, mask=levels < 0)),
            service,
            host,
            lines,
            trace_id,
            span_id,
            attributes_of(row_streams, streams.attributes, pairs, _IDS, said),
        ],
        schema=EVENT_SCHEMA,
    )


def _check_growth(rows: int, stream_bytes: int, limits: IngestSettings) -> None:
    if rows * _ROW_BYTES + stream_bytes > min(GROWTH_MAX * limits.body_bytes_max, _LABELS_BYTES_MAX):
        raise TooLarge(
            f"with the labels of its stream at each of its {rows:,} entries the push is over {GROWTH_MAX} times as "
            "large as ingest.body_bytes_max allows a body; send it in parts"
        )


def _completed(column: pa.StringArray, own: pa.StringArray | None, default: str | None) -> pa.StringArray:
    """The streams' column, where that has nothing (or the default) the rows' own one."""
    if own is None:
        return column
    missing = column.is_null() if default is None else pc.equal(column, default)
    return pc.if_else(pc.and_(missing, own.is_valid()), own, column)


def _with_oddities(pairs: pa.MapArray, entries: Entries, originals: pa.StringArray) -> pa.MapArray:
    """The pairs, and behind those of the rows with an odd time what marks it."""
    count = len(entries.odd)
    marks = pa.array([ORIGINAL, ADJUSTED]).take(pa.array(np.repeat([0, 1], count)))
    oddities = pa.array(["too_far_past", "too_far_future"]).take(pa.array(entries.oddities - TOO_FAR_PAST))
    counts = np.diff(entries.pair_rows)
    owners = np.concatenate([np.repeat(np.arange(len(counts)), counts), entries.odd, entries.odd])
    order = pa.array(np.argsort(owners, kind="stable"))
    counts[entries.odd] += 2
    rows = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.MapArray.from_arrays(
        pa.array(rows),
        pa.concat_arrays([pairs.keys, marks]).take(order),
        pa.concat_arrays([pairs.items, originals, oddities]).take(order),
        ATTRIBUTES,
    )
