"""Events as lines of JSON, written straight from the Arrow buffers (RFC 8259).

A line has its keys in this order; a null column is left out, and `attributes` is always there:
`timestamp` (ISO 8601, microseconds, Z), `level`, `service`, `host`, `message`, `trace_id`, `span_id`, `attributes`
(object of strings), `id` ("partition-offset-row").

How text and times are written is in `json_text`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
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

_TEXTS = ("level", "service", "host", "message", "trace_id", "span_id")

# One line without its texts: names, quotes, commas, a timestamp of up to 28 characters, an id of up to 43.
_LINE_BYTES = 256
_ATTRIBUTE_BYTES = 8  # quotes, colon, comma; or `null`


def json_lines(batch: pa.RecordBatch) -> Bytes:
    """The rows of a batch of STORED_SCHEMA, one line each, ended by a line feed."""
    columns = [batch.column(name) for name in _TEXTS]
    attributes = batch.column("attributes")
    first, last = ends_of(attributes)
    keys = attributes.keys.slice(first, last - first)
    items = attributes.items.slice(first, last - first)
    texts = tuple(text_of(column) for column in columns)
    key_text, item_text = text_of(keys), text_of(items)
    size = batch.num_rows * _LINE_BYTES + (last - first) * _ATTRIBUTE_BYTES
    for starts, text, _, _ in (*texts, key_text, item_text):
        size += escaped_bytes(text, starts[0], starts[-1])
    out = np.empty(size, np.uint8)
    used = _write_lines(
        out,
        batch.column("timestamp").cast(pa.int64()).to_numpy(),
        texts,
        starts_of(attributes) - first,
        key_text,
        item_text,
        batch.column("log_partition").to_numpy(),
        batch.column("log_offset").to_numpy(),
        batch.column("log_row").to_numpy(),
    )
    return out[:used]


def warm_up() -> None:
    """Compile for the one set of types that `json_lines` uses."""
    rows = [{"timestamp": 0, "observed_timestamp": 0, "message": ""}]
    json_lines(with_identity(batch_of_rows(rows), 0, 0))


_OPEN = ascii_bytes('{"timestamp":"')
_AFTER_TIME = ascii_bytes('"')
_LEVEL = ascii_bytes(',"level":')
_SERVICE = ascii_bytes(',"service":')
_HOST = ascii_bytes(',"host":')
_MESSAGE = ascii_bytes(',"message":')
_TRACE_ID = ascii_bytes(',"trace_id":')
_SPAN_ID = ascii_bytes(',"span_id":')
_ATTRIBUTES = ascii_bytes(',"attributes":{')
_ID = ascii_bytes('},"id":"')
_CLOSE = ascii_bytes('"}\n')
_NULL = ascii_bytes("null")


@numba.njit(nogil=True, cache=True)
def _write_lines(
    out: Bytes,
    times_us: Any,
    texts: Any,
    map_starts: Any,
    keys: Any,
    items: Any,
    partitions: Any,
    offsets: Any,
    rows: Any,
) -> int:
    """Write every line; returns the bytes used. `out` is large enough for the longest possible text."""
    # Taken apart before the loop: an array taken out of a tuple inside it costs two atomic operations each time.
    level_starts, level, level_valid, level_bit = texts[0]
    service_starts, service, service_valid, service_bit = texts[1]
    host_starts, host, host_valid, host_bit = texts[2]
    message_starts, message, _, _ = texts[3]
    trace_starts, trace, trace_valid, trace_bit = texts[4]
    span_starts, span, span_valid, span_bit = texts[5]
    key_starts, key_data, _, _ = keys
    item_starts, item_data, item_valid, item_bit = items
    at = 0
    for row in range(times_us.size):
        at = put(out, at, _OPEN)
        at = put_time(out, at, times_us[row])
        at = put(out, at, _AFTER_TIME)
        if is_valid(level_valid, level_bit + row):
            at = put(out, at, _LEVEL)
            at = put_string(out, at, level, level_starts[row], level_starts[row + 1])
        if is_valid(service_valid, service_bit + row):
            at = put(out, at, _SERVICE)
            at = put_string(out, at, service, service_starts[row], service_starts[row + 1])
        if is_valid(host_valid, host_bit + row):
            at = put(out, at, _HOST)
            at = put_string(out, at, host, host_starts[row], host_starts[row + 1])
        at = put(out, at, _MESSAGE)
        at = put_string(out, at, message, message_starts[row], message_starts[row + 1])
        if is_valid(trace_valid, trace_bit + row):
            at = put(out, at, _TRACE_ID)
            at = put_string(out, at, trace, trace_starts[row], trace_starts[row + 1])
        if is_valid(span_valid, span_bit + row):
            at = put(out, at, _SPAN_ID)
            at = put_string(out, at, span, span_starts[row], span_starts[row + 1])
        at = put(out, at, _ATTRIBUTES)
        for index in range(map_starts[row], map_starts[row + 1]):
            if index > map_starts[row]:
                out[at] = 0x2C
                at += 1
            at = put_string(out, at, key_data, key_starts[index], key_starts[index + 1])
            out[at] = 0x3A
            at += 1
            if is_valid(item_valid, item_bit + index):
                at = put_string(out, at, item_data, item_starts[index], item_starts[index + 1])
            else:
                at = put(out, at, _NULL)
        at = put(out, at, _ID)
        at = put_digits(out, at, partitions[row], 1)
        out[at] = 0x2D
        at = put_digits(out, at + 1, offsets[row], 1)
        out[at] = 0x2D
        at = put_digits(out, at + 1, rows[row], 1)
        at = put(out, at, _CLOSE)
    return at
