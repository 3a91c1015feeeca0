"""Payment card numbers in the texts of an Arrow column, found by their form and their check digit.

A card number (ISO/IEC 7812-1) has 13 to 19 digits, begins with 2 to 6 (banking and merchandising), and passes the
Luhn formula. It stands as one run of digits, or as groups with one blank or dash between two of them: groups of 3
to 7 digits, the last of 1 to 7, as 4-4-4-4, 4-6-5 and 4-4-4-4-3. So dates, UUIDs and clock times in a row are none.

Each digit is looked at a bounded number of times, so hostile texts cost no more than others.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's.

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.kernels.compiling import compiled, inlined

Integers = npt.NDArray[np.int64]

DIGITS_MIN, DIGITS_MAX = 13, 19
_GROUP_MIN, _GROUP_MAX = 3, 7


@inlined
def _is_digit(byte):
    return 0x30 <= byte <= 0x39


@inlined
def _passes_luhn(digits, count):
    total = 0
    for i in range(count):
        digit = np.int64(digits[count - 1 - i])
        if i & 1:
            digit += digit
            if digit > 9:
                digit -= 9
        total += digit
    return total % 10 == 0


@inlined
def _card_end(data, start, end, digits):
    """Where the longest card number that starts with the group at `start` ends; -1: there is none."""
    found = -1
    count, place = 0, start
    groups = 0
    while place < end:
        group = place
        while place < end and _is_digit(data[place]) and count <= DIGITS_MAX:
            digits[count] = data[place] - 0x30
            count += 1
            place += 1
        if count > DIGITS_MAX:
            break
        size = place - group
        groups += 1
        if groups > 1 and size > _GROUP_MAX:
            break
        if count >= DIGITS_MIN and _passes_luhn(digits, count):
            found = place
        if size < _GROUP_MIN or size > _GROUP_MAX or place + 1 >= end:
            break
        if (data[place] != 0x20 and data[place] != 0x2D) or not _is_digit(data[place + 1]):
            break
        place += 1
    return found


@compiled
def _find(data, offsets, starts, ends, digits):
    count = 0
    for row in range(len(offsets) - 1):
        place, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        while place < end:
            if not _is_digit(data[place]):
                place += 1
                continue
            card_end = np.int64(-1)
            if 0x32 <= data[place] <= 0x36:
                card_end = np.int64(_card_end(data, place, end, digits))
            if card_end >= 0:
                starts[count] = place
                ends[count] = card_end
                count += 1
                place = card_end
            while place < end and _is_digit(data[place]):
                place += 1
    return count


def find_cards(texts: pa.StringArray) -> tuple[Integers, Integers]:
    """Where card numbers start and end: places in the data of the array, counted from its first text, rising."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, 4 * texts.offset)
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    size = int(offsets[-1] - offsets[0])
    starts = np.empty(size // DIGITS_MIN + 1, np.int64)
    ends = np.empty_like(starts)
    count = _find(data, offsets, starts, ends, np.zeros(DIGITS_MAX + 1, np.uint8))
    return starts[:count] - int(offsets[0]), ends[:count] - int(offsets[0])


def warm_up() -> None:
    find_cards(pa.array(["4111111111111111"]))
