"""GELF as it comes over UDP and TCP: compressed, in chunks, or each message with a NUL behind it.

Source: GELF 1.1, "GELF via UDP" and "GELF via TCP". Pure, and stateful where what comes is only a part.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.compression import decompress
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.gelf.decode import decode_gelf_lines, lines_of_frames
from tailrace.ingest.syslog.frames import Frames, join_frames

CHUNK_MAGIC = b"\x1e\x0f"
CHUNKS_MAX = 128
_CHUNK_HEADER_BYTES = 12

# The specification's: all chunks of a message come within five seconds.
_CHUNKS_WITHIN_S = 5.0

# Messages of which a chunk is missing, of all senders. Past either the oldest go.
_SETS_MAX = 1_000
_SETS_BYTES_MAX = 16 << 20

# What stands for a message that cannot be read: JSON, and no event.
_NOTHING = b"null"

_NUL, _LF = b"\0", b"\n"
_BLANK = b" \t\r\n\0"

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_FIRST = 0x78


def decode_gelf_frames(frames: Frames, *, limits: IngestSettings, now_us: int) -> Decoded:
    """A message a frame, plain or compressed with gzip or zlib. `Rejected.line` is the number of a frame."""
    documents: list[bytes] = []
    refused: dict[int, str] = {}
    for number, (start, end) in enumerate(zip(frames.starts.tolist(), frames.ends.tolist(), strict=True), start=1):
        raw = frames.data[start:end]
        try:
            document = inflate(raw, bytes_max=limits.line_bytes_max)
        except BadInput as error:
            refused[number] = str(error)
            document = b""
        # An empty line would have no number, and the ends of lines are those of messages here.
        documents.append(lines_of_frames(document.replace(b"\0", b" ")).strip(b" \t") or _NOTHING)
    decoded = decode_gelf_lines(b"\n".join(documents), limits=limits, now_us=now_us)
    return Decoded(decoded.events, [_told(each, frames, refused, limits) for each in decoded.rejected])


def inflate(raw: bytes, *, bytes_max: int) -> bytes:
    """The JSON of one message. Raises `BadInput` when it is damaged, or more than `bytes_max`."""
    encoding = None
    if raw.startswith(_GZIP_MAGIC):
        encoding = "gzip"
    # zlib's second byte makes a multiple of 31 of both (RFC 1950, 2.2).
    elif len(raw) > 1 and raw[0] == _ZLIB_FIRST and (raw[0] << 8 | raw[1]) % 31 == 0:
        encoding = "deflate"
    if encoding is None:
        return raw
    try:
        return decompress(raw, encoding, bytes_max=bytes_max)
    except TooLarge:
        raise TooLarge(
            f"the message is larger than {bytes_max:,} bytes after decompression (ingest.line_bytes_max)"
        ) from None


def _told(rejected: Rejected, frames: Frames, refused: dict[int, str], limits: IngestSettings) -> Rejected:
    if rejected.raw != _NOTHING:
        return rejected
    place = rejected.line - 1
    start = int(frames.starts[place])
    end = min(int(frames.ends[place]), start + limits.line_bytes_max)
    return Rejected(rejected.line, refused.get(rejected.line, rejected.reason), frames.data[start:end])


@dataclass(slots=True)
class _Set:
    begun_s: float
    count: int
    parts: dict[int, bytes] = field(default_factory=dict)
    size_bytes: int = 0


class Chunks:
    """Messages of which some chunks have come. `dropped` counts those that were given up."""

    def __init__(self) -> None:
        # The oldest stands first.
        self._sets: dict[tuple[str, bytes], _Set] = {}
        self._size_bytes = 0
        self.dropped = 0

    def add(self, datagram: bytes, peer: str, now_s: float) -> bytes | None:
        """The message that this chunk completes; None where some are missing, and for one that is not a chunk.

        Chunks of several senders never make one message.
        """
        self.give_up(now_s)
        sequence, count = (datagram[10], datagram[11]) if len(datagram) >= _CHUNK_HEADER_BYTES else (0, 0)
        if not 0 < count <= CHUNKS_MAX or sequence >= count:
            self.dropped += 1
            return None
        name = (peer, datagram[2:10])
        known = self._sets.get(name)
        if known is None or known.count != count:
            if known is not None:
                self._drop(name)
            known = self._sets[name] = _Set(now_s, count)
        part = datagram[_CHUNK_HEADER_BYTES:]
        if sequence not in known.parts:
            known.parts[sequence] = part
            known.size_bytes += len(part)
            self._size_bytes += len(part)
        if len(known.parts) < count:
            while self._size_bytes > _SETS_BYTES_MAX or len(self._sets) > _SETS_MAX:
                self._drop(next(iter(self._sets)))
            return None
        self._take(name)
        return b"".join(known.parts[index] for index in range(count))

    def give_up(self, now_s: float) -> None:
        """Messages that lack a chunk for too long."""
        while self._sets:
            name, oldest = next(iter(self._sets.items()))
            if now_s - oldest.begun_s <= _CHUNKS_WITHIN_S:
                return
            self._drop(name)

    def _drop(self, name: tuple[str, bytes]) -> None:
        self._take(name)
        self.dropped += 1

    def _take(self, name: tuple[str, bytes]) -> None:
        self._size_bytes -= self._sets.pop(name).size_bytes


class GelfFramer:
    """The bytes of a connection to messages. One per connection.

    A NUL ends a message. Some end it with a line feed instead: a connection whose first line is an object by the look
    of it is taken so, and others may write an object over several lines.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._begun = bytearray()
        self._end: bytes | None = None
        """None until it is known."""
        self._skip = False
        """Whether to pass over all up to an end: the rest of a message that was too long."""

    @property
    def begun_bytes(self) -> int:
        return len(self._begun)

    def feed(self, data: bytes) -> Frames | None:
        """The messages that `data` completes; None where there is none."""
        if self._skip:
            data = self._after_skipped(data)
        if self._end is None:
            data = self._learn_end(data)
        frames = None
        if self._end is not None and (last := data.rfind(self._end)) >= 0:
            frames = self._cut(self.rest() + data[: last + 1], self._end)
            data = data[last + 1 :]
        self._begun += data
        if len(self._begun) <= self._bytes_max:
            return frames
        self._skip = True
        kept = self.rest()[: self._bytes_max + 1]
        whole = np.array([len(kept)])
        # It has ended its last frame before.
        return _appended(frames, Frames(kept, np.zeros(1, np.int64), whole))

    def end(self) -> tuple[Frames | None, bytes]:
        """What a connection leaves: a last message that lacks its end."""
        rest = self.rest()
        return (self._cut(rest + _NUL, _NUL) if rest else None), b""

    def rest(self) -> bytes:
        """What is begun; it is then no longer held."""
        rest = bytes(self._begun)
        self._begun.clear()
        return rest

    def _learn_end(self, data: bytes) -> bytes:
        """Returns what to go on with: with the first end, all that has come."""
        if _NUL not in data and _LF not in data:
            return data
        # Blank lines tell nothing.
        data = (self.rest() + data).lstrip()
        line, found, _ = data.partition(_LF)
        is_object = line.startswith(b"{") and line.rstrip().endswith(b"}")
        if _NUL in line or (found and not is_object):
            self._end = _NUL
        elif found:
            self._end = _LF
        return data

    def _after_skipped(self, data: bytes) -> bytes:
        ends = (_NUL, _LF) if self._end is None else (self._end,)
        places = [place for end in ends if (place := data.find(end)) >= 0]
        if not places:
            return b""
        self._skip = False
        return data[min(places) + 1 :]

    def _cut(self, data: bytes, end: bytes) -> Frames | None:
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == end[0])
        starts = np.zeros(len(ends), np.int64)
        starts[1:] = ends[:-1] + 1
        # A NUL may be followed by a line feed, a line feed by a NUL, and lines by blank ones.
        full = np.array(
            [bool(data[a:b].strip(_BLANK)) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)], bool
        )
        starts, ends = starts[full], np.minimum(ends[full], starts[full] + self._bytes_max + 1)
        return Frames(data, starts, ends) if len(starts) else None


def _appended(first: Frames | None, second: Frames) -> Frames:
    return second if first is None else join_frames([first, second])
