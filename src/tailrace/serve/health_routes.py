"""Whether it lives, whether it can work, what it counts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import orjson
from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from tailrace.serve.histogram import time_text
from tailrace.serve.places import Vitals
from tailrace.serve.problems import problem_response
from tailrace.serve.schemas import Healthy, Problem, Ready, Status

MASK = "********"

_SECRET_NAME = re.compile(r"password|passwd|secret|token|credential|(^|_)key(_|$)|keys$")
_SECRET_IN_URL = re.compile(r"(://)[^/@]*@")
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def health_router(vitals: Vitals) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Whether the process lives", response_model=Healthy)
    async def healthz() -> Response:
        """Always 200 while the server answers at all."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    @router.get(
        "/readyz",
        summary="Whether every place can be used",
        response_model=Ready,
        responses={503: {"model": Problem, "description": "A place is missing; `detail` names it"}},
    )
    async def readyz() -> Response:
        """Asks the log and the stores. 503 names each place that is missing, and why."""
        found = await asyncio.to_thread(vitals.readiness)
        each = [asdict(one) for one in found]
        missing = [one for one in found if not one.ready]
        if not missing:
            return Response(orjson.dumps({"ready": True, "places": each}), media_type="application/json")
        detail = "; ".join(f"{one.name}: {one.detail or 'not ready'}" for one in missing)
        return problem_response(503, detail, {"Retry-After": "5"}, ready=False, places=each)

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Every metric in Prometheus' text format."""
        # Some figures are read from a store when they are asked for.
        text = await asyncio.to_thread(generate_latest, vitals.metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @router.get("/api/status", summary="Figures and settings", response_model=Status)
    async def status() -> Response:
        """The figures of the log and the stores, and the settings in force, with secrets masked."""
        return Response(await asyncio.to_thread(_status, vitals), media_type="application/json")

    return router


def _status(vitals: Vitals) -> bytes:
    return orjson.dumps(
        {
            "version": version("tailrace"),
            "now": time_text(vitals.clock()),
            "log": asdict(vitals.log_figures()),
            "stores": vitals.store_figures(),
            "dead_letters": None if vitals.dead_letters is None else vitals.dead_letters.count(),
            "settings": masked(vitals.settings.model_dump(mode="json")),
        },
        option=orjson.OPT_NON_STR_KEYS,
    )


def masked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings without passwords, tokens and keys, those in URLs too."""
    return {name: _masked_value(name, value) for name, value in settings.items()}


def _masked_value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return masked(value)
    if value and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, list | tuple):
        return [_masked_value(name, each) for each in value]
    if isinstance(value, str):
        return _SECRET_PARAMETER.sub(rf"\1{MASK}", _SECRET_IN_URL.sub(rf"\1{MASK}@", value))
    return value
