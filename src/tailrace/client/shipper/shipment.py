"""One body's worth of what was read of several files, and its way to the server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from tailrace.client.send_post import NDJSON, Poster, Receipt
from tailrace.client.shipper.reading import Read
from tailrace.model.batch import ARROW_STREAM, encode_batch


@dataclass(frozen=True, slots=True)
class Body:
    """`key`: its Idempotency-Key."""

    payload: bytes
    content_type: str
    key: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """`key` is what the journal knows it by; each of its bodies has one of its own, made of it."""

    key: str
    bodies: tuple[Body, ...]
    name: str
    read_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a shipment; `error` None: all of it is durable."""

    shipment: Shipment
    receipts: tuple[Receipt, ...]
    error: Exception | None = None


def make_shipment(key: str, reads: Iterable[Read], *, name: str, read_bytes: int) -> Shipment:
    """The columns of all files as one body, their JSON lines as another, and the lines that are too long, which the
    server keeps as dead letters, as a third.
    """
    reads = list(reads)
    bodies = []
    events = [read.events for read in reads if read.events.num_rows]
    if events:
        bodies.append(Body(encode_batch(_joined(events)), ARROW_STREAM, f"{key}-events"))
    if lines := b"".join(read.json for read in reads):
        bodies.append(Body(lines, NDJSON, f"{key}-json"))
    if refused := b"".join(line + b"\n" for read in reads for line in read.refused):
        bodies.append(Body(refused, NDJSON, f"{key}-refused"))
    return Shipment(key, tuple(bodies), name, read_bytes)


def _joined(events: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(events) == 1:
        return events[0]
    table = pa.concat_tables([pa.Table.from_batches([each]) for each in events], promote_options="default")
    return table.combine_chunks().to_batches()[0]


class Sender:
    """Posts shipments in their order, in a thread of its own. At most one waits while one is being sent."""

    def __init__(self, poster: Poster, wake: threading.Event) -> None:
        """`wake` is set when a shipment has come to its end."""
        self._poster = poster
        self._wake = wake
        self._waiting: queue.Queue[Shipment | None] = queue.Queue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._under_way = 0
        # A daemon: at the end it may still wait for an answer, which the next start gets.
        self._thread = threading.Thread(target=self._run, name="post", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        return self._under_way < 2

    @property
    def busy(self) -> bool:
        return self._under_way > 0

    def send(self, shipment: Shipment) -> None:
        self._under_way += 1
        self._waiting.put(shipment)

    def outcomes(self, each: Callable[[Outcome], None]) -> None:
        """Tell of those that have come to their end, in their order."""
        while not self._outcomes.empty():
            outcome = self._outcomes.get()
            self._under_way -= 1
            each(outcome)

    def end(self, timeout_s: float) -> None:
        """Wait for what is under way, but not for longer."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (shipment := self._waiting.get()) is not None:
            receipts: list[Receipt] = []
            error: Exception | None = None
            try:
                receipts.extend(
                    self._poster.post(body.payload, body.content_type, key=body.key) for body in shipment.bodies
                )
            except Exception as raised:
                error = raised
            self._outcomes.put(Outcome(shipment, tuple(receipts), error))
            self._wake.set()
            if error is not None:
                # What follows must not arrive before this.
                return
