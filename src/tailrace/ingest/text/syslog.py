"""Syslog as RFC 5424 defines it, and as RFC 3164 found it in use: host, program, process and severity."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.text.columns import ATTRIBUTES_MAX, Columns, or_null
from tailrace.ingest.text.timestamps import without_groups
from tailrace.model.level import level_of

FACILITIES = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "audit",
    "alert",
    "clock",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]
"""The numbers' names, RFC 5424, table 1."""

_RFC5424 = (
    r"^<(?P<priority>\d{1,3})>1 \S+ (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+) "
    r"(?P<data>-|(?:\[(?:[^\]\\\"]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+)(?: |$)"
)
_COMPILED_RFC5424 = re.compile(_RFC5424, re.ASCII)
_VALUE = r"[^\"\\]*(?:\\.[^\"\\]*)*"
ELEMENT = re.compile(rf"\[([^ =\]\"]+)((?: [^ =\]\"]+=\"{_VALUE}\")*)\]", re.DOTALL)
PARAMETER = re.compile(rf" ([^ =\]\"]+)=\"({_VALUE})\"", re.DOTALL)
ESCAPE = re.compile(r"\\([\"\\\]])")

_PRIORITY = r"^(?:<(?P<priority>\d{1,3})>)?"
# The time as RFC 3164 has it, with a year, a fraction or a zone as some write; or as RFC 3339. Clusters put epoch
# seconds, a date and the host in front.
_TIME = (
    r"(?:(?:\S+ \d{10} \d{4}\.\d{2}\.\d{2} \S+ )?[A-Z][a-z]{2} +\d{1,2} +(?:\d{4} +)?\d{1,2}:\d{2}:\d{2}(?:\.\d+)?"
    r"(?: [A-Z]{3,4})?:?|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?) "
)
# `host program(part)[pid]: `; a program's name may be of several capitalised words.
_TAIL = (
    r"(?:[a-z]+@)?(?P<host>[A-Za-z0-9#][^\s/:\[\]=@]*|[0-9A-Fa-f:.]+)(?:/\S*)? +"
    r"(?P<tag>[A-Za-z_/.][^\s:\[\]()=]*(?: [A-Z][^\s:\[\]()=]*)*)"
    r"(?:\([^)\s]*\))?(?:\[(?P<pid>\d+)\])?(?: \([^)]*\)| \d[\w.]*)?:(?:\s+|$)"
)
_RFC3164 = f"{_PRIORITY}{_TIME}{_TAIL}"
RFC3164_HEAD = without_groups(_RFC3164)
"""The pattern of everything in front of the program's own words."""

_COMPILED_RFC3164 = re.compile(_RFC3164, re.ASCII)


def looks_like_rfc5424(line: str) -> bool:
    return _COMPILED_RFC5424.match(line) is not None


def looks_like_rfc3164(line: str) -> bool:
    return _COMPILED_RFC3164.match(line) is not None


def read_rfc5424(lines: pa.StringArray) -> Columns:
    """Structured data becomes attributes named `element.parameter`."""
    found = pc.extract_regex(lines, _RFC5424)
    is_syslog = found.is_valid()
    level, facility = _severity(found.field("priority"))
    fields = {
        name: or_null(pc.if_else(is_syslog, found.field(name), None)) for name in ("host", "app", "pid", "msgid")
    }
    attributes = {"pid": fields["pid"], "msgid": fields["msgid"], "facility": pc.if_else(is_syslog, facility, None)}
    attributes |= _structured(or_null(pc.if_else(is_syslog, found.field("data"), None)))
    return Columns(
        level=pc.if_else(is_syslog, level, None),
        service=fields["app"],
        host=fields["host"],
        attributes=attributes,
    )


def read_rfc3164(lines: pa.StringArray) -> Columns:
    """`Jul  1 09:00:55 host program(part)[pid]: …`, with `<priority>` in front or without."""
    found = pc.extract_regex(lines, _RFC3164)
    is_syslog = found.is_valid()
    level, facility = _severity(pc.extract_regex(lines, _PRIORITY).field("priority"))
    fields = {name: or_null(pc.if_else(is_syslog, found.field(name), None)) for name in ("host", "tag", "pid")}
    return Columns(
        level=level,
        service=fields["tag"],
        host=fields["host"],
        attributes={"pid": fields["pid"], "facility": facility},
    )


def _severity(priorities: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    """Level and facility of each priority (RFC 5424, 6.2.1); null where there is none or it is out of range."""
    encoded = priorities.dictionary_encode()
    numbers = [
        int(text) if text and int(text) < 8 * len(FACILITIES) else None for text in encoded.dictionary.to_pylist()
    ]
    levels = [None if number is None else level_of(str(number % 8), "syslog") for number in numbers]
    facilities = [None if number is None else FACILITIES[number // 8] for number in numbers]
    return (
        pa.array(levels, pa.string()).take(encoded.indices),
        pa.array(facilities, pa.string()).take(encoded.indices),
    )


def _structured(data: pa.StringArray) -> dict[str, pa.StringArray]:
    columns: dict[str, list[str | None]] = {}
    for row in np.flatnonzero(data.is_valid().to_numpy(zero_copy_only=False)):
        for element, parameters in ELEMENT.findall(data[int(row)].as_py()):
            for name, value in PARAMETER.findall(parameters):
                key = f"{element}.{name}"
                if key not in columns:
                    if len(columns) >= ATTRIBUTES_MAX:
                        continue
                    columns[key] = [None] * len(data)
                columns[key][row] = ESCAPE.sub(r"\1", value)
    return {name: pa.array(column, pa.string()) for name, column in columns.items()}
