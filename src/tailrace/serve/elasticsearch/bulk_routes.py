"""`_bulk`, `_doc` and `_create`: events in, as shippers send them to Elasticsearch.

The content type is not looked at: clients have half a dozen names for the same lines.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from tailrace.errors import TailraceError
from tailrace.ingest.bulk.answer import Answered, bulk_answer, document_answer, with_took
from tailrace.ingest.bulk.decode import DEFAULT_INDEX, decode_bulk, decode_document
from tailrace.ingest.bulk.ids import Newest, RecentDocuments
from tailrace.ingest.compression import decompress
from tailrace.ingest.gateway import Gateway
from tailrace.model.claim import DOCUMENTS, ROW_CLAIMS
from tailrace.ops.metrics import Metrics
from tailrace.serve.elasticsearch.answers import error_answer, json_answer
from tailrace.serve.receiving import received, source_of

# An id that is made here has 20 characters, as Elasticsearch's own: these, and the number of the item.
_ID_PREFIX_BYTES = 10

_LINES = '{"create":{"_index":"web","_id":"7"}}\n{"message":"hello","level":"info"}\n'
_BULK = {
    "required": True,
    "content": {"application/x-ndjson": {"schema": {"type": "string"}, "example": _LINES}},
}
_DOCUMENT = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object"}, "example": {"message": "hello", "level": "info"}}},
}
_DONE = {"took": 3, "errors": False, "items": [{"create": {"_index": "web", "_id": "7", "status": 201}}]}
_CREATED = {"_index": "web", "_id": "7", "_version": 1, "result": "created", "_seq_no": 0, "_primary_term": 1}

Index = Annotated[str, Path(description="Kept as the event's attribute `_index`: 255 bytes", examples=["web"])]
Id = Annotated[str, Path(description="Of two documents with one index and id the first stays", examples=["7"])]


def _example(value: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"type": "object"}, "example": value}}


def _error(description: str) -> dict[str, Any]:
    cause = {"type": "illegal_argument_exception", "reason": description}
    return {
        "description": description,
        "content": _example({"error": {"root_cause": [cause], **cause}, "status": 400}),
    }


_WHOLE: dict[int | str, dict[str, Any]] = {
    413: _error("The body is too large; the reason names the setting"),
    415: _error("A content encoding that is not understood"),
    429: _error("Too much at once; `Retry-After` says when to come back"),
    503: _error("A place is away; `Retry-After` says when to come back"),
}


def bulk_router(gateway: Gateway, metrics: Metrics, newest: Newest | None = None) -> APIRouter:
    """`newest` gives the documents that were made durable before this process."""
    router = APIRouter(tags=["ingest"])
    recent = RecentDocuments(newest)

    async def append(request: Request, answered: Callable[[bytes, int], Answered], *, is_bulk: bool) -> Response:
        """`answered` gets the plain body and the time in microseconds."""
        started = time.perf_counter()
        try:
            async with received(request, gateway, metrics) as body:
                encoding = request.headers.get("content-encoding")

                def decode(now_us: int) -> Answered:
                    return answered(decompress(body, encoding, bytes_max=gateway.limits.body_bytes_max), now_us)

                answer = await gateway.append(
                    decode,
                    content_type="application/json",
                    source=source_of(request),
                    headers={ROW_CLAIMS: DOCUMENTS},
                )
        except TailraceError as error:
            return error_answer(error)
        recent.add(answer.documents)
        took_ms = int((time.perf_counter() - started) * 1000)
        return json_answer(with_took(answer.body, took_ms) if is_bulk else answer.body, answer.status)

    async def bulk(request: Request, index: str) -> Response:
        def answered(body: bytes, now_us: int) -> Answered:
            decoded = decode_bulk(body, limits=gateway.limits, now_us=now_us, index=index, seen=recent)
            return bulk_answer(decoded, id_prefix=_id_prefix())

        return await append(request, answered, is_bulk=True)

    async def document(request: Request, index: str, id: str | None, operation: str) -> Response:
        def answered(body: bytes, now_us: int) -> Answered:
            decoded = decode_document(
                body, limits=gateway.limits, now_us=now_us, operation=operation, index=index, id=id, seen=recent
            )
            return document_answer(decoded, id_prefix=_id_prefix())

        return await append(request, answered, is_bulk=False)

    def routed(methods: list[str], path: str, summary: str, **described: Any) -> Callable[[Any], Any]:
        """The same operation under each method, as each is described by itself."""

        def add(endpoint: Any) -> Any:
            for method in methods:
                router.add_api_route(
                    path,
                    endpoint,
                    methods=[method],
                    summary=summary,
                    response_model=None,
                    operation_id=f"{endpoint.__name__}_{method.lower()}",
                    **described,
                )
            return endpoint

        return add

    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "All is durable but what an item's `error` names", "content": _example(_DONE)},
        400: _error("An action cannot be read; nothing was kept"),
        **_WHOLE,
    }

    @routed(
        ["POST", "PUT"], "/_bulk", "Send events as to Elasticsearch", responses=answers, openapi_extra=_body(_BULK)
    )
    async def bulk_all(request: Request) -> Response:
        """Pairs of lines, an action (`create` or `index`) and a document. Answered when the events are on disk."""
        return await bulk(request, DEFAULT_INDEX)

    @routed(
        ["POST", "PUT"],
        "/{index}/_bulk",
        "Send events as to an index of Elasticsearch",
        responses=answers,
        openapi_extra=_body(_BULK),
    )
    async def bulk_index(request: Request, index: Index) -> Response:
        """As `/_bulk`; the index is for the actions that name none."""
        return await bulk(request, index)

    created: dict[int | str, dict[str, Any]] = {
        200: {"description": "There is an event with this index and id, which stays", "content": _example(_CREATED)},
        201: {"description": "The event is durable", "content": _example(_CREATED)},
        400: _error("The document is not an event; it is kept as a dead letter"),
        409: _error("There is an event with this index and id"),
        **_WHOLE,
    }
    one = {"status_code": 201, "responses": created, "openapi_extra": _body(_DOCUMENT)}

    @routed(["POST"], "/{index}/_doc", "Send one event as to Elasticsearch", **one)
    async def add_document(request: Request, index: Index) -> Response:
        """A JSON object. Whoever sends many sends them with `_bulk`."""
        return await document(request, index, None, "index")

    @routed(["PUT", "POST"], "/{index}/_doc/{id:path}", "Send one event with an id as to Elasticsearch", **one)
    async def put_document(request: Request, index: Index, id: Id) -> Response:
        """A JSON object. An event is never replaced: of two with one index and id the first stays."""
        return await document(request, index, id, "create" if _is_create(request) else "index")

    @routed(["PUT", "POST"], "/{index}/_create/{id:path}", "Create one event with an id as in Elasticsearch", **one)
    async def create_document(request: Request, index: Index, id: Id) -> Response:
        """A JSON object. Answered 409 when there is an event with this index and id."""
        return await document(request, index, id, "create")

    return router


def _id_prefix() -> str:
    """Of 14 characters, for the ids of one request."""
    return secrets.token_urlsafe(_ID_PREFIX_BYTES)


def _is_create(request: Request) -> bool:
    return request.query_params.get("op_type") == "create"


def _body(described: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": described}
