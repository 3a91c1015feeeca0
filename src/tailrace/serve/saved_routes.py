"""The saved views: searches and SQL that people keep in the dashboard and share by link."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request, Response

from tailrace.errors import TooLarge
from tailrace.serve.histogram import time_text
from tailrace.serve.json_body import read_json
from tailrace.serve.places import Views
from tailrace.serve.schemas import Problem, Saved, SavedList, SavedRequest
from tailrace.store.saved_views import Content, SavedView

STATE_BYTES_MAX = 64 << 10
"""Of one state as JSON: a long statement of SQL has a hundredth of that."""

# The state may come with spaces and escapes in it.
_REQUEST_BYTES_MAX = 4 * STATE_BYTES_MAX
_EXAMPLE = '{"name": …, "kind": "search", "state": {…}}'

_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such saved view"}}
_TOO_LARGE: dict[int | str, dict[str, Any]] = {413: {"model": Problem, "description": "The state is too large"}}
_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": SavedRequest.model_json_schema()}}}
}

ViewId = Annotated[str, Path(description="`id` of the saved view", examples=["pV3kT9xQz-1m"])]


def saved_router(views: Views) -> APIRouter:
    router = APIRouter(prefix="/api/saved", tags=["saved"])

    @router.get("", summary="List saved views", response_model=SavedList)
    async def list_saved() -> Response:
        """Everything that was saved, the last changed first."""
        found = await asyncio.to_thread(views.list)
        return Response(orjson.dumps({"saved": [_told(view) for view in found]}), media_type="application/json")

    @router.post(
        "",
        summary="Save a view",
        status_code=201,
        response_model=Saved,
        responses=_TOO_LARGE,
        openapi_extra=_BODY,
    )
    async def create_saved(request: Request) -> Response:
        """Keeps a search or a statement under a new id. It is durable when this is answered."""
        return _answer(await asyncio.to_thread(views.create, await _read_content(request)), status=201)

    @router.get("/{id}", summary="Read a saved view", response_model=Saved, responses=_MISSING)
    async def get_saved(id: ViewId) -> Response:
        """One saved view."""
        return _answer(await asyncio.to_thread(views.get, id))

    @router.put(
        "/{id}",
        summary="Change a saved view",
        response_model=Saved,
        responses=_MISSING | _TOO_LARGE,
        openapi_extra=_BODY,
    )
    async def change_saved(id: ViewId, request: Request) -> Response:
        """Replaces name, kind and state. Of two people who change a view at once, the last one wins."""
        return _answer(await asyncio.to_thread(views.change, id, await _read_content(request)))

    @router.delete("/{id}", summary="Delete a saved view", status_code=204, responses=_MISSING)
    async def remove_saved(id: ViewId) -> Response:
        """For good: links to it lead nowhere."""
        await asyncio.to_thread(views.remove, id)
        return Response(status_code=204)

    return router


async def _read_content(request: Request) -> Content:
    asked = await read_json(request, SavedRequest, bytes_max=_REQUEST_BYTES_MAX, example=_EXAMPLE)
    state = orjson.dumps(asked.state)
    if len(state) > STATE_BYTES_MAX:
        raise TooLarge(f"a saved state has at most {STATE_BYTES_MAX:,} bytes; this one has {len(state):,}")
    return Content(asked.name, asked.kind, state.decode())


def _told(view: SavedView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.content.name,
        "kind": view.content.kind,
        "state": orjson.Fragment(view.content.state),
        "created": time_text(view.created_us),
        "updated": time_text(view.updated_us),
    }


def _answer(view: SavedView, *, status: int = 200) -> Response:
    return Response(orjson.dumps(_told(view)), status, media_type="application/json")
