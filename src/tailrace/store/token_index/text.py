"""From an Arrow batch to the tokens of its rows: which buffers, which columns, in which memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.tokens.cut import (
    PADDING_BYTES,
    SKETCH_BITS,
    Bytes,
    Int32s,
    Int64s,
    Tokens,
    Words,
    cut_tokens,
    fold_bytes,
    read_only,
)
from tailrace.query.tree import EVERYWHERE


class Scratch:
    """Arrays that are used again for each group, so that their memory is touched for the first time only once."""

    def __init__(self) -> None:
        self._arrays: dict[str, npt.NDArray[Any]] = {}

    def take(self, name: str, size: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
        """An array of this size with any content; it shares its memory with the last one of this name."""
        array = self._arrays.get(name)
        if array is None or len(array) < size:
            array = self._arrays[name] = np.zeros(size + size // 8, dtype)
        return array[:size]


class TextColumn(NamedTuple):
    """A string column's buffers, and which values belong to each row (None: one each)."""

    text: Bytes
    offsets: Int32s
    validity: Bytes
    validity_offset: int
    row_values: Int64s | None


def text_columns(batch: pa.RecordBatch) -> Iterator[TextColumn]:
    """The columns whose tokens are indexed: those of EVERYWHERE and the attributes' values."""
    for name in EVERYWHERE:
        yield _text_column(batch.column(name), None)
    attributes = batch.column("attributes")
    if attributes.null_count:
        attributes = attributes.take(pa.array(np.arange(len(attributes))))  # nulls get empty ranges
    bounds = read_only(attributes.buffers()[1] or b"", np.int32)[attributes.offset :][: len(attributes) + 1]
    if len(bounds) and bounds[0] < bounds[-1]:
        values = attributes.items.slice(int(bounds[0]), int(bounds[-1] - bounds[0]))
        yield _text_column(values, (bounds - bounds[0]).astype(np.int64))


def _text_column(column: pa.Array, row_values: Int64s | None) -> TextColumn:
    validity, offsets, text = column.buffers()
    places = read_only(offsets or b"", np.int32)[column.offset :][: len(column) + 1]
    if len(places) == 0:  # Arrow lets an empty column have no offsets
        places = read_only(bytes(4), np.int32)
    return TextColumn(
        read_only(text or b"", np.uint8)[places[0] : places[-1]],
        places,
        read_only(validity if validity and column.null_count else b"", np.uint8),
        column.offset,
        row_values,
    )


class Cut(NamedTuple):
    """The tokens of a group: those of row r in column c are `row_tokens[c][r]:row_tokens[c][r + 1]`.

    `words` is the folded text, `sketch` counts the tokens' hashes.
    """

    words: Words
    tokens: Tokens
    row_tokens: list[Int64s]
    sketch: Int32s


def cut_group(batch: pa.RecordBatch, scratch: Scratch) -> Cut:
    """Cut all columns of a batch; the result lies in `scratch`, and is gone with the next group."""
    columns = list(text_columns(batch))
    text_bytes = sum(len(column.text) for column in columns)
    words = scratch.take("words", (text_bytes + PADDING_BYTES + 7) // 8, np.uint64)
    folded = words.view(np.uint8)
    bases = []
    base = tokens_max = 0
    for column in columns:
        size = len(column.text)
        # A value's end ends a token too: at most one more for each value.
        tokens_max += fold_bytes(column.text, folded[base : base + size]) + len(column.offsets)
        bases.append(base)
        base += size
    tokens = Tokens(
        scratch.take("hashes", tokens_max, np.uint64),
        scratch.take("starts", tokens_max, np.int64),
        scratch.take("lengths", tokens_max, np.int32),
    )
    sketch = scratch.take("sketch", 1 << SKETCH_BITS, np.int32)
    sketch[:] = 0
    row_tokens = []
    position = 0
    for number, column in enumerate(columns):
        value_tokens = scratch.take(f"tokens of column {number}", len(column.offsets), np.int64)
        position = cut_tokens(
            folded,
            words,
            bases[number],
            column.offsets,
            column.validity,
            column.validity_offset,
            tokens,
            position,
            value_tokens,
            sketch,
        )
        row_tokens.append(value_tokens if column.row_values is None else value_tokens[column.row_values])
    return Cut(
        words,
        Tokens(tokens.hashes[:position], tokens.starts[:position], tokens.lengths[:position]),
        row_tokens,
        sketch,
    )
