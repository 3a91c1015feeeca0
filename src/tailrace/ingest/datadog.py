"""Logs as Datadog's intake takes them (docs.datadoghq.com/api, "Send logs", v2).

    [{"message": "a line", "ddsource": "nginx", "ddtags": "env:prod,team:a", "hostname": "i-012345678",
      "service": "payment", "status": "info", "timestamp": 1743156000123}, …]

Read as any JSON events; the names are among those of `fields.py`. `ddtags` stays whole, and each of its tags becomes
an attribute where the event has none of that name; a tag that stands there several times has all values in a comma
list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.fields import ATTRIBUTES_PREFIX
from tailrace.ingest.json_lines import JsonLines, check_told, object_text, text_of_body
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.json_slow import Members, NotAnEvent, Number
from tailrace.model.batch import EVENT_SCHEMA, empty_batch

TAGS = "ddtags"

# More tags than Datadog takes; they are held to the fields of an event anyhow.
_TAGS_MAX = 100

# What the agent sends at its start, to see whether it can send logs.
_PROBE = b"{}"


def decode_datadog(
    body: bytes, *, limits: IngestSettings, now_us: int, defaults: Mapping[str, str] | None = None
) -> Decoded:
    """The events of a body: one object, an array of them, or one behind the other. A lone empty object is none.

    `defaults` are members of each event that has none of that name: what the query string says. `Rejected.line` is
    the event's number. Raises `TooLarge` where `defaults` would make a small body a huge one.
    """
    if body.strip() == _PROBE:
        return Decoded(empty_batch(EVENT_SCHEMA))
    if not defaults and b'"ddtags"' not in body:
        return decode_json(body, limits=limits, now_us=now_us)
    told = defaults or {}
    _check_told(told, body.count(b"{"), limits)

    def line_of(value: Any) -> bytes:
        if not isinstance(value, Members):
            raise NotAnEvent("not an event; send an object")
        return object_text(_with_tags(value, told))

    lines = JsonLines(limits, now_us)
    lines.add_values(body, line_of)
    return lines.decoded()


def decode_datadog_text(
    body: bytes, *, limits: IngestSettings, now_us: int, defaults: Mapping[str, str] | None = None
) -> Decoded:
    """Lines of text, each the message of an event; `defaults` are its other members. Raises as `decode_datadog`."""
    told = defaults or {}
    _check_told(told, body.count(b"\n") + 1, limits)
    lines = JsonLines(limits, now_us)
    for line in text_of_body(body).split("\n"):
        if line.strip():
            lines.add(object_text(_with_tags(Members([("message", line.removesuffix("\r"))]), told)))
    return lines.decoded()


def _check_told(told: Mapping[str, str], events: int, limits: IngestSettings) -> None:
    if told:
        check_told(len(object_text(_with_tags(Members(), told))), events, limits)


def _with_tags(event: Members, defaults: Mapping[str, str]) -> list[tuple[str, object]]:
    keys = {key for key, _ in event}
    members: list[tuple[str, object]] = [*event, *((key, text) for key, text in defaults.items() if key not in keys)]
    tags = next((value for key, value in members if key == TAGS), None)
    if not isinstance(tags, str) or isinstance(tags, Number):
        return members
    return [*members, *_attributes_of(tags, keys | defaults.keys()).items()]


def _attributes_of(tags: str, taken: set[str]) -> dict[str, str]:
    """`k:v,k2:v2` as attributes; a tag without a colon is not one."""
    found: dict[str, str] = {}
    for tag in tags.split(",")[:_TAGS_MAX]:
        key, colon, value = tag.strip().partition(":")
        name = ATTRIBUTES_PREFIX + key
        if colon and key and value and key not in taken:
            found[name] = f"{found[name]},{value}" if name in found else value
    return found
