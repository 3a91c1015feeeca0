"""The parts of a JSON line, written into a buffer from Arrow buffers (RFC 8259): what the writers of lines share.

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

Bytes = npt.NDArray[np.uint8]


def view_of(buffer: pa.Buffer | None, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Never writable, so that the kernels meet one type, whether Arrow or Python owns the bytes."""
    view = np.frombuffer(b"" if buffer is None else buffer, dtype)
    view.flags.writeable = False
    return view


def starts_of(array: pa.Array) -> npt.NDArray[np.int32]:
    """Where each value starts in the data, and at the end where the last one ends."""
    if len(array) == 0:
        return view_of(pa.py_buffer(bytes(4)), np.int32)
    return view_of(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]


def ends_of(array: pa.Array) -> tuple[int, int]:
    starts = starts_of(array)
    return int(starts[0]), int(starts[-1])


def text_of(array: pa.StringArray) -> tuple[npt.NDArray[np.int32], Bytes, Bytes, int]:
    """Starts, data, validity bits (none: all are valid) and the bit of the first value."""
    validity, _, data = array.buffers()
    return starts_of(array), view_of(data, np.uint8), view_of(validity, np.uint8), array.offset


@numba.njit(nogil=True, cache=True)
def escaped_bytes(text: Bytes, start: int, end: int) -> int:
    """The length of these bytes when escaped, or a little more."""
    extra = 0
    for i in range(start, end):
        byte = text[i]
        extra += (byte < 0x20) * 5 + (byte == 0x22) + (byte == 0x5C)
    return end - start + extra


@numba.njit(nogil=True, cache=True)
def is_valid(bits: Bytes, index: int) -> bool:
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
def put(out: Bytes, at: int, text: Bytes) -> int:
    _copy_bytes(out, at, text, 0, text.size)
    return at + text.size


@numba.njit(nogil=True, cache=True)
def put_digits(out: Bytes, at: int, number: int, width: int) -> int:
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
def put_string(out: Bytes, at: int, text: Bytes, start: int, end: int) -> int:
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
            at = put_escaped(out, at, text[i])
    out[at] = 0x22
    return at + 1


@numba.njit(nogil=True, cache=True)
def put_escaped(out: Bytes, at: int, byte: int) -> int:
    """A byte of a text, escaped where it has to be."""
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
def put_time(out: Bytes, at: int, time_us: int) -> int:
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
    at = put_digits(out, at, year, 4)
    out[at] = 0x2D
    at = put_digits(out, at + 1, month, 2)
    out[at] = 0x2D
    at = put_digits(out, at + 1, day, 2)
    out[at] = 0x54
    at = put_digits(out, at + 1, rest // 3_600_000_000, 2)
    out[at] = 0x3A
    at = put_digits(out, at + 1, rest // 60_000_000 % 60, 2)
    out[at] = 0x3A
    at = put_digits(out, at + 1, rest // 1_000_000 % 60, 2)
    out[at] = 0x2E
    at = put_digits(out, at + 1, rest % 1_000_000, 6)
    out[at] = 0x5A
    return at + 1


def ascii_bytes(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8)
