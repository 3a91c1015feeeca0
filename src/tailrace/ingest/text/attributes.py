"""Columns to the `attributes` map: all rows at once, empty and null values left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.model.batch import ATTRIBUTES


def attribute_map(columns: Mapping[str, pa.StringArray], rows: int) -> pa.MapArray:
    """One map a row with the columns' names as keys; keys keep the order of `columns`."""
    names = list(columns)
    if not names or not rows:
        offsets = np.zeros(rows + 1, np.int32)
        return pa.MapArray.from_arrays(pa.array(offsets), pa.array([], pa.string()), pa.array([], pa.string()))
    present = np.column_stack(
        [pc.fill_null(pc.not_equal(columns[name], ""), False).to_numpy(zero_copy_only=False) for name in names]
    )
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(present.sum(axis=1), out=offsets[1:])
    row_of, column_of = np.nonzero(present)
    keys = pa.DictionaryArray.from_arrays(pa.array(column_of.astype(np.int32)), pa.array(names)).dictionary_decode()
    values = pa.concat_arrays([columns[name].cast(pa.string()) for name in names])
    items = values.take(pa.array(column_of * rows + row_of))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, items).cast(ATTRIBUTES)
