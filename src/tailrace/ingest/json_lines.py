"""Events that are written anew as JSON lines, for the decoder of JSON lines to say what they mean.

For protocols that put events into envelopes. A line has the number of the event it stands for, so that what is
rejected, here or there, is told by that number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from json import JSONDecodeError
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.json_logs import BadLines, decode_json_lines
from tailrace.ingest.json_slow import DECODER, NotAnEvent, NotJson, clean, text_of
from tailrace.model.batch import EVENT_SCHEMA, join_batches

# Lines are decoded in pieces, so that a body does not stand in memory three times over.
_PIECE_BYTES = 8 << 20

TOLD_GROWTH_MAX = 4
"""What a request says of all of its events is written into each: so many times as large as a body it may become."""

# What a rejected one takes besides its own bytes, as Python objects.
_REJECTED_BYTES = 256


class JsonLines:
    """Numbers events from 1 on, in the order in which they are added or rejected."""

    def __init__(self, limits: IngestSettings, now_us: int) -> None:
        self._limits = limits
        self._now_us = now_us
        self._number = 0
        self._pending: list[bytes] = []
        self._pending_rejected: list[Rejected] = []
        self._pending_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._bad = BadLines()

    @property
    def number(self) -> int:
        """How many were added or rejected."""
        return self._number

    def add(self, line: bytes) -> None:
        """`line` is a JSON object without line feeds, or empty: a number that stands for no event."""
        self._number += 1
        self._pending.append(line)
        self._pending_bytes += len(line) + 1
        if self._pending_bytes > _PIECE_BYTES:
            self._decode()

    def add_values(self, body: bytes, line_of: Callable[[Any], bytes]) -> None:
        """The JSON values of a body (`json_values`), each as the line that `line_of` makes of it.

        A value for which that raises `NotAnEvent` is rejected. Where the text is no longer JSON, the rest is rejected
        as one.
        """
        text = text_of_body(body)
        place = 0
        try:
            for value, begin, place in json_values(text):
                try:
                    self.add(line_of(value))
                except NotAnEvent as error:
                    self.reject(str(error), bytes_of_text(text[begin:place]))
        except NotJson as error:
            self.reject(str(error), bytes_of_text(text[place:]))

    def add_lines(self, lines: bytes, count: int, rejected: Sequence[Rejected] = ()) -> None:
        """`count` lines, each with a line feed; `rejected` are of those that are empty, numbered from 1 on."""
        self._decode()
        self._take(decode_json_lines(lines, limits=self._limits, now_us=self._now_us), rejected)
        self._number += count

    def reject(self, reason: str, raw: bytes) -> None:
        self._pending_rejected.append(Rejected(len(self._pending) + 1, reason, raw))
        self._pending_bytes += len(raw) + _REJECTED_BYTES
        self.add(b"")

    def decoded(self) -> Decoded:
        self._decode()
        return Decoded(join_batches(self._batches, EVENT_SCHEMA), self._bad.rejected())

    def _decode(self) -> None:
        if self._pending:
            lines, count, rejected = b"\n".join(self._pending), len(self._pending), self._pending_rejected
            self._pending, self._pending_rejected, self._pending_bytes = [], [], 0
            self._number -= count
            self.add_lines(lines, count, rejected)

    def _take(self, decoded: Decoded, more: Sequence[Rejected]) -> None:
        if decoded.events.num_rows:
            self._batches.append(decoded.events)
        for each in sorted([*decoded.rejected, *more], key=lambda rejected: rejected.line):
            self._bad.add(self._number + each.line, each.reason, each.raw)


def json_text(value: Any) -> str:
    """A value as `json_slow.parse_json` makes it, as JSON without blanks; numbers keep their digits."""
    # A `Number` is a text of its own kind.
    if type(value) is str:
        return encode_basestring(value if value.isascii() else clean(value))
    return text_of(value)


def object_text(members: Iterable[tuple[str, Any]]) -> bytes:
    """An object of these members, as JSON. Raises `NotAnEvent` when it is nested far deeper than any event may be."""
    try:
        return ("{" + ",".join([f"{json_text(key)}:{json_text(value)}" for key, value in members]) + "}").encode()
    except RecursionError:
        raise NotAnEvent("objects and arrays are nested too deep (ingest.nesting_max)") from None


def check_told(told_bytes: int, events: int, limits: IngestSettings) -> None:
    """Raises `TooLarge` where `told_bytes` in each of so many events would make a small body a huge one."""
    bytes_max = TOLD_GROWTH_MAX * limits.body_bytes_max
    if told_bytes * events > bytes_max:
        raise TooLarge(
            f"what the query string tells, written into each of {events:,} events, is larger than {bytes_max:,} "
            f"bytes, {TOLD_GROWTH_MAX} times ingest.body_bytes_max; send the body in parts"
        )


def text_of_body(body: bytes) -> str:
    """The text of a body; bytes that are not UTF-8 become lone surrogates, which `json_text` writes as U+FFFD."""
    return body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def bytes_of_text(text: str) -> bytes:
    """The bytes of a part of that text, as they were."""
    return text.encode("utf-8", "surrogateescape")


def json_values(text: str) -> Iterator[tuple[Any, int, int]]:
    """Each of the JSON values that stand one behind the other, where it starts and ends; of an array its elements.

    White space, or nothing, is between them. Values are `Members`, lists, `str`, `Number`, booleans and None, as in
    `json_slow`. Raises `NotJson` where the text cannot be read any further.
    """
    place = _skip_blanks(text, 0)
    while place < len(text):
        in_array = text[place] == "["
        place = _skip_blanks(text, place + 1) if in_array else place
        while place < len(text):
            if in_array and text[place] == "]":
                place += 1
                break
            value, end = _value_at(text, place)
            yield value, place, end
            place = _skip_blanks(text, end)
            if not in_array:
                break
            if place >= len(text) or text[place] not in ",]":
                raise NotJson(f"not JSON: the array has neither a comma nor its end, at character {place + 1}")
            if text[place] == ",":
                place = _skip_blanks(text, place + 1)
        else:
            raise NotJson("not JSON: the array has no closing bracket; the body was cut off")
        place = _skip_blanks(text, place)


_BLANKS = re.compile(r"[ \t\r\n]*")


def _skip_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return place if found is None else found.end()


def _value_at(text: str, place: int) -> tuple[Any, int]:
    try:
        return DECODER.raw_decode(text, place)
    except JSONDecodeError as error:
        message = error.msg.removesuffix(" at").removesuffix(" starting")
        raise NotJson(f"not JSON: {message}, at character {error.pos + 1}") from None
    except RecursionError:
        raise NotJson("not JSON that can be read: it is nested too deep") from None
