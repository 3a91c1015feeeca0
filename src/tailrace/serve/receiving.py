"""The body of a request that brings events: received under the bounds that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.requests import ClientDisconnect

from tailrace.errors import TailraceError, TooLarge, TooSlow
from tailrace.ingest.gateway import Gateway, Reservation
from tailrace.ops.metrics import Metrics
from tailrace.serve.query_threads import ClientGone

# What is held of a body that never ends is missing to others. A modem is faster than this. A larger body comes over a
# better line, and is not held for hours.
_PATIENCE_S = 30.0
_BYTES_PER_S_MIN = 4096
_LARGE_BYTES = 1 << 20
_LARGE_BYTES_PER_S_MIN = 512 << 10


@asynccontextmanager
async def received(request: Request, gateway: Gateway, metrics: Metrics) -> AsyncIterator[bytes]:
    """The whole body, still compressed; its part of the gateway's memory is held until the block is left.

    Raises `TooLarge`, `TooSlow`, `SlowDown`, and `ClientGone` when the client leaves before its end. Errors that are
    raised here or in the block are counted.
    """
    try:
        with gateway.reservation() as reservation:
            body = await _receive(request, reservation, gateway.limits.body_bytes_max)
            metrics.bytes_received.inc(len(body))
            yield body
    except ClientDisconnect:
        raise ClientGone from None
    except TailraceError as error:
        metrics.requests_refused.labels(type(error).__name__).inc()
        raise


def source_of(request: Request) -> str:
    """Where a dead letter says that it came from: `POST /logs from 127.0.0.1`."""
    place = f"{request.method} {request.url.path}"
    return f"{place} from {request.client.host}" if request.client else place


def patience_s(received_bytes: int) -> float:
    """How long a body may take, in seconds from its start, when so much of it has come."""
    first_bytes = min(received_bytes, _LARGE_BYTES)
    more_bytes = received_bytes - first_bytes
    return _PATIENCE_S + first_bytes / _BYTES_PER_S_MIN + more_bytes / _LARGE_BYTES_PER_S_MIN


async def _receive(request: Request, reservation: Reservation, bytes_max: int) -> bytes:
    """The whole body. What it grows to when it is decompressed is bounded where that is done."""
    too_large = f"the body is larger than {bytes_max:,} bytes (ingest.body_bytes_max); send it in parts"
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > bytes_max:
        raise TooLarge(too_large)
    parts: list[bytes] = []
    started_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(patience_s(0)) as patience:
            async for part in request.stream():
                if part:
                    reservation.add(len(part))
                    if reservation.bytes > bytes_max:
                        raise TooLarge(too_large)
                    parts.append(part)
                    patience.reschedule(started_s + patience_s(reservation.bytes))
    except TimeoutError:
        raise TooSlow(
            f"only {reservation.bytes:,} bytes of the body came in time; send it faster, or in smaller parts"
        ) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)
