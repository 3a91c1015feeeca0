"""Entries of systemd's journal in the Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS).

    NAME=text LF                                   a field
    NAME LF, length (64 bits, little-endian), bytes LF    a field with any bytes
    LF                                             the end of an entry

An entry is written anew as a JSON line: `MESSAGE`, `PRIORITY` (the level), `_HOSTNAME` and `__REALTIME_TIMESTAMP`
are the event's own; the service is `SYSLOG_IDENTIFIER`, else the unit, else the command. The cursor is the event's
`_id`: an entry that is uploaded again is stored once. All other fields are attributes under their names.
"""

from __future__ import annotations

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.json_lines import JsonLines, object_text
from tailrace.model.claim import DOCUMENT_ID, DOCUMENT_INDEX

INDEX = "journald"
"""What the cursors are unique in."""

CONTENT_TYPE = "application/vnd.fdo.journal"

LENGTH_BYTES = 8

_CURSOR = "__CURSOR"
_SERVICES = ("SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_COMM")
_RENAMED = {
    "__REALTIME_TIMESTAMP": "timestamp",
    "MESSAGE": "message",
    "_HOSTNAME": "host",
    _CURSOR: DOCUMENT_ID,
}

Fields = list[tuple[str, bytes]]


def decode_journal(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """The events of whole entries; the last may lack its blank line.

    `Rejected.line` is the entry's number, and its raw bytes are JSON. An entry that is cut off, with all behind it,
    is rejected as it is. Never raises for what is in the body.
    """
    lines = JsonLines(limits, now_us)
    fields: Fields = []
    place = begin = 0
    while place < len(body):
        end = body.find(b"\n", place)
        end = len(body) if end < 0 else end
        name, equals, value = body[place:end].partition(b"=")
        place = end + 1
        if not name and not equals:
            if fields:
                lines.add(_line_of(fields))
            fields, begin = [], place
            continue
        if not equals:
            data = place + LENGTH_BYTES
            end = data + int.from_bytes(body[place:data], "little")
            if end > len(body) or body[end : end + 1] not in (b"\n", b""):
                lines.reject(f"not the Journal Export Format: the bytes of {name[:64]!r} are cut off", body[begin:])
                return lines.decoded()
            value, place = body[data:end], end + 1
        fields.append((name.decode("ascii", "replace"), value))
    if fields:
        lines.add(_line_of(fields))
    return lines.decoded()


def _line_of(fields: Fields) -> bytes:
    texts: dict[str, list[str]] = {}
    for name, value in fields:
        texts.setdefault(name, []).append(value.decode("utf-8", "replace"))
    service = next((name for name in _SERVICES if name in texts), None)
    members: list[tuple[str, object]] = [(DOCUMENT_INDEX, INDEX)] if _CURSOR in texts else []
    for name, values in texts.items():
        key = "service" if name == service else _RENAMED.get(name, name)
        # A field may stand in an entry several times.
        members.append((key, values[0] if len(values) == 1 else list(values)))
    return object_text(members)
