"""`GET /api/search`: pages of JSON, or every match as a stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from tailrace.errors import BadInput
from tailrace.serve.export import EXPORTS, export
from tailrace.serve.pages import page_body, read_page
from tailrace.serve.parameters import PAGE_ROWS_MAX, SearchParameters
from tailrace.serve.schemas import EventsPage
from tailrace.serve.serving import Serving
from tailrace.serve.streaming import Streamed, begun
from tailrace.store.port import Selection, Snapshot

_PAGE_ROWS = 100
_STREAMS = {each.media_type: {"schema": {"type": "string", "format": "binary"}} for each in EXPORTS.values()}


def search_router(serving: Serving) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["search"])

    @router.get(
        "/search",
        summary="Find events",
        response_model=EventsPage,
        responses={200: {"content": _STREAMS}},
    )
    async def search(request: Request, asked: Annotated[SearchParameters, Query()]) -> Response:
        """Events that match, ordered by time.

        `format=json` answers in pages: `next_cursor` names the place behind the last event for good, whatever comes
        in meanwhile. The other formats stream every match; a stream that fails in the middle is cut, not ended.
        """
        selection = asked.selection(serving.places.clock())
        if asked.format != "json":
            return await _stream(serving, asked, selection)
        limit = asked.limit or _PAGE_ROWS
        if limit > PAGE_ROWS_MAX:
            raise BadInput(f"limit {limit} is more than {PAGE_ROWS_MAX} for format=json; page on with the cursor")

        def work(snapshot: Snapshot) -> bytes:
            page = read_page(snapshot, selection, order=asked.order, limit=limit, cursor=asked.cursor)
            return page_body(page, serving.renderer, name="events")

        return Response(await serving.query("search", request, work), media_type="application/json")

    return router


async def _stream(serving: Serving, asked: SearchParameters, selection: Selection) -> Response:
    kind = EXPORTS[asked.format]
    if asked.cursor:
        raise BadInput("a cursor pages through format=json; the other formats stream every match")
    batches = export(
        serving.places.searchable,
        selection,
        order=asked.order,
        limit=asked.limit,
        make=lambda: kind.make(serving.renderer),
    )
    chunks = await begun(serving.threads.admitted_pull("export", batches))
    disposition = f'attachment; filename="logs.{kind.suffix}"'
    return Streamed(chunks, media_type=kind.media_type, headers={"Content-Disposition": disposition})
