"""What of a Loki push is rejected, as dead letters that can be mended and replayed: pushes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Rejected
from tailrace.ingest.json_logs import REJECTED_MAX
from tailrace.ingest.loki.entry import BadEntry, json_entry, protobuf_entry
from tailrace.kernels.loki.entries import Offsets
from tailrace.kernels.loki.read import Ending, Entries, Form

Items = npt.NDArray[Any]
"""Rows of two: the index of a bad entry, or -1 for a whole stream, and the stream."""


@dataclass(frozen=True, slots=True)
class BadStreams:
    """`labels`, for each stream of the body: which of the different labels it has, or -1 without entries.

    `reasons` of those that are wrong, by that index. `strange` are the streams that are none.
    """

    labels: Offsets
    reasons: dict[int, str]
    strange: Items

    def indexes(self) -> Items:
        if not self.reasons:
            return self.strange
        return np.union1d(np.flatnonzero(np.isin(self.labels, list(self.reasons))), self.strange)

    def reason(self, stream: int) -> str:
        return self.reasons.get(int(self.labels[stream]), "the stream is not an object with an array of entries")


def rejected_of(
    body: bytes, form: Form, entries: Entries, bad_streams: BadStreams, limits: IngestSettings
) -> list[Rejected]:
    """In the order of the body; past REJECTED_MAX entries and streams the rest is one.

    The last ones are what lies behind errors in the syntax, as it came.
    """
    reader = _Reader(body, form, entries, bad_streams, limits)
    items = reader.items()
    rejected = [reader.told(index, stream) for index, stream in items[:REJECTED_MAX].tolist()]
    rest = items[REJECTED_MAX:]
    if len(rest):
        first = reader.number_of(*rest[0].tolist())
        reason = f"{len(rest):,} more entries or streams, from entry {first} on, are wrong"
        rejected.append(Rejected(first, reason, reader.raw_of(rest)))
    if form is Form.PROTOBUF:
        rejected += reader.broken_streams()
    if entries.ending is not Ending.COMPLETE:
        reason = "the body is cut off" if entries.ending is Ending.CUT_OFF else "not a push of Loki any more"
        reason += f", from byte {entries.end + 1} on; the rest is not read"
        rejected.append(Rejected(len(entries.places) + 1, reason, body[entries.end :]))
    return rejected


class _Reader:
    """One body, in one form."""

    def __init__(
        self, body: bytes, form: Form, entries: Entries, bad_streams: BadStreams, limits: IngestSettings
    ) -> None:
        self._body = body
        self._form = form
        self._entries = entries
        self._bad_streams = bad_streams
        self._limits = limits

    def items(self) -> Items:
        """The bad streams, and the bad entries of the others, in the order of the body."""
        streams = self._bad_streams.indexes()
        entries = self._entries.bad
        owners = self._entries.places[entries, 2]
        if len(streams):
            alone = ~np.isin(owners, streams)
            entries, owners = entries[alone], owners[alone]
        items = np.concatenate(
            [np.stack([np.full(len(streams), -1), streams], 1), np.stack([entries, owners], 1).astype(np.int64)]
        )
        return items[np.lexsort((items[:, 0], items[:, 1]))]

    def told(self, index: int, stream: int) -> Rejected:
        reason = self._bad_streams.reason(stream) if index < 0 else self._reason(index)
        return Rejected(self.number_of(index, stream), reason, self.raw_of(np.array([[index, stream]])))

    def number_of(self, index: int, stream: int) -> int:
        """The entry's, or that of the stream's first one."""
        return (index if index >= 0 else int(self._entries.streams[stream, 4])) + 1

    def raw_of(self, items: Items) -> bytes:
        """A push of these entries, each with its stream's labels, and of these whole streams."""
        # Whole streams with nothing between them are one run, and so are all entries of a stream.
        whole = items[:, 0] < 0
        ends = (~whole[1:] & (items[1:, 1] != items[:-1, 1])) | (whole[1:] != whole[:-1])
        ends |= whole[1:] & (items[1:, 1] != items[:-1, 1] + 1)
        runs = np.split(items, np.flatnonzero(ends) + 1)
        pushed = [self._streams(run) if run[0, 0] < 0 else self._part(run) for run in runs]
        return b'{"streams":[' + b",".join(pushed) + b"]}" if self._form is Form.JSON else b"".join(pushed)

    def broken_streams(self) -> list[Rejected]:
        """The rests of streams that are not read to their end."""
        streams = self._entries.streams
        is_good = ~np.isin(np.arange(len(streams)), self._bad_streams.indexes())
        rejected = []
        for index in np.flatnonzero((streams[:, 5] < streams[:, 1]) & is_good)[:REJECTED_MAX].tolist():
            _, end, _, _, _, reached = streams[index].tolist()
            reason = f"the stream is not protobuf from byte {reached + 1} of the body on"
            following = int(streams[index + 1, 4]) if index + 1 < len(streams) else len(self._entries.places)
            rejected.append(Rejected(following + 1, reason, self._body[reached:end]))
        return rejected

    def _reason(self, index: int) -> str:
        begin, end, _ = self._entries.places[index].tolist()
        read = json_entry if self._form is Form.JSON else protobuf_entry
        try:
            read(self._body[begin:end], self._limits)
        except BadEntry as error:
            return str(error)
        return "the entry is not understood"

    def _streams(self, run: Items) -> bytes:
        begin, end = self._entries.streams[run[0, 1], :2].tolist()
        last = int(self._entries.streams[run[-1, 1], 1])
        if self._form is Form.JSON:
            return self._body[begin:last]
        return _message(1, self._body[begin:end]) + self._body[end:last]

    def _part(self, run: Items) -> bytes:
        begin, end = self._entries.streams[run[0, 1], 2:4].tolist()
        labels = self._body[begin:end]
        # Entries with nothing between them are copied in one piece.
        cuts = np.flatnonzero(np.diff(run[:, 0]) > 1)
        firsts = self._entries.places[run[np.concatenate([[0], cuts + 1]), 0], :2].tolist()
        lasts = self._entries.places[run[np.concatenate([cuts, [len(run) - 1]]), 0], 1].tolist()
        if self._form is Form.JSON:
            raw = b",".join(self._body[first:last] for (first, _), last in zip(firsts, lasts, strict=True))
            return b'{"stream":' + labels + b',"values":[' + raw + b"]}"
        raw = b"".join(
            _message(2, self._body[first:end]) + self._body[end:last]
            for (first, end), last in zip(firsts, lasts, strict=True)
        )
        return _message(1, _message(1, labels) + raw)


def _message(number: int, content: bytes) -> bytes:
    """A field of protobuf with a length."""
    head = bytearray([number << 3 | 2])
    size = len(content)
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + content
