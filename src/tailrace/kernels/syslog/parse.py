"""Syslog messages to the columns of events, many in one pass.

Reads the forms that nearly all senders use: RFC 5424, and RFC 3164 with its own times or RFC 3339's. What it is not
sure of it leaves to the plain-Python path (`ingest/syslog/slow.py`), which is its twin and oracle.
"""

# mypy: disable-error-code="assignment, no-untyped-def"
# The types of compiled functions are numba's: it infers them, and knows no Python integers.

from __future__ import annotations

import numpy as np

from tailrace.kernels.compiling import compiled, inlined
from tailrace.kernels.key_bits import has_key
from tailrace.kernels.ndjson.values import UNSURE, is_utf8, timestamp_us
from tailrace.kernels.simd import WIDTH, beyond_ascii, copy_bytes

ELEMENT_BYTES_MAX = 32
"""The longest name of an element (RFC 5424, 6.3.2); it stands in the name of each of its attributes."""

PARAMETERS_MAX = 64
"""Attributes of a message; one with more is left to plain Python, which counts them."""

SERVICE, HOST, MESSAGE = 0, 1, 2

_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)
_MONTH_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_PID = np.frombuffer(b"pid", np.uint8)
_MSGID = np.frombuffer(b"msgid", np.uint8)
_FACILITY = np.frombuffer(b"facility", np.uint8)
_DAY_US = 86_400_000_000


@inlined
def _is_digit(c):
    return 0x30 <= c <= 0x39


@inlined
def _two(d, p):
    """The number in two digits, the first of which may be a blank; -1 when it is none."""
    tens = 0 if d[p] == 0x20 else np.int64(d[p]) - 0x30
    ones = np.int64(d[p + 1]) - 0x30
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1


@inlined
def _days(year, month, day):
    """Days since 1970 in the proleptic Gregorian calendar (H. Hinnant, `days_from_civil`)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + 9 if month <= 2 else month - 3) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


@inlined
def _bsd_civil_us(d, p, this_year, latest_civil_us):
    """The civil time of `Mmm dd hh:mm:ss` at `p`, in the year that brings it nearest; UNSURE when it is none."""
    month = 0
    for i in range(12):
        if d[p] == _MONTHS[3 * i] and d[p + 1] == _MONTHS[3 * i + 1] and d[p + 2] == _MONTHS[3 * i + 2]:
            month = i + 1
    if month == 0 or d[p + 3] != 0x20 or d[p + 6] != 0x20 or d[p + 9] != 0x3A or d[p + 12] != 0x3A:
        return UNSURE
    day, hour, minute, second = _two(d, p + 4), _two(d, p + 7), _two(d, p + 10), _two(d, p + 13)
    if d[p + 7] == 0x20 or d[p + 10] == 0x20 or d[p + 13] == 0x20:
        return UNSURE
    if day < 1 or day > _MONTH_DAYS[month - 1] or hour < 0 or minute < 0 or second < 0:
        return UNSURE
    # 29 February is in few years.
    if hour > 23 or minute > 59 or second > 59 or (month == 2 and day == 29):
        return UNSURE
    of_day_us = ((hour * 60 + minute) * 60 + second) * 1_000_000
    for year in range(this_year + 1, this_year - 2, -1):
        civil = _days(year, month, day) * _DAY_US + of_day_us
        if civil <= latest_civil_us:
            return civil
    return UNSURE


@inlined
def _token_end(d, p, end):
    """The index of the blank behind the word at `p`; -1 when there is no word, no blank, or something odd in it."""
    begin = p
    while p < end and d[p] > 0x20:
        p += 1
    return p if begin < p < end and d[p] == 0x20 else -1


@inlined
def _is_nil(d, p, end):
    return end == p + 1 and d[p] == 0x2D


@inlined
def _is_host(c):
    return (0x2D <= c <= 0x3A and c != 0x2F) or 0x41 <= c <= 0x5A or 0x61 <= c <= 0x7A or c == 0x5F


@inlined
def _put(w, q, text):
    for i in range(len(text)):
        w[q + i] = text[i]
    return q + len(text)


# One long function on purpose, as the one for NDJSON.
@compiled
def parse_messages(
    d, starts, ends, now_us, earliest_us, latest_us, ahead_us, this_year, latest_civil_us, attributes_max,
    facility_names, facility_sizes, times, local, severities, texts, offsets, valid, row_attributes, keys,
    key_offsets, values, value_offsets, slow,
):  # fmt: skip
    """Read the messages `d[starts[i]:ends[i]]`; returns how many were read, and how many are left, in `slow`.

    `local` is set where `times` is a civil time. `texts` and `offsets` hold service, host and message; `valid` the
    first two. Buffers have WIDTH bytes to spare.
    """
    n = len(d)
    rows, left = 0, 0
    services, hosts, messages = texts
    service_at, host_at, message_at, key_at, value_at, attribute = 0, 0, 0, 0, 0, 0
    for i in range(len(starts)):
        p, end = starts[i], ends[i]
        # Where the row before ended, for those that turn out to be something else.
        key_to, value_to, entry = key_at, value_at, attribute
        service_from, service_to, host_from, host_to = 0, 0, 0, 0
        is_local = False
        time_us = now_us
        message = np.int64(-1)
        high = False
        q = p
        while q < end:
            if q + WIDTH <= n:
                mask = beyond_ascii(d, q)
                if end - q < WIDTH:
                    mask &= (1 << (end - q)) - 1
                high = high or mask != 0
            else:
                for j in range(q, end):
                    high = high or d[j] >= 0x80
            q += WIDTH
        while True:
            if high and not is_utf8(d, p, end):
                break
            # -- <priority>
            if end - p < 5 or d[p] != 0x3C:
                break
            q = p + 1
            priority = np.int64(0)
            while q < end and q < p + 4 and _is_digit(d[q]):
                priority = priority * 10 + np.int64(d[q]) - 0x30
                q += 1
            if q == p + 1 or q >= end or d[q] != 0x3E or priority > 191:
                break
            p = q + 1
            facility = priority // 8
            severity = priority % 8
            key_to = _put(keys, key_to, _FACILITY)
            for j in range(facility_sizes[facility]):
                values[value_to + j] = facility_names[facility, j]
            value_to += facility_sizes[facility]
            entry += 1
            key_offsets[entry], value_offsets[entry] = key_to, value_to
            if end - p > 2 and d[p] == 0x31 and d[p + 1] == 0x20:
                # -- RFC 5424: time, host, program
                p += 2
                q = _token_end(d, p, end)
                if q < 0:
                    break
                if not _is_nil(d, p, q):
                    zoned = d[q - 1] == 0x5A or (q - p > 5 and (d[q - 6] == 0x2B or d[q - 6] == 0x2D))
                    # Its own kind only, and only with its zone.
                    if q - p < 20 or d[p + 4] != 0x2D or not zoned:
                        break
                    time_us = timestamp_us(d, p, q)
                    if time_us == UNSURE or time_us < earliest_us or time_us > latest_us:
                        break
                p = q + 1
                q = _token_end(d, p, end)
                if q < 0:
                    break
                if not _is_nil(d, p, q):
                    host_from, host_to = p, q
                p = q + 1
                q = _token_end(d, p, end)
                if q < 0:
                    break
                if not _is_nil(d, p, q):
                    service_from, service_to = p, q
                # -- process and message id
                p = q + 1
                q = _token_end(d, p, end)
                if q < 0:
                    break
                if not _is_nil(d, p, q):
                    key_to = _put(keys, key_to, _PID)
                    copy_bytes(values, value_to, d, p, q - p, n)
                    value_to += q - p
                    entry += 1
                    key_offsets[entry], value_offsets[entry] = key_to, value_to
                p = q + 1
                q = _token_end(d, p, end)
                if q < 0:
                    break
                if not _is_nil(d, p, q):
                    key_to = _put(keys, key_to, _MSGID)
                    copy_bytes(values, value_to, d, p, q - p, n)
                    value_to += q - p
                    entry += 1
                    key_offsets[entry], value_offsets[entry] = key_to, value_to
                p = q + 1
                # -- structured data
                if p >= end:
                    break
                if d[p] == 0x2D:
                    p += 1
                elif d[p] == 0x5B:
                    good = True
                    while good and p < end and d[p] == 0x5B:
                        p += 1
                        element = p
                        while p < end and d[p] > 0x20 and d[p] != 0x3D and d[p] != 0x5D and d[p] != 0x22:
                            p += 1
                        size = p - element
                        good = 0 < size <= ELEMENT_BYTES_MAX and p < end and d[p] == 0x20
                        while good and p < end and d[p] == 0x20:
                            p += 1
                            name = p
                            while p < end and d[p] > 0x20 and d[p] != 0x3D and d[p] != 0x5D and d[p] != 0x22:
                                p += 1
                            if p == name or p + 1 >= end or d[p] != 0x3D or d[p + 1] != 0x22:
                                good = False
                                break
                            key_from = key_to
                            copy_bytes(keys, key_to, d, element, size, n)
                            key_to += size
                            keys[key_to] = 0x2E
                            key_to += 1
                            copy_bytes(keys, key_to, d, name, p - name, n)
                            key_to += p - name
                            if entry - attribute >= attributes_max or has_key(
                                keys, key_from, key_to - key_from, keys, 0, key_offsets, attribute, entry
                            ):
                                good = False
                                break
                            p += 2
                            while p < end and d[p] != 0x22:
                                if d[p] == 0x5C:
                                    if p + 1 >= end or d[p + 1] == 0x0A:
                                        break
                                    if d[p + 1] != 0x22 and d[p + 1] != 0x5C and d[p + 1] != 0x5D:
                                        values[value_to] = 0x5C
                                        value_to += 1
                                    p += 1
                                values[value_to] = d[p]
                                value_to += 1
                                p += 1
                            if p >= end or d[p] != 0x22:
                                good = False
                                break
                            p += 1
                            entry += 1
                            key_offsets[entry], value_offsets[entry] = key_to, value_to
                        good = good and p < end and d[p] == 0x5D
                        p += 1
                    if not good:
                        break
                else:
                    break
                if p < end:
                    if d[p] != 0x20:
                        break
                    p += 1
                if end - p >= 3 and d[p] == 0xEF and d[p + 1] == 0xBB and d[p + 2] == 0xBF:
                    p += 3
                message = p
            else:
                # -- RFC 3164: time
                if end - p < 17:
                    break
                if d[p + 3] == 0x20 and d[p + 15] == 0x20:
                    time_us = _bsd_civil_us(d, p, this_year, latest_civil_us)
                    is_local = True
                    q = p + 15
                elif d[p + 4] == 0x2D and d[p + 10] == 0x54:
                    q = _token_end(d, p, end)
                    if q < 0 or q - p < 20 or d[q - 1] == 0x3A:
                        break
                    if d[q - 1] != 0x5A and d[q - 6] != 0x2B and d[q - 6] != 0x2D:
                        break
                    time_us = timestamp_us(d, p, q)
                else:
                    break
                utc_us = time_us - ahead_us if is_local else time_us
                if time_us == UNSURE or utc_us < earliest_us or utc_us > latest_us:
                    break
                # -- host
                p = q + 1
                q = p
                while q < end and _is_host(d[q]):
                    q += 1
                if q == p or q + 1 >= end or d[q] != 0x20 or d[q - 1] == 0x3A or d[q + 1] <= 0x20:
                    break
                host_from, host_to = p, q
                # -- program[process]:
                p = q + 1
                q = p
                while q < end and d[q] > 0x20 and d[q] != 0x3A and d[q] != 0x5B and d[q] != 0x5D and d[q] != 0x25:
                    q += 1
                if q == p or q - p > 64 or q >= end:
                    break
                service_from, service_to = p, q
                if d[q] == 0x5B:
                    p = q + 1
                    q = p
                    while q < end and _is_digit(d[q]):
                        q += 1
                    if q == p or q - p > 10 or q + 1 >= end or d[q] != 0x5D or d[q + 1] != 0x3A:
                        break
                    key_to = _put(keys, key_to, _PID)
                    copy_bytes(values, value_to, d, p, q - p, n)
                    value_to += q - p
                    entry += 1
                    key_offsets[entry], value_offsets[entry] = key_to, value_to
                    q += 1
                if d[q] != 0x3A:
                    break
                q += 1
                if q < end:
                    if d[q] != 0x20:
                        break
                    q += 1
                message = q
            break
        if message < 0:
            slow[left] = i
            left += 1
            continue
        times[rows] = time_us
        local[rows] = is_local
        severities[rows] = severity
        copy_bytes(services, service_at, d, service_from, service_to - service_from, n)
        service_at += service_to - service_from
        copy_bytes(hosts, host_at, d, host_from, host_to - host_from, n)
        host_at += host_to - host_from
        copy_bytes(messages, message_at, d, message, end - message, n)
        message_at += end - message
        valid[SERVICE, rows] = service_to > service_from
        valid[HOST, rows] = host_to > host_from
        key_at, value_at, attribute = key_to, value_to, entry
        rows += 1
        offsets[SERVICE, rows], offsets[HOST, rows], offsets[MESSAGE, rows] = service_at, host_at, message_at
        row_attributes[rows] = attribute
    return rows, left
