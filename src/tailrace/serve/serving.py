"""What all routes of one app share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request

from tailrace.serve.places import Places
from tailrace.serve.query_threads import QueryThreads
from tailrace.serve.rendering import Renderer
from tailrace.store.port import Snapshot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Serving:
    places: Places
    threads: QueryThreads
    renderer: Renderer

    async def query(self, kind: str, request: Request, work: Callable[[Snapshot], T]) -> T:
        """Run `work` on a snapshot, in a thread, unless the client leaves before its turn."""

        def on_snapshot() -> T:
            with self.places.searchable.snapshot() as snapshot:
                return work(snapshot)

        return await self.threads.answer(kind, request, on_snapshot)
