"""Events in as Loki takes them: `POST /loki/api/v1/push`, its older path, and `GET /ready`, which clients ask."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Request, Response

from tailrace.errors import BadInput, RetryLater, SlowDown, TailraceError, TooLarge
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.loki.body import decoder_of_push
from tailrace.ops.metrics import Metrics
from tailrace.serve.receiving import received, source_of

_logger = logging.getLogger(__name__)

# So many reasons are told in the answer; all of them are in the dead letters.
_REASONS_TOLD_MAX = 10
_REASON_CHARACTERS_MAX = 500

_PUSH_JSON = {
    "streams": [{"stream": {"app": "web", "level": "error"}, "values": [["1763726400000000000", "it broke"]]}]
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {}, "example": _PUSH_JSON},
        "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
    },
}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    204: {"description": "All of it is durable"},
    400: {"content": _TEXT, "description": "The body, or what the text names of it, is wrong; the rest is durable"},
    413: {"content": _TEXT, "description": "The body is too large; the text names the setting"},
    429: {"content": _TEXT, "description": "Too much at once; `Retry-After` says when to come back"},
    500: {"content": _TEXT, "description": "A place of this server is damaged"},
    503: {"content": _TEXT, "description": "A place is away; `Retry-After` says when to come back"},
}


def loki_push_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["loki"])

    async def push(request: Request) -> Response:
        """Streams of lines, as JSON or as protobuf in a snappy block; gzip, deflate or plain.

        Answered when the events are on disk. Entries and streams that are wrong are kept as dead letters and do not
        hold back the others; the answer then is 400 with the reasons, as Loki's own. `X-Scope-OrgID` is not used.
        """
        headers = request.headers
        try:
            decode, content_type = decoder_of_push(
                headers.get("content-type", ""), headers.get("content-encoding", ""), gateway.limits
            )
            async with received(request, gateway, metrics) as body:
                decoded = await gateway.append(
                    lambda now_us: decode(body, now_us), content_type=content_type, source=source_of(request)
                )
        except TailraceError as error:
            return _refusal(error)
        if decoded.rejected:
            return _text(400, _reasons(decoded))
        return Response(status_code=204)

    for path, operation_id in (("/loki/api/v1/push", "loki_push"), ("/api/prom/push", "loki_push_older")):
        router.post(
            path,
            summary="Send events as to Loki",
            status_code=204,
            response_class=Response,
            responses=_RESPONSES,
            openapi_extra={"requestBody": _BODY},
            operation_id=operation_id,
        )(push)

    @router.get(
        "/ready",
        summary="Whether events can be sent",
        response_class=Response,
        responses={200: {"content": _TEXT}},
    )
    async def ready() -> Response:
        """Loki's clients ask here first. Always 200; `/readyz` asks each place."""
        return _text(200, "ready")

    return router


def _refusal(error: TailraceError) -> Response:
    """In Loki's own form: the reason as text. Its clients send again after 429 and 5xx, and after nothing else."""
    if isinstance(error, SlowDown | RetryLater):
        status = 429 if isinstance(error, SlowDown) else 503
        return _text(status, str(error), {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, BadInput):
        return _text(413 if isinstance(error, TooLarge) else 400, str(error))
    _logger.error("a push met a place that is damaged: %s", error)
    return _text(500, "a place of this server is damaged; its log says which")


def _reasons(decoded: Decoded) -> str:
    rejected = decoded.rejected
    told = [f"entry {each.line}: {each.reason[:_REASON_CHARACTERS_MAX]}" for each in rejected[:_REASONS_TOLD_MAX]]
    if len(rejected) > len(told):
        told.append(f"and {len(rejected) - len(told):,} more")
    kept = f"{decoded.events.num_rows:,} entries were kept, what follows is in the dead letters"
    return "\n".join([kept, *told])


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text + "\n", status, headers, media_type="text/plain")
