"""Events in as Graylog takes them over HTTP: `POST /gelf`. An answer comes when the events are on disk."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from tailrace.errors import BadInput
from tailrace.ingest.compression import decompress
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.gelf.decode import GELF, decode_gelf
from tailrace.ops.metrics import Metrics
from tailrace.serve.receiving import received, source_of
from tailrace.serve.schemas import Problem

_MESSAGE = {"version": "1.1", "host": "web-1", "short_message": "payment refused", "level": 3, "_service": "checkout"}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "Durable: the events, and as dead letters what is none"},
    400: {"model": Problem, "description": "Nothing of the body is an event"},
    413: {"model": Problem, "description": "The body is too large; `detail` names the setting"},
    415: {"model": Problem, "description": "A content encoding that is not understood"},
}
_BODY = {"required": True, "content": {"application/json": {"schema": {}, "example": _MESSAGE}}}
_REASON_CHARACTERS_MAX = 500


def gelf_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["gelf"])

    @router.post(
        "/gelf",
        summary="Send events as to Graylog",
        status_code=202,
        response_class=Response,
        responses=_RESPONSES,
        openapi_extra={"requestBody": _BODY},
    )
    async def gelf(request: Request) -> Response:
        """A message, an array of them, or one a line; gzip, deflate, zstd or plain.

        Answered when the events are on disk.
        """
        encoding = request.headers.get("content-encoding")

        def decode(body: bytes, now_us: int) -> Decoded:
            plain = decompress(body, encoding, bytes_max=gateway.limits.body_bytes_max)
            return decode_gelf(plain, limits=gateway.limits, now_us=now_us)

        async with received(request, gateway, metrics) as body:
            decoded = await gateway.append(
                lambda now_us: decode(body, now_us), content_type=GELF, source=source_of(request)
            )
        if decoded.rejected and not decoded.events.num_rows:
            raise BadInput(decoded.rejected[0].reason[:_REASON_CHARACTERS_MAX])
        return Response(status_code=202)

    return router
