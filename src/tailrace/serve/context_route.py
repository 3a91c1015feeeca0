"""`GET /api/context`: the lines around an event."""

from __future__ import annotations

import re
from typing import Annotated

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response

from tailrace.errors import BadInput, NotFound
from tailrace.query.times import parse_time
from tailrace.query.tree import All, And, Exists, Node, Not, Phrase
from tailrace.serve.parameters import ContextParameters
from tailrace.serve.schemas import Context
from tailrace.serve.serving import Serving
from tailrace.store.port import Cursor, Selection, Snapshot

_ID = re.compile(r"(\d{1,9})-(\d{1,18})-(\d{1,9})", re.ASCII)


def context_router(serving: Serving) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["search"])

    @router.get("/context", summary="Read the events around one", response_model=Context)
    async def context(request: Request, asked: Annotated[ContextParameters, Query()]) -> Response:
        """The events before and after one, in the order of time, from the same service and host.

        An event is named by its `id` and its `timestamp`: the time leads to it without reading everything.
        """
        at_us = parse_time(asked.at, now_us=serving.places.clock())[0]
        place = _place(asked.id, at_us)
        same = [name.strip() for name in asked.same.split(",") if name.strip()]

        def work(snapshot: Snapshot) -> bytes:
            return _around(snapshot, place, same, asked, serving)

        return Response(await serving.query("context", request, work), media_type="application/json")

    return router


def _place(id: str, at_us: int) -> Cursor:
    match = _ID.fullmatch(id.strip())
    if match is None:
        raise BadInput(f"id {id!r} is not an event's id: it looks like 0-42-7")
    return Cursor(at_us, int(match[1]), int(match[2]), int(match[3]))


def _around(snapshot: Snapshot, place: Cursor, same: list[str], asked: ContextParameters, serving: Serving) -> bytes:
    instant = Selection(All(), place.timestamp_us, place.timestamp_us + 1)
    # The order is total, so the row behind the place before this one is this one, if it is here.
    found = snapshot.search(instant, order="asc", limit=1, after=place._replace(row=place.row - 1))
    identity = (place.partition, place.offset, place.row)
    if not found.num_rows or tuple(found[name][0].as_py() for name in _IDENTITY) != identity:
        raise NotFound(f"there is no event {asked.id} at {asked.at}; give its id and timestamp as they were answered")
    row = found.slice(0, 1)
    event = {name: row[name][0].as_py() for name in row.column_names}
    where = And(tuple(_equal(name, event) for name in same)) if same else All()
    # The event's own time is the bound, so that a store can leave out what is on the other side.
    before = snapshot.search(
        Selection(where, None, place.timestamp_us + 1), order="desc", limit=asked.before, after=place
    )
    after = snapshot.search(Selection(where, place.timestamp_us, None), order="asc", limit=asked.after, after=place)
    array = serving.renderer.array
    return (
        b'{"before":'
        + array(before.take(pa.array(range(before.num_rows - 1, -1, -1), pa.int64())))
        + b',"event":'
        + array(row)[1:-1]
        + b',"after":'
        + array(after)
        + b"}"
    )


_IDENTITY = ("log_partition", "log_offset", "log_row")


def _equal(field: str, event: dict[str, object]) -> Node:
    value = event[field] if field in event else dict(event["attributes"]).get(field.removeprefix("attributes."))  # type: ignore[call-overload]
    return Phrase(field, str(value)) if value is not None else Not(Exists(field))
