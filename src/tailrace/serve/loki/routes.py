"""Loki's query API, for Grafana's Loki datasource and logcli: `/loki/api/v1/…`.

Errors are plain text, as Loki's are. Parameters come in the query string or in a form.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from tailrace.errors import BadInput, QueryError, RetryLater, SlowDown, TailraceError
from tailrace.query.logql.tree import LogQuery
from tailrace.serve.loki import answers, discovery
from tailrace.serve.loki.asked import Asked, asked
from tailrace.serve.loki.evaluate import Evaluation, number_of
from tailrace.serve.loki.steps import instant
from tailrace.serve.loki.tail import LokiTails
from tailrace.serve.serving import Serving
from tailrace.store.port import Snapshot

T = TypeVar("T")
_Work = Callable[[Evaluation, Asked], bytes]

KIND = "loki"
"""What queries are called in the figures."""


class LokiRoute(APIRoute):
    """A route whose errors are texts, which clients of Loki show as they are."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (BadInput, SlowDown, RetryLater) as error:
                return text_of(error)

        return handled


def text_of(error: TailraceError) -> Response:
    if isinstance(error, SlowDown | RetryLater):
        status = 429 if isinstance(error, SlowDown) else 503
        return Response(str(error), status, {"Retry-After": str(error.retry_after_s)}, "text/plain; charset=utf-8")
    status = error.status if isinstance(error, BadInput) else 500
    return Response(str(error), status, media_type="text/plain; charset=utf-8")


def loki_query_router(serving: Serving, tails: LokiTails) -> APIRouter:
    """Every route of the API that asks; `POST /loki/api/v1/push` is elsewhere."""
    router = APIRouter(prefix="/loki/api/v1", route_class=LokiRoute, include_in_schema=False)
    clock = serving.places.clock
    settings = serving.places.settings.query

    def route(path: str, work: _Work) -> None:
        async def endpoint(request: Request) -> Response:
            parameters = await asked(request, clock())

            def on_snapshot(snapshot: Snapshot) -> bytes:
                return work(Evaluation(snapshot, settings), parameters)

            body = await serving.query(KIND, request, on_snapshot)
            return Response(body, media_type="application/json")

        router.add_api_route(path, endpoint, methods=["GET", "POST"])

    for path, work in _ROUTES.items():
        route(path, work)

    async def named_values(request: Request, name: str) -> Response:
        parameters = await asked(request, clock())
        body = await serving.query(
            KIND, request, lambda snapshot: discovery.values(Evaluation(snapshot, settings), parameters, name)
        )
        return Response(body, media_type="application/json")

    async def field_values(request: Request, name: str) -> Response:
        parameters = await asked(request, clock())
        body = await serving.query(
            KIND, request, lambda snapshot: discovery.field_values(Evaluation(snapshot, settings), parameters, name)
        )
        return Response(body, media_type="application/json")

    router.add_api_route("/label/{name}/values", named_values, methods=["GET", "POST"])
    router.add_api_route("/detected_field/{name}/values", field_values, methods=["GET", "POST"])

    @router.get("/status/buildinfo")
    async def buildinfo() -> dict[str, str]:
        own = version("tailrace")
        # Grafana decides by the version what it may ask for.
        return {"version": "3.4.0", "revision": f"tailrace-{own}", "branch": "", "buildDate": "", "goVersion": ""}

    router.add_api_websocket_route("/tail", tails.tail)
    return router


def query(evaluation: Evaluation, parameters: Asked) -> bytes:
    """At one moment."""
    found = parameters.query()
    if isinstance(found, LogQuery):
        raise QueryError(
            "log queries are not supported as an instant query type, please change your query to a range query type"
        )
    steps = instant(parameters.time_ns())
    value = number_of(found)
    if value is not None:
        return answers.scalar(value, steps, evaluation.work)
    return answers.vector(evaluation.metric(found, steps), steps, evaluation.work)


def query_range(evaluation: Evaluation, parameters: Asked) -> bytes:
    found = parameters.query()
    if isinstance(found, LogQuery):
        if parameters.text("interval") not in ("", "0"):
            raise BadInput("interval is not supported here; a smaller limit gives fewer lines")
        start_ns, end_ns = parameters.span_ns()
        frames = evaluation.lines(
            found, -(-start_ns // 1000), -(-end_ns // 1000), parameters.direction(), parameters.limit()
        )
        return answers.streams(frames, evaluation.work, categorize=parameters.categorize)
    steps = parameters.steps()
    return answers.matrix(evaluation.metric(found, steps), steps, evaluation.work)


_ROUTES: dict[str, _Work] = {
    "/query": query,
    "/query_range": query_range,
    "/labels": discovery.labels,
    "/label": discovery.labels,
    "/series": discovery.series,
    "/index/stats": discovery.index_stats,
    "/index/volume": discovery.volume,
    "/index/volume_range": discovery.volume_range,
    "/detected_labels": discovery.detected_labels,
    "/detected_fields": discovery.detected_fields,
    "/patterns": discovery.patterns,
}
