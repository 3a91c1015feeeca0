"""Syslog messages to Arrow buffers: what the kernel in `parse.py` is called with, and what it leaves.

Buffers are sized by the messages, once: a text is never longer than its message. Memory that is not written to is
never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.simd import WIDTH
from tailrace.kernels.syslog import frames
from tailrace.kernels.syslog.parse import (
    ELEMENT_BYTES_MAX,
    HOST,
    MESSAGE,
    PARAMETERS_MAX,
    SERVICE,
    parse_messages,
)
from tailrace.model.batch import ATTRIBUTES

Integers = npt.NDArray[np.int64]

# `facility`, `pid` and `msgid`, and the longest name of a facility.
_OWN_ATTRIBUTES = 3
_OWN_KEY_BYTES = len("facilitypidmsgid")
_OWN_VALUE_BYTES = 8

# The shortest parameter is ` a=""`; its attribute is named after its element too.
_PARAMETER_BYTES_MIN = 5
_KEY_GROWTH_MAX = (ELEMENT_BYTES_MAX + 1) // _PARAMETER_BYTES_MIN + 2


class Bounds(NamedTuple):
    """`now_us` stands in for a missing time; one outside of earliest and latest is not the kernel's.

    The clocks of the zone of civil times are `ahead_us` of UTC now, and show `this_year`; no civil time is past
    `latest_civil_us`.
    """

    now_us: int
    earliest_us: int
    latest_us: int
    ahead_us: int
    this_year: int
    latest_civil_us: int
    fields_max: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """The messages that the kernel read, in order, and the indexes of those it did not: `slow`.

    `times_us` are civil times where `local` is set. `severities` are numbers (RFC 5424, 6.2.1).
    """

    times_us: Integers
    local: npt.NDArray[np.bool_]
    severities: npt.NDArray[np.int8]
    service: pa.StringArray
    host: pa.StringArray
    message: pa.StringArray
    attributes: pa.MapArray
    slow: Integers


def parse(data: bytes, starts: Integers, ends: Integers, bounds: Bounds, facilities: Sequence[str]) -> Parsed:
    """The messages `data[starts[i]:ends[i]]`; all of them together are at most 512 MiB."""
    d = np.frombuffer(data, np.uint8)
    rows_max, size = len(starts), int((ends - starts).sum())
    attributes_max = _OWN_ATTRIBUTES * rows_max + size // _PARAMETER_BYTES_MIN + PARAMETERS_MAX
    times, local, severities = np.empty(rows_max, np.int64), np.empty(rows_max, np.bool_), np.empty(rows_max, np.int8)
    texts = tuple(np.empty(size + WIDTH, np.uint8) for _ in (SERVICE, HOST, MESSAGE))
    offsets = np.zeros((3, rows_max + 1), np.int32)
    valid = np.zeros((2, rows_max), np.bool_)
    row_attributes = np.zeros(rows_max + 1, np.int32)
    keys = np.empty(_OWN_KEY_BYTES * (rows_max + 1) + _KEY_GROWTH_MAX * size + WIDTH, np.uint8)
    values = np.empty(_OWN_VALUE_BYTES * (rows_max + 1) + size + WIDTH, np.uint8)
    key_offsets, value_offsets = np.empty(attributes_max, np.int32), np.empty(attributes_max, np.int32)
    key_offsets[0] = value_offsets[0] = 0
    slow = np.empty(rows_max, np.int64)
    names, sizes = _table(facilities)
    rows, left = parse_messages(
        d, starts, ends, bounds.now_us, bounds.earliest_us, bounds.latest_us, bounds.ahead_us,
        bounds.this_year, bounds.latest_civil_us, min(bounds.fields_max, PARAMETERS_MAX), names, sizes, times,
        local, severities, texts, offsets, valid, row_attributes, keys, key_offsets, values, value_offsets, slow,
    )  # fmt: skip
    entries = int(row_attributes[rows])
    attributes = pa.MapArray.from_arrays(
        pa.array(row_attributes[: rows + 1]),
        _text_array(entries, key_offsets, keys, None),
        _text_array(entries, value_offsets, values, None),
    )
    return Parsed(
        times[:rows],
        local[:rows],
        severities[:rows],
        _text_array(rows, offsets[SERVICE], texts[SERVICE], valid[SERVICE, :rows]),
        _text_array(rows, offsets[HOST], texts[HOST], valid[HOST, :rows]),
        _text_array(rows, offsets[MESSAGE], texts[MESSAGE], None),
        attributes.cast(ATTRIBUTES),
        slow[:left],
    )


def warm_up() -> None:
    """Compile the kernels, or load them from their cache."""
    frames.warm_up()
    parse(b"", np.zeros(0, np.int64), np.zeros(0, np.int64), Bounds(0, 0, 0, 0, 1970, 0, 0), ["kern"])


def _table(names: Sequence[str]) -> tuple[npt.NDArray[np.uint8], Integers]:
    width = max(map(len, names))
    table = np.array([list(name.ljust(width).encode()) for name in names], np.uint8)
    return table, np.array([len(name) for name in names])


def _text_array(
    count: int, offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], valid: npt.NDArray[np.bool_] | None
) -> pa.StringArray:
    nulls = 0 if valid is None else count - int(np.count_nonzero(valid))
    bitmap = None if valid is None or nulls == 0 else pa.py_buffer(np.packbits(valid, bitorder="little"))
    # A copy: the buffer is many times as large as what is in it.
    text = pa.py_buffer(data[: int(offsets[count])].copy())
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets[: count + 1].copy()), text, bitmap, nulls)
