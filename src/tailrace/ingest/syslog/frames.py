"""The bytes of a syslog connection to messages (RFC 6587), as they come.

Pure, and stateful: a `Framer` holds what one connection has begun to send.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tailrace.kernels.syslog.frames import scan_frames

# "4294967295 <": the longest that may stand in front of a message.
_COUNT_BYTES_MAX = 12

_ENDS = (b"\n", b"\0")


@dataclass(frozen=True, slots=True)
class Frames:
    """Messages, without what ended them: `data[starts[i]:ends[i]]`; none is empty.

    One of more than `bytes_max` bytes was cut one byte past that.
    """

    data: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)


class Framer:
    """Holds at most about `bytes_max` and one read. One per connection."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._begun = bytearray()
        self._wanted = 0
        """Bytes of `_begun` and what follows that are needed for its next frame; 0: up to an end."""
        self._skip = 0
        """Bytes to pass over: the rest of a counted message that was too long."""
        self._skip_line = False
        """Whether to pass over all up to an end: the rest of a line that was too long."""

    @property
    def begun_bytes(self) -> int:
        """How much of a message that is not complete is held."""
        return len(self._begun)

    def feed(self, data: bytes) -> Frames | None:
        """The messages that `data` completes; None where there is none."""
        if self._skip or self._skip_line:
            data = self._after_skipped(data)
        if not data:
            return None
        if self._begun:
            if not self._completes(data):
                self._begun += data
                return self._cut_if_long()
            data = bytes(self._begun) + data
            self._begun.clear()
        frames, rest = self._scan(data)
        self._begun += rest
        cut = self._cut_if_long()
        if cut is None:
            return frames if len(frames) else None
        return join_frames([frames, cut])

    def rest(self) -> bytes:
        """What is begun; it is then no longer held."""
        rest = bytes(self._begun)
        self._begun.clear()
        return rest

    def end(self) -> tuple[Frames | None, bytes]:
        """What a connection leaves: a last line that lacks its end, or a counted message that is cut."""
        rest = self.rest()
        if not rest:
            return None, b""
        if self._wanted:
            return None, rest
        frames, _ = self._scan(rest + b"\n")
        return (frames if len(frames) else None), b""

    def _scan(self, data: bytes) -> tuple[Frames, bytes]:
        # The shortest frame is a byte and its end.
        starts = np.empty(len(data) // 2 + 1, np.int64)
        ends = np.empty(len(data) // 2 + 1, np.int64)
        count, after, self._wanted = scan_frames(np.frombuffer(data, np.uint8), self._bytes_max, starts, ends)
        return Frames(data, starts[:count].copy(), ends[:count].copy()), data[after:]

    def _completes(self, data: bytes) -> bool:
        """Whether `_begun` and `data` hold a complete frame, or tell at last how it is framed."""
        size = len(self._begun) + len(data)
        if self._wanted:
            return size >= self._wanted
        return len(self._begun) <= _COUNT_BYTES_MAX or any(end in data for end in _ENDS)

    def _cut_if_long(self) -> Frames | None:
        """The beginning of a message that is longer than it may be; the rest of it will be passed over."""
        header = self._begun.index(b" ") + 1 if self._wanted else 0
        size = len(self._begun) - header
        if size <= self._bytes_max:
            return None
        kept = bytes(self._begun[header : header + self._bytes_max + 1])
        if self._wanted:
            self._skip = self._wanted - len(self._begun)
        else:
            self._skip_line = True
        self._begun.clear()
        self._wanted = 0
        return Frames(kept, np.zeros(1, np.int64), np.array([len(kept)]))

    def _after_skipped(self, data: bytes) -> bytes:
        if self._skip:
            count = min(self._skip, len(data))
            self._skip -= count
            return data[count:]
        places = [place for end in _ENDS if (place := data.find(end)) >= 0]
        if not places:
            return b""
        self._skip_line = False
        return data[min(places) + 1 :]


def join_frames(several: list[Frames]) -> Frames:
    """All messages, in order, over one piece of data."""
    if len(several) == 1:
        return several[0]
    bases = np.cumsum([0, *(len(frames.data) for frames in several[:-1])])
    return Frames(
        b"".join(frames.data for frames in several),
        np.concatenate([frames.starts + base for frames, base in zip(several, bases, strict=True)]),
        np.concatenate([frames.ends + base for frames, base in zip(several, bases, strict=True)]),
    )
