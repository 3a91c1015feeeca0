"""The HTTP application: every route, its errors and its description, over the places it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from tailrace.serve.context_route import context_router
from tailrace.serve.dead_letter_routes import dead_letter_router
from tailrace.serve.demo_routes import demo_router
from tailrace.serve.docs_page import docs_page
from tailrace.serve.elasticsearch.search_routes import search_api_router
from tailrace.serve.envelope import Envelope
from tailrace.serve.figures_routes import figures_router
from tailrace.serve.health_routes import health_router
from tailrace.serve.logs_route import logs_router
from tailrace.serve.loki.routes import loki_query_router
from tailrace.serve.loki.tail import LokiTails
from tailrace.serve.openapi import finished_openapi
from tailrace.serve.page_files import read_page
from tailrace.serve.page_routes import page_router
from tailrace.serve.places import Places, Vitals
from tailrace.serve.problems import add_problem_handlers
from tailrace.serve.query_threads import QueryThreads
from tailrace.serve.rendering import Renderer
from tailrace.serve.saved_routes import saved_router
from tailrace.serve.schemas import Problem
from tailrace.serve.search_route import search_router
from tailrace.serve.serving import Serving
from tailrace.serve.sql_route import sql_router
from tailrace.serve.tail_route import Tails, tail_router
from tailrace.store.duck import Duck

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "A parameter or the query is wrong"},
    429: {"model": Problem, "description": "Too much at once; `Retry-After` says when to come back"},
    503: {"model": Problem, "description": "A place is away; `Retry-After` says when to come back"},
}


def create_app(places: Places, *, routers: Sequence[APIRouter] = (), features: Sequence[str] = ()) -> FastAPI:
    """The application that answers queries; `routers` come first, so that they can take a path's other methods.

    `features` names what they add, for the dashboard, which is read from the package here. The application holds
    threads from its start, and lets go of them at its lifespan's end; the places stay open.
    """
    serving = Serving(places, QueryThreads(places.settings.query, places.metrics), Renderer())
    tails = Tails(places, serving.renderer)
    duck = Duck(places.settings.query)
    loki_tails = LokiTails(serving)

    async def close() -> None:
        await places.answers.close()
        tails.close()
        loki_tails.close()
        serving.threads.close()
        serving.renderer.close()
        duck.close()

    return role_app(
        places,
        routers=[
            *routers,
            logs_router(serving),
            search_router(serving),
            figures_router(serving),
            context_router(serving),
            tail_router(serving, tails),
            loki_query_router(serving, loki_tails),
            search_api_router(serving, duck),
            sql_router(serving),
            dead_letter_router(places),
            saved_router(places.saved),
            *([] if places.demo is None else [demo_router(places.demo)]),
            page_router(read_page(), features=[*features, *([] if places.demo is None else ["demo"])]),
        ],
        close=close,
    )


def role_app(
    vitals: Vitals, *, routers: Sequence[APIRouter] = (), close: Callable[[], Awaitable[None]] | None = None
) -> FastAPI:
    """The application of one role: its routes, health and figures. `close` is called at the end of its lifespan."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        vitals.stopping.set()
        if close is not None:
            await close()

    app = FastAPI(
        title="Tailrace",
        summary="Real-time logs: send, search, follow.",
        version=version("tailrace"),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=_PROBLEMS,
    )
    add_problem_handlers(app)
    for router in (*routers, health_router(vitals)):
        app.include_router(router)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    app.openapi = finished_openapi(app)  # type: ignore[method-assign]
    app.add_middleware(Envelope)
    return app
