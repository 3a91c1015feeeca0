"""The dead letters: looked at, mended, replayed, dropped."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from tailrace.model.dead_letter import store_of
from tailrace.serve.histogram import time_text
from tailrace.serve.parameters import Parameters
from tailrace.serve.places import Places
from tailrace.serve.problems import problem_response
from tailrace.serve.receiving import received
from tailrace.serve.schemas import DeadLetterPage, DeadLetterWhole, Problem, Replayed
from tailrace.store.dead_letters import DeadLetter

_ERRORS_TOLD_MAX = 100
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such dead letter"}}

LetterId = Annotated[str, Path(description="`id` of the dead letter", examples=["0-17-0"])]


class DeadLetterParameters(Parameters):
    limit: Annotated[int, Field(ge=1, le=1000, description="Dead letters in the answer")] = 100
    before: Annotated[str | None, Field(description="`next_before` of the answer before")] = None


def dead_letter_router(places: Places) -> APIRouter:
    router = APIRouter(prefix="/api/dead-letters", tags=["dead letters"])
    letters = places.dead_letters

    @router.get("", summary="List dead letters", response_model=DeadLetterPage)
    async def list_letters(asked: Annotated[DeadLetterParameters, Query()]) -> Response:
        """What could not be decoded, newest first, without its bytes."""

        def work() -> dict[str, Any]:
            found = letters.list(limit=asked.limit, before=asked.before)
            return {
                "dead_letters": [_summary(letter) for letter in found],
                "count": letters.count(),
                "next_before": found[-1].id if len(found) == asked.limit else None,
            }

        return _json(await asyncio.to_thread(work))

    @router.get("/{id}", summary="Read a dead letter", response_model=DeadLetterWhole, responses=_MISSING)
    async def get_letter(id: LetterId) -> Response:
        """One dead letter with the bytes as they came in."""
        letter = await asyncio.to_thread(letters.get, id)
        whole = {"raw_base64": base64.b64encode(letter.raw).decode(), "text": _text(letter.raw)}
        return _json(_summary(letter) | whole)

    @router.delete("/{id}", summary="Drop a dead letter", status_code=204, responses=_MISSING)
    async def drop_letter(id: LetterId) -> Response:
        """For good: its bytes are not kept anywhere else."""
        await asyncio.to_thread(letters.drop, id)
        return Response(status_code=204)

    @router.post(
        "/{id}/replay",
        summary="Replay a dead letter",
        response_model=Replayed,
        responses={**_MISSING, 400: {"model": Problem, "description": "It still cannot be decoded; it stays"}},
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
    )
    async def replay_letter(id: LetterId, request: Request) -> Response:
        """Decode it again and take its events in; then it is dropped. What one store had refused goes to that store.

        The request's body, when there is one, is the mended text that is decoded instead of the letter's own. A
        letter is replayed once, however often this is called.
        """
        async with received(request, places.gateway, places.metrics) as mended:
            letter = await asyncio.to_thread(letters.get, id)
            receipt = await places.gateway.replay(
                mended or letter.raw,
                content_type=letter.content_type,
                letter_id=letter.id,
                only_store=store_of(letter.source),
            )
        if receipt.rejected or not receipt.accepted:
            told = [{"line": each.line, "reason": each.reason} for each in receipt.rejected[:_ERRORS_TOLD_MAX]]
            return problem_response(400, f"dead letter {id} still cannot be decoded; it stays", errors=told)
        await asyncio.to_thread(letters.drop, id)
        return _json({"accepted": receipt.accepted})

    return router


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "observed_timestamp": time_text(letter.observed_us),
        "source": letter.source,
        "line": letter.line,
        "reason": letter.reason,
        "content_type": letter.content_type,
        "bytes": len(letter.raw),
        "replayed_as": letter.replayed_as,
    }


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
