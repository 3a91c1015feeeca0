"""`tailrace send --follow`: the loop that reads followed files and sends what is written to them, once.

    look around (each second) ──> files ──read──> shipment ──journal: sending──> POST ──acknowledged──> journal: sent

While one shipment is being sent, the next is read and decoded; no more than these two are in memory, however long the
server is away and however much is written meanwhile: the files are the buffer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import click

from tailrace.client.progress import TransferProgress
from tailrace.client.send_post import Poster
from tailrace.client.send_source import CHUNK_BYTES
from tailrace.client.send_stream import Tally
from tailrace.client.shipper.finding import Patterns, text_of
from tailrace.client.shipper.fleet import Fleet
from tailrace.client.shipper.followed import PIECE_LINES_MAX
from tailrace.client.shipper.positions import Piece, Positions
from tailrace.client.shipper.reading import Read, ShipReading
from tailrace.client.shipper.shipment import Outcome, Sender, make_shipment
from tailrace.model.clock import system_clock_us

_LOOK_INTERVAL_S = 0.25
_FLUSH_INTERVAL_S = 1.0

# Looking around may take so much of the time: a tree of a hundred thousand files is looked at less often.
_LOOK_SHARE_MAX = 0.05

# To begin a file takes some milliseconds; with thousands of them, the folders and the end must not wait for all.
_PIECES_MAX = 256

# What is under way at the end may still be acknowledged; a service manager waits ten seconds or more.
_END_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed and how. `rescan_s`: how often the patterns are looked through for new files."""

    patterns: Patterns
    reading: ShipReading
    rescan_s: float
    from_end: bool


class Shipper:
    """Runs in the calling thread."""

    def __init__(
        self,
        following: Following,
        positions: Positions,
        *,
        poster: Poster,
        give_up: threading.Event,
        progress: TransferProgress,
        tally: Tally,
    ) -> None:
        """`give_up` ends the poster's waiting for a server that is away."""
        self._following = following
        self._positions = positions
        self._give_up = give_up
        self._progress = progress
        self._tally = tally
        self._stopping = False
        self._fleet = Fleet(
            following.patterns, following.reading, positions, from_end=following.from_end, say=progress.say
        )
        self._news = threading.Event()
        self._sender = Sender(poster, self._news)
        self._error: Exception | None = None

    @property
    def files(self) -> int:
        """How many are followed."""
        return len(self._fleet)

    @property
    def lost_bytes(self) -> int:
        """What was gone before it was read, as far as that can be known."""
        return self._fleet.lost_bytes

    @property
    def unsent_bytes(self) -> int:
        """What the files have beyond what was acknowledged; the next start sends it."""
        return self._fleet.unread_bytes + sum(
            piece.end - piece.start for pieces in self._positions.unfinished.values() for piece in pieces
        )

    def stop(self) -> None:
        """End soon. May be called by a signal handler: it takes no lock."""
        self._stopping = True

    def run(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Until `stop`; then what is under way is waited for, and what is not acknowledged is left to the next start.

        Raises `click.ClickException` when the server refuses what it is sent, and `OSError` when the positions
        cannot be kept.
        """
        self._fleet.resume(clock_s())
        self._send_again()
        next_look_s = flushed_s = -1.0
        while not self._stopping and self._error is None:
            now_s = clock_s()
            if now_s >= next_look_s:
                self._fleet.look_around(now_s)
                took_s = clock_s() - now_s
                next_look_s = now_s + max(self._following.rescan_s, took_s / _LOOK_SHARE_MAX)
            if now_s - flushed_s >= _FLUSH_INTERVAL_S:
                self._positions.flush()
                flushed_s = now_s
            if not (self._sender.has_room and self._send_next(now_s)):
                self._news.wait(_LOOK_INTERVAL_S)
                self._news.clear()
            self._sender.outcomes(self._note)
        self._end()

    def _send_again(self) -> None:
        """What was under way when the last process died: the same bytes under the same keys."""
        for key, pieces in list(self._positions.unfinished.items()):
            reads: list[Read] = []
            for piece in pieces:
                read = self._fleet.read_again(piece, now_us=system_clock_us())
                if read is None:
                    self._fleet.lost_bytes += piece.end - piece.start
                    known = self._positions.files.get(piece.id)
                    self._progress.say(
                        f"{known.path if known else 'a file'} is gone: {piece.end - piece.start:,} bytes that were "
                        "being sent when the last run ended cannot be sent again"
                    )
                else:
                    reads.append(read)
            size = sum(piece.end - piece.start for piece in pieces)
            self._sender.send(make_shipment(key, reads, name="the last run's rest", read_bytes=size))

    def _send_next(self, now_s: float) -> bool:
        """Read what there is, up to a shipment's size, and give it to the sender; whether there was anything."""
        pieces: list[Piece] = []
        reads: list[Read] = []
        size, rows, name = 0, 0, ""
        for file, start, read in self._fleet.read(CHUNK_BYTES, now_s=now_s, now_us=system_clock_us()):
            pieces.append(Piece(file.state.id, start, start + read.end))
            reads.append(read)
            size += read.end
            name = name or text_of(file.path)
            rows += read.events.num_rows
            if size >= CHUNK_BYTES // 2 or rows >= PIECE_LINES_MAX or len(pieces) >= _PIECES_MAX:
                break
        if not pieces:
            return False
        key = self._positions.begin(pieces)
        self._sender.send(make_shipment(key, reads, name=name, read_bytes=size))
        return True

    def _note(self, outcome: Outcome) -> None:
        rows = 0
        for receipt in outcome.receipts:
            self._tally.add(receipt, outcome.shipment.name, None)
            rows += receipt.accepted
            if receipt.rejected:
                reason = f", the first: {receipt.errors[0][1]}" if receipt.errors else ""
                self._progress.say(f"{outcome.shipment.name}: {receipt.rejected} lines were rejected{reason}")
        if outcome.error is None:
            self._positions.finish(outcome.shipment.key)
            self._progress.advance(lines=rows, read_bytes=outcome.shipment.read_bytes)
        else:
            self._error = outcome.error

    def _end(self) -> None:
        # A request under way gets its answer; one that would be sent again is left to the next start.
        self._give_up.set()
        self._sender.end(_END_WAIT_S)
        self._sender.outcomes(self._note)
        self._positions.flush()
        self._fleet.close()
        if self._error is not None and not isinstance(self._error, click.Abort):
            raise self._error
