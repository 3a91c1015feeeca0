"""Where the log records of an ExportLogsServiceRequest are, and their resources and scopes.

    records   int64 (rows, 3)     start and end in the body, and the index of the group
    groups    int64 (groups, 4)   start and end of the resource, and of the scope; 0 and 0 where there is none

A group is the records of one scope; those without records are left out.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.protobuf import read_size, read_varint, skip_field

FOUND, DAMAGED, TOO_MANY = 0, 1, 2

_FIRST, _SECOND = 0x0A, 0x12  # tags of fields 1 and 2 that hold a message


@inlined
def next_message(d, p, end):
    """The tag of the next field 1 or 2 of `d[p:end]` that holds a message, and where this starts and ends.

    The tag is 0 when there is none, and -1, with the place, when a field before it is damaged.
    """
    while p < end:
        at = p
        tag, p = read_varint(d, p, end)
        if p < 0:
            return -1, at, at
        if tag in (_FIRST, _SECOND):
            size, p = read_size(d, p, end)
            return (tag, p, p + size) if p >= 0 else (-1, at, at)
        p = skip_field(d, p, end, tag)
        if p < 0:
            return -1, at, at
    return 0, end, end


@compiled
def find_records(d, records, groups):
    """Returns how many records and groups there are, FOUND, DAMAGED or TOO_MANY for the arrays, and where."""
    n = len(d)
    rows, count, end = 0, 0, 0
    while True:
        tag, p, end = next_message(d, end, n)
        if tag <= 0:
            return rows, count, FOUND if tag == 0 else DAMAGED, p
        if tag == _SECOND:
            continue
        logs_end, end = end, p
        first_group = count
        resource, resource_end = 0, 0
        while True:
            tag, p, end = next_message(d, end, logs_end)
            if tag < 0:
                return rows, count, DAMAGED, p
            if tag == 0:
                break
            if tag == _FIRST:
                resource, resource_end = p, end
                continue
            scope_end, end = end, p
            group = -1
            scope, scope_last = 0, 0
            while True:
                tag, p, end = next_message(d, end, scope_end)
                if tag < 0:
                    return rows, count, DAMAGED, p
                if tag == 0:
                    break
                if tag == _FIRST:
                    scope, scope_last = p, end
                    continue
                if rows == len(records):
                    return rows, count, TOO_MANY, p
                if group < 0:
                    group = count
                    count += 1
                records[rows, 0], records[rows, 1], records[rows, 2] = p, end, group
                rows += 1
            if group >= 0:
                groups[group, 2], groups[group, 3] = scope, scope_last
        for i in range(first_group, count):
            groups[i, 0], groups[i, 1] = resource, resource_end
