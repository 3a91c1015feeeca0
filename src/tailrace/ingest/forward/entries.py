"""Entries of Fluent's forward protocol to events.

    MessagePack ──kernel──> JSON lines, and the places it left out ──plain Python──> JSON lines ──> `decode_json`

A line an entry, so that the number of a rejected line is that of its entry. It is done in pieces of some megabytes,
so that a message of many small entries under a long tag does not need many times its size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.forward.slow import float_texts, slow_line
from tailrace.ingest.json_lines import JsonLines
from tailrace.kernels.json_text import view_of
from tailrace.kernels.msgpack.lines import (
    BROKEN,
    ENTRY_BYTES,
    FLOAT_BYTES,
    FULL,
    GROWTH_MAX,
    write_entries,
    write_floats,
    write_messages,
)
from tailrace.kernels.simd import WIDTH

TAG_BYTES_MAX = 1024
"""A tag is repeated in each event of its message; a longer one would make a small message a large one."""

JSON_GROWTH_MAX = 8
"""Bytes of JSON lines for each byte a body may have; past it the message is refused as too large."""

BROKEN_BYTES_MAX = 65_536
"""So much is kept of a message that cannot be read: enough to see what it is."""

# The kernel's buffers: lines of a piece, and what it leaves out of it.
_PIECE_BYTES = 8 << 20
_OTHERS_MAX = 16_384

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

# An array of two: what an entry is of a message's time and record.
_ENTRY = b"\x92"


class EntryReader:
    """The events of one body, message by message. Entries are numbered from 1 on, through all messages."""

    def __init__(self, limits: IngestSettings, now_us: int) -> None:
        self._limits = limits
        self._lines = JsonLines(limits, now_us)
        self._json_bytes = 0
        self._piece: _Piece | None = None
        # Lines are decoded many at a time: a message may have one entry.
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pending_entries = 0
        self._pending_rejected: list[Rejected] = []

    def decoded(self) -> Decoded:
        self._decode()
        return self._lines.decoded()

    def reject(self, reason: str, raw: bytes) -> None:
        """One more entry, which is none."""
        if len(raw) > BROKEN_BYTES_MAX:
            reason = f"{reason}; the first {BROKEN_BYTES_MAX:,} of its {len(raw):,} bytes are kept"
        self._pending_entries += 1
        self._pending.append(b"\n")
        self._pending_rejected.append(Rejected(self._pending_entries, reason, raw[:BROKEN_BYTES_MAX]))

    def read_entries(self, d: Bytes, begin: int, end: int, tag: bytes) -> None:
        """All of `d[begin:end]`, entries one behind the other. What is not MessagePack ends it, and is rejected."""
        tags = np.frombuffer(tag, np.uint8)
        piece = self._piece_for(end - begin)
        while begin < end:
            ending, begin, *counts = write_entries(
                d, begin, end, tags, 0, len(tag), piece.lines, self._limits.line_bytes_max, piece.others, piece.stack,
                piece.float_places, piece.float_values,
            )  # fmt: skip
            self._add(d, piece, _Counts(*counts), tags, b"")
            if ending == BROKEN:
                self.reject(f"not MessagePack at byte {begin + 1} of the entries", d[begin:end].tobytes())
                return

    def read_messages(self, d: Bytes, begin: int, end: int) -> int:
        """The simple messages `[tag, time, record]` at `begin`; returns where something else starts."""
        piece = self._piece_for(end - begin)
        while begin < end:
            ending, begin, *counts = write_messages(
                d, begin, end, piece.lines, self._limits.line_bytes_max, piece.others, piece.stack,
                piece.float_places, piece.float_values,
            )  # fmt: skip
            self._add(d, piece, _Counts(*counts), d, _ENTRY)
            if ending != FULL:
                break
        return int(begin)

    def _add(self, d: Bytes, piece: _Piece, counts: _Counts, tags: Bytes, prefix: bytes) -> None:
        if not counts.entries:
            return
        piece.put_floats(counts.floats)
        lines = piece.lines[: counts.line_bytes].tobytes()
        if counts.left_out:
            lines = self._with_slow_lines(d, lines, piece.others[: counts.left_out], tags, prefix)
        self._json_bytes += len(lines)
        bytes_max = JSON_GROWTH_MAX * self._limits.body_bytes_max
        if self._json_bytes > bytes_max:
            raise TooLarge(
                f"the message's events are larger than {bytes_max:,} bytes as JSON, {JSON_GROWTH_MAX} times "
                "ingest.body_bytes_max; send smaller chunks"
            )
        self._pending.append(lines)
        self._pending_bytes += len(lines)
        self._pending_entries += counts.entries
        if self._pending_bytes > _PIECE_BYTES:
            self._decode()

    def _decode(self) -> None:
        if not self._pending:
            return
        self._lines.add_lines(b"".join(self._pending), self._pending_entries, self._pending_rejected)
        self._pending, self._pending_rejected = [], []
        self._pending_bytes = self._pending_entries = 0

    def _piece_for(self, size: int) -> _Piece:
        if self._piece is None or self._piece.size < min(size, _PIECE_BYTES):
            self._piece = _Piece(size, self._limits)
        return self._piece

    def _with_slow_lines(self, d: Bytes, lines: bytes, others: Integers, tags: Bytes, prefix: bytes) -> bytes:
        """The lines with those of the entries that the kernel left out in their places; empty ones for no entries."""
        pieces: list[bytes] = []
        written = 0
        for begin, end, place, number, tag, tag_end in others.tolist():
            pieces.append(lines[written:place])
            written = place
            entry = prefix + d[begin:end].tobytes()
            try:
                if len(entry) > self._limits.line_bytes_max:
                    raise ValueError(
                        f"{len(entry):,} bytes are more than {self._limits.line_bytes_max:,} (ingest.line_bytes_max)"
                    )
                depth_max = self._limits.nesting_max + 1
                pieces.append(slow_line(entry, tags[tag:tag_end].tobytes(), depth_max=depth_max))
            except ValueError as error:
                self._pending_rejected.append(Rejected(self._pending_entries + number + 1, str(error), entry))
            pieces.append(b"\n")
        pieces.append(lines[written:])
        return b"".join(pieces)


class _Counts(NamedTuple):
    """What the kernel did."""

    line_bytes: int
    entries: int
    left_out: int
    floats: int


class _Piece:
    """The kernel's buffers, for as many bytes of entries as are left. What is not written to is never touched."""

    def __init__(self, size: int, limits: IngestSettings) -> None:
        self.size = size
        largest = GROWTH_MAX * (limits.line_bytes_max + TAG_BYTES_MAX) + ENTRY_BYTES + WIDTH
        # Entries of this body at the least of their sizes, or what every piece may have.
        entries_max = min(size, _OTHERS_MAX)
        lines_bytes = min(_PIECE_BYTES, (GROWTH_MAX + ENTRY_BYTES) * size) + largest
        self.lines = np.empty(lines_bytes, np.uint8)
        self.others = np.empty((entries_max + 1, 6), np.int64)
        self.stack = np.empty((limits.nesting_max + 1, 2), np.int64)
        floats_max = (lines_bytes // FLOAT_BYTES) + limits.line_bytes_max // 5
        self.float_places = np.empty(floats_max, np.int64)
        self.float_values = np.empty(floats_max, np.float64)

    def put_floats(self, count: int) -> None:
        if count:
            texts = float_texts(self.float_values[:count])
            _, offsets, digits = texts.buffers()
            starts, texts_bytes = view_of(offsets, np.int32), view_of(digits, np.uint8)
            write_floats(self.lines, self.float_places, count, starts, texts_bytes)
