"""Events as the lines of a bulk request of Elasticsearch and OpenSearch, straight from the Arrow buffers.

Two lines an event, each ended by a line feed: what to do, `{"create":{"_id":"PARTITION-OFFSET-ROW"}}`, and the
document. Its keys stand in the order of `BulkNames`. Times are ISO 8601 with microseconds and Z; `timestamp_us` is
the same time as a number. `attributes` is always there; left out are a null, an empty list, and `partial` unless it
is true.

A server refuses a document for one attribute that it cannot index: one whose key and value together make a term of
more than 32,766 bytes, or whose key holds a NUL. Such attributes stand in an object of their own, which is there only
when there are any, and which the mapping keeps out of the index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.json_text import (
    Bytes,
    ascii_bytes,
    ends_of,
    escaped_bytes,
    is_valid,
    put,
    put_digits,
    put_string,
    put_time,
    starts_of,
    text_of,
)
from tailrace.model.batch import batch_of_rows, with_identity

TERM_BYTES_MAX = 32_000
"""An attribute's key and value; the servers put the field's name and a separator before the term they make of it."""

DERIVED_LISTS = ("attribute_names", "attribute_pairs", "attribute_numbers", "other_text")
"""Columns of lists of strings, none of them null, that a document has beside the event's own."""

_TEXTS = ("level", "service", "host", "message", "trace_id", "span_id")

# Two lines without their texts and names: quotes, brackets, commas, two times of up to 28 characters, seven numbers.
_LINES_BYTES = 320
_ATTRIBUTE_BYTES = 8  # quotes, colon, comma; or `null`
_LISTED_BYTES = 3  # quotes, comma

Places = npt.NDArray[np.int64]


class BulkNames(NamedTuple):
    """What stands before each value of a document: its key, with the punctuation around it."""

    timestamp: Bytes
    observed_timestamp: Bytes
    timestamp_us: Bytes
    level: Bytes
    service: Bytes
    host: Bytes
    message: Bytes
    trace_id: Bytes
    span_id: Bytes
    attributes: Bytes
    attributes_apart: Bytes
    attribute_names: Bytes
    attribute_pairs: Bytes
    attribute_numbers: Bytes
    other_text: Bytes
    partial: Bytes
    log_partition: Bytes
    log_offset: Bytes
    log_row: Bytes


def bulk_names(names: Mapping[str, str]) -> BulkNames:
    """From the keys of the documents, by the fields of `BulkNames`; they need no escaping."""
    times = {"timestamp": '{"%s":"', "observed_timestamp": '","%s":"', "timestamp_us": '","%s":'}
    objects = dict.fromkeys(("attributes", "attributes_apart"), ',"%s":{')
    lists = dict.fromkeys(DERIVED_LISTS, ',"%s":[')
    forms = {**times, **objects, **lists, "partial": ',"%s":true'}
    return BulkNames(**{name: ascii_bytes(forms.get(name, ',"%s":') % names[name]) for name in BulkNames._fields})


def bulk_lines(batch: pa.RecordBatch, derived: pa.RecordBatch, names: BulkNames) -> tuple[Bytes, Places]:
    """The lines of a batch of STORED_SCHEMA, and where those of each row start, with the end of all as the last.

    `derived` has, for the same rows, the columns of DERIVED_LISTS and the booleans `partial`.
    """
    attributes = batch.column("attributes")
    first, last = ends_of(attributes)
    texts = tuple(text_of(batch.column(name)) for name in _TEXTS)
    keys = text_of(attributes.keys.slice(first, last - first))
    items = text_of(attributes.items.slice(first, last - first))
    lists = tuple(_list_of(derived.column(name)) for name in DERIVED_LISTS)
    line_bytes = _LINES_BYTES + sum(name.size for name in names)
    size = batch.num_rows * line_bytes + (last - first) * _ATTRIBUTE_BYTES
    for starts, text, _, _ in (*texts, keys, items):
        size += escaped_bytes(text, starts[0], starts[-1])
    for _, starts, text in lists:
        size += escaped_bytes(text, starts[0], starts[-1]) + len(starts) * _LISTED_BYTES
    out = np.empty(size, np.uint8)
    places = np.zeros(batch.num_rows + 1, np.int64)
    _write_lines(
        out,
        places,
        names,
        batch.column("timestamp").cast(pa.int64()).to_numpy(),
        batch.column("observed_timestamp").cast(pa.int64()).to_numpy(),
        texts,
        starts_of(attributes) - first,
        keys,
        items,
        lists,
        derived.column("partial").to_numpy(zero_copy_only=False),
        batch.column("log_partition").to_numpy(),
        batch.column("log_offset").to_numpy(),
        batch.column("log_row").to_numpy(),
    )
    return out[: places[-1]], places


def _list_of(array: pa.ListArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Bytes]:
    """Where each row's texts start, where each text starts, data."""
    first, last = ends_of(array)
    starts, data, _, _ = text_of(array.values.slice(first, last - first))
    return starts_of(array) - first, starts, data


def text_bytes(batch: pa.RecordBatch) -> Places:
    """For each row, and the end, the bytes of text before it: how large its lines will be, but for escapes."""
    total = np.zeros(batch.num_rows + 1, np.int64)
    for name in _TEXTS:
        starts = starts_of(batch.column(name))
        total += starts - starts[0]
    attributes = batch.column("attributes")
    first, last = ends_of(attributes)
    entries = starts_of(attributes) - first
    for column in (attributes.keys, attributes.items):
        starts = starts_of(column.slice(first, last - first))
        total += starts[entries] - starts[0]
    total += entries * _ATTRIBUTE_BYTES
    return total


def warm_up() -> None:
    """Compile for the one set of types that `bulk_lines` uses."""
    rows = [{"timestamp": 0, "observed_timestamp": 0, "message": ""}]
    lists = {name: pa.array([[]], pa.list_(pa.string())) for name in DERIVED_LISTS}
    derived = pa.RecordBatch.from_pydict({**lists, "partial": pa.array([False])})
    bulk_lines(with_identity(batch_of_rows(rows), 0, 0), derived, bulk_names(dict.fromkeys(BulkNames._fields, "")))


_CREATE = ascii_bytes('{"create":{"_id":"')
_CREATED = ascii_bytes('"}}\n')
_DASH = ascii_bytes("-")
_CLOSE = ascii_bytes("}\n")
_NULL = ascii_bytes("null")


@numba.njit(nogil=True, cache=True)
def _put_number(out: Bytes, at: int, number: int) -> int:
    if number >= 0:
        return put_digits(out, at, number, 1)
    out[at] = 0x2D
    return put_digits(out, at + 1, -number, 1)


@numba.njit(nogil=True, cache=True)
def _is_apart(key_data: Bytes, key_start: int, key_end: int, item_bytes: int) -> bool:
    nuls = 0
    for i in range(key_start, key_end):
        nuls += key_data[i] == 0
    return nuls > 0 or key_end - key_start + item_bytes > TERM_BYTES_MAX


@numba.njit(nogil=True, cache=True)
def _put_attributes(out: Bytes, at: int, first: int, last: int, keys: Any, items: Any, apart: bool) -> int:
    """The attributes that are apart, or those that are not, with commas between them."""
    key_starts, key_data, _, _ = keys
    item_starts, item_data, item_valid, item_bit = items
    begin = at
    for index in range(first, last):
        key_start, key_end = key_starts[index], key_starts[index + 1]
        item_start, item_end = item_starts[index], item_starts[index + 1]
        if _is_apart(key_data, key_start, key_end, item_end - item_start) != apart:
            continue
        if at > begin:
            out[at] = 0x2C
            at += 1
        at = put_string(out, at, key_data, key_start, key_end)
        out[at] = 0x3A
        at += 1
        if is_valid(item_valid, item_bit + index):
            at = put_string(out, at, item_data, item_start, item_end)
        else:
            at = put(out, at, _NULL)
    return at


@numba.njit(nogil=True, cache=True)
def _put_list(out: Bytes, at: int, name: Bytes, row: int, list_starts: Any, starts: Any, data: Bytes) -> int:
    first, last = list_starts[row], list_starts[row + 1]
    if first == last:
        return at
    at = put(out, at, name)
    for index in range(first, last):
        if index > first:
            out[at] = 0x2C
            at += 1
        at = put_string(out, at, data, starts[index], starts[index + 1])
    out[at] = 0x5D
    return at + 1


@numba.njit(nogil=True, cache=True)
def _write_lines(
    out: Bytes,
    places: Places,
    names: BulkNames,
    times_us: Any,
    observed_us: Any,
    texts: Any,
    map_starts: Any,
    keys: Any,
    items: Any,
    lists: Any,
    partial: Any,
    partitions: Any,
    offsets: Any,
    rows: Any,
) -> None:
    """Write the lines of every row and fill in `places`. `out` is large enough for the longest possible text."""
    # Taken apart before the loop: an array taken out of a tuple inside it costs two atomic operations each time.
    level_starts, level, level_valid, level_bit = texts[0]
    service_starts, service, service_valid, service_bit = texts[1]
    host_starts, host, host_valid, host_bit = texts[2]
    message_starts, message, _, _ = texts[3]
    trace_starts, trace, trace_valid, trace_bit = texts[4]
    span_starts, span, span_valid, span_bit = texts[5]
    name_timestamp, name_observed, name_us = names.timestamp, names.observed_timestamp, names.timestamp_us
    name_level, name_service, name_host = names.level, names.service, names.host
    name_message, name_trace, name_span = names.message, names.trace_id, names.span_id
    name_attributes, name_apart = names.attributes, names.attributes_apart
    name_names, name_pairs = names.attribute_names, names.attribute_pairs
    name_numbers, name_other, name_partial = names.attribute_numbers, names.other_text, names.partial
    name_partition, name_offset, name_row = names.log_partition, names.log_offset, names.log_row
    key_starts, key_data, _, _ = keys
    item_starts, _, _, _ = items
    name_lists, name_starts, name_data = lists[0]
    pair_lists, pair_starts, pair_data = lists[1]
    number_lists, number_starts, number_data = lists[2]
    other_lists, other_starts, other_data = lists[3]
    at = 0
    for row in range(times_us.size):
        places[row] = at
        at = put(out, at, _CREATE)
        at = put_digits(out, at, partitions[row], 1)
        at = put(out, at, _DASH)
        at = put_digits(out, at, offsets[row], 1)
        at = put(out, at, _DASH)
        at = put_digits(out, at, rows[row], 1)
        at = put(out, at, _CREATED)
        at = put(out, at, name_timestamp)
        at = put_time(out, at, times_us[row])
        at = put(out, at, name_observed)
        at = put_time(out, at, observed_us[row])
        at = put(out, at, name_us)
        at = _put_number(out, at, times_us[row])
        if is_valid(level_valid, level_bit + row):
            at = put(out, at, name_level)
            at = put_string(out, at, level, level_starts[row], level_starts[row + 1])
        if is_valid(service_valid, service_bit + row):
            at = put(out, at, name_service)
            at = put_string(out, at, service, service_starts[row], service_starts[row + 1])
        if is_valid(host_valid, host_bit + row):
            at = put(out, at, name_host)
            at = put_string(out, at, host, host_starts[row], host_starts[row + 1])
        at = put(out, at, name_message)
        at = put_string(out, at, message, message_starts[row], message_starts[row + 1])
        if is_valid(trace_valid, trace_bit + row):
            at = put(out, at, name_trace)
            at = put_string(out, at, trace, trace_starts[row], trace_starts[row + 1])
        if is_valid(span_valid, span_bit + row):
            at = put(out, at, name_span)
            at = put_string(out, at, span, span_starts[row], span_starts[row + 1])
        at = put(out, at, name_attributes)
        first, last = map_starts[row], map_starts[row + 1]
        at = _put_attributes(out, at, first, last, keys, items, False)
        out[at] = 0x7D
        at += 1
        for index in range(first, last):
            item_bytes = item_starts[index + 1] - item_starts[index]
            if _is_apart(key_data, key_starts[index], key_starts[index + 1], item_bytes):
                at = put(out, at, name_apart)
                at = _put_attributes(out, at, first, last, keys, items, True)
                out[at] = 0x7D
                at += 1
                break
        at = _put_list(out, at, name_names, row, name_lists, name_starts, name_data)
        at = _put_list(out, at, name_pairs, row, pair_lists, pair_starts, pair_data)
        at = _put_list(out, at, name_numbers, row, number_lists, number_starts, number_data)
        at = _put_list(out, at, name_other, row, other_lists, other_starts, other_data)
        if partial[row]:
            at = put(out, at, name_partial)
        at = put(out, at, name_partition)
        at = put_digits(out, at, partitions[row], 1)
        at = put(out, at, name_offset)
        at = put_digits(out, at, offsets[row], 1)
        at = put(out, at, name_row)
        at = put_digits(out, at, rows[row], 1)
        at = put(out, at, _CLOSE)
    places[times_us.size] = at
