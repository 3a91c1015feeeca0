"""`GET /logs`: the simple way to read logs, with answers that are kept for a while."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tailrace.serve.cache import AnswerCache, key_of
from tailrace.serve.pages import page_body, read_page
from tailrace.serve.parameters import LogsParameters
from tailrace.serve.schemas import LogsPage
from tailrace.serve.serving import Serving
from tailrace.store.port import Snapshot


def logs_router(serving: Serving) -> APIRouter:
    router = APIRouter(tags=["logs"])
    places = serving.places
    settings = places.settings.query
    cache = AnswerCache(keep_s=settings.cache_s, bytes_max=settings.cache_bytes_max, clock=places.clock)

    @router.get("/logs", summary="Read logs, newest first", response_model=LogsPage)
    async def get_logs(request: Request, asked: Annotated[LogsParameters, Query()]) -> Response:
        """Logs by service, level, time and query, in pages.

        The answer to the same parameters is kept for `query.cache_s` (120 s by default): `X-Cache` says `hit` or
        `miss`. A request with `Cache-Control: no-cache` gets, and keeps, a new one.
        """
        key = key_of(asked.normalised())
        fresh = "no-cache" in request.headers.get("cache-control", "").lower()
        body = None if fresh else cache.get(key)
        result = "miss" if body is None else "hit"
        if body is None:
            selection = asked.selection(places.clock())

            def work(snapshot: Snapshot) -> bytes:
                page = read_page(snapshot, selection, order="desc", limit=asked.limit, cursor=asked.cursor)
                return page_body(page, serving.renderer, name="logs")

            body = await serving.query("logs", request, work)
            cache.put(key, body)
        places.metrics.cache_answers.labels(result).inc()
        return Response(body, media_type="application/json", headers={"X-Cache": result})

    return router
