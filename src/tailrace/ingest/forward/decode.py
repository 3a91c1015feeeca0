"""Messages of Fluent's forward protocol (github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1).

    Message                   [tag, time, record, options]
    Forward                   [tag, [[time, record], …], options]
    PackedForward             [tag, bytes of entries, options]
    CompressedPackedForward   the same, with options {"compressed": "gzip" or "zstd"}

Options may be missing. Fluent Bit's entries are `[[time, metadata], record]`. What an event means is in
`kernels/msgpack/lines.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.compression import decompress
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.forward.entries import TAG_BYTES_MAX, Bytes, EntryReader
from tailrace.ingest.forward.slow import Pairs, unpack
from tailrace.kernels.msgpack.walk import skip_values

_ENTRY = b"\x92"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a sender waits for the acknowledgement of: `id`, and what has it.

    An id alone does not tell chunks apart: Fluent Bit's are digests of the entries without their tag, and all alike
    where each entry is a message. So `of` is the tag, and there the time and the record too.
    """

    id: bytes
    of: bytes


def decode_forward(body: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
    """The events of messages, one behind the other.

    `Rejected.line` is the number of the entry, through all messages; a message that is wrong as a whole counts as
    one. `Rejected.raw` is the event's JSON, or the start of what is not MessagePack. What cannot be read any further
    ends the body. Never raises for what is in it.
    """
    d = np.frombuffer(body, np.uint8)
    reader = EntryReader(limits, now_us)
    begin = end = 0
    try:
        while begin < len(d):
            begin = end = reader.read_messages(d, begin, len(d))
            if begin == len(d):
                break
            end, pending = skip_values(d, begin, len(d), 1)
            if pending or not starts_message(body[begin]):
                what = "is cut off" if pending > 0 else "is not MessagePack"
                if pending == 0:
                    what = "is not an array"
                reader.reject(f"the message {what}, at byte {end + 1}", body[begin:])
                break
            try:
                _read_message(reader, body, d, begin, end, limits)
            except ValueError as error:
                reader.reject(str(error), body[begin:end])
            begin = end
    except TooLarge as error:
        reader.reject(str(error), body[begin:])
    return reader.decoded()


def starts_message(first: int) -> bool:
    """Whether a message can start with this byte: an array of up to 15 elements."""
    return 0x90 <= first <= 0x9F


def chunk_of(message: bytes) -> Chunk | None:
    """The chunk of a whole message, where its sender waits for an acknowledgement."""
    if message[:1] == b"\x93" and 0xA0 <= message[1] <= 0xBF and not _holds_entries(message[2 + (message[1] & 0x1F)]):
        return None  # [tag, time, record], as small loggers send thousands of
    places = _elements(np.frombuffer(message, np.uint8), 0, len(message))
    if len(places) < 3:
        return None
    has_entries = _holds_entries(message[places[1]])
    if len(places) == 3 and not has_entries:
        return None
    try:
        options = unpack(message[places[-1] :])
    except ValueError:
        return None
    found = [value for key, value in options if key == b"chunk"] if isinstance(options, Pairs) else []
    if not found or not isinstance(found[-1], bytes):
        return None
    return Chunk(found[-1], message[: places[1] if has_entries else places[-1]])


def _read_message(reader: EntryReader, body: bytes, d: Bytes, begin: int, end: int, limits: IngestSettings) -> None:
    """Raises `ValueError` for a message that is wrong as a whole."""
    places = _elements(d, begin, end)
    if not 2 <= len(places) <= 4:
        raise ValueError("not a message: send [tag, time, record] or [tag, entries]")
    places.append(end)
    has_options = len(places) > 3 + (0 if _holds_entries(body[places[1]]) else 1)
    options = _by_name(unpack(body[places[-2] : end])) if has_options else {}
    if options.get("fluent_signal", 0) != 0:
        raise ValueError("the message has metrics or traces (fluent_signal); logs alone are taken")
    tag = unpack(body[places[0] : places[1]])
    if not isinstance(tag, bytes):
        raise ValueError("the tag is not text")
    if len(tag) > TAG_BYTES_MAX:
        raise ValueError(f"the tag has {len(tag):,} bytes; at most {TAG_BYTES_MAX:,} are taken")
    kind = body[places[1]]
    if not _holds_entries(kind):
        if len(places) < 4:
            raise ValueError("the message has a tag and a time, and no record")
        entry = _ENTRY + body[places[1] : places[3]]
        reader.read_entries(np.frombuffer(entry, np.uint8), 0, len(entry), tag)
        return
    if _is_array(kind):
        # The entries stand in the message itself, behind the head of their array.
        first = places[1] + {0xDC: 3, 0xDD: 5}.get(kind, 1)
        reader.read_entries(d, first, places[2], tag)
        return
    packed = unpack(body[places[1] : places[2]])
    compressed = options.get("compressed", "text")
    if compressed not in ("text", "gzip", "zstd"):
        raise ValueError(f"entries compressed with {compressed!r} are not understood; use gzip or zstd")
    if compressed != "text":
        try:
            packed = decompress(packed, str(compressed), bytes_max=limits.body_bytes_max)
        except BadInput as error:
            raise ValueError(str(error)) from None
    reader.read_entries(np.frombuffer(packed, np.uint8), 0, len(packed), tag)


def _elements(d: Bytes, begin: int, end: int) -> list[int]:
    """Where the elements of the array at `begin` start; none when there is no array of up to 15."""
    if begin == end or d[begin] & 0xF0 != 0x90:
        return []
    places = []
    place = begin + 1
    for _ in range(d[begin] & 0x0F):
        places.append(int(place))
        place, _ = skip_values(d, place, end, 1)
    return places


def _is_array(first: int) -> bool:
    return 0x90 <= first <= 0x9F or first in (0xDC, 0xDD)


def _holds_entries(first: int) -> bool:
    """Whether the second element of a message holds its entries, by the first byte of it."""
    is_text = 0xA0 <= first <= 0xBF or 0xD9 <= first <= 0xDB
    return _is_array(first) or is_text or 0xC4 <= first <= 0xC6


def _by_name(options: Any) -> dict[str, Any]:
    if not isinstance(options, Pairs):
        return {}
    return {_text(key): _text(value) for key, value in options if isinstance(key, bytes)}


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
