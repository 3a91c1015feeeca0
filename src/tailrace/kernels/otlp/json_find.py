"""Where the log records of an ExportLogsServiceRequest in JSON are, each brought to the wire format on the way.

    records   int64 (rows, 5)     start and end in the body, the index of the group, start and end in the output
    groups    int64 (groups, 4)   start and end of the resource's JSON, and of the scope's; 0 and 0: there is none

A record that is left to others has the start -1 in the output. A group is the records of one scope; those without
records are left out.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.otlp.find import DAMAGED, FOUND, TOO_MANY
from tailrace.kernels.otlp.json import (
    RECORDS,
    RESOURCE,
    RESOURCE_LOGS,
    SCOPE,
    SCOPE_LOGS,
    first_of,
    name_at,
    next_of,
    put_record,
    value_end,
)
from tailrace.kernels.simd import skip_blanks


@inlined
def enter_list(d, p, n, is_wanted):
    """The index behind the value at `p`; but when it is a list that is wanted, of its first element, if there is one.

    Returns whether there is, too; and -1 for a value that does not end, or is wanted and neither a list nor null.
    """
    if not is_wanted or d[p] == 0x6E:
        return value_end(d, p, n), False
    return first_of(d, p + 1, n, 0x5D) if d[p] == 0x5B else (-1, False)


@inlined
def enter_object(d, p, n):
    """The index of the first member of the object at `p`, or behind it, and whether there is one; -1 for none."""
    return first_of(d, p + 1, n, 0x7D) if d[p] == 0x7B else (-1, False)


@compiled
def find_json(d, out, records, groups, line_bytes_max):
    """Returns how many records and groups there are, FOUND, DAMAGED or TOO_MANY for the arrays, and where."""
    n = len(d)
    rows, count, q = 0, 0, 0
    p = skip_blanks(d, 0, n, False)
    while p < n:
        at = p
        p, some = enter_object(d, p, n)
        while p >= 0 and some:
            at = p
            code, p = name_at(d, p, n)
            more = False
            if p >= 0:
                p, more = enter_list(d, p, n, code == RESOURCE_LOGS)
            while p >= 0 and more:
                at = p
                first_group = count
                resource, resource_end = 0, 0
                p, of_resource = enter_object(d, p, n)
                while p >= 0 and of_resource:
                    at = p
                    code, p = name_at(d, p, n)
                    scopes = False
                    if p >= 0:
                        start = p
                        p, scopes = enter_list(d, p, n, code == SCOPE_LOGS)
                        if code == RESOURCE:
                            resource, resource_end = start, p
                    while p >= 0 and scopes:
                        at = p
                        group = -1
                        scope, scope_end = 0, 0
                        p, of_scope = enter_object(d, p, n)
                        while p >= 0 and of_scope:
                            at = p
                            code, p = name_at(d, p, n)
                            listed = False
                            if p >= 0:
                                start = p
                                p, listed = enter_list(d, p, n, code == RECORDS)
                                if code == SCOPE:
                                    scope, scope_end = start, p
                            while p >= 0 and listed:
                                at = p
                                if rows == len(records):
                                    return rows, count, TOO_MANY, at
                                if group < 0:
                                    group = count
                                    count += 1
                                p, end = put_record(d, at, n, out, q)
                                good = p >= 0 and p - at <= line_bytes_max
                                if p < 0:
                                    p = value_end(d, at, n)
                                    if p < 0:
                                        break
                                records[rows, 0] = at
                                records[rows, 1] = p
                                records[rows, 2] = group
                                records[rows, 3] = q if good else -1
                                records[rows, 4] = end if good else -1
                                rows += 1
                                if good:
                                    q = end
                                p, listed = next_of(d, p, n, 0x5D)
                            if p >= 0:
                                p, of_scope = next_of(d, p, n, 0x7D)
                        if group >= 0:
                            groups[group, 2], groups[group, 3] = scope, scope_end
                        if p >= 0:
                            p, scopes = next_of(d, p, n, 0x5D)
                    if p >= 0:
                        p, of_resource = next_of(d, p, n, 0x7D)
                for i in range(first_group, count):
                    groups[i, 0], groups[i, 1] = resource, resource_end
                if p >= 0:
                    p, more = next_of(d, p, n, 0x5D)
            if p >= 0:
                p, some = next_of(d, p, n, 0x7D)
        if p < 0:
            return rows, count, DAMAGED, at
        p = skip_blanks(d, p, n, False)
    return rows, count, FOUND, n
