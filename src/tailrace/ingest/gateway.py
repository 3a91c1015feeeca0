"""The gateway: a body comes in, is decoded, and is answered once the log holds it for good.

    body ──decode──> events ──shape──> events for the stores ─┐
                └──> rejected lines ──────────────────────────┴──append (one transaction)──> answer

Decoding runs in a few threads (the decoders let go of the GIL); the event loop only waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from tailrace.broker.port import Log, Record
from tailrace.config import IngestSettings
from tailrace.errors import BadInput, SlowDown, UnsupportedMedia
from tailrace.ingest.compression import decompress
from tailrace.ingest.dead_letters import dead_letter_batch
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.decoders import decoder_of
from tailrace.ingest.gathering import Gathering, single_line
from tailrace.ingest.json_logs import decode_json_lines
from tailrace.ingest.receipt import Receipt
from tailrace.ingest.shape import Shape, Unshaped
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.claim import (
    CLAIM,
    KEY_CHARACTERS_MAX,
    ONLY_STORE,
    ROW_CLAIMS,
    STORES,
    has_only_documents_of,
    is_key,
    letter_claim,
    rejected_claim,
    request_claim,
    routed_claim,
)
from tailrace.model.clock import Clock
from tailrace.model.dead_letter import DEAD_LETTERS
from tailrace.ops.metrics import Metrics

JSON_LINES = "application/x-ndjson"
_JSON_TYPES = frozenset(
    {"", "application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain"}
    # What curl -d and careless clients send: the body decides.
    | {"application/x-www-form-urlencoded", "application/octet-stream"}
)

T = TypeVar("T")
D = TypeVar("D", bound=Decoded)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Headers of the records that are made of a body: of its events, and of its rejected lines."""

    events: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)


class Gateway:
    """Shared by all requests of a process."""

    def __init__(
        self, log: Log, *, settings: IngestSettings, clock: Clock, metrics: Metrics, shape: Shape | None = None
    ) -> None:
        self.limits = settings
        self._log = log
        self._shape = shape or Unshaped()
        self._clock = clock
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(settings.parse_threads, thread_name_prefix="decode")
        self._gathering = Gathering(self._append_lines)
        self._bytes_in_flight = 0
        self._lock = threading.Lock()

    @contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """Room for one body while it is received and worked on."""
        held = Reservation(self._claim)
        try:
            yield held
        finally:
            self._claim(-held.bytes)

    async def accept(
        self,
        body: bytes,
        *,
        content_type: str,
        content_encoding: str | None,
        source: str,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Decode and append. On return all of it is durable.

        A body with the key of an earlier one is answered like that, and left out by whoever reads the log.

        Raises `BadInput` when the body as a whole is wrong, `SlowDown` and `RetryLater` as the log does; then
        nothing of it was kept.
        """
        marks = _Marks() if idempotency_key is None else self._marks(idempotency_key)
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type != ARROW_STREAM and media_type not in _JSON_TYPES:
            raise UnsupportedMedia(
                f"content type {media_type!r} is not understood; "
                f"send application/json, {JSON_LINES} or {ARROW_STREAM}"
            )
        # A key is that of a record of its own: one with the events of others would leave those out as well.
        gathered = idempotency_key is None and media_type != ARROW_STREAM and not content_encoding
        if gathered and (line := single_line(body)) is not None:
            return await self._gathering.accept(line, source)
        decoded = await self._append(
            lambda now_us: self._decode_body(body, media_type, content_encoding, now_us),
            media_type,
            lambda line: (source, line),
            marks,
        )
        return Receipt(decoded.events.num_rows, decoded.rejected)

    async def append(
        self,
        decode: Callable[[int], D],
        *,
        content_type: str,
        source: str,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> D:
        """Decode in a thread, with the time in microseconds, and append. On return all of it is durable.

        `content_type` is how the raw bytes of a rejected line are read when it is replayed, `source` where they came
        from; `headers` are given to the records of the events. Raises as `accept`, and what `decode` raises.
        """
        marks = _Marks() if idempotency_key is None else self._marks(idempotency_key)
        marks = _Marks({**(headers or {}), **marks.events}, marks.rejected)
        return await self._append(decode, content_type, lambda line: (source, line), marks)

    async def replay(self, raw: bytes, *, content_type: str, letter_id: str, only_store: str | None) -> Receipt:
        """Decode the bytes of a dead letter, mended or not, and append their events.

        `only_store` names the store that had refused the event; the others have it. When a line is still wrong
        nothing is appended: the receipt names it, and the letter stays.
        """
        decode = decoder_of(content_type)
        decoded = await self._in_thread(lambda: decode(raw, limits=self.limits, now_us=self._clock()))
        if decoded.rejected or not decoded.events.num_rows:
            return Receipt(0, decoded.rejected)
        headers = {CLAIM: letter_claim(letter_id)} | ({} if only_store is None else {ONLY_STORE: only_store})
        # What a store had refused has been shaped before.
        shape = self._shape if only_store is None else Unshaped()
        await self._durable(await self._in_thread(lambda: _event_records(shape, decoded.events, headers)))
        return Receipt(decoded.events.num_rows, [])

    def close(self) -> None:
        """Waits for the bodies being decoded."""
        self._threads.shutdown()

    async def _append_lines(self, lines: Sequence[bytes], sources: Sequence[str]) -> list[Rejected]:
        decoded = await self._append(
            lambda now_us: decode_json_lines(b"\n".join(lines), limits=self.limits, now_us=now_us),
            JSON_LINES,
            lambda line: (sources[line - 1], 1),
            _Marks(),
        )
        return decoded.rejected

    def _marks(self, key: str) -> _Marks:
        if not is_key(key):
            raise BadInput(f"Idempotency-Key has to be 1 to {KEY_CHARACTERS_MAX} printable characters of ASCII")
        now_us = self._clock()
        return _Marks({CLAIM: request_claim(key, now_us)}, {CLAIM: rejected_claim(key, now_us)})

    async def _append(
        self,
        decode: Callable[[int], D],
        content_type: str,
        place_of: Callable[[int], tuple[str, int]],
        marks: _Marks,
    ) -> D:
        """`place_of` tells the source of a rejected line, and its number there."""

        def work() -> tuple[D, list[Record]]:
            decoded = decode(self._clock())
            records = _event_records(self._shape, decoded.events, marks.events)
            if decoded.rejected:
                letters = self._dead_letters(decoded.rejected, content_type, place_of)
                records.append(Record(DEAD_LETTERS, encode_batch(letters), 0, marks.rejected))
            return decoded, records

        decoded, records = await self._in_thread(work)
        await self._durable(records)
        self._metrics.events_rejected.inc(len(decoded.rejected))
        return decoded

    async def _durable(self, records: Sequence[Record]) -> None:
        if records:
            started = time.perf_counter()
            await asyncio.wrap_future(self._log.append(records))
            self._metrics.append_seconds.observe(time.perf_counter() - started)
            self._metrics.events_accepted.inc(sum(record.rows for record in records))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _dead_letters(
        self, rejected: Sequence[Rejected], content_type: str, place_of: Callable[[int], tuple[str, int]]
    ) -> pa.RecordBatch:
        by_source: dict[str, list[Rejected]] = {}
        for each in rejected:
            source, line = place_of(each.line)
            by_source.setdefault(source, []).append(Rejected(line, each.reason, each.raw))
        now_us = self._clock()
        letters = pa.concat_batches(
            [
                dead_letter_batch(lines, source=source, content_type=content_type, now_us=now_us)
                for source, lines in by_source.items()
            ]
        )
        return self._shape.redact_letters(letters)

    def _decode_body(self, body: bytes, media_type: str, content_encoding: str | None, now_us: int) -> Decoded:
        plain = decompress(body, content_encoding, bytes_max=self.limits.body_bytes_max)
        return decoder_of(media_type)(plain, limits=self.limits, now_us=now_us)

    def _claim(self, count: int) -> None:
        with self._lock:
            total = self._bytes_in_flight + count
            if count > 0 and total > self.limits.body_bytes_in_flight_max:
                raise SlowDown(
                    f"{self._bytes_in_flight:,} bytes of requests are being worked on already "
                    "(ingest.body_bytes_in_flight_max); send again in a moment"
                )
            self._bytes_in_flight = total
            self._metrics.ingest_bytes_in_flight.set(total)


def _event_records(shape: Shape, events: pa.RecordBatch, headers: Mapping[str, str]) -> list[Record]:
    """A record for each group of stores that events were routed to, by default one for all."""
    records = []
    for shaped in shape.apply(events) if events.num_rows else ():
        rows = shaped.events.num_rows
        if rows:
            marks = headers if shaped.stores is None else _routed(headers, shaped.stores)
            if ROW_CLAIMS in marks and not has_only_documents_of(shaped.events, events):
                marks = {name: value for name, value in marks.items() if name != ROW_CLAIMS}
            records.append(Record(ARROW_STREAM, encode_batch(shaped.events), rows, marks))
    return records


def _routed(headers: Mapping[str, str], stores: frozenset[str]) -> Mapping[str, str]:
    names = ",".join(sorted(stores))
    claim = {CLAIM: routed_claim(headers[CLAIM], names)} if CLAIM in headers else {}
    return {**headers, **claim, STORES: names}


class Reservation:
    """The part of the gateway's memory bound that one body holds."""

    def __init__(self, claim: Callable[[int], None]) -> None:
        self._claim = claim
        self.bytes = 0

    def add(self, count: int) -> None:
        """Raises `SlowDown` when all bodies together would pass `ingest.body_bytes_in_flight_max`."""
        self._claim(count)
        self.bytes += count
