"""Events in as Datadog takes them: `POST /api/v2/logs`, and the older `/v1/input`.

Any API key is taken, and none too: there is no authentication yet. An answer comes when the events are on disk.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from tailrace.errors import BadInput, RetryLater, SlowDown, TailraceError
from tailrace.ingest.compression import decompress
from tailrace.ingest.datadog import decode_datadog, decode_datadog_text
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.gateway import Gateway
from tailrace.ops.metrics import Metrics
from tailrace.serve.receiving import received, source_of

_logger = logging.getLogger(__name__)

_DEFAULTS = ("ddsource", "ddtags", "hostname", "service")
_REASON_CHARACTERS_MAX = 500

_LOGS = [
    {
        "message": "payment refused",
        "ddsource": "nginx",
        "ddtags": "env:prod,team:a",
        "hostname": "web-1",
        "service": "checkout",
        "status": "error",
    }
]


def _error(status: int, detail: str) -> dict[str, Any]:
    return {"errors": [{"status": str(status), "title": HTTPStatus(status).phrase, "detail": detail}]}


def _described(status: int, description: str) -> dict[str, Any]:
    example = _error(status, description)
    return {
        "description": description,
        "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
    }


_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Durable: the events, and as dead letters what is none",
        "content": {"application/json": {"schema": {"type": "object"}, "example": {}}},
    },
    400: _described(400, "Nothing of the body is an event"),
    413: _described(413, "The body is too large; `detail` names the setting"),
    415: _described(415, "A content encoding that is not understood"),
    429: _described(429, "Too much at once; `Retry-After` says when to come back"),
    500: _described(500, "A place of this server is damaged"),
    503: _described(503, "A place is away; `Retry-After` says when to come back"),
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {}, "example": _LOGS},
        "text/plain": {"schema": {"type": "string"}},
    },
}


def datadog_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["datadog"])

    async def logs(request: Request) -> Response:
        """One JSON object, an array of them, or lines of text; gzip, deflate, zstd or plain.

        Answered when the events are on disk. `ddsource`, `ddtags`, `hostname` and `service` may be told in the query
        string, for events that do not tell them. Any API key is taken.
        """
        headers = request.headers
        defaults = {name: request.query_params[name] for name in _DEFAULTS if request.query_params.get(name)}
        is_text = headers.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"

        def decode(body: bytes, now_us: int) -> Decoded:
            plain = decompress(body, headers.get("content-encoding"), bytes_max=gateway.limits.body_bytes_max)
            read = decode_datadog_text if is_text else decode_datadog
            return read(plain, limits=gateway.limits, now_us=now_us, defaults=defaults)

        try:
            async with received(request, gateway, metrics) as body:
                decoded = await gateway.append(
                    lambda now_us: decode(body, now_us), content_type="application/json", source=source_of(request)
                )
        except TailraceError as error:
            return _refusal(error)
        if decoded.rejected and not decoded.events.num_rows:
            return _json(400, _error(400, decoded.rejected[0].reason[:_REASON_CHARACTERS_MAX]))
        return _json(202, {})

    for path in ("/api/v2/logs", "/v1/input", "/v1/input/{key}"):
        router.post(
            path,
            summary="Send events as to Datadog",
            status_code=202,
            response_class=Response,
            responses=_RESPONSES,
            openapi_extra={"requestBody": _BODY},
            include_in_schema=path == "/api/v2/logs",
        )(logs)
    return router


def _refusal(error: TailraceError) -> Response:
    """Datadog's clients send again after 429 and 5xx."""
    if isinstance(error, SlowDown | RetryLater):
        status = 429 if isinstance(error, SlowDown) else 503
        return _json(status, _error(status, str(error)), {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, BadInput):
        return _json(error.status, _error(error.status, str(error)))
    _logger.error("logs for Datadog met a place that is damaged: %s", error)
    return _json(500, _error(500, "a place of this server is damaged; its log says which"))


def _json(status: int, told: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(told), status, headers, media_type="application/json")
