"""An array or object that is kept as JSON text: checked, and copied without its blanks."""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from tailrace.kernels.compiling import inlined
from tailrace.kernels.ndjson.values import copy_text, number_end
from tailrace.kernels.simd import FALSE, NULL, TRUE, copy_bytes, has_literal, skip_blanks

# One bit a level says whether it is an object.
_LEVELS_MAX = 62

# What may come next.
_VALUE, _VALUE_OR_END, _KEY_OR_END, _KEY, _COMMA_OR_END = 0, 1, 2, 3, 4


@inlined
def copy_nested(d, n, p, w, q, in_lines, levels_max):
    """Copy the array or object at `p` to `w` at `q`; it may be `levels_max` deep.

    Returns the index behind it, or -1 when it is wrong, too deep or has escapes (whose canonical form is not decided
    here), the index behind the copy, and how many members its objects have.
    """
    level = 0
    objects = 0
    members = 0
    state = _VALUE
    levels_max = min(levels_max, _LEVELS_MAX)
    while True:
        p = skip_blanks(d, p, n, in_lines)
        if p >= n:
            return -1, q, members
        c = d[p]
        in_object = (objects >> level) & 1 == 1
        if state == _COMMA_OR_END and c == 0x2C:
            w[q] = c
            p += 1
            q += 1
            state = _KEY if in_object else _VALUE
            continue
        if state != _VALUE and state != _KEY and c == (0x7D if in_object else 0x5D):
            w[q] = c
            p += 1
            q += 1
            level -= 1
            if level == 0:
                return p, q, members
            state = _COMMA_OR_END
            continue
        if state == _COMMA_OR_END:
            return -1, q, members
        if c == 0x22:
            w[q] = c
            source = p
            p, end = copy_text(d, n, p + 1, w, q + 1)
            if p < 0 or p - source != end - q + 1:
                return -1, q, members
            w[end] = 0x22
            q = end + 1
            if state in (_KEY, _KEY_OR_END):
                members += 1
                p = skip_blanks(d, p, n, in_lines)
                if p >= n or d[p] != 0x3A:
                    return -1, q, members
                w[q] = 0x3A
                p += 1
                q += 1
                state = _VALUE
            else:
                state = _COMMA_OR_END
            continue
        if state in (_KEY, _KEY_OR_END):
            return -1, q, members
        if c == 0x5B or c == 0x7B:
            level += 1
            if level > levels_max:
                return -1, q, members
            objects = (objects & ~(1 << level)) | (1 << level if c == 0x7B else 0)
            w[q] = c
            p += 1
            q += 1
            state = _KEY_OR_END if c == 0x7B else _VALUE_OR_END
            continue
        source = p
        if c == 0x74 and has_literal(d, p, n, TRUE):
            p += 4
        elif c == 0x66 and has_literal(d, p, n, FALSE):
            p += 5
        elif c == 0x6E and has_literal(d, p, n, NULL):
            p += 4
        else:
            p = number_end(d, n, p)
            if p < 0:
                return -1, q, members
        copy_bytes(w, q, d, source, p - source, n)
        q += p - source
        state = _COMMA_OR_END
