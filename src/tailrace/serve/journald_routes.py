"""Entries in as `systemd-journal-upload` sends them: `POST /upload`, a body that may never end.

Entries are appended as they come, a batch at a time; the body is answered at its end. While the log refuses, the
client is not read from, and so waits: it would end at an answer of 503. An entry's cursor is its claim, so entries
that are uploaded again are stored once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from tailrace.errors import RetryLater, SlowDown, TailraceError, UnsupportedMedia
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.journald.decode import CONTENT_TYPE, decode_journal
from tailrace.ingest.journald.framing import JournalFramer
from tailrace.model.claim import DOCUMENTS, ROW_CLAIMS
from tailrace.ops.metrics import Metrics
from tailrace.serve.query_threads import ClientGone
from tailrace.serve.receiving import source_of
from tailrace.serve.schemas import Problem

# Entries are appended when there are so many bytes of them, or when the first of them has waited for so long.
_BATCH_BYTES = 1 << 20
_LINGER_S = 0.05

# Each may hold the start of one entry, ingest.line_bytes_max; a machine has one.
_UPLOADS_MAX = 256

_ENTRY = "__REALTIME_TIMESTAMP=1743156000123456\nPRIORITY=3\n_HOSTNAME=web-1\nMESSAGE=payment refused\n\n"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "All of it is durable: the events, and as dead letters what is none"},
    400: {"model": Problem, "description": "Not the Journal Export Format; entries before that are durable"},
    415: {"model": Problem, "description": "Another content type, or a content encoding"},
}
_BODY = {"required": True, "content": {CONTENT_TYPE: {"schema": {"type": "string"}, "example": _ENTRY}}}


def journald_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["journald"])
    uploads = asyncio.Semaphore(_UPLOADS_MAX)

    @router.post(
        "/upload",
        summary="Send entries of systemd's journal",
        status_code=202,
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra={"requestBody": _BODY},
    )
    async def upload(request: Request) -> Response:
        """The Journal Export Format, as `systemd-journal-upload` sends it. The body may go on for ever.

        Entries are durable soon after they came; an entry that is sent again is stored once.
        """
        try:
            _check_type(request)
            if uploads.locked():
                raise SlowDown(f"{_UPLOADS_MAX} journals are being uploaded already; come again later")
            async with uploads:
                await _Upload(gateway, metrics, request).run()
        except TailraceError as error:
            metrics.requests_refused.labels(type(error).__name__).inc()
            raise
        return Response(status_code=202)

    return router


def _check_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != CONTENT_TYPE:
        raise UnsupportedMedia(f"content type {media_type!r} is not understood; send {CONTENT_TYPE}")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("a journal is taken as it is, without a content encoding")


class _Upload:
    """One body."""

    def __init__(self, gateway: Gateway, metrics: Metrics, request: Request) -> None:
        self._gateway = gateway
        self._metrics = metrics
        self._request = request
        self._framer = JournalFramer(gateway.limits.line_bytes_max)
        self._entries: list[bytes] = []
        self._rejected: list[Rejected] = []
        self._held_bytes = 0

    async def run(self) -> None:
        """Raises `BadInput` where the bytes are not of the format; what was whole before is durable then."""
        goes_on = True
        while goes_on:
            goes_on = await self._receive()
            if not goes_on:
                self._add(self._framer.finish())
            await self._append()
            if self._framer.broken is not None:
                raise self._framer.broken

    async def _receive(self) -> bool:
        """Parts of the body, until there is a batch; False at the body's end."""
        until_s = None
        while self._held_bytes < _BATCH_BYTES:
            try:
                async with asyncio.timeout_at(until_s):
                    message = await self._request.receive()
            except TimeoutError:
                return True
            if message["type"] == "http.disconnect":
                await self._append()
                raise ClientGone
            part: bytes = message.get("body", b"")
            self._metrics.bytes_received.inc(len(part))
            self._add(self._framer.feed(part))
            if not message.get("more_body", False):
                return False
            if self._framer.broken is not None:
                return True
            if self._held_bytes and until_s is None:
                until_s = asyncio.get_running_loop().time() + _LINGER_S
        return True

    def _add(self, entries: bytes) -> None:
        rejected = self._framer.take_rejected()
        self._entries.append(entries)
        self._rejected += rejected
        self._held_bytes += len(entries) + sum(len(each.raw) for each in rejected)

    async def _append(self) -> None:
        """What is whole. Waits while the log refuses."""
        body, rejected = b"".join(self._entries), self._rejected
        self._entries, self._rejected, self._held_bytes = [], [], 0
        if not body and not rejected:
            return
        while True:
            try:
                with self._gateway.reservation() as reservation:
                    # What is larger than the bound would wait for ever.
                    reservation.add(min(len(body), self._gateway.limits.body_bytes_in_flight_max))
                    await self._gateway.append(
                        lambda now_us: self._decode(body, rejected, now_us),
                        content_type="application/json",
                        source=source_of(self._request),
                        headers={ROW_CLAIMS: DOCUMENTS},
                    )
            except (SlowDown, RetryLater) as error:
                await asyncio.sleep(error.retry_after_s)
            else:
                return

    def _decode(self, body: bytes, rejected: Sequence[Rejected], now_us: int) -> Decoded:
        decoded = decode_journal(body, limits=self._gateway.limits, now_us=now_us)
        return Decoded(decoded.events, [*decoded.rejected, *rejected])
