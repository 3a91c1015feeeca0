"""A connection's bytes to whole messages. MessagePack has no frames: a message ends where its last value ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tailrace.ingest.forward.decode import Chunk, chunk_of, starts_message
from tailrace.kernels.msgpack.walk import BROKEN, skip_values

CHUNKS_MAX = 64
"""So many chunks are appended at once; each is a record of the log of its own."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Whole messages that are appended together: one that is a chunk, or a run of those without."""

    body: bytes
    chunk: Chunk | None


@dataclass(frozen=True, slots=True)
class Framed:
    """`broken` says why nothing behind `messages` can be read; `rest` is what is there."""

    messages: list[bytes]
    broken: str | None = None
    rest: bytes = b""


class Framer:
    """Holds what has come of a message; never more than `bytes_max` and what is fed at once."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self._place = 0
        self._pending = 1

    @property
    def held_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> Framed:
        """The messages that are whole now. What is looked at once is not looked at again."""
        self._buffer += data
        view = np.frombuffer(self._buffer, np.uint8)
        # The kernel is compiled for bytes that nobody writes to.
        view.flags.writeable = False
        spans: list[tuple[int, int]] = []
        begin, place, pending = 0, self._place, self._pending
        broken = None
        while begin < len(view):
            if not starts_message(view[begin]):
                broken = "the connection does not speak Fluent's forward protocol: a message is an array"
                break
            place, pending = skip_values(view, place, len(view), pending)
            if pending == BROKEN:
                broken = f"not MessagePack, at byte {place - begin + 1} of the message"
                break
            if pending:
                if len(view) - begin > self._bytes_max:
                    broken = (
                        f"a message is larger than {self._bytes_max:,} bytes (ingest.body_bytes_max); "
                        "send smaller chunks"
                    )
                break
            spans.append((begin, place))
            begin, pending = place, 1
        del view  # a buffer that is viewed cannot shrink
        messages = [bytes(self._buffer[start:end]) for start, end in spans]
        del self._buffer[:begin]
        self._place, self._pending = place - begin, pending
        return Framed(messages, broken, b"" if broken is None else bytes(self._buffer))


def units_of(messages: list[bytes]) -> list[Unit]:
    """Messages by how they are appended, in their order."""
    units: list[Unit] = []
    run: list[bytes] = []
    for message in messages:
        chunk = chunk_of(message)
        if chunk is None:
            run.append(message)
            continue
        if run:
            units.append(Unit(b"".join(run), None))
            run = []
        units.append(Unit(message, chunk))
    if run:
        units.append(Unit(b"".join(run), None))
    return units
