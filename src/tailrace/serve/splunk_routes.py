"""Events in as Splunk's HTTP Event Collector takes them: `/services/collector` and what is under it.

Answers are Splunk's: `{"text": …, "code": …}` (docs.splunk.com, "Troubleshoot HTTP Event Collector"). Any token is
taken, and none too: there is no authentication yet. An answer comes when the events are on disk, so whoever asks for
an acknowledgement has it.
"""

from __future__ import annotations

import itertools
import logging
import secrets
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from tailrace.errors import BadInput, RetryLater, SlowDown, TailraceError, TooLarge
from tailrace.ingest.compression import decompress
from tailrace.ingest.gateway import Gateway
from tailrace.ingest.splunk import (
    EVENT_BLANK,
    EVENT_REQUIRED,
    FIELDS_WRONG,
    INVALID_FORMAT,
    HecDecoded,
    decode_hec,
    decode_hec_raw,
)
from tailrace.ops.metrics import Metrics
from tailrace.serve.receiving import received, source_of

_logger = logging.getLogger(__name__)

_NO_DATA, _INTERNAL, _BUSY, _HEALTHY, _TOO_LARGE = 5, 8, 9, 17, 27
_TEXTS = {
    _NO_DATA: "No data",
    INVALID_FORMAT: "Invalid data format",
    _INTERNAL: "Internal server error",
    _BUSY: "Server is busy",
    EVENT_REQUIRED: "Event field is required",
    EVENT_BLANK: "Event field cannot be blank",
    FIELDS_WRONG: "Error in handling indexed fields",
    _HEALTHY: "HEC is healthy",
    _TOO_LARGE: "Request entity too large",
}

_CHANNEL = "x-splunk-request-channel"

# In the query string, of all lines of a body.
_TOLD = ("host", "source", "sourcetype", "index")

# A client asks for one acknowledgement a request that it sent. More than this much JSON would hold up the event loop.
_ACKS_BYTES_MAX = 1 << 20

_EVENT = {"time": 1743156000.123, "host": "web-1", "source": "checkout", "event": "payment refused"}
_DONE = {"text": "Success", "code": 0}


def _answers(done: dict[str, Any], description: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: _answer(description, done),
        400: _answer("What is wrong, with its place; good events of the body are durable", _told(INVALID_FORMAT)),
        413: _answer("The body is too large", _told(_TOO_LARGE)),
        415: _answer("A content encoding that is not understood", _told(INVALID_FORMAT)),
        500: _answer("A place of this server is damaged", _told(_INTERNAL)),
        503: _answer("Too much at once, or a place is away; `Retry-After` says when to come back", _told(_BUSY)),
    }


def _answer(description: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
    }


def _told(code: int, **members: Any) -> dict[str, Any]:
    return {"text": _TEXTS[code], "code": code, **members}


def _body(media_type: str, example: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": {}, "example": example}}}}


def splunk_router(gateway: Gateway, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["splunk"])
    # Unique is all that an acknowledgement's id has to be, also beside those of other gateways and of a run before: a
    # client that is given one twice takes the first for refused.
    ack_ids = itertools.count(secrets.randbits(48))

    async def append(request: Request, *, raw: bool) -> Response:
        encoding = request.headers.get("content-encoding")
        parameters = request.query_params

        def decode(body: bytes, now_us: int) -> HecDecoded:
            plain = decompress(body, encoding, bytes_max=gateway.limits.body_bytes_max)
            if not raw:
                return decode_hec(plain, limits=gateway.limits, now_us=now_us)
            told = {name: parameters[name] for name in _TOLD if parameters.get(name)}
            return decode_hec_raw(plain, limits=gateway.limits, now_us=now_us, told=told)

        try:
            async with received(request, gateway, metrics) as body:
                decoded = await gateway.append(
                    lambda now_us: decode(body, now_us), content_type="application/json", source=source_of(request)
                )
        except TailraceError as error:
            return _refusal(error)
        if (failure := decoded.first_failure()) is not None:
            code, place = failure
            return _json(400, _told(code, **{"invalid-event-number": place}))
        if not decoded.events.num_rows:
            return _json(400, _told(_NO_DATA))
        has_channel = _CHANNEL in request.headers or "channel" in parameters
        return _json(200, {**_DONE, "ackId": next(ack_ids)} if has_channel else _DONE)

    async def events(request: Request) -> Response:
        """Objects with an `event`, one behind the other or in an array; gzip or plain.

        Answered when the events are on disk. Events that are wrong are kept as dead letters and do not hold back the
        others; the answer then is 400, with the place of the first. Any token is taken.
        """
        return await append(request, raw=False)

    async def lines(request: Request) -> Response:
        """Lines of text, each an event; its time and level are read out of it where they are found.

        `host`, `source`, `sourcetype` and `index` may be told in the query string.
        """
        return await append(request, raw=True)

    async def health(request: Request) -> Response:
        """Clients ask here before they send. Always 200; `/readyz` asks each place."""
        return _json(200, _told(_HEALTHY))

    async def verified(request: Request) -> Response:
        """Docker's driver asks so at the start of a container, which does not start where it is refused."""
        return Response()

    async def acknowledged(request: Request) -> Response:
        """Whether what these ids were answered for is durable: it is, or there had been no such answer."""
        try:
            async with received(request, gateway, metrics) as body:
                if len(body) > _ACKS_BYTES_MAX:
                    raise TooLarge(f"the request is larger than {_ACKS_BYTES_MAX:,} bytes; ask for fewer")
                ids = [int(id) for id in orjson.loads(body)["acks"]]
        except TailraceError as error:
            return _refusal(error)
        except (ValueError, TypeError, KeyError, OverflowError):
            return _json(400, _told(INVALID_FORMAT))
        return _json(200, {"acks": {str(id): True for id in ids}})

    event_body = _body("application/json", _EVENT)
    for path in ("/services/collector/event", "/services/collector", "/services/collector/event/1.0"):
        router.post(
            path,
            summary="Send events as to Splunk",
            response_class=Response,
            responses=_answers(_DONE, "All of it is durable"),
            openapi_extra=event_body,
            include_in_schema=path == "/services/collector/event",
        )(events)
        router.options(path, include_in_schema=False)(verified)
    for path in ("/services/collector/raw", "/services/collector/raw/1.0"):
        router.post(
            path,
            summary="Send lines as to Splunk",
            response_class=Response,
            responses=_answers(_DONE, "All of it is durable"),
            openapi_extra=_body("text/plain", "2025-03-28 10:00:00 ERROR payment refused"),
            include_in_schema=path == "/services/collector/raw",
        )(lines)
    router.post(
        "/services/collector/ack",
        summary="Ask for acknowledgements as Splunk's indexers give them",
        response_class=Response,
        responses=_answers({"acks": {"0": True}}, "By id, whether it is durable"),
        openapi_extra=_body("application/json", {"acks": [0]}),
    )(acknowledged)
    for path in ("/services/collector/health", "/services/collector/health/1.0"):
        router.get(
            path,
            summary="Whether events can be sent",
            response_class=Response,
            responses={200: _answer("They can", _told(_HEALTHY))},
            include_in_schema=path == "/services/collector/health",
        )(health)
    return router


def _refusal(error: TailraceError) -> Response:
    """Splunk's clients send again after 503, and some after nothing else."""
    if isinstance(error, SlowDown | RetryLater):
        return _json(503, _told(_BUSY, detail=str(error)), {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, TooLarge):
        return _json(413, _told(_TOO_LARGE, detail=str(error)))
    if isinstance(error, BadInput):
        return _json(error.status, _told(INVALID_FORMAT, detail=str(error)))
    _logger.error("an event for Splunk's collector met a place that is damaged: %s", error)
    return _json(500, _told(_INTERNAL))


def _json(status: int, told: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(told), status, headers, media_type="application/json")
