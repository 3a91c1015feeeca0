"""Where the log records of an ExportLogsServiceRequest are, and their resources and scopes.

    records   int64 (rows, 3)     start and end in the body, and the index of the group
    groups    int64 (groups, 4)   start and end of the resource, and of the scope; 0 and 0 where there is none

A group is the records of one scope; those without records are left out.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from tailrace.kernels.ndjson_compile import compiled
from tailrace.kernels.protobuf import read_size, read_varint, skip_field

FOUND, DAMAGED, TOO_MANY = 0, 1, 2

_FIRST, _SECOND = 0x0A, 0x12  # tags of fields 1 and 2 that hold a message


@compiled
def find_records(d, records, groups):
    """Returns how many records and groups there are, FOUND, DAMAGED or TOO_MANY for the arrays, and where."""
    n = len(d)
    rows, count = 0, 0
    p = 0
    while p < n:
        at = p
        tag, p = read_varint(d, p, n)
        if p < 0:
            return rows, count, DAMAGED, at
        if tag != _FIRST:
            p = skip_field(d, p, n, tag)
            if p < 0:
                return rows, count, DAMAGED, at
            continue
        size, p = read_size(d, p, n)
        if p < 0:
            return rows, count, DAMAGED, at
        resource_end = p + size
        first_group = count
        resource, resource_size = 0, 0
        while p < resource_end:
            at = p
            tag, p = read_varint(d, p, resource_end)
            if p < 0:
                return rows, count, DAMAGED, at
            if tag != _FIRST and tag != _SECOND:
                p = skip_field(d, p, resource_end, tag)
                if p < 0:
                    return rows, count, DAMAGED, at
                continue
            size, p = read_size(d, p, resource_end)
            if p < 0:
                return rows, count, DAMAGED, at
            if tag == _FIRST:
                resource, resource_size = p, size
                p += size
                continue
            scope_end = p + size
            group = -1
            scope, scope_size = 0, 0
            while p < scope_end:
                at = p
                tag, p = read_varint(d, p, scope_end)
                if p < 0:
                    return rows, count, DAMAGED, at
                if tag != _FIRST and tag != _SECOND:
                    p = skip_field(d, p, scope_end, tag)
                    if p < 0:
                        return rows, count, DAMAGED, at
                    continue
                size, p = read_size(d, p, scope_end)
                if p < 0:
                    return rows, count, DAMAGED, at
                if tag == _FIRST:
                    scope, scope_size = p, size
                    p += size
                    continue
                if rows == len(records):
                    return rows, count, TOO_MANY, at
                if group < 0:
                    group = count
                    count += 1
                records[rows, 0] = p
                records[rows, 1] = p + size
                records[rows, 2] = group
                rows += 1
                p += size
            if group >= 0:
                groups[group, 2] = scope
                groups[group, 3] = scope + scope_size
        for i in range(first_group, count):
            groups[i, 0] = resource
            groups[i, 1] = resource + resource_size
    return rows, count, FOUND, n
