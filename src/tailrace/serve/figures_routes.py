"""Counts: in all, over time, of fields and of their values."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from tailrace.serve.histogram import Figure, check_buckets, histogram_json, nice_interval_us
from tailrace.serve.pages import cursor_at
from tailrace.serve.parameters import HistogramParameters, Selecting, ValuesParameters, duration_us
from tailrace.serve.schemas import Count, Fields, Histogram, Values
from tailrace.serve.serving import Serving
from tailrace.store.port import Order, Selection, Snapshot


def figures_router(serving: Serving) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["figures"])
    clock = serving.places.clock

    @router.get("/count", summary="Count events", response_model=Count)
    async def count(request: Request, asked: Annotated[Selecting, Query()]) -> Response:
        """How many events match."""
        selection = asked.selection(clock())
        found = await serving.query("count", request, lambda snapshot: snapshot.count(selection))
        return _json({"count": found})

    @router.get("/histogram", summary="Count events over time", response_model=Histogram)
    async def histogram(request: Request, asked: Annotated[HistogramParameters, Query()]) -> Response:
        """Counts for each interval, split by a field.

        Without `start` or `end` the range is that of the events. Buckets begin at multiples of the interval since
        1970 in UTC. The twenty most frequent values have a series each, the rest is `others`.
        """
        selection = asked.selection(clock())
        interval_us = duration_us(asked.interval) if asked.interval else None
        by = asked.by.strip() or None
        answer = await serving.query(
            "histogram", request, lambda snapshot: _histogram(snapshot, selection, interval_us, by)
        )
        return _json(answer)

    @router.get("/fields", summary="List the fields of events", response_model=Fields)
    async def fields(request: Request, asked: Annotated[Selecting, Query()]) -> Response:
        """The fields that the selected events have, and how many have each."""
        selection = asked.selection(clock())
        found = await serving.query("fields", request, lambda snapshot: snapshot.fields(selection))
        return _json({"fields": [asdict(figure) for figure in found]})

    @router.get("/fields/{name:path}/values", summary="List the values of a field", response_model=Values)
    async def values(
        request: Request,
        name: Annotated[str, Path(description="A column or an attribute", examples=["service", "http.status"])],
        asked: Annotated[ValuesParameters, Query()],
    ) -> Response:
        """The most frequent values of a field among the selected events."""
        selection = asked.selection(clock())
        found = await serving.query(
            "values", request, lambda snapshot: snapshot.values(selection, field=name, limit=asked.limit)
        )
        return _json({"field": name, "values": [asdict(figure) for figure in found]})

    return router


def _histogram(snapshot: Snapshot, selection: Selection, interval_us: int | None, by: str | None) -> dict[str, Any]:
    start_us = selection.start_us if selection.start_us is not None else _edge_us(snapshot, selection, "asc")
    last_us = selection.end_us - 1 if selection.end_us is not None else _edge_us(snapshot, selection, "desc")
    if start_us is None or last_us is None or last_us < start_us:
        return histogram_json(Figure(0, 0, interval_us or nice_interval_us(0), by), [])
    figure = Figure(start_us, last_us + 1, interval_us or nice_interval_us(last_us + 1 - start_us), by)
    check_buckets(figure)
    bounded = replace(selection, start_us=figure.start_us, end_us=figure.end_us)
    return histogram_json(figure, snapshot.histogram(bounded, interval_us=figure.interval_us, by=by))


def _edge_us(snapshot: Snapshot, selection: Selection, order: Order) -> int | None:
    """The time of the first event in this order; None when there is none."""
    found = snapshot.search(selection, order=order, limit=1, after=None)
    return cursor_at(found, 0).timestamp_us if found.num_rows else None


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
