"""What a document has beside the event: its attributes in forms that a server can search, as `mapping` tells.

Pure, and without a Python object for an event.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.leaves import NUMBER_PATTERN
from tailrace.query.to_elasticsearch_fields import OBSERVED_US_MAX, TOKEN_CHARACTERS_MAX, VALUE_BYTES_MAX
from tailrace.query.tokens import TOKEN

_TEXTS = pa.list_(pa.string())

DERIVED_SCHEMA = pa.schema(
    [
        pa.field("attribute_names", _TEXTS, nullable=False),
        pa.field("attribute_pairs", _TEXTS, nullable=False),
        pa.field("attribute_numbers", _TEXTS, nullable=False),
        pa.field("other_text", _TEXTS, nullable=False),
        pa.field("partial", pa.bool_(), nullable=False),
    ]
)

_NUMBER = f"^(?:{NUMBER_PATTERN})$"
_KEYWORDS = ("service", "host", "trace_id", "span_id")

TIME_US_MAX = 1 << 52
"""Servers make buckets of times with 64-bit floats; to here, the years 1827 to 2112, they make no mistake."""

_SIGN_BIT = np.uint64(1 << 63)
_IS_SIGN = np.array([TOKEN.match(chr(byte)) is None for byte in range(256)])
"""Bytes of UTF-8 that are in no token; those beyond ASCII all are."""


def derived(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a batch of STORED_SCHEMA in DERIVED_SCHEMA."""
    attributes = batch.column("attributes")
    starts = attributes.offsets.to_numpy()
    rows = np.repeat(np.arange(batch.num_rows), np.diff(starts))
    present = pc.is_valid(attributes.items.slice(starts[0], starts[-1] - starts[0]))
    names = attributes.keys.slice(starts[0], starts[-1] - starts[0]).filter(present)
    values = attributes.items.slice(starts[0], starts[-1] - starts[0]).filter(present)
    rows = rows[present.to_numpy(zero_copy_only=False)]
    pairs = pc.binary_join_element_wise(names, values, "=")
    is_number = pc.match_substring_regex(values, _NUMBER)
    keys = pc.binary_join_element_wise(names.filter(is_number), number_keys(values.filter(is_number)), "=")
    partial = _is_partial(batch)
    # Which of two `=` ends the name cannot be told.
    hidden = pc.or_(pc.match_substring(names, "="), _is_hidden(pairs, values))
    partial[rows[hidden.to_numpy(zero_copy_only=False)]] = True
    columns = [
        _lists(rows, names, batch.num_rows),
        _lists(rows, pairs, batch.num_rows),
        _lists(rows[is_number.to_numpy(zero_copy_only=False)], keys, batch.num_rows),
        _lists(rows, values, batch.num_rows),
        pa.array(partial),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=DERIVED_SCHEMA)


def number_keys(numbers: pa.StringArray) -> pa.StringArray:
    """`number_key` of each of these texts, which are numbers (NUMBER_PATTERN)."""
    # A plus sign is a number's own for us, and not for Arrow. Adding zero makes one zero of the two.
    values = pc.cast(pc.utf8_ltrim(numbers, "+"), pa.float64()).to_numpy() + 0.0
    bits = values.view(np.uint64)
    ordered = np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT)
    digits = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ordered), [None, pa.py_buffer(_hex(ordered))])
    return pc.utf8_rtrim(digits.cast(pa.binary()).cast(pa.string()), "0")


def _hex(ordered: npt.NDArray[np.uint64]) -> bytes:
    nibbles = np.empty((len(ordered), 16), np.uint8)
    octets = ordered.astype(">u8").view(np.uint8).reshape(-1, 8)
    nibbles[:, 0::2] = octets >> 4
    nibbles[:, 1::2] = octets & 15
    return np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles].tobytes()


def _lists(rows: npt.NDArray[np.int64], texts: pa.StringArray, count: int) -> pa.ListArray:
    """The texts of each row; `rows` says, in order, whose each is."""
    ends = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=count)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), texts)


def _is_partial(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Which events the index does not wholly hold, but for their attributes."""
    times_us = batch.column("timestamp").cast(pa.int64()).to_numpy()
    observed_us = batch.column("observed_timestamp").cast(pa.int64()).to_numpy()
    partial: npt.NDArray[np.bool_] = (times_us > TIME_US_MAX) | (times_us < -TIME_US_MAX)
    partial |= (observed_us < 0) | (observed_us > OBSERVED_US_MAX)
    for name in _KEYWORDS:
        partial |= _true(_is_hidden(batch.column(name), batch.column(name)))
    return partial | _true(_has_long_token(batch.column("message")))


def _is_hidden(keywords: pa.StringArray, texts: pa.StringArray) -> pa.BooleanArray:
    """Whether a keyword is too long to be indexed, or a text that goes with it has a token that is."""
    return pc.or_kleene(pc.greater(pc.binary_length(keywords), VALUE_BYTES_MAX), _has_long_token(texts))


def _has_long_token(texts: pa.StringArray) -> pa.BooleanArray:
    """Whether a text has so many bytes of a token in a row that they may be too many characters."""
    is_long = _true(pc.greater(pc.binary_length(texts), TOKEN_CHARACTERS_MAX))
    if is_long.any():
        long = texts.filter(pa.array(is_long))
        starts = np.frombuffer(long.buffers()[1], np.int32)[long.offset : long.offset + len(long) + 1]
        data = np.frombuffer(long.buffers()[2], np.uint8)[starts[0] : starts[-1]]
        # From one beginning of a text, or of what follows a sign, to the next lies a token, and then mostly a sign.
        places = np.union1d(np.flatnonzero(_IS_SIGN[data]) + 1, starts - starts[0])
        token_bytes = np.diff(places) - _IS_SIGN[data[places[1:] - 1]]
        far = places[:-1][token_bytes > TOKEN_CHARACTERS_MAX]
        found = np.zeros(len(long), bool)
        found[np.searchsorted(starts - starts[0], far, side="right") - 1] = True
        is_long[is_long] = found
    return pa.array(is_long)


def _true(holds: pa.BooleanArray) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.fill_null(holds, False).to_numpy(zero_copy_only=False)
    return found
