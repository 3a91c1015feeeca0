"""`_search`, `_msearch`, `_count`, `_field_caps` and `_mapping`: so that what reads Elasticsearch can read here.

The same events as from `/api/search`. An index is the attribute `_index`; `*`, `_all` and `tailrace` are all events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from tailrace.errors import QueryError, TailraceError, TooSlow
from tailrace.ingest.bulk.answer import error_body
from tailrace.query.from_elasticsearch import from_elasticsearch
from tailrace.query.tree import TEXT_FIELDS, TIME_FIELDS, VALUE_FIELDS, And
from tailrace.serve.elasticsearch.answers import PRODUCT, error_answer, json_answer
from tailrace.serve.elasticsearch.buckets import TooManyBuckets
from tailrace.serve.elasticsearch.hits import INDEX
from tailrace.serve.elasticsearch.of_address import of_address
from tailrace.serve.elasticsearch.search import answer_search, in_index, search_of, selection_of
from tailrace.serve.query_threads import ClientGone
from tailrace.serve.serving import Serving
from tailrace.store.duck import Duck
from tailrace.store.port import Selection, Snapshot

_BODY_BYTES_MAX = 1 << 20
_PATIENCE_S = 30.0
_SEARCHES_MAX = 100
_EVERYTHING = "*"

Work = Callable[[Snapshot], dict[str, Any]]


def search_api_router(serving: Serving, duck: Duck) -> APIRouter:
    """`duck` is given back by whoever made it."""
    router = APIRouter(tags=["search"])
    settings = serving.places.settings.query

    def searching(index: str, body: Mapping[str, Any]) -> Work:
        now_us = serving.places.clock()
        asked = search_of(index, body, now_us=now_us)
        return lambda snapshot: answer_search(
            asked, snapshot, duck, now_us=now_us, memory_bytes_max=settings.memory_bytes_max
        )

    async def answered(request: Request, made: Callable[[bytes], Work]) -> Response:
        """`made` reads the body, in the thread of the query: what it says may take long to understand."""
        try:
            raw = await _received(request)
            return json_answer(
                await serving.query("elasticsearch", request, lambda snapshot: orjson.dumps(made(raw)(snapshot)))
            )
        except QueryError as error:
            return Response(_error(error), 400, media_type="application/json", headers=PRODUCT)
        except TailraceError as error:
            return error_answer(error)

    async def search(request: Request) -> Response:
        """Find events by Elasticsearch's query DSL, and aggregate them."""
        return await answered(
            request, lambda raw: searching(_index(request), {**_object(raw), **of_address(request.query_params)})
        )

    async def count(request: Request) -> Response:
        """How many events match."""

        def made(raw: bytes) -> Work:
            body = {**_object(raw), **of_address(request.query_params, known=("q",))}
            query = from_elasticsearch(body.get("query") or {"match_all": {}}, now_us=serving.places.clock())
            selection = selection_of(And((in_index(_index(request)), query)))
            shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
            return lambda snapshot: {"count": snapshot.count(selection), "_shards": shards}

        return await answered(request, made)

    async def msearch(request: Request) -> Response:
        """Several searches in one request: a line that names the index, and a line with the body, for each."""

        def made(raw: bytes) -> Work:
            of_address(request.query_params, known=())
            works = [_each(_index(request), header, body, searching) for header, body in _pairs(raw)]

            def work(snapshot: Snapshot) -> dict[str, Any]:
                responses = [each(snapshot) for each in works]
                return {"took": sum(each.get("took", 0) for each in responses), "responses": responses}

            return work

        return await answered(request, made)

    async def field_caps(request: Request) -> Response:
        """Which fields there are, and what can be done with them."""

        def work(snapshot: Snapshot) -> dict[str, Any]:
            types = _types(snapshot, selection_of(in_index(_index(request))))
            return {"indices": [INDEX], "fields": {name: {kind: _caps(kind)} for name, kind in types.items()}}

        return await answered(request, lambda _: work)

    async def mapping(request: Request) -> Response:
        """The fields as a mapping."""

        def work(snapshot: Snapshot) -> dict[str, Any]:
            types = _types(snapshot, selection_of(in_index(_index(request))))
            properties: dict[str, Any] = {}
            for name, kind in types.items():
                if not name.endswith(".keyword"):
                    properties[name] = {"type": kind}
            properties["message"]["fields"] = {"keyword": {"type": "keyword"}}
            return {INDEX: {"mappings": {"properties": properties}}}

        return await answered(request, lambda _: work)

    both = ["GET", "POST"]
    for name, endpoint, methods in (
        ("_search", search, both),
        ("_count", count, both),
        ("_msearch", msearch, both),
        ("_field_caps", field_caps, both),
        ("_mapping", mapping, ["GET"]),
    ):
        for path in (f"/{name}", f"/{{index}}/{name}"):
            # One way to ask is enough to be told of; the others are Elasticsearch's.
            router.add_api_route(path, endpoint, methods=methods, include_in_schema=False)
    return router


def _index(request: Request) -> str:
    return str(request.path_params.get("index", _EVERYTHING))


def _each(index: str, header: Mapping[str, Any], body: Mapping[str, Any], searching: Callable[..., Work]) -> Work:
    """A search that is wrong answers with its error, and the others go on."""
    named = header.get("index") or index
    names = ",".join(map(str, named)) if isinstance(named, list) else str(named)
    try:
        work = searching(names, body)
    except QueryError as error:
        failed: dict[str, Any] = orjson.loads(_error(error))
        return lambda _: failed

    def guarded(snapshot: Snapshot) -> dict[str, Any]:
        try:
            return {**work(snapshot), "status": 200}
        except QueryError as error:
            told: dict[str, Any] = orjson.loads(_error(error))
            return told

    return guarded


def _error(error: QueryError) -> bytes:
    kind = "too_many_buckets_exception" if isinstance(error, TooManyBuckets) else "parsing_exception"
    return error_body(400, kind, str(error))


async def _received(request: Request) -> bytes:
    """Up to a little more than a body may have. Raises `TooSlow`, and `ClientGone` when the client leaves."""
    parts = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            async for part in request.stream():
                parts += part
                if len(parts) > _BODY_BYTES_MAX:
                    break
    except TimeoutError:
        raise TooSlow(f"only {len(parts):,} bytes of the body came in time; send it faster") from None
    except ClientDisconnect:
        raise ClientGone from None
    return bytes(parts)


def _object(raw: bytes) -> Mapping[str, Any]:
    if len(raw) > _BODY_BYTES_MAX:
        raise QueryError(f"the body is larger than {_BODY_BYTES_MAX:,} bytes")
    if not raw.strip():
        return {}
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise QueryError(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise QueryError("the body has to be an object")
    return value


def _pairs(raw: bytes) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    # The line with the index may be blank; behind the last body blank lines mean nothing.
    lines = raw.rstrip().split(b"\n") if raw.strip() else []
    if len(raw) > _BODY_BYTES_MAX or len(lines) > 2 * _SEARCHES_MAX:
        raise QueryError(f"more than {_SEARCHES_MAX} searches, or {_BODY_BYTES_MAX:,} bytes, in one request")
    if len(lines) % 2:
        raise QueryError("the lines have to come in pairs: one that names the index, and one with the body")
    objects = [_object(line) for line in lines]
    return list(zip(objects[::2], objects[1::2], strict=True))


def _types(snapshot: Snapshot, selection: Selection) -> dict[str, str]:
    types = {"@timestamp": "date", "message": "text", "message.keyword": "keyword"}
    for figure in snapshot.fields(selection):
        if figure.name not in TIME_FIELDS | TEXT_FIELDS:
            types[figure.name] = "keyword"
    return {**types, **dict.fromkeys(sorted(VALUE_FIELDS), "keyword")}


def _caps(kind: str) -> dict[str, Any]:
    return {"type": kind, "metadata_field": False, "searchable": True, "aggregatable": kind != "text"}
