"""Events as Splunk's HTTP Event Collector takes them (docs.splunk.com, "Format events for HTTP Event Collector").

    {"time": 1743156000.123, "host": "web-1", "source": "…", "sourcetype": "…", "index": "…",
     "event": "a line" or {…}, "fields": {…}}

Objects stand one behind the other, or in an array. Each is written anew as a JSON line:

* An `event` that is an object is the event: its members are those of a JSON event. Anything else is the message.
* `fields` are members of the event too.
* `time` and `host` of the envelope win over members of the same meaning in it; those stay attributes. So does its
  `source`, but not over a `service`.
* Docker's driver has its text in `line`, which is the message where there is no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.fields import ATTRIBUTES_PREFIX, TEXT_NAMES
from tailrace.ingest.json_lines import JsonLines, check_told, object_text, text_of_body
from tailrace.ingest.json_logs import decode_json_lines
from tailrace.ingest.json_slow import Members, NotAnEvent, NotJson, parse_json
from tailrace.ingest.text.formats import TextDecoder, guess_format

INVALID_FORMAT = 6
EVENT_REQUIRED = 12
EVENT_BLANK = 13
FIELDS_WRONG = 15
"""Splunk's numbers of what can be wrong with an event."""

_REASONS = {
    INVALID_FORMAT: 'not an object: send {"event": …}',
    EVENT_REQUIRED: "the event has no `event`",
    EVENT_BLANK: "`event` is empty",
    FIELDS_WRONG: "`fields` is not an object",
}

_LINE = "line"
# Of Docker's events; their `source` is `stdout` or `stderr`.
_DOCKER = {_LINE: "message", "source": ATTRIBUTES_PREFIX + "source"}
_MESSAGE_NAMES = frozenset(TEXT_NAMES["message"])

# Enough to see how the lines of a body are written.
_SAMPLE_BYTES = 1 << 20


class _WrongEnvelope(NotAnEvent):
    """`code` is Splunk's number of what is wrong."""

    def __init__(self, code: int) -> None:
        super().__init__(_REASONS[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class HecDecoded(Decoded):
    """`wrong`: the number, as `Rejected.line`, of the first event with a wrong envelope, and Splunk's for what is."""

    wrong: tuple[int, int] | None = None

    def first_failure(self) -> tuple[int, int] | None:
        """Splunk's number of what is wrong with the first rejected event, and its place from 0 on."""
        if not self.rejected:
            return None
        line = self.rejected[0].line
        number, code = self.wrong or (0, INVALID_FORMAT)
        return code if number == line else INVALID_FORMAT, line - 1


def decode_hec(body: bytes, *, limits: IngestSettings, now_us: int) -> HecDecoded:
    """The events of a body for `/services/collector/event`. `Rejected.line` is an event's number, from 1 on.

    Where the text is no longer JSON, the rest is rejected as one. Never raises for what is in the body.
    """
    lines = JsonLines(limits, now_us)
    wrong: tuple[int, int] | None = None

    def line_of(value: Any) -> bytes:
        nonlocal wrong
        try:
            return _line_of(value)
        except _WrongEnvelope as error:
            wrong = wrong or (lines.number + 1, error.code)
            raise

    lines.add_values(body, line_of)
    decoded = lines.decoded()
    return HecDecoded(decoded.events, decoded.rejected, wrong)


def decode_hec_raw(body: bytes, *, limits: IngestSettings, now_us: int, told: Mapping[str, str]) -> HecDecoded:
    """The lines of a body for `/services/collector/raw`: each is an event.

    A JSON object among others is a JSON event; any other line is the message, with what its text tells of itself.
    `told` (`host`, `source`, which is the service, and attributes) is for lines that do not tell it. Raises
    `TooLarge` where that would make a small body a huge one.
    """
    lines = [line for line in body.splitlines() if line.strip()]
    check_told(sum(len(name) + len(text.encode()) for name, text in told.items()), len(lines), limits)
    text = b"\n".join(lines)
    written_as = guess_format(text[:_SAMPLE_BYTES])
    if written_as == "json":
        decoded = _decode_objects(lines, limits, now_us, told)
    else:
        attributes = {name: value for name, value in told.items() if name not in ("host", "source")}
        decoder = TextDecoder(
            written_as, limits=limits, service=told.get("source"), host=told.get("host"), attributes=attributes
        )
        decoded = decoder.decode(text, now_us=now_us)
    return HecDecoded(decoded.events, decoded.rejected)


def _decode_objects(lines: list[bytes], limits: IngestSettings, now_us: int, told: Mapping[str, str]) -> Decoded:
    """JSON objects, and lines among them that are none."""
    if not told:
        decoded = decode_json_lines(b"\n".join(lines), limits=limits, now_us=now_us)
        if not decoded.rejected:
            return decoded
    rewritten = JsonLines(limits, now_us)
    for line in lines:
        rewritten.add(_line_of_raw(line, limits, told))
    return rewritten.decoded()


def _line_of_raw(line: bytes, limits: IngestSettings, told: Mapping[str, str]) -> bytes:
    try:
        value = parse_json(line, limits)
        if isinstance(value, Members):
            keys = {key for key, _ in value}
            return object_text([*value, *((name, text) for name, text in told.items() if name not in keys)])
    except (NotJson, NotAnEvent):
        pass
    return object_text([("message", text_of_body(line)), *told.items()])


def _line_of(value: Any) -> bytes:
    """The JSON line of an envelope. Raises `_WrongEnvelope`."""
    if not isinstance(value, Members):
        raise _WrongEnvelope(INVALID_FORMAT)
    envelope = dict(value)
    event, fields = envelope.pop("event", None), envelope.pop("fields", None)
    if event is None:
        raise _WrongEnvelope(EVENT_REQUIRED)
    if event in ("", []):
        raise _WrongEnvelope(EVENT_BLANK)
    if fields is not None and not isinstance(fields, Members):
        raise _WrongEnvelope(FIELDS_WRONG)
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
