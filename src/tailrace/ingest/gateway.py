"""The gateway: a body comes in, is decoded, and is answered once the log holds it for good.

    body ──decompress──> bytes ──decode──> events + rejected lines ──append (one transaction)──> receipt

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
from tailrace.ingest.arrow_logs import decode_arrow
from tailrace.ingest.compression import decompress
from tailrace.ingest.dead_letters import dead_letter_batch
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.gathering import Gathering, single_line
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.receipt import Receipt
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.claim import (
    CLAIM,
    KEY_CHARACTERS_MAX,
    ONLY_STORE,
    is_key,
    letter_claim,
    rejected_claim,
    request_claim,
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


@dataclass(frozen=True, slots=True)
class _Marks:
    """Headers of the records that are made of a body: of its events, and of its rejected lines."""

    events: Mapping[str, str] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)


class Gateway:
    """Shared by all requests of a process."""

    def __init__(self, log: Log, *, settings: IngestSettings, clock: Clock, metrics: Metrics) -> None:
        self._log = log
        self._settings = settings
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
        return await self._append(
            lambda: self._decode_body(body, media_type, content_encoding),
            media_type,
            lambda line: (source, line),
            marks,
        )

    async def replay(self, raw: bytes, *, content_type: str, letter_id: str, only_store: str | None) -> Receipt:
        """Decode the bytes of a dead letter, mended or not, and append their events.

        `only_store` names the store that had refused the event; the others have it. When a line is still wrong
        nothing is appended: the receipt names it, and the letter stays.
        """
        decoded = await self._in_thread(lambda: self._decode(raw, content_type))
        if decoded.rejected or not decoded.events.num_rows:
            return Receipt(0, decoded.rejected)
        payload = await self._in_thread(lambda: encode_batch(decoded.events))
        headers = {CLAIM: letter_claim(letter_id)} | ({} if only_store is None else {ONLY_STORE: only_store})
        await self._durable([Record(ARROW_STREAM, payload, decoded.events.num_rows, headers)])
        return Receipt(decoded.events.num_rows, [])

    def close(self) -> None:
        """Waits for the bodies being decoded."""
        self._threads.shutdown()

    async def _append_lines(self, lines: Sequence[bytes], sources: Sequence[str]) -> list[Rejected]:
        receipt = await self._append(
            lambda: self._decode(b"\n".join(lines), JSON_LINES),
            JSON_LINES,
            lambda line: (sources[line - 1], 1),
            _Marks(),
        )
        return receipt.rejected

    def _marks(self, key: str) -> _Marks:
        if not is_key(key):
            raise BadInput(f"Idempotency-Key has to be 1 to {KEY_CHARACTERS_MAX} printable characters of ASCII")
        now_us = self._clock()
        return _Marks({CLAIM: request_claim(key, now_us)}, {CLAIM: rejected_claim(key, now_us)})

    async def _append(
        self,
        decode: Callable[[], Decoded],
        content_type: str,
        place_of: Callable[[int], tuple[str, int]],
        marks: _Marks,
    ) -> Receipt:
        """`place_of` tells the source of a rejected line, and its number there."""

        def work() -> tuple[Decoded, list[Record]]:
            decoded = decode()
            records = []
            if decoded.events.num_rows:
                payload = encode_batch(decoded.events)
                records.append(Record(ARROW_STREAM, payload, decoded.events.num_rows, marks.events))
            if decoded.rejected:
                letters = self._dead_letters(decoded.rejected, content_type, place_of)
                records.append(Record(DEAD_LETTERS, encode_batch(letters), 0, marks.rejected))
            return decoded, records

        decoded, records = await self._in_thread(work)
        await self._durable(records)
        self._metrics.events_rejected.inc(len(decoded.rejected))
        return Receipt(decoded.events.num_rows, decoded.rejected)

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
        return pa.concat_batches(
            [
                dead_letter_batch(lines, source=source, content_type=content_type, now_us=now_us)
                for source, lines in by_source.items()
            ]
        )

    def _decode_body(self, body: bytes, media_type: str, content_encoding: str | None) -> Decoded:
        plain = decompress(body, content_encoding, bytes_max=self._settings.body_bytes_max)
        return self._decode(plain, media_type)

    def _decode(self, body: bytes, media_type: str) -> Decoded:
        decode = decode_arrow if media_type == ARROW_STREAM else decode_json
        return decode(body, limits=self._settings, now_us=self._clock())

    def _claim(self, count: int) -> None:
        with self._lock:
            total = self._bytes_in_flight + count
            if count > 0 and total > self._settings.body_bytes_in_flight_max:
                raise SlowDown(
                    f"{self._bytes_in_flight:,} bytes of requests are being worked on already "
                    "(ingest.body_bytes_in_flight_max); send again in a moment"
                )
            self._bytes_in_flight = total
            self._metrics.ingest_bytes_in_flight.set(total)


class Reservation:
    """The part of the gateway's memory bound that one body holds."""

    def __init__(self, claim: Callable[[int], None]) -> None:
        self._claim = claim
        self.bytes = 0

    def add(self, count: int) -> None:
        """Raises `SlowDown` when all bodies together would pass `ingest.body_bytes_in_flight_max`."""
        self._claim(count)
        self.bytes += count
