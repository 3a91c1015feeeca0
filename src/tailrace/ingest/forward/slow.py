"""One entry of Fluent's forward protocol in plain Python: its JSON line, and the oracle of `kernels/msgpack/`.

The kernel writes nearly all lines; the rest comes here one by one.

* Text, and binary data, that is not UTF-8 has U+FFFD for what is wrong. Keys that are no text become the text of
  their JSON.
* Numbers that are none (NaN, infinities) and extensions become text: an EventTime its seconds, another extension its
  type and its bytes in hexadecimal digits, `ext:5:00ff`.
* Times: seconds since 1970 as an integer, a float or an EventTime. Anything else is a time nobody can read.
* What is not a map is no event, and a line that is rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.fields import ATTRIBUTES_PREFIX

_EVENT_TIME = 0

# Fluent Bit marks the start and the end of a group of events by entries of these times (flb_log_event.h).
_GROUP_MARKS = (0xFFFFFFFF, 0xFFFFFFFE)

# What Docker's driver has as `source`: not a service.
_STREAMS = ('"stdout"', '"stderr"')


class Pairs(list[tuple[Any, Any]]):
    """A map's members in order, equal keys included."""

    __slots__ = ()


def unpack(raw: bytes) -> Any:
    """One MessagePack value: text as bytes, maps as `Pairs`. Raises `ValueError` when it is not one."""
    try:
        return msgpack.unpackb(raw, raw=True, strict_map_key=False, object_pairs_hook=Pairs)
    except (msgpack.UnpackException, RecursionError) as error:
        raise ValueError(f"not MessagePack: {type(error).__name__} {error}".rstrip()) from None


def slow_line(entry: bytes, tag: bytes, *, depth_max: int) -> bytes:
    """The JSON of an entry `[time, record]`, without a line feed; empty for what is no event, a group's mark.

    `depth_max`: what is nested deeper is left out; it should be more than events may be nested, so that such an
    event is refused for that by whoever reads the line. Raises `ValueError` when the bytes are no entry.
    """
    value = unpack(entry)
    if not isinstance(value, list) or isinstance(value, Pairs) or len(value) != 2:
        raise ValueError("not an entry: send [time, record]")
    time, record = value
    metadata = None
    if isinstance(time, list) and not isinstance(time, Pairs) and len(time) == 2:
        time, metadata = time
    seconds, nanoseconds = _event_time(time)
    if seconds in _GROUP_MARKS:
        return b""
    if not isinstance(record, Pairs):
        # As a text, which is not an event either: a line that starts with a bracket would be an array of events.
        return _text(_json(record, depth_max).encode()).encode()
    members = [('"timestamp"', _time(time, seconds, nanoseconds))]
    keys = [_key(key) for key, _ in record]
    for key, (_, item) in zip(keys, record, strict=True):
        value = _json(item, depth_max - 1)
        is_attribute = key == '"timestamp"' or (key == '"source"' and value in _STREAMS)
        members.append((f'"{ATTRIBUTES_PREFIX}{key[1:]}' if is_attribute else key, value))
    if metadata is not None and metadata != []:
        members.append(('"metadata"', _json(metadata, depth_max - 1)))
    members.append(('"forward_tag"' if '"tag"' in keys else '"tag"', _text(tag)))
    return b"{" + ",".join(f"{key}:{item}" for key, item in members).encode() + b"}"


def float_texts(values: Any) -> pa.StringArray:
    """The shortest digits of each of these 64-bit floats, all finite; whole ones may lack a fraction."""
    return pc.cast(pa.array(values, pa.float64()), pa.string())


def _event_time(value: Any) -> tuple[int, int]:
    """Seconds and nanoseconds; (-1, -1) for what is no EventTime."""
    if isinstance(value, msgpack.ExtType) and value.code == _EVENT_TIME and len(value.data) == 8:
        return int.from_bytes(value.data[:4], "big"), int.from_bytes(value.data[4:], "big")
    return -1, -1


def _time(value: Any, seconds: int, nanoseconds: int) -> str:
    if seconds >= 0:
        total = seconds * 1_000_000_000 + nanoseconds
        return f"{total // 1_000_000_000}.{total % 1_000_000_000:09d}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _json(value, 1)
    return _text(value if isinstance(value, bytes) else _json(value, 1).encode())


def _key(key: Any) -> str:
    return _text(key) if isinstance(key, bytes) else _text(_json(key, 1).encode())


def _text(raw: bytes) -> str:
    return encode_basestring(raw.decode("utf-8", "replace"))


def _json(value: Any, depth: int) -> str:
    """JSON text without blanks; containers deeper than `depth` are empty."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{_key(key)}:{_json(item, depth - 1)}" for key, item in value if depth > 0) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_json(item, depth - 1) for item in value if depth > 0) + "]"
    return _SCALARS.get(type(value), _extension)(value)


def _float(value: float) -> str:
    if not np.isfinite(value):
        return f'"{value}"'
    text: str = float_texts([value])[0].as_py()
    return text if "." in text or "e" in text else text + ".0"


def _extension(value: Any) -> str:
    seconds, nanoseconds = _event_time(value)
    if seconds >= 0:
        return _time(value, seconds, nanoseconds)
    if isinstance(value, msgpack.Timestamp):
        return f"{value.seconds}.{value.nanoseconds:09d}"
    return f'"ext:{value.code}:{value.data.hex()}"'


_SCALARS: dict[type, Callable[[Any], str]] = {
    int: str,
    float: _float,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
