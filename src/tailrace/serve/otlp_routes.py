"""OTLP over HTTP: `POST /v1/logs`, as exporters and collectors send logs.

Source: "OTLP/HTTP" of the OpenTelemetry Protocol specification. The answer has the type of the request; errors are a
`google.rpc.Status`, and what may be sent again (429, 503) says when.
"""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Request, Response

from tailrace.errors import BadInput, RetryLater, SlowDown, TailraceError, UnsupportedMedia
from tailrace.ingest.compression import decompress
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.otlp.answers import code_of, response_json, response_protobuf, status_json, status_protobuf
from tailrace.ingest.otlp.decode import OTLP_JSON, OTLP_PROTOBUF, OtlpDecoded, decode_otlp_json, decode_otlp_protobuf
from tailrace.ops.metrics import Metrics
from tailrace.serve.receiving import received, source_of

_logger = logging.getLogger(__name__)

_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_PROTOBUF_TYPES = frozenset({_PROTOBUF, "application/protobuf"})

_CONTENT: dict[str, Any] = {
    _PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    _JSON: {"schema": {"type": "object"}},
}
_BODY = {"required": True, "content": _CONTENT}


def _said(description: str) -> dict[str, Any]:
    return {"description": description, "content": _CONTENT}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _said("Everything that was not rejected is durable; `partialSuccess` counts what was rejected"),
    400: _said("The body is no ExportLogsServiceRequest; nothing of it was kept"),
    413: _said("The request is too large; the message names the setting"),
    415: _said("A content type or encoding that is not understood"),
    429: _said("Too much at once; `Retry-After` says when to come back"),
    503: _said("A place is away; `Retry-After` says when to come back"),
}


def otlp_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["ingest"])

    async def post_otlp(request: Request) -> Response:
        """An ExportLogsServiceRequest in protobuf or JSON; gzip, zstd, deflate or plain.

        Answered when the events are on disk. Records that cannot be events are counted in the answer's partial
        success, kept as dead letters, and do not hold back the others.
        """
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            async with received(request, gateway, metrics) as body:
                decoded = await _append(request, body, media_type)
        except TailraceError as error:
            return _refused(error, media_type)
        if media_type in _PROTOBUF_TYPES:
            return Response(response_protobuf(decoded), media_type=media_type)
        return Response(response_json(decoded), media_type=_JSON)

    async def _append(request: Request, body: bytes, media_type: str) -> OtlpDecoded:
        if media_type != _JSON and media_type not in _PROTOBUF_TYPES:
            raise UnsupportedMedia(f"content type {media_type!r} is not understood; send {_PROTOBUF} or {_JSON}")
        decode = decode_otlp_json if media_type == _JSON else decode_otlp_protobuf
        encoding = request.headers.get("content-encoding")
        limits = gateway.limits

        def work(now_us: int) -> OtlpDecoded:
            plain = decompress(body, encoding, bytes_max=limits.body_bytes_max)
            return decode(plain, limits=limits, now_us=now_us)

        return await gateway.append(
            work,
            content_type=OTLP_JSON if media_type == _JSON else OTLP_PROTOBUF,
            source=source_of(request),
            idempotency_key=request.headers.get("idempotency-key"),
        )

    for path, summary in (("/v1/logs", "Send logs by OTLP"), ("/otlp/v1/logs", "Send logs by OTLP, on Loki's path")):
        router.add_api_route(
            path,
            post_otlp,
            methods=["POST"],
            summary=summary,
            response_class=Response,
            responses=_RESPONSES,
            openapi_extra={"requestBody": _BODY},
            operation_id=f"post_otlp{path.replace('/', '_')}",
        )
    return router


def _refused(error: TailraceError, media_type: str) -> Response:
    headers = {}
    if isinstance(error, SlowDown | RetryLater):
        status = 429 if isinstance(error, SlowDown) else 503
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, BadInput):
        status = error.status
    else:
        status = 500
        _logger.error("a request met a place that is damaged: %s", error)
    code = code_of(error)
    if media_type in _PROTOBUF_TYPES:
        return Response(status_protobuf(code, str(error)), status, headers, media_type)
    return Response(status_json(code, str(error)), status, headers, _JSON)
