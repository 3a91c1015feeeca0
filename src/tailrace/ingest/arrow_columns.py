"""Columns of any Arrow type as the texts, levels and times of an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.timestamps import ADJUSTED, ORIGINAL, believable_us, parse_timestamp
from tailrace.model.batch import LEVELS, TIMESTAMP
from tailrace.model.level import level_of

_LEVELS = pa.array(LEVELS)
_MICROSECONDS_PER = {"s": 1_000_000, "ms": 1_000}
# Beyond this many microseconds no time is believed; what is larger is held here, so that it cannot overflow.
_FAR_US = 1 << 61
# A Python object a nested value: in bytes of an honest stream.
_NESTED_BYTES_MIN = 8


class Attribute(NamedTuple):
    """A column that becomes an attribute: an array of strings; where it is null the event has none."""

    name: str
    texts: pa.StringArray


def _without_null_views(array: pa.Array) -> pa.Array:
    """The array with an empty view at each null: validation leaves those out, and a cast follows them anywhere."""
    if not array.null_count:
        return array
    validity, views, *data = array.buffers()
    whole = np.frombuffer(views, np.uint8).copy()
    places = whole[: 16 * (array.offset + len(array))].reshape(-1, 16)[array.offset :]
    places[np.asarray(array.is_null())] = 0
    buffers = [validity, pa.py_buffer(whole), *data]
    return pa.Array.from_buffers(array.type, len(array), buffers, array.null_count, array.offset)


def as_text(array: pa.Array, bytes_max: int) -> pa.StringArray:
    """Each value as text: text as it is, numbers and times as Arrow writes them, nested ones as JSON.

    Raises `TooLarge` when the texts take more than `bytes_max`, as a dictionary of one long text may.
    """
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_run_end_encoded(kind):
        words = as_text(array.values, bytes_max)
        ends = np.clip(np.asarray(array.run_ends, np.int64) - array.offset, 0, len(array))
        return _taken(words, pa.array(np.repeat(np.arange(len(words)), np.diff(ends, prepend=0))), bytes_max)
    if pa.types.is_dictionary(kind):
        return _taken(as_text(array.dictionary, bytes_max), array.indices, bytes_max)
    if _is_text_like(kind):
        if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
            array = _without_null_views(array)
        _check_size(_text_bytes(array), bytes_max)
        try:
            return array.cast(pa.string())
        except pa.ArrowInvalid:  # bytes that are no UTF-8
            return _texts_of(array, lambda value: value.as_py().decode(errors="replace"), bytes_max)
    if pa.types.is_nested(kind):
        _check_children(array, bytes_max)
        return _texts_of(array, lambda value: orjson.dumps(value.as_py(), default=str).decode(), bytes_max)
    try:
        return array.cast(pa.string())
    except pa.ArrowNotImplementedError:
        return _texts_of(array, lambda value: str(value.as_py()), bytes_max)
    except pa.ArrowInvalid:  # a time in a zone that nobody knows
        return array.cast(pa.int64()).cast(pa.string())


def flattened(name: str, array: pa.Array, leaves_max: int) -> list[tuple[str, pa.Array]]:
    """A struct as its leaves, with dotted names; anything else as it is. Raises `BadInput` past `leaves_max`."""
    if not pa.types.is_struct(array.type):
        return [(name, array)]
    leaves: list[tuple[str, pa.Array]] = []
    for index in range(array.type.num_fields):
        field = array.type.field(index)
        leaves += flattened(f"{name}.{field.name}", pc.struct_field(array, [index]), leaves_max - len(leaves))
        if len(leaves) > leaves_max:
            raise BadInput(f"the column {name!r} has too many fields (ingest.fields_max)")
    return leaves


def levels_of(texts: pa.StringArray) -> tuple[pa.StringArray, list[Attribute]]:
    """The levels that texts name; the others stay, as the attribute `level`."""
    if pc.sum(pc.is_in(texts, _LEVELS)).as_py() == len(texts) - texts.null_count:
        return texts, []
    encoded = texts.dictionary_encode()
    words = pa.array([level_of(word) for word in encoded.dictionary.to_pylist()], pa.string())
    levels = words.take(encoded.indices)
    strange = pc.if_else(pc.is_null(levels), texts, None)
    return levels, [] if strange.null_count == len(strange) else [Attribute("level", strange)]


def times_of(array: pa.Array, *, limits: IngestSettings, now_us: int) -> tuple[pa.TimestampArray, list[Attribute]]:
    """Times as microseconds in UTC, and the attributes of those that are odd, as `json_slow` gives them."""
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(array.type):
        times_us, texts = _microseconds(array), None
    else:
        texts = as_text(array, limits.body_bytes_max)
        times_us = pa.array(
            [None if text is None else parse_timestamp(text) for text in texts.to_pylist()], pa.int64()
        )
    earliest_us, latest_us = believable_us(limits, now_us)
    bounds = pc.min_max(times_us)
    lowest_us, highest_us = bounds["min"].as_py(), bounds["max"].as_py()
    believed = lowest_us is None or (lowest_us >= earliest_us and highest_us <= latest_us)
    read = times_us.null_count == array.null_count
    if believed and read:
        return times_us.fill_null(now_us).cast(TIMESTAMP), []
    oddity = pc.case_when(
        pc.make_struct(pc.less(times_us, earliest_us), pc.greater(times_us, latest_us), pc.is_null(times_us)),
        pa.scalar("too_far_past"),
        pa.scalar("too_far_future"),
        pa.scalar("unreadable"),
    )
    oddity = pc.if_else(pc.is_valid(array), oddity, pa.scalar(None, pa.string()))
    odd = pc.is_valid(oddity)
    # Only the odd ones are printed: that can fail for times outside of the calendar, and costs.
    printed = as_text(array.filter(odd) if texts is None else texts.filter(odd), limits.body_bytes_max)
    originals = pc.replace_with_mask(pa.nulls(len(array), pa.string()), odd, printed)
    settled = pc.if_else(odd, pa.scalar(now_us, pa.int64()), times_us).fill_null(now_us)
    return settled.cast(TIMESTAMP), [Attribute(ORIGINAL, originals), Attribute(ADJUSTED, oddity)]


def _microseconds(array: pa.TimestampArray) -> pa.Int64Array:
    numbers = array.cast(pa.int64())
    unit = array.type.unit
    if unit == "us":
        return numbers
    if unit == "ns":
        return array.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    factor = _MICROSECONDS_PER[unit]
    far = _FAR_US // factor
    held = pc.min_element_wise(pc.max_element_wise(numbers, -far, skip_nulls=False), far, skip_nulls=False)
    return pc.multiply(held, factor)


def _taken(words: pa.StringArray, indices: pa.Array, bytes_max: int) -> pa.StringArray:
    """The words that the indices name; few long ones, named often, are refused before they are written out."""
    lengths = pc.binary_length(words).cast(pa.int64()).take(indices)
    _check_size(pc.sum(lengths).as_py() or 0, bytes_max)
    return words.take(indices)


def _check_children(array: pa.Array, bytes_max: int) -> None:
    """Refuses nested values that take few bytes, or none, and would be many objects."""
    kind = array.type
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind) or "view" in str(kind):
        raise BadInput(
            f"values of type {kind} inside of others are not understood; send them in a column of their own"
        )
    if len(array) > bytes_max // _NESTED_BYTES_MIN:
        raise TooLarge(f"{len(array):,} nested values are too many (ingest.body_bytes_max); send them in parts")
    if pa.types.is_map(kind):
        children = [array.keys, array.items]
    elif pa.types.is_struct(kind) or pa.types.is_union(kind):
        children = [array.field(index) for index in range(kind.num_fields)]
    elif pa.types.is_nested(kind):
        children = [array.values]
    else:
        children = []
    for child in children:
        _check_children(child, bytes_max)


def _is_text_like(kind: pa.DataType) -> bool:
    tests = ("large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _text_bytes(array: pa.Array) -> int:
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        # A view is 16 bytes and starts with its length; several may share their text.
        lengths = np.frombuffer(array.buffers()[1], np.int32)[::4][array.offset : array.offset + len(array)]
        return int(lengths.sum(dtype=np.int64, where=np.asarray(array.is_valid())))
    return pc.sum(pc.binary_length(array).cast(pa.int64())).as_py() or 0


def _texts_of(array: pa.Array, text_of: Callable[[Any], str], bytes_max: int) -> pa.StringArray:
    texts: list[str | None] = []
    size = 0
    for value in array:
        text = text_of(value) if value.is_valid else None
        size += len(text or "")
        _check_size(size, bytes_max)
        texts.append(text)
    return pa.array(texts, pa.string())


def _check_size(size_bytes: int, bytes_max: int) -> None:
    if size_bytes > bytes_max:
        raise TooLarge(
            f"a column of the Arrow stream takes more than {bytes_max:,} bytes as text (ingest.body_bytes_max); "
            "send it in parts"
        )
