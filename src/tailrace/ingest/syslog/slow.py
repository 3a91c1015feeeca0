"""One syslog message in plain Python: what it means, and the oracle of the kernel in `kernels/syslog/parse.py`.

    RFC 5424   <34>1 2003-10-11T22:14:15.003Z host app 8710 ID47 [ids a="1"] text
    RFC 3164   <34>Oct 11 22:14:15 host app[8710]: text

and what is sent in their names: RFC 3339's times in the place of 3164's, Cisco's sequence numbers and
`%FACILITY-3-NAME:`, a message without its structured data, without its host, its time or its priority.

Meaning of a message
--------------------
* Priority (RFC 5424, 6.2.1): the level, and the attribute `facility` by its name.
* Host and program: the host and the service. Process and message id: the attributes `pid` and `msgid`.
* Structured data: attributes `element.parameter`; the values of a parameter that stands twice are joined by a comma.
* The rest is the message. What has no header that is known is a message as a whole: none is refused for its form.
* Bytes that are not UTF-8 are read as Latin-1, with the attribute `encoding`, as in files.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from tailrace.config import IngestSettings
from tailrace.ingest.json_slow import NotAnEvent, Row
from tailrace.ingest.syslog.time import civil_us, nearest_year, utc_us
from tailrace.ingest.text.lines import FALLBACK_ENCODING
from tailrace.ingest.text.syslog import ELEMENT, ESCAPE, FACILITIES, PARAMETER
from tailrace.ingest.text.zones import ZONE_NAMES
from tailrace.ingest.timestamps import ADJUSTED, ORIGINAL, oddity_of, parse_timestamp
from tailrace.model.level import level_of

_PRIORITY = re.compile(r"<(\d{1,3})>", re.ASCII)
_BOM = "\ufeff"

# Facility, process and message id: a setting of fewer fields than that is not meant for them.
_OWN_FIELDS = 3

_RFC5424 = re.compile(r"1 (?P<stamp>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+)(?: |$)", re.ASCII)

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
# In front of Cisco's times stand a number, the host, and a mark for clocks that are not set.
_CISCO_BEFORE = r"(?::? ?)(?:(?P<sequence>\d{1,10}): )?(?:(?P<before>[A-Za-z0-9._-]+): )?[*.]?"
_BSD = (
    rf"(?P<month>{'|'.join(_MONTHS)}) {{1,2}}(?P<day>\d{{1,2}}) (?:(?P<year>\d{{4}}) )?"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
    rf"(?: (?P<zone>{'|'.join(ZONE_NAMES)})(?=:))?"
)
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_STAMPED = re.compile(rf"{_CISCO_BEFORE}(?P<stamp>{_BSD}|(?P<iso>{_ISO}))(?::? +|:?$)", re.ASCII)
_HAS_ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$", re.ASCII)

_HOST = re.compile(r"[A-Za-z0-9._:-]*[A-Za-z0-9._-](?: +|$)", re.ASCII)
_TAG = re.compile(
    r"(?P<tag>[^\s:\[\]%]{1,64})(?:\[(?P<pid>[^\s\[\]]{0,64})\](?::(?= |$)|(?= |$))|:(?= |$)) ?", re.ASCII
)
_UNSTAMPED_TAG = re.compile(r"(?P<tag>[A-Za-z_][\w./-]{0,63})(?:\[(?P<pid>\d{1,10})\])?:(?: |$)", re.ASCII)
_CISCO = re.compile(r"(?:: ?)?(?=%(?P<msgid>[A-Z0-9_]+-(?:[A-Z0-9_]+-)*\d-[A-Z0-9_]+):)", re.ASCII)


def read_message(raw: bytes, *, limits: IngestSettings, now_us: int, zone: tzinfo) -> Row:
    """The event of one message, without what ended it. `zone` is that of times that tell none.

    Raises `NotAnEvent` when it has more than `fields_max` fields.
    """
    try:
        text, encoding = raw.decode(), None
    except UnicodeDecodeError:
        text, encoding = raw.decode(FALLBACK_ENCODING), FALLBACK_ENCODING
    message = _Message(now_us, zone)
    rest = message.take_priority(text)
    rest = message.take_header(rest, has_priority=len(rest) < len(text))
    if encoding is not None:
        message.attributes["encoding"] = encoding
    if len(message.attributes) > max(limits.fields_max, _OWN_FIELDS):
        raise NotAnEvent(f"more than {limits.fields_max} fields (ingest.fields_max)")
    return message.row(rest, limits)


class _Message:
    """What was found of a message."""

    def __init__(self, now_us: int, zone: tzinfo) -> None:
        self.attributes: dict[str, str] = {}
        self._now_us = now_us
        self._zone = zone
        self._level: str | None = None
        self._service: str | None = None
        self._host: str | None = None
        self._stamp: str | None = None
        self._time_us: int | None = None

    def take_priority(self, text: str) -> str:
        """Returns what is behind it; all, where there is none."""
        found = _PRIORITY.match(text)
        if found is None or int(found[1]) >= 8 * len(FACILITIES):
            return text
        self._level = level_of(str(int(found[1]) % 8), "syslog")
        self.attributes["facility"] = FACILITIES[int(found[1]) // 8]
        return text[found.end() :]

    def take_header(self, text: str, *, has_priority: bool) -> str:
        """Returns the message."""
        found = _RFC5424.match(text) if has_priority else None
        if found is not None:
            return self._take_rfc5424(found, text)
        stamped = _STAMPED.match(text)
        if stamped is not None and self._take_stamp(stamped):
            return self._take_rfc3164(stamped, text)
        tagged = _UNSTAMPED_TAG.match(text) if has_priority else None
        # "error: it broke" has no program's name in front.
        if tagged is None or level_of(tagged["tag"]) is not None:
            return text
        return self._take_tag(tagged, text)

    def row(self, message: str, limits: IngestSettings) -> Row:
        time_us = self._now_us if self._time_us is None else self._time_us
        oddity = oddity_of(time_us, limits=limits, now_us=self._now_us)
        if self._stamp is not None and (self._time_us is None or oddity is not None):
            time_us = self._now_us
            self.attributes |= {ORIGINAL: self._stamp, ADJUSTED: oddity or "unreadable"}
        return Row(
            timestamp=time_us,
            level=self._level,
            service=self._service,
            host=self._host,
            message=message,
            trace_id=None,
            span_id=None,
            attributes=self.attributes,
        )

    def _take_rfc5424(self, found: re.Match[str], text: str) -> str:
        if found["stamp"] != "-":
            self._stamp = found["stamp"]
            self._time_us = self._iso_us(found["stamp"])
        self._host, self._service = _or_none(found["host"]), _or_none(found["app"])
        for name in ("pid", "msgid"):
            if (value := _or_none(found[name])) is not None:
                self.attributes[name] = value
        message = self._take_structured(text, found.end())
        return message.removeprefix(_BOM)

    def _take_structured(self, text: str, start: int) -> str:
        """Returns what is behind it. Data that is not as it should be is a part of the message."""
        if text[start : start + 2] in ("-", "- "):
            return text[start + 2 :]
        end = start
        elements: list[tuple[str, str]] = []
        while found := ELEMENT.match(text, end):
            elements.append((found[1], found[2]))
            end = found.end()
        if not elements or text[end : end + 1] not in ("", " "):
            return text[start:]
        values: dict[str, list[str]] = {}
        for name, parameters in elements:
            for parameter, escaped in PARAMETER.findall(parameters) or [("", "")]:
                key = f"{name}.{parameter}" if parameter else name
                values.setdefault(key, []).append(ESCAPE.sub(r"\1", escaped))
        for key, several in values.items():
            known = [self.attributes[key]] if key in self.attributes else []
            self.attributes[key] = ",".join([*known, *several])
        return text[end + 1 :]

    def _take_stamp(self, found: re.Match[str]) -> bool:
        """False when it is none after all: no 25th hour, no 31 February."""
        if found["iso"] is not None:
            self._time_us = self._iso_us(found["iso"])
        else:
            self._time_us = self._bsd_us(found)
        if self._time_us is not None:
            self._stamp = found["stamp"]
        return self._time_us is not None

    def _take_rfc3164(self, found: re.Match[str], text: str) -> str:
        if found["sequence"] is not None:
            self.attributes["sequence"] = found["sequence"]
        self._host = found["before"]
        start = found.end()
        host = _HOST.match(text, start)
        if self._host is None and host is not None:
            self._host = text[start : host.end()].rstrip(" ")
            start = host.end()
        if (cisco := _CISCO.match(text, start)) is not None:
            self.attributes["msgid"] = cisco["msgid"]
            return text[cisco.end() :]
        tagged = _TAG.match(text, start)
        return text[start:] if tagged is None else self._take_tag(tagged, text)

    def _take_tag(self, found: re.Match[str], text: str) -> str:
        self._service = found["tag"]
        if found["pid"]:
            self.attributes["pid"] = found["pid"]
        return text[found.end() :]

    def _iso_us(self, stamp: str) -> int | None:
        time_us = parse_timestamp(stamp) if stamp[4:5] == "-" else None
        if time_us is None or _HAS_ZONE.search(stamp[10:]):
            return time_us
        return utc_us(time_us, self._zone)

    def _bsd_us(self, found: re.Match[str]) -> int | None:
        hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
        if hour > 23 or minute > 59 or second > 60:
            return None
        seconds = (hour * 60 + minute) * 60 + second
        of_day_us = seconds * 1_000_000 + int((found["fraction"] or "")[:6].ljust(6, "0"))
        zone = self._zone
        if found["zone"] is not None:
            zone = timezone(timedelta(seconds=ZONE_NAMES[found["zone"]]))
        month, day = _MONTHS[found["month"]], int(found["day"])
        if found["year"] is None:
            civil = nearest_year(month, day, of_day_us, civil_us(self._now_us, zone))
        else:
            civil = _on_day(int(found["year"]), month, day, of_day_us)
        return None if civil is None else utc_us(civil, zone)


def _on_day(year: int, month: int, day: int, of_day_us: int) -> int | None:
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    return int(midnight.timestamp()) * 1_000_000 + of_day_us


def _or_none(text: str) -> str | None:
    return None if text == "-" else text
