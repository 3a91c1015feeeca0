"""A bulk request of Elasticsearch, taken apart and answered: the two loops over its items.

`read_items` turns pairs of lines, what to do and a document, into lines that the NDJSON kernel reads: the document
with what its action says put into it.

    {"create":{"_index":"web","_id":"7"}}
    {"message":"hello"}                        ──>   {"_index":"web","_id":"7","message":"hello"}

Item `i` becomes line `i`. Where there is no object to put it into, or nothing to be stored, the line is NO_EVENT
and the same text, which `write_items` takes for the answer. Action lines that are odd (escapes, nested values, what
is not ASCII, unknown actions, wrong ids) are left to the caller, one by one.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled
from tailrace.kernels.ndjson.values import number_end
from tailrace.kernels.simd import (
    FALSE,
    NULL,
    TRUE,
    WIDTH,
    copy_bytes,
    has_literal,
    is_blank,
    line_end,
    skip_blanks,
)

INDEX, CREATE, UPDATE, DELETE = range(4)
"""What an item asks for."""

OPERATION, ACTION_START, DOCUMENT_START, DOCUMENT_END, TEXT_START, TEXT_END, ID_START, ID_END = range(8)
"""Columns of `items`. Action and document are places in the body; text (`"_index":"web","_id":"7"`) and id, without
its quotes, are places in the lines. An item without an id has ID_START = ID_END."""

DONE, ODD, NO_DOCUMENT, FULL = range(4)
"""Why `read_items` returned: the body's end; an action line to be read by the caller; an action line without a line
behind it; more items than `items` has room for."""

NO_EVENT = b"~"
"""How a line begins that the NDJSON kernel is to leave to the caller."""

ID_BYTES_MAX = 512
INDEX_BYTES_MAX = 255
"""Elasticsearch's own bounds."""

COUNTER_DIGITS = 6
"""Of the number behind the prefix of ids that are made here, to the base of 36."""

ITEM_BYTES = 64
"""More than what an item's line or answer has besides its action, its document, the index that the caller gives, and
what `write_items` is given. Both loops may write WIDTH bytes past the end."""

_CREATE_KEY = np.frombuffer(b'"create"', np.uint8)
_INDEX_KEY = np.frombuffer(b'"index"', np.uint8)
_INDEX_NAME = np.frombuffer(b'"_index"', np.uint8)
_ID_NAME = np.frombuffer(b'"_id"', np.uint8)
_INDEX_OPEN = np.frombuffer(b'"_index":"', np.uint8)
_ID_OPEN = np.frombuffer(b',"_id":"', np.uint8)
_OPENS = np.array([list(name.ljust(11)) for name in (b'{"index":{', b'{"create":{', b'{"update":{', b'{"delete":{')])
_OPEN_SIZES = np.array([10, 11, 11, 11])
_NO_EVENT = NO_EVENT[0]


@compiled
def _text_end(d, p, n):
    """The quote that ends the plain text at `d[p:n]`; -1 when there is none, or a byte that makes it odd."""
    while p < n:
        c = d[p]
        if c == 0x22:
            return p
        if c == 0x5C or c < 0x20 or c >= 0x80:
            return -1
        p += 1
    return -1


@compiled
def read_items(d, start, index, lines, at, items, count):
    """Read the items of `d[start:]` into `items[count:]`, and their lines into `lines[at:]`.

    `index` is for the items that name none. Returns why it stopped, where it stopped in `d`, `lines` and `items`.
    When that is an action line, it stopped at its start.
    """
    n = len(d)
    p = start
    while True:
        while p < n and is_blank(d[p]):
            p += 1
        if p >= n:
            return DONE, p, at, count
        if count >= len(items):
            return FULL, p, at, count
        begin = p

        # -- {"create":{
        if d[p] != 0x7B:
            return ODD, begin, at, count
        p = skip_blanks(d, p + 1, n, True)
        operation = CREATE
        if has_literal(d, p, n, _CREATE_KEY):
            p += 8
        elif has_literal(d, p, n, _INDEX_KEY):
            operation = INDEX
            p += 7
        else:
            return ODD, begin, at, count
        p = skip_blanks(d, p, n, True)
        if p >= n or d[p] != 0x3A:
            return ODD, begin, at, count
        p = skip_blanks(d, p + 1, n, True)
        if p >= n or d[p] != 0x7B:
            return ODD, begin, at, count
        p = skip_blanks(d, p + 1, n, True)

        # -- "_index":"web","_id":"7"
        index_start, index_size = np.int64(-1), len(index)
        id_start, id_size = np.int64(-1), np.int64(0)
        good = p < n
        if good and d[p] != 0x7D:
            while True:
                good = p < n and d[p] == 0x22
                if not good:
                    break
                key = p
                key_end = _text_end(d, p + 1, n)
                good = key_end >= 0
                if not good:
                    break
                p = skip_blanks(d, key_end + 1, n, True)
                good = p < n and d[p] == 0x3A
                if not good:
                    break
                p = skip_blanks(d, p + 1, n, True)
                good = p < n
                if not good:
                    break
                is_index = has_literal(d, key, n, _INDEX_NAME)
                is_id = has_literal(d, key, n, _ID_NAME)
                if d[p] == 0x22:
                    value = p + 1
                    p = _text_end(d, value, n)
                    good = p >= 0
                    if not good:
                        break
                    if is_index:
                        index_start, index_size = value, p - value
                        good = 0 < index_size <= INDEX_BYTES_MAX
                    elif is_id:
                        id_start, id_size = value, p - value
                        good = 0 < id_size <= ID_BYTES_MAX
                    p += 1
                elif is_id and d[p] < 0x3A:
                    id_start = p
                    p = number_end(d, n, p)
                    id_size = p - id_start
                    good = p >= 0 and id_size <= ID_BYTES_MAX
                elif is_index or is_id:
                    good = False
                elif has_literal(d, p, n, TRUE) or has_literal(d, p, n, NULL):
                    p += 4
                elif has_literal(d, p, n, FALSE):
                    p += 5
                else:
                    p = number_end(d, n, p)
                    good = p >= 0
                if not good:
                    break
                p = skip_blanks(d, p, n, True)
                good = p < n and (d[p] == 0x2C or d[p] == 0x7D)
                if not good or d[p] == 0x7D:
                    break
                p = skip_blanks(d, p + 1, n, True)
        if not good:
            return ODD, begin, at, count

        # -- }}
        p = skip_blanks(d, p + 1, n, True)
        if p >= n or d[p] != 0x7D:
            return ODD, begin, at, count
        p = skip_blanks(d, p + 1, n, True)
        if p < n and d[p] != 0x0A:
            return ODD, begin, at, count
        if p + 1 >= n:
            return NO_DOCUMENT, begin, at, count

        # -- the document, with these in it
        document = p + 1
        end = line_end(d, document, n)
        q = skip_blanks(d, document, end, False)
        is_object = q < end and d[q] == 0x7B
        lines[at] = 0x7B if is_object else _NO_EVENT
        at += 1
        items[count, OPERATION] = operation
        items[count, ACTION_START] = begin
        items[count, DOCUMENT_START] = document
        items[count, DOCUMENT_END] = end
        items[count, TEXT_START] = at
        copy_bytes(lines, at, _INDEX_OPEN, 0, 10, 10)
        at += 10
        if index_start < 0:
            copy_bytes(lines, at, index, 0, index_size, index_size)
        else:
            copy_bytes(lines, at, d, index_start, index_size, n)
        at += index_size
        lines[at] = 0x22
        at += 1
        items[count, ID_START] = at
        if id_start >= 0:
            copy_bytes(lines, at, _ID_OPEN, 0, 8, 8)
            at += 8
            items[count, ID_START] = at
            copy_bytes(lines, at, d, id_start, id_size, n)
            at += id_size
            lines[at] = 0x22
            at += 1
        items[count, ID_END] = items[count, ID_START] + id_size
        items[count, TEXT_END] = at
        if is_object:
            q = skip_blanks(d, q + 1, end, False)
            if q >= end or d[q] != 0x7D:
                lines[at] = 0x2C
                at += 1
            copy_bytes(lines, at, d, q, end - q, n)
            at += end - q
        lines[at] = 0x0A
        at += 1
        count += 1
        p = end


@compiled
def write_items(lines, items, kinds, tails, tail_places, id_prefix, out):
    """Write the items of the answer, with commas between them, and return where they end.

    `kinds[i]` is the row of `tail_places` with the place in `tails` of what stands behind item `i`'s index and id:
    `,"status":201`. An item without an id is given one: `id_prefix` and a number.
    """
    at = 0
    for i in range(len(kinds)):
        if i > 0:
            out[at] = 0x2C
            at += 1
        operation = items[i, OPERATION]
        for k in range(_OPEN_SIZES[operation]):
            out[at + k] = _OPENS[operation, k]
        at += _OPEN_SIZES[operation]
        start = items[i, TEXT_START]
        text_size = items[i, TEXT_END] - start
        copy_bytes(out, at, lines, start, text_size, len(lines))
        at += text_size
        if items[i, ID_START] == items[i, ID_END]:
            copy_bytes(out, at, _ID_OPEN, 0, 8, 8)
            at += 8
            copy_bytes(out, at, id_prefix, 0, len(id_prefix), len(id_prefix))
            at += len(id_prefix)
            number = i
            for k in range(COUNTER_DIGITS):
                digit = number % 36
                out[at + COUNTER_DIGITS - 1 - k] = digit + (0x30 if digit < 10 else 0x57)
                number //= 36
            at += COUNTER_DIGITS
            out[at] = 0x22
            at += 1
        tail = tail_places[kinds[i], 0]
        tail_size = tail_places[kinds[i], 1] - tail
        copy_bytes(out, at, tails, tail, tail_size, len(tails))
        at += tail_size
        out[at] = 0x7D
        out[at + 1] = 0x7D
        at += 2
    return at


def warm_up() -> None:
    """Compile for the one set of types that the decoder uses."""
    # Bytes that were received are read-only, and numba compiles anew for those that are not.
    body = np.frombuffer(b'{"index":{}}\n{}', np.uint8)
    lines, items = np.empty(len(body) + ITEM_BYTES + WIDTH, np.uint8), np.empty((1, 8), np.int64)
    _, _, at, count = read_items(body, 0, body[:0], lines, 0, items, 0)
    places, out = np.zeros((1, 2), np.int64), np.empty(ITEM_BYTES + WIDTH, np.uint8)
    write_items(lines[:at], items[:count], np.zeros(count, np.int64), body, places, body[:0], out)
