"""Where the log records of an ExportLogsServiceRequest in JSON are, each brought to the wire format on the way.

    records   int64 (rows, 5)     start and end in the body, the index of the group, start and end in the output
    groups    int64 (groups, 4)   start and end of the resource's JSON, and of the scope's; 0 and 0: there is none

A record that is left to others has the start -1 in the output. A group is the records of one scope; those without
records are left out.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

from tailrace.kernels.ndjson_bytes import skip_blanks
from tailrace.kernels.ndjson_compile import compiled
from tailrace.kernels.otlp_find import DAMAGED, FOUND, TOO_MANY
from tailrace.kernels.otlp_json import (
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


@compiled
def find_json(d, out, records, groups, line_bytes_max):
    """Returns how many records and groups there are, FOUND, DAMAGED or TOO_MANY for the arrays, and where."""
    n = len(d)
    rows, count, q = 0, 0, 0
    p = skip_blanks(d, 0, n, False)
    while p < n:
        at = p
        if d[p] != 0x7B:
            return rows, count, DAMAGED, at
        p, some = first_of(d, p + 1, n, 0x7D)
        while p >= 0 and some:
            at = p
            code, p = name_at(d, p, n)
            if p < 0:
                return rows, count, DAMAGED, at
            more = False
            if code == RESOURCE_LOGS and d[p] == 0x5B:
                p, more = first_of(d, p + 1, n, 0x5D)
            elif code != RESOURCE_LOGS or d[p] == 0x6E:
                p = value_end(d, p, n)
            else:
                return rows, count, DAMAGED, p
            while p >= 0 and more:
                at = p
                if d[p] != 0x7B:
                    return rows, count, DAMAGED, at
                first_group = count
                resource, resource_end = 0, 0
                p, of_resource = first_of(d, p + 1, n, 0x7D)
                while p >= 0 and of_resource:
                    at = p
                    code, p = name_at(d, p, n)
                    if p < 0:
                        return rows, count, DAMAGED, at
                    scopes = False
                    if code == SCOPE_LOGS and d[p] == 0x5B:
                        p, scopes = first_of(d, p + 1, n, 0x5D)
                    elif code == SCOPE_LOGS and d[p] != 0x6E:
                        return rows, count, DAMAGED, p
                    else:
                        start = p
                        p = value_end(d, p, n)
                        if code == RESOURCE and p >= 0:
                            resource, resource_end = start, p
                    while p >= 0 and scopes:
                        at = p
                        if d[p] != 0x7B:
                            return rows, count, DAMAGED, at
                        group = -1
                        scope, scope_end = 0, 0
                        p, of_scope = first_of(d, p + 1, n, 0x7D)
                        while p >= 0 and of_scope:
                            at = p
                            code, p = name_at(d, p, n)
                            if p < 0:
                                return rows, count, DAMAGED, at
                            listed = False
                            if code == RECORDS and d[p] == 0x5B:
                                p, listed = first_of(d, p + 1, n, 0x5D)
                            elif code == RECORDS and d[p] != 0x6E:
                                return rows, count, DAMAGED, p
                            else:
                                start = p
                                p = value_end(d, p, n)
                                if code == SCOPE and p >= 0:
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
                                        return rows, count, DAMAGED, at
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
