"""`GET /logs`: the simple way to read logs, with answers that are kept for a while."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute

from tailrace.serve.cache import InFlight, key_of
from tailrace.serve.pages import page_body, read_page
from tailrace.serve.parameters import LogsParameters
from tailrace.serve.query_threads import ClientGone
from tailrace.serve.schemas import LogsPage
from tailrace.serve.serving import Serving
from tailrace.store.port import Snapshot

# Query strings whose keys are remembered, a few hundred kilobytes: a dashboard asks the same few again and again.
_KNOWN_MAX = 1000
_KNOWN_BYTES_MAX = 500


def logs_router(serving: Serving) -> APIRouter:
    places = serving.places
    answers = places.answers
    in_flight = InFlight(lost_by=ClientGone)
    known: dict[bytes, str] = {}

    def answered(body: bytes, result: str) -> Response:
        places.metrics.cache_answers.labels(result).inc()
        return Response(body, media_type="application/json", headers={"X-Cache": result})

    async def kept(request: Request) -> Response | None:
        """The answer to a query string that was found right before, if it is kept."""
        key = None if _wants_new(request) else known.get(request.scope["query_string"])
        body = None if key is None else await answers.get(key)
        return None if body is None else answered(body, "hit")

    class Route(APIRoute):
        """Reading and checking the parameters takes as long as everything else of a hit: known ones are not read."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            checked = super().get_route_handler()

            async def handler(request: Request) -> Response:
                return await kept(request) or await checked(request)

            return handler

    router = APIRouter(tags=["logs"], route_class=Route)

    @router.get("/logs", summary="Read logs, newest first", response_model=LogsPage)
    async def get_logs(request: Request, asked: Annotated[LogsParameters, Query()]) -> Response:
        """Logs by service, level, time and query, in pages.

        The answer to the same parameters is kept for `query.cache_s` (120 s by default): `X-Cache` says `hit` or
        `miss`. A request with `Cache-Control: no-cache` gets, and keeps, a new one.
        """
        key = key_of(asked.normalised())
        query_string = request.scope["query_string"]

        async def make() -> bytes:
            selection = asked.selection(places.clock())

            def work(snapshot: Snapshot) -> bytes:
                page = read_page(snapshot, selection, order="desc", limit=asked.limit, cursor=asked.cursor)
                return page_body(page, serving.renderer, name="logs")

            body = await serving.query("logs", request, work)
            await answers.put(key, body)
            return body

        if _wants_new(request):
            return answered(await make(), "miss")
        body = await answers.get(key)
        result = "miss" if body is None else "hit"
        if body is None:
            body = await in_flight.share(key, make)
        if len(query_string) <= _KNOWN_BYTES_MAX:
            if len(known) >= _KNOWN_MAX:
                known.clear()
            known[query_string] = key
        return answered(body, result)

    return router


def _wants_new(request: Request) -> bool:
    return "no-cache" in request.headers.get("cache-control", "").lower()
