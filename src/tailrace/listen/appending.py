"""What comes in over many connections, appended together.

Each append costs a record of the log and waits for the disk. What waits while one is under way goes together into the
next, whoever sent it: ten thousand senders of a message each are one append.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import RetryLater, SlowDown
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.syslog.frames import Frames, join_frames
from tailrace.model.batch import EVENT_SCHEMA, empty_batch
from tailrace.ops.metrics import Metrics

WAITING_BYTES_MAX = 32 << 20
"""What one listener holds for the log: some seconds of what one sends that is fast. Past it TCP is no longer read
from, and datagrams are dropped and counted."""

# One append. Larger ones win nothing, and whoever waits behind one waits for longer.
_APPEND_BYTES = 4 << 20
_APPEND_FRAMES = 32_768

# Two places and a sender for each message.
_FRAME_BYTES = 24

# Letters of so many senders at once: each is an append.
_LETTERS_AT_ONCE = 64

log = logging.getLogger(__name__)

Integers = npt.NDArray[np.int64]
DecodeFrames = Callable[[Frames, int], Decoded]
"""Takes messages and the time in microseconds. `Rejected.line` is the number of a message."""


class Sender(Protocol):
    """Who is told that what it has sent is appended."""

    def appended(self, size_bytes: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Received:
    """Messages, and who sent each: `peers[peer_of[i]]`."""

    frames: Frames
    peers: Sequence[str]
    peer_of: Integers
    sender: Sender | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.frames.data) + _FRAME_BYTES * len(self.frames)


class Appender:
    """One listener's way to the log. Used on the event loop, but for `reserve`."""

    def __init__(
        self,
        gateway: Gateway,
        decode: DecodeFrames,
        *,
        name: str,
        content_type: str,
        metrics: Metrics,
        on_room: Callable[[], None] | None = None,
    ) -> None:
        """`name` is the listener's; `on_room` is called when less than half of WAITING_BYTES_MAX waits again."""
        self._gateway = gateway
        self._decode = decode
        self._label = name.replace("_", " ")
        self._lost = metrics.listener_dropped.labels(name, "error")
        self._content_type = content_type
        self._on_room = on_room
        self._waiting: deque[Received] = deque()
        self._letters: deque[tuple[str, Rejected]] = deque()
        self._reserved_bytes = 0
        self._messages = 0
        self._lock = threading.Lock()
        self._task: asyncio.Task[None] | None = None

    def reserve(self, size_bytes: int) -> bool:
        """Room for what is added next; False when there is none, and nothing is reserved. From any thread."""
        with self._lock:
            if self._reserved_bytes + size_bytes > WAITING_BYTES_MAX:
                return False
            self._reserved_bytes += size_bytes
            return True

    @property
    def full(self) -> bool:
        return self._reserved_bytes >= WAITING_BYTES_MAX

    def add(self, received: Received, *, reserved: bool = False) -> None:
        """To be appended. Without a reservation it is taken past the bound: its sender is then not read from."""
        if not reserved:
            self._reserve(received.size_bytes)
        self._waiting.append(received)
        self._messages += len(received.frames)
        self._work()

    def add_letter(self, peer: str, rejected: Rejected) -> None:
        """A message that cannot be decoded, to be a dead letter."""
        self._reserve(len(rejected.raw))
        self._letters.append((peer, rejected))
        self._work()

    async def drained(self) -> None:
        """Until all that was added is durable. Its bound is the caller's."""
        while self._task is not None:
            await asyncio.shield(self._task)

    def close(self) -> None:
        """Give up what is still waiting."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            log.warning(
                "%s: %d messages were read and could not be appended before the end",
                self._label,
                self._messages + len(self._letters),
            )

    def _reserve(self, size_bytes: int) -> None:
        with self._lock:
            self._reserved_bytes += size_bytes

    def _release(self, size_bytes: int) -> None:
        with self._lock:
            before = self._reserved_bytes
            self._reserved_bytes -= size_bytes
        half = WAITING_BYTES_MAX // 2
        if self._on_room is not None and before >= half > self._reserved_bytes:
            self._on_room()

    def _work(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._append_waiting())

    async def _append_waiting(self) -> None:
        try:
            while self._waiting or self._letters:
                taken = self._take()
                if taken:
                    for peer, rejected in await self._append(taken):
                        self._reserve(len(rejected.raw))
                        self._letters.append((peer, rejected))
                    for received in taken:
                        self._messages -= len(received.frames)
                        self._release(received.size_bytes)
                        if received.sender is not None:
                            received.sender.appended(received.size_bytes)
                if self._letters:
                    await self._append_letters()
        finally:
            self._task = None

    def _take(self) -> list[Received]:
        taken: list[Received] = []
        size = frames = 0
        while self._waiting and size < _APPEND_BYTES and frames < _APPEND_FRAMES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1].frames.data)
            frames += len(taken[-1].frames)
        return taken

    async def _append(self, taken: list[Received]) -> list[tuple[str, Rejected]]:
        """Returns the messages that are no events, with their senders: their letters are appended by sender."""
        letters: list[tuple[str, Rejected]] = []

        def decode(now_us: int) -> Decoded:
            received = _join(taken)
            decoded = self._decode(received.frames, now_us)
            # The same again after an error.
            letters.clear()
            for each in decoded.rejected:
                peer = received.peers[received.peer_of[each.line - 1]]
                letters.append((peer, Rejected(1, each.reason, each.raw)))
            return Decoded(_with_hosts(decoded, received))

        if not await self._durable(decode, self._label):
            self._lost.inc(sum(len(received.frames) for received in taken))
        return letters

    async def _append_letters(self) -> None:
        by_peer: dict[str, list[Rejected]] = {}
        while self._letters and (len(by_peer) < _LETTERS_AT_ONCE or self._letters[0][0] in by_peer):
            peer, rejected = self._letters.popleft()
            by_peer.setdefault(peer, []).append(rejected)

        async def append(peer: str, several: list[Rejected]) -> None:
            numbered = [Rejected(line, each.reason, each.raw) for line, each in enumerate(several, start=1)]
            letters = Decoded(empty_batch(EVENT_SCHEMA), numbered)
            if not await self._durable(lambda _: letters, f"{self._label} from {peer}"):
                self._lost.inc(len(numbered))
            self._release(sum(len(each.raw) for each in several))

        await asyncio.gather(*(append(peer, several) for peer, several in by_peer.items()))

    async def _durable(self, decode: Callable[[int], Decoded], source: str) -> bool:
        """Until it is: nobody can be told to send again. False when it cannot be, for an error of ours."""
        while True:
            try:
                await self._gateway.append(decode, content_type=self._content_type, source=source)
                return True
            except (SlowDown, RetryLater) as error:
                log.warning("%s waits: %s", self._label, error)
                await asyncio.sleep(error.retry_after_s)
            except Exception:
                # Its messages are lost, and the next ones must not be.
                log.exception("%s: messages could not be decoded, and are lost", self._label)
                return False


def _join(several: list[Received]) -> Received:
    if len(several) == 1:
        return several[0]
    peers: list[str] = []
    peer_of: list[Integers] = []
    for received in several:
        peer_of.append(received.peer_of + len(peers))
        peers += received.peers
    return Received(join_frames([received.frames for received in several]), peers, np.concatenate(peer_of))


def _with_hosts(decoded: Decoded, received: Received) -> pa.RecordBatch:
    """Events that tell no host are given the address of their sender."""
    events = decoded.events
    hosts = events.column("host")
    if hosts.null_count == 0 or events.num_rows + len(decoded.rejected) != len(received.frames):
        return events
    rejected = np.array([each.line - 1 for each in decoded.rejected], np.int64)
    senders = pa.array(received.peers, pa.string()).take(pa.array(np.delete(received.peer_of, rejected)))
    place = EVENT_SCHEMA.get_field_index("host")
    return events.set_column(place, EVENT_SCHEMA.field("host"), pc.coalesce(hosts, senders))
