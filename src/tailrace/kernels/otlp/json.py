"""OTLP's JSON to its protobuf wire format, record by record, so that one kernel reads both.

A record that has more than texts, numbers and booleans in it, or is wrong, is left to others. Numbers become texts
with the digits they were written with. What a record takes in the output is never more than its JSON: its names alone
are longer.

Source: "JSON Protobuf Encoding" of the OTLP specification, and "ProtoJSON Format" of the Protocol Buffers
documentation. Names are lowerCamelCase or snake_case; those that are not known are left out, unchecked.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.name_table import find_name, name_table
from tailrace.kernels.ndjson.values import copy_text, number_end
from tailrace.kernels.simd import FALSE, NULL, TRUE, copy_bytes, has_literal, is_blank, skip_blanks

_TIME, _OBSERVED, _SEVERITY, _SEVERITY_TEXT, _BODY, _ATTRIBUTES, _DROPPED, _FLAGS, _TRACE, _SPAN, _EVENT = range(11)
_STRING, _NUMBER, _BOOLEAN, RESOURCE_LOGS, RESOURCE, SCOPE_LOGS, SCOPE, RECORDS = range(11, 19)

_NAMES = {
    "timeUnixNano": _TIME, "observedTimeUnixNano": _OBSERVED, "severityNumber": _SEVERITY,
    "severityText": _SEVERITY_TEXT, "body": _BODY, "attributes": _ATTRIBUTES, "droppedAttributesCount": _DROPPED,
    "flags": _FLAGS, "traceId": _TRACE, "spanId": _SPAN, "eventName": _EVENT,
    "stringValue": _STRING, "intValue": _NUMBER, "doubleValue": _NUMBER, "boolValue": _BOOLEAN,
    "resourceLogs": RESOURCE_LOGS, "resource": RESOURCE, "scopeLogs": SCOPE_LOGS, "scope": SCOPE,
    "logRecords": RECORDS,
    "time_unix_nano": _TIME, "observed_time_unix_nano": _OBSERVED, "severity_number": _SEVERITY,
    "severity_text": _SEVERITY_TEXT, "dropped_attributes_count": _DROPPED, "trace_id": _TRACE, "span_id": _SPAN,
    "event_name": _EVENT, "string_value": _STRING, "int_value": _NUMBER, "double_value": _NUMBER,
    "bool_value": _BOOLEAN, "resource_logs": RESOURCE_LOGS, "scope_logs": SCOPE_LOGS, "log_records": RECORDS,
}  # fmt: skip
NAMES = name_table(tuple(_NAMES))
CODES = np.array(list(_NAMES.values()))

_KEY = np.frombuffer(b'"key"', np.uint8)
_VALUE = np.frombuffer(b'"value"', np.uint8)
# A length is written before it is known, in four bytes of seven bits.
_SIZE_BYTES = 4


@compiled
def value_end(d, p, n):
    """The index behind the value at `p`, by its brackets and quotes; -1 when it does not end."""
    depth = 0
    while p < n:
        c = d[p]
        if c == 0x22:
            p += 1
            while p < n and d[p] != 0x22:
                p += 2 if d[p] == 0x5C else 1
            if p >= n:
                return -1
        elif c == 0x7B or c == 0x5B:
            depth += 1
        elif c == 0x7D or c == 0x5D:
            depth -= 1
        elif depth == 0:
            while p < n and not (is_blank(d[p]) or d[p] == 0x2C or d[p] == 0x7D or d[p] == 0x5D):
                p += 1
            return p
        p += 1
        if depth == 0:
            return p
        if depth < 0:
            return -1
    return -1


@inlined
def first_of(d, p, n, close):
    """Behind an opening bracket: where the first member starts, and whether there is one; -1 where the body ends."""
    p = skip_blanks(d, p, n, False)
    if p >= n:
        return -1, False
    if d[p] == close:
        return p + 1, False
    return p, True


@inlined
def next_of(d, p, n, close):
    """The same behind a member."""
    p = skip_blanks(d, p, n, False)
    if p >= n:
        return -1, False
    if d[p] == close:
        return p + 1, False
    if d[p] != 0x2C:
        return -1, False
    p = skip_blanks(d, p + 1, n, False)
    return (p, True) if p < n else (-1, False)


@inlined
def read_name(d, p, n):
    """The code of the member's name at `p`, -1 for one that is not known, and where its value starts, or -1."""
    if p >= n or d[p] != 0x22:
        return -1, -1
    start = p + 1
    p = start
    while p < n and d[p] != 0x22:
        p += 2 if d[p] == 0x5C else 1
    if p >= n:
        return -1, -1
    name = find_name(NAMES, d, n, start, p - start)
    p = skip_blanks(d, p + 1, n, False)
    if p >= n or d[p] != 0x3A:
        return -1, -1
    p = skip_blanks(d, p + 1, n, False)
    return (CODES[name] if name >= 0 else -1), (p if p < n else -1)


@compiled
def name_at(d, p, n):
    """`read_name`, for where it is called rarely and from many places."""
    return read_name(d, p, n)


@inlined
def put_size(out, q, size):
    """A length where room was left for it, at `q`."""
    out[q] = size & 0x7F | 0x80
    out[q + 1] = size >> 7 & 0x7F | 0x80
    out[q + 2] = size >> 14 & 0x7F | 0x80
    out[q + 3] = size >> 21


@inlined
def put_text(d, p, n, out, q, tag):
    """The string at `p` as a field; the indexes behind both, or -1."""
    if d[p] != 0x22:
        return -1, q
    p, end = copy_text(d, n, p + 1, out, q + 1 + _SIZE_BYTES)
    out[q] = tag
    put_size(out, q + 1, end - q - 1 - _SIZE_BYTES)
    return p, end


@inlined
def read_digits(d, p, n):
    """The whole number at `p`, in quotes or not, and the index behind it; -1 when it is none or has over 18 digits,
    or 19 with the first of them at most 8.
    """
    quoted = d[p] == 0x22
    if quoted:
        p += 1
    start = p
    value = np.int64(0)
    while p < n and p - start < 19 and 0x30 <= d[p] <= 0x39:
        value = value * 10 + np.int64(d[p]) - 0x30
        p += 1
    if p == start or p >= n or (p - start == 19 and d[start] > 0x38) or (d[start] == 0x30 and p > start + 1):
        return np.int64(0), -1
    if quoted:
        return (value, p + 1) if d[p] == 0x22 else (np.int64(0), -1)
    c = d[p]
    return (value, p) if is_blank(c) or c == 0x2C or c == 0x7D else (np.int64(0), -1)


@inlined
def put_value(d, p, n, out, q, tag):
    """The `AnyValue` at `p` as a field that holds a text; the indexes behind both, or -1 when it is anything else."""
    if d[p] != 0x7B:
        return -1, q
    out[q] = tag
    content = q + 1 + _SIZE_BYTES
    end = content
    p, some = first_of(d, p + 1, n, 0x7D)
    if p < 0:
        return -1, q
    if some:
        code, p = read_name(d, p, n)
        if p < 0:
            return -1, q
        if code == _STRING or (code == _NUMBER and d[p] == 0x22):
            p, end = put_text(d, p, n, out, content, 0x0A)
        elif code in (_NUMBER, _BOOLEAN):
            start = p
            if code == _NUMBER:
                p = number_end(d, n, p)
            elif has_literal(d, p, n, TRUE):
                p += 4
            else:
                p = p + 5 if has_literal(d, p, n, FALSE) else -1
            if p < 0:
                return -1, q
            out[content] = 0x0A
            put_size(out, content + 1, p - start)
            end = content + 1 + _SIZE_BYTES
            copy_bytes(out, end, d, start, p - start, n)
            end += p - start
        else:
            return -1, q
        if p < 0:
            return -1, q
        p, some = next_of(d, p, n, 0x7D)
        if p < 0 or some:
            return -1, q
    put_size(out, q + 1, end - content)
    return p, end


@inlined
def put_attributes(d, p, n, out, q):
    """The list of `KeyValue` at `p` as fields; the indexes behind both, or -1."""
    if d[p] != 0x5B:
        return -1, q
    p, some = first_of(d, p + 1, n, 0x5D)
    while p >= 0 and some:
        if d[p] != 0x7B:
            return -1, q
        p, some = first_of(d, p + 1, n, 0x7D)
        if p < 0 or not some or not has_literal(d, p, n, _KEY):
            return -1, q
        p = skip_blanks(d, p + len(_KEY), n, False)
        if p >= n or d[p] != 0x3A:
            return -1, q
        p = skip_blanks(d, p + 1, n, False)
        if p >= n:
            return -1, q
        start = q
        out[q] = 0x32
        p, q = put_text(d, p, n, out, q + 1 + _SIZE_BYTES, 0x0A)
        if p < 0:
            return -1, q
        p, some = next_of(d, p, n, 0x7D)
        if p < 0 or not some or not has_literal(d, p, n, _VALUE):
            return -1, q
        p = skip_blanks(d, p + len(_VALUE), n, False)
        if p >= n or d[p] != 0x3A:
            return -1, q
        p = skip_blanks(d, p + 1, n, False)
        if p >= n:
            return -1, q
        p, q = put_value(d, p, n, out, q, 0x12)
        if p < 0:
            return -1, q
        p, some = next_of(d, p, n, 0x7D)
        if p < 0 or some:
            return -1, q
        put_size(out, start + 1, q - start - 1 - _SIZE_BYTES)
        p, some = next_of(d, p, n, 0x5D)
    return p, q


@inlined
def put_id(d, p, n, out, q, tag, count):
    """The identifier at `p`, hexadecimal digits of `count` bytes, as a field; the indexes behind both, or -1."""
    if d[p] != 0x22 or p + 2 * count + 1 >= n:
        return -1, q
    p += 1
    if d[p] == 0x22:
        return p + 1, q
    out[q] = tag
    out[q + 1] = count
    q += 2
    for i in range(count):
        byte = 0
        for j in range(2):
            c = np.int64(d[p + 2 * i + j])
            if 0x30 <= c <= 0x39:
                byte = byte * 16 + c - 0x30
            elif 0x61 <= (c | 0x20) <= 0x66:
                byte = byte * 16 + (c | 0x20) - 0x57
            else:
                return -1, q
        out[q + i] = byte
    p += 2 * count
    return (p + 1, q + count) if d[p] == 0x22 else (-1, q)


@compiled
def put_record(d, p, n, out, q):
    """The `LogRecord` at `p` in the wire format; the indexes behind both, or -1 when it is left to others."""
    if d[p] != 0x7B:
        return -1, q
    seen = 0
    p, some = first_of(d, p + 1, n, 0x7D)
    while p >= 0 and some:
        code, p = read_name(d, p, n)
        if p < 0:
            return -1, q
        if code >= 0:
            if seen >> code & 1 != 0:
                return -1, q
            seen |= 1 << code
        if code < 0 or code >= _STRING:
            p = value_end(d, p, n)
        elif d[p] == 0x6E:
            p = p + 4 if has_literal(d, p, n, NULL) else -1
        elif code in (_TIME, _OBSERVED):
            word, p = read_digits(d, p, n)
            out[q] = 0x09 if code == _TIME else 0x59
            for i in range(8):
                out[q + 1 + i] = word >> (8 * i) & 0xFF
            q += 9
        elif code in (_SEVERITY, _DROPPED, _FLAGS):
            word, p = read_digits(d, p, n)
            if p < 0 or word > 0x7FFFFFFF:
                return -1, q
            if code == _FLAGS:
                out[q] = 0x45
                for i in range(4):
                    out[q + 1 + i] = word >> (8 * i) & 0xFF
                q += 5
            else:
                out[q] = 0x10 if code == _SEVERITY else 0x38
                q += 1
                while word > 0x7F:
                    out[q] = word & 0x7F | 0x80
                    word >>= 7
                    q += 1
                out[q] = word
                q += 1
        elif code == _BODY:
            p, q = put_value(d, p, n, out, q, 0x2A)
        elif code == _ATTRIBUTES:
            p, q = put_attributes(d, p, n, out, q)
        elif code == _TRACE:
            p, q = put_id(d, p, n, out, q, 0x4A, 16)
        elif code == _SPAN:
            p, q = put_id(d, p, n, out, q, 0x52, 8)
        else:
            p, q = put_text(d, p, n, out, q, 0x1A if code == _SEVERITY_TEXT else 0x62)
        if p < 0:
            return -1, q
        p, some = next_of(d, p, n, 0x7D)
    return p, q
