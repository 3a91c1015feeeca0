"""Events as lines of JSON, written straight from the Arrow buffers (RFC 8259).

A line has its keys in this order; a null column is left out, and `attributes` is always there:
`timestamp` (ISO 8601, microseconds, Z), `level`, `service`, `host`, `message`, `trace_id`, `span_id`, `attributes`
(object of strings), `id` ("partition-offset-row").

Text is kept as UTF-8; escaped are `"`, `\\` and the control characters below 0x20, in their short forms where JSON
has one. The day of a timestamp follows Howard Hinnant's `civil_from_days`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba.core import cgutils, types
from numba.extending import intrinsic

from tailrace.model.batch import batch_of_rows, with_identity

Bytes = npt.NDArray[np.uint8]

_TEXTS = ("level", "service", "host", "message", "trace_id", "span_id")

# One line without its texts: names, quotes, commas, a timestamp of up to 28 characters, an id of up to 43.
_LINE_BYTES = 256
_ATTRIBUTE_BYTES = 8  # quotes, colon, comma; or `null`


def json_lines(batch: pa.RecordBatch) -> Bytes:
    """The rows of a batch of STORED_SCHEMA, one line each, ended by a line feed."""
    columns = [batch.column(name) for name in _TEXTS]
    attributes = batch.column("attributes")
    first, last = _ends(attributes)
    keys = attributes.keys.slice(first, last - first)
    items = attributes.items.slice(first, last - first)
    texts = tuple(_text(column) for column in columns)
    key_text, item_text = _text(keys), _text(items)
    size = batch.num_rows * _LINE_BYTES + (last - first) * _ATTRIBUTE_BYTES
    for starts, text, _, _ in (*texts, key_text, item_text):
        size += _escaped_bytes(text, starts[0], starts[-1])
    out = np.empty(size, np.uint8)
    used = _write_lines(
        out,
        batch.column("timestamp").cast(pa.int64()).to_numpy(),
        texts,
        _starts(attributes) - first,
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


def _view(buffer: pa.Buffer | None, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Never writable, so that the kernels meet one type, whether Arrow or Python owns the bytes."""
    view = np.frombuffer(b"" if buffer is None else buffer, dtype)
    view.flags.writeable = False
    return view


def _starts(array: pa.Array) -> npt.NDArray[np.int32]:
    """Where each value starts in the data, and at the end where the last one ends."""
    if len(array) == 0:
        return _view(pa.py_buffer(bytes(4)), np.int32)
    return _view(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def _ends(array: pa.Array) -> tuple[int, int]:
    starts = _starts(array)
    return int(starts[0]), int(starts[-1])


def _text(array: pa.StringArray) -> tuple[npt.NDArray[np.int32], Bytes, Bytes, int]:
    """Starts, data, validity bits (none: all are valid) and the bit of the first value."""
    validity, _, data = array.buffers()
    return _starts(array), _view(data, np.uint8), _view(validity, np.uint8), array.offset


@numba.njit(nogil=True, cache=True)
def _escaped_bytes(text: Bytes, start: int, end: int) -> int:
    """The length of these bytes when escaped, or a little more."""
    extra = 0
    for i in range(start, end):
        byte = text[i]
        extra += (byte < 0x20) * 5 + (byte == 0x22) + (byte == 0x5C)
    return end - start + extra


@numba.njit(nogil=True, cache=True)
def _valid(bits: Bytes, index: int) -> bool:
    return bits.size == 0 or (bits[index >> 3] >> (index & 7)) & 1 == 1


_raw_memcpy: Any = cgutils.raw_memcpy


def _type_copy_bytes(typing_context: Any, out: Any, at: Any, text: Any, start: Any, size: Any) -> Any:
    """Copy `size` bytes of `text` from `start` on to `out[at:]`, by C's memcpy.

    It takes a tenth of the time of a loop over texts as short as these. Nothing is checked.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to = context.make_array(signature.args[0])(context, builder, arguments[0])
        source = context.make_array(signature.args[2])(context, builder, arguments[2])
        to_place = builder.gep(to.data, [arguments[1]])
        source_place = builder.gep(source.data, [arguments[3]])
        _raw_memcpy(builder, to_place, source_place, arguments[4], 1)
        return context.get_dummy_value()

    return types.void(out, at, text, start, size), generate


_copy_bytes: Any = intrinsic(_type_copy_bytes)


@numba.njit(nogil=True, cache=True)
def _put(out: Bytes, at: int, text: Bytes) -> int:
    _copy_bytes(out, at, text, 0, text.size)
    return at + text.size


@numba.njit(nogil=True, cache=True)
def _put_digits(out: Bytes, at: int, number: int, width: int) -> int:
    """A number >= 0 in decimal, with zeros in front up to `width`."""
    digits = 1
    rest = number // 10
    while rest > 0:
        digits += 1
        rest //= 10
    digits = max(digits, width)
    for i in range(at + digits - 1, at - 1, -1):
        out[i] = 48 + number % 10
        number //= 10
    return at + digits


@numba.njit(nogil=True, cache=True)
def _put_string(out: Bytes, at: int, text: Bytes, start: int, end: int) -> int:
    out[at] = 0x22
    at += 1
    # A view from zero on: its loop becomes vector instructions, as it needs no check for negative places.
    view = text[start:end]
    special = np.uint8(0)
    for i in range(view.size):
        special |= np.uint8((view[i] < 0x20) | (view[i] == 0x22) | (view[i] == 0x5C))
    if special == 0:
        size = int(end) - int(start)
        _copy_bytes(out, at, text, int(start), size)
        at += size
    else:
        for i in range(start, end):
            at = _put_escaped(out, at, text[i])
    out[at] = 0x22
    return at + 1


@numba.njit(nogil=True, cache=True)
def _put_escaped(out: Bytes, at: int, byte: int) -> int:
    if byte >= 0x20 and byte != 0x22 and byte != 0x5C:
        out[at] = byte
        return at + 1
    out[at] = 0x5C
    short = byte
    if byte == 0x08:
        short = 0x62
    elif byte == 0x09:
        short = 0x74
    elif byte == 0x0A:
        short = 0x6E
    elif byte == 0x0C:
        short = 0x66
    elif byte == 0x0D:
        short = 0x72
    if short >= 0x20:
        out[at + 1] = short
        return at + 2
    out[at + 1] = 0x75
    out[at + 2] = 0x30
    out[at + 3] = 0x30
    out[at + 4] = 0x30 + (byte >> 4)
    low = byte & 15
    out[at + 5] = (0x30 if low < 10 else 0x57) + low
    return at + 6


@numba.njit(nogil=True, cache=True)
def _put_time(out: Bytes, at: int, time_us: int) -> int:
    days = time_us // 86_400_000_000
    rest = time_us - days * 86_400_000_000
    shifted = days + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * march_month + 2) // 5 + 1
    month = march_month + 3 if march_month < 10 else march_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    if year < 0:
        out[at] = 0x2D
        at += 1
        year = -year
    at = _put_digits(out, at, year, 4)
    out[at] = 0x2D
    at = _put_digits(out, at + 1, month, 2)
    out[at] = 0x2D
    at = _put_digits(out, at + 1, day, 2)
    out[at] = 0x54
    at = _put_digits(out, at + 1, rest // 3_600_000_000, 2)
    out[at] = 0x3A
    at = _put_digits(out, at + 1, rest // 60_000_000 % 60, 2)
    out[at] = 0x3A
    at = _put_digits(out, at + 1, rest // 1_000_000 % 60, 2)
    out[at] = 0x2E
    at = _put_digits(out, at + 1, rest % 1_000_000, 6)
    out[at] = 0x5A
    return at + 1


def _ascii(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8)


_OPEN = _ascii('{"timestamp":"')
_AFTER_TIME = _ascii('"')
_LEVEL = _ascii(',"level":')
_SERVICE = _ascii(',"service":')
_HOST = _ascii(',"host":')
_MESSAGE = _ascii(',"message":')
_TRACE_ID = _ascii(',"trace_id":')
_SPAN_ID = _ascii(',"span_id":')
_ATTRIBUTES = _ascii(',"attributes":{')
_ID = _ascii('},"id":"')
_CLOSE = _ascii('"}\n')
_NULL = _ascii("null")


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
        at = _put(out, at, _OPEN)
        at = _put_time(out, at, times_us[row])
        at = _put(out, at, _AFTER_TIME)
        if _valid(level_valid, level_bit + row):
            at = _put(out, at, _LEVEL)
            at = _put_string(out, at, level, level_starts[row], level_starts[row + 1])
        if _valid(service_valid, service_bit + row):
            at = _put(out, at, _SERVICE)
            at = _put_string(out, at, service, service_starts[row], service_starts[row + 1])
        if _valid(host_valid, host_bit + row):
            at = _put(out, at, _HOST)
            at = _put_string(out, at, host, host_starts[row], host_starts[row + 1])
        at = _put(out, at, _MESSAGE)
        at = _put_string(out, at, message, message_starts[row], message_starts[row + 1])
        if _valid(trace_valid, trace_bit + row):
            at = _put(out, at, _TRACE_ID)
            at = _put_string(out, at, trace, trace_starts[row], trace_starts[row + 1])
        if _valid(span_valid, span_bit + row):
            at = _put(out, at, _SPAN_ID)
            at = _put_string(out, at, span, span_starts[row], span_starts[row + 1])
        at = _put(out, at, _ATTRIBUTES)
        for index in range(map_starts[row], map_starts[row + 1]):
            if index > map_starts[row]:
                out[at] = 0x2C
                at += 1
            at = _put_string(out, at, key_data, key_starts[index], key_starts[index + 1])
            out[at] = 0x3A
            at += 1
            if _valid(item_valid, item_bit + index):
                at = _put_string(out, at, item_data, item_starts[index], item_starts[index + 1])
            else:
                at = _put(out, at, _NULL)
        at = _put(out, at, _ID)
        at = _put_digits(out, at, partitions[row], 1)
        out[at] = 0x2D
        at = _put_digits(out, at + 1, offsets[row], 1)
        out[at] = 0x2D
        at = _put_digits(out, at + 1, rows[row], 1)
        at = _put(out, at, _CLOSE)
    return at
