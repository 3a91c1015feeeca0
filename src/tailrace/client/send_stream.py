"""One file or standard input on its way: chunks are decoded and posted in their order."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tailrace.client.progress import TransferProgress
from tailrace.client.send_post import NDJSON, Poster, Receipt
from tailrace.client.send_source import service_name
from tailrace.config import IngestSettings
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TextDecoder, guess_format
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.clock import system_clock_us

_TROUBLES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """How the lines are to be read, the same for all files. `format` None: guessed for each file."""

    format: Format | None = None
    service: str | None = None
    host: str | None = None
    zone_offset_s: int = 0


@dataclass(slots=True)
class Tally:
    """What became of the lines of all files. Shared between threads. `troubles`: `file:line: reason`."""

    accepted: int = 0
    rejected: int = 0
    failed: bool = False
    troubles: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, receipt: Receipt, name: str, first_line: int | None) -> None:
        """`first_line` None: where the body's lines were in the file is not known, and they are only counted."""
        with self._lock:
            self.accepted += receipt.accepted
            self.rejected += receipt.rejected
            if first_line is not None:
                for line, reason in receipt.errors[: _TROUBLES_MAX - len(self.troubles)]:
                    self.troubles.append(f"{name}:{first_line + max(line, 1) - 1}: {reason}")

    def fail(self, trouble: str) -> None:
        """Lines that were not sent at all."""
        with self._lock:
            self.failed = True
            self.troubles.append(trouble)


@dataclass(frozen=True, slots=True)
class _Body:
    payload: bytes
    content_type: str
    first_line: int


class Stream:
    """Used by one thread; a second one of its own posts, so that a chunk is decoded while the last one is sent."""

    def __init__(self, name: str, path: Path | None, reading: Reading, poster: Poster) -> None:
        """`path` None: standard input. `name` is for messages."""
        self._name = name
        self._path = path
        self._reading = reading
        self._poster = poster
        self._format = reading.format
        self._decoder: TextDecoder | None = None
        self._next_line = 1

    def send(
        self,
        chunks: Iterable[tuple[bytes, int]],
        *,
        reference_us: int | None,
        tally: Tally,
        progress: TransferProgress,
        stop: threading.Event,
    ) -> None:
        """Post all chunks; each comes with the bytes of the input that were read for it.

        At most two chunks are held: one being decoded, one being posted. Raises what `Poster.post` does; then the
        lines from `next_line` on may not have been sent.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="post") as thread:
            try:
                posting: Future[None] | None = None
                for chunk, read_bytes in chunks:
                    bodies = self._bodies(chunk, reference_us)
                    if posting is not None:
                        posting.result()
                    if stop.is_set():
                        return
                    posting = thread.submit(self._post, bodies, read_bytes, tally, progress)
                if posting is not None:
                    posting.result()
            except KeyboardInterrupt:
                # Leaving the block waits for the thread, which may itself be waiting for the server to come back.
                stop.set()
                raise

    def _post(self, bodies: list[_Body], read_bytes: int, tally: Tally, progress: TransferProgress) -> None:
        lines = 0
        for body in bodies:
            try:
                receipt = self._poster.post(body.payload, body.content_type)
            except Exception:
                tally.fail(f"{self._name}:{body.first_line}: not sent from this line on")
                raise
            tally.add(receipt, self._name, body.first_line)
            lines += receipt.accepted
        progress.advance(lines=lines, read_bytes=read_bytes)

    def _bodies(self, chunk: bytes, reference_us: int | None) -> list[_Body]:
        first_line = self._next_line
        self._next_line += chunk.count(b"\n") + (not chunk.endswith(b"\n"))
        if self._format is None:
            self._format = guess_format(chunk)
        if self._format == "json":
            return [_Body(chunk, NDJSON, first_line)]
        if self._decoder is None:
            self._decoder = self._text_decoder()
        decoded = self._decoder.decode(chunk, now_us=system_clock_us(), reference_us=reference_us)
        # Lines that are too long go as they are: the server refuses them as well, and keeps them in its dead letters.
        refused = [_Body(line.raw + b"\n", NDJSON, line.line) for line in decoded.rejected]
        if not decoded.events.num_rows:
            return refused
        return [_Body(encode_batch(decoded.events), ARROW_STREAM, first_line), *refused]

    def _text_decoder(self) -> TextDecoder:
        service, attributes = self._reading.service, {}
        if self._path is not None:
            service = service or service_name(self._path)
            attributes["log.file.path"] = str(self._path.absolute())
        return TextDecoder(
            self._format,
            limits=IngestSettings(),
            zone_offset_s=self._reading.zone_offset_s,
            service=service,
            host=self._reading.host,
            attributes=attributes,
        )
