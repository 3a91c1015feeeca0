"""The body of a journal's upload, which may never end, to whole entries.

What has come of an entry is held, up to `entry_bytes_max`; of a larger one the start is kept, to be rejected, and
the rest is passed over as it comes.
"""

from __future__ import annotations

from tailrace.errors import BadInput
from tailrace.ingest.decoded import Rejected
from tailrace.ingest.journald.decode import LENGTH_BYTES

NAME_BYTES_MAX = 64
"""Of a field, by the format."""

_NAME_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

# Of an entry that is too large so much is kept to look at.
_KEPT_BYTES = 65_536


class JournalFramer:
    """Fed with parts of a body, in order."""

    def __init__(self, entry_bytes_max: int) -> None:
        self._entry_bytes_max = entry_bytes_max
        self._buffer = bytearray()
        self._place = 0  # of the field that is read, in the buffer
        self._skip_bytes = 0  # to come, of a field that is passed over
        self._skip_line = False  # likewise, up to the end of the line
        self._kept = b""  # the start of an entry that is too large
        self._broken: BadInput | None = None
        self._number = 0
        self._rejected: list[Rejected] = []

    @property
    def broken(self) -> BadInput | None:
        """Why nothing more can be read."""
        return self._broken

    @property
    def held_bytes(self) -> int:
        return len(self._buffer)

    def take_rejected(self) -> list[Rejected]:
        """The entries since the last call that were too large or cut off; `line` is the number in the body."""
        rejected, self._rejected = self._rejected, []
        return rejected

    def feed(self, part: bytes) -> bytes:
        """The entries that are whole now; what comes after bytes that are not of the format is left out."""
        if self._broken is not None:
            return b""
        self._buffer += self._after_what_is_skipped(part)
        whole = bytearray()
        begin = end = 0
        try:
            while (end := self._field_end()) > 0:
                if end - self._place == 1:
                    if self._kept:
                        self._reject(
                            f"the entry has more than {self._entry_bytes_max:,} bytes (ingest.line_bytes_max)"
                        )
                    elif self._place > begin:
                        self._number += 1
                        whole += self._buffer[begin:end]
                    begin = end
                self._place = end
        except BadInput as error:
            self._broken = error
        del self._buffer[:begin]
        self._place -= begin
        if self._kept or len(self._buffer) > self._entry_bytes_max:
            self._pass_over(-end)
        return bytes(whole)

    def finish(self) -> bytes:
        """At the body's end: its last entry, which may lack the blank line. One that is cut off is rejected."""
        held = self._kept or bytes(self._buffer[:_KEPT_BYTES])
        whole = self.feed(b"\n\n")
        if self._kept or self._buffer:
            self._kept = held
            self._reject("the entry is cut off")
            self._buffer.clear()
        return whole

    def _after_what_is_skipped(self, part: bytes) -> bytes:
        if self._skip_line:
            end = part.find(b"\n")
            self._skip_line = end < 0
            return b"" if end < 0 else part[end + 1 :]
        passed = min(self._skip_bytes, len(part))
        self._skip_bytes -= passed
        return part[passed:]

    def _field_end(self) -> int:
        """Where the field at the place ends, its line feed included.

        0: nobody knows yet; -N: N bytes of it are still to come.
        """
        line = self._buffer.find(b"\n", self._place)
        if line < 0:
            start = bytes(self._buffer[self._place : self._place + NAME_BYTES_MAX + 1])
            _check_name(start.partition(b"=")[0])
            return 0
        if line == self._place or self._buffer.find(b"=", self._place, line) >= 0:
            return line + 1
        _check_name(bytes(self._buffer[self._place : min(line, self._place + NAME_BYTES_MAX + 1)]))
        data = line + 1 + LENGTH_BYTES
        if len(self._buffer) < data:
            return 0
        end = data + int.from_bytes(self._buffer[line + 1 : data], "little") + 1
        if len(self._buffer) < end:
            return len(self._buffer) - end
        if self._buffer[end - 1] != 0x0A:
            raise BadInput("not the Journal Export Format: there is no line feed behind a field's bytes")
        return end

    def _pass_over(self, to_come: int) -> None:
        """Let go of what is held of an entry that is too large, but for the start of a field of unknown length."""
        self._kept = self._kept or bytes(self._buffer[:_KEPT_BYTES])
        in_text = self._buffer.find(b"=", self._place, self._place + NAME_BYTES_MAX + 1) >= 0
        if to_come > 0:
            self._skip_bytes = to_come
            self._place = len(self._buffer)
        elif in_text and self._buffer.find(b"\n", self._place) < 0:
            self._skip_line = True
            self._place = len(self._buffer)
        del self._buffer[: self._place]
        self._place = 0

    def _reject(self, reason: str) -> None:
        self._number += 1
        self._rejected.append(
            Rejected(self._number, f"{reason}; its first {len(self._kept):,} bytes are kept", self._kept)
        )
        self._kept = b""


def _check_name(name: bytes) -> None:
    """What is no name is not looked at as a field with any bytes, whose length would be whatever comes."""
    if len(name) > NAME_BYTES_MAX or not _NAME_BYTES.issuperset(name):
        raise BadInput(f"not the Journal Export Format: {name[:NAME_BYTES_MAX]!r} is not the name of a field")
