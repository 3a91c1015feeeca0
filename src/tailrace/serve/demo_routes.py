"""The demo: realistic events of this server's own, for whoever wants to look around before sending any."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import orjson
from fastapi import APIRouter, Request, Response

from tailrace.serve.json_body import read_json
from tailrace.serve.places import Demo
from tailrace.serve.schemas import DemoFigures, DemoRequest

_REQUEST_BYTES_MAX = 1024


def demo_router(demo: Demo) -> APIRouter:
    router = APIRouter(prefix="/api/demo", tags=["operations"])

    @router.get("", summary="Look at the demo", response_model=DemoFigures)
    async def get_demo() -> Response:
        """Whether events are being made, how many a second, and how many so far."""
        return _answer(demo)

    @router.post(
        "",
        summary="Start the demo",
        response_model=DemoFigures,
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": DemoRequest.model_json_schema()}}}},
    )
    async def start_demo(request: Request) -> Response:
        """Makes realistic events and takes them in, until it is stopped or the server ends. There is one at a time:
        started again, it goes on at the new rate.
        """
        asked = await read_json(
            request, DemoRequest, bytes_max=_REQUEST_BYTES_MAX, example='{"rate": 200}, or nothing', empty=b"{}"
        )
        await asyncio.to_thread(demo.start, asked.rate)
        return _answer(demo)

    @router.delete("", summary="Stop the demo", response_model=DemoFigures)
    async def stop_demo() -> Response:
        """Its events stay."""
        await asyncio.to_thread(demo.stop)
        return _answer(demo)

    return router


def _answer(demo: Demo) -> Response:
    return Response(orjson.dumps(asdict(demo.figures())), media_type="application/json")
