"""`POST /logs`: events in."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from tailrace.ingest.gateway import JSON_LINES, Gateway
from tailrace.ingest.receipt import Receipt
from tailrace.model.batch import ARROW_STREAM
from tailrace.model.claim import KEY_CHARACTERS_MAX
from tailrace.ops.metrics import Metrics
from tailrace.serve.problems import PROBLEM_JSON, problem_body
from tailrace.serve.receiving import received, source_of
from tailrace.serve.schemas import Problem

# So many rejected lines are told in the answer; all of them are in the dead letters.
ERRORS_TOLD_MAX = 100

_REASON_CHARACTERS_MAX = 500


class LineError(BaseModel):
    line: int = Field(description="1-based; in an array the element's number", examples=[3])
    reason: str = Field(examples=["not JSON: Expecting ',' delimiter, column 7"])


class Accepted(BaseModel):
    """What was done with the body. All of it is durable."""

    accepted: int = Field(description="Events that are in the log", examples=[2])
    rejected: int = Field(description="Lines that are no events; they are kept as dead letters", examples=[1])
    partial: bool = Field(description="Whether there were both", examples=[True])
    errors: list[LineError] | None = Field(None, description=f"The first {ERRORS_TOLD_MAX} rejected lines")


_EVENT = {
    "timestamp": "2025-03-28T10:00:00",
    "level": "ERROR",
    "message": "Something failed",
    "source": "auth-service",
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {}, "example": _EVENT},
        JSON_LINES: {"schema": {"type": "string"}},
        ARROW_STREAM: {"schema": {"type": "string", "format": "binary"}},
    },
}

# Read from the request by hand: every request would pay for a declared header.
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A text of the client's own for this body, a UUID say. A body that is sent again with the same "
    "one is stored once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[ -~]*$"},
}


def ingest_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["ingest"])

    @router.post(
        "/logs",
        summary="Send events",
        status_code=202,
        response_model=Accepted,
        responses={
            400: {"model": Problem, "description": "Nothing of the body is an event; `errors` names the lines"},
            413: {"model": Problem, "description": "The body is too large; `detail` names the setting"},
            415: {"model": Problem, "description": "A content type or encoding that is not understood"},
        },
        openapi_extra={"requestBody": _BODY, "parameters": [_IDEMPOTENCY_KEY]},
    )
    async def post_logs(request: Request) -> Response:
        """One JSON object, an array of them, one a line (NDJSON), or an Arrow stream; gzip, zstd, deflate or plain.

        Answered when the events are on disk. Lines that are no events are named, kept as dead letters, and do not
        hold back the others. An event may be sent in any words: the aliases of its fields are in the documentation.
        """
        async with received(request, gateway, metrics) as body:
            receipt = await gateway.accept(
                body,
                content_type=request.headers.get("content-type", ""),
                content_encoding=request.headers.get("content-encoding"),
                source=source_of(request),
                idempotency_key=request.headers.get("idempotency-key"),
            )
        told = _told(receipt)
        if receipt.rejected and not receipt.accepted:
            detail = "no line of the body is an event; all are kept as dead letters"
            return Response(problem_body(400, detail, **told), 400, media_type=PROBLEM_JSON)
        return Response(orjson.dumps(told), 202, media_type="application/json")

    return router


def _told(receipt: Receipt) -> dict[str, Any]:
    told: dict[str, Any] = {
        "accepted": receipt.accepted,
        "rejected": len(receipt.rejected),
        "partial": bool(receipt.accepted and receipt.rejected),
    }
    if receipt.rejected:
        told["errors"] = [
            {"line": rejected.line, "reason": rejected.reason[:_REASON_CHARACTERS_MAX]}
            for rejected in receipt.rejected[:ERRORS_TOLD_MAX]
        ]
    return told
