"""Events as Splunk's HTTP Event Collector takes them (docs.splunk.com, "Format events for HTTP Event Collector").

    {"time": 1743156000.123, "host": "web-1", "source": "…", "sourcetype": "…", "index": "…",
     "event": "a line" or {…}, "fields": {…}}

Objects stand one behind the other, or in an array. Each is written anew as a JSON line:

* An `event` that is an object is the event: its members are those of a JSON event. Anything else is the message.
* `fields` are members of the event too.
* `time`, `host` and `source` of the envelope win over members of the same meaning in it; those stay attributes.
* Docker's driver has its text in `line`, which is the message where there is no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.fields import ATTRIBUTES_PREFIX, TEXT_NAMES
from tailrace.ingest.json_lines import JsonLines, bytes_of_text, json_values, object_text, text_of_body
from tailrace.ingest.json_logs import decode_json_lines
from tailrace.ingest.json_slow import Members, NotJson
from tailrace.ingest.text.formats import TextDecoder, guess_format

INVALID_FORMAT = 6
EVENT_REQUIRED = 12
EVENT_BLANK = 13
FIELDS_WRONG = 15
"""Splunk's numbers of what can be wrong with an event."""

_REASONS = {
    EVENT_REQUIRED: "the event has no `event`",
    EVENT_BLANK: "`event` is empty",
    FIELDS_WRONG: "`fields` is not an object",
}

_LINE = "line"
# Of Docker's events; their `source` is `stdout` or `stderr`.
_DOCKER = {_LINE: "message", "source": ATTRIBUTES_PREFIX + "source"}
_MESSAGE_NAMES = frozenset(TEXT_NAMES["message"])


@dataclass(frozen=True, slots=True)
class HecDecoded(Decoded):
    """`failures`: Splunk's numbers of what is wrong, by `Rejected.line`; INVALID_FORMAT for those not in it."""

    failures: dict[int, int] | None = None

    def first_failure(self) -> tuple[int, int] | None:
        """What is wrong with the first rejected event, and its place from 0 on."""
        if not self.rejected:
            return None
        line = self.rejected[0].line
        return (self.failures or {}).get(line, INVALID_FORMAT), line - 1


def decode_hec(body: bytes, *, limits: IngestSettings, now_us: int) -> HecDecoded:
    """The events of a body for `/services/collector/event`. `Rejected.line` is an event's number, from 1 on.

    Where the text is no longer JSON, the rest is rejected as one. Never raises for what is in the body.
    """
    text = text_of_body(body)
    lines = JsonLines(limits, now_us)
    failures: dict[int, int] = {}
    place = 0
    try:
        for value, begin, place in json_values(text):
            line = _line_of(value)
            if isinstance(line, bytes):
                lines.add(line)
                continue
            failures[lines.number + 1] = line
            reason = _REASONS.get(line, 'not an object: send {"event": …}')
            lines.reject(reason, bytes_of_text(text[begin:place]))
    except NotJson as error:
        lines.reject(str(error), bytes_of_text(text[place:]))
    decoded = lines.decoded()
    return HecDecoded(decoded.events, decoded.rejected, failures)


def decode_hec_raw(
    body: bytes,
    *,
    limits: IngestSettings,
    now_us: int,
    host: str | None = None,
    source: str | None = None,
    attributes: dict[str, str] | None = None,
) -> Decoded:
    """The lines of a body for `/services/collector/raw`: each is an event, with what its text tells of itself.

    `host`, `source` (the service) and the attributes are given to lines that tell none.
    """
    if guess_format(body[: 1 << 16]) == "json":
        return decode_json_lines(body, limits=limits, now_us=now_us)
    lines = b"\n".join(line for line in body.splitlines() if line.strip())
    decoder = TextDecoder(limits=limits, service=source, host=host, attributes=attributes)
    return decoder.decode(lines, now_us=now_us)


def _line_of(value: Any) -> bytes | int:
    """The JSON line of an envelope, or what is wrong with it."""
    if not isinstance(value, Members):
        return INVALID_FORMAT
    envelope = dict(value)
    event, fields = envelope.pop("event", None), envelope.pop("fields", None)
    if event is None:
        return EVENT_REQUIRED
    if event in ("", []):
        return EVENT_BLANK
    if fields is not None and not isinstance(fields, Members):
        return FIELDS_WRONG
    time = envelope.pop("time", None)
    told = [] if time in (None, "") else [("timestamp", time)]
    told += [(key, item) for key, item in envelope.items() if item is not None]
    names = {key for key, _ in told}
    members = list(event) if isinstance(event, Members) else [("message", event)]
    members += fields or []
    if isinstance(event, Members):
        keys = {key for key, _ in event}
        if _LINE in keys and not keys & _MESSAGE_NAMES:
            members = [(_DOCKER.get(key, key), item) for key, item in members]
    if not names.isdisjoint([key for key, _ in members]):
        members = [(ATTRIBUTES_PREFIX + key if key in names else key, item) for key, item in members]
    return object_text([*told, *members])
