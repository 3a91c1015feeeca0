"""A whole application over real places: hot memory, a Parquet file for SQL, an SQLite log, and uvicorn."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest
import uvicorn
from fastapi import FastAPI

from tailrace.broker.sqlite import SqliteLog
from tailrace.config import LogSettings, QuerySettings, Settings
from tailrace.ingest.gateway import Gateway
from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.ops.metrics import Metrics
from tailrace.serve.app import create_app
from tailrace.serve.cache import MemoryAnswers
from tailrace.serve.places import Places, Readiness
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import Selection
from tailrace.store.sandbox.run import Tables
from tailrace.store.saved_views import SavedViews

NOW_US = 1_743_156_000_000_000
"""2025-03-28T10:00:00Z"""

SECOND_US = 1_000_000


def stored(rows: Sequence[dict[str, Any]], *, offset: int = 0, partition: int = 0) -> pa.RecordBatch:
    """Rows with an identity; what they do not say is filled in."""
    whole = [{"observed_timestamp": NOW_US, "timestamp": NOW_US, "message": "", **row} for row in rows]
    return with_identity(batch_of_rows(whole), partition, offset)


SERVICES = ("auth", "pay", "web")
LEVELS = ("INFO", "INFO", "WARN", "ERROR")


def many(count: int, *, offset: int = 0) -> pa.RecordBatch:
    """`count` events, one a second, the last at NOW_US."""
    return stored(
        [
            {
                "timestamp": NOW_US - (count - 1 - row) * SECOND_US,
                "level": LEVELS[row % len(LEVELS)],
                "service": SERVICES[row % len(SERVICES)],
                "host": f"host-{row % 2}",
                "message": f'request {row} "took" long, twice',
                "attributes": {"latency_ms": str(row), "http.status": "500" if row % 10 == 0 else "200"},
            }
            for row in range(count)
        ],
        offset=offset,
    )


class _HotAndFile:
    """The tables of a snapshot: the hot rows, and a Parquet file of older ones."""

    def __init__(self, hot: HotMemory, files: list[str]) -> None:
        self._hot = hot
        self._files = files

    @contextmanager
    def tables(self) -> Iterator[Tables]:
        with self._hot.snapshot() as snapshot:
            hot = snapshot.search(Selection(), order="asc", limit=1_000_000, after=None)
            yield Tables(self._files, hot)


class Client:
    """Synchronous calls to an application in this process."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://tailrace") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def close(self) -> None:
        async def live() -> None:
            async with self._app.router.lifespan_context(self._app):
                pass

        asyncio.run(live())


@dataclass
class House:
    """The places, and hands on them."""

    places: Places
    hot: HotMemory
    files: list[str]
    log: SqliteLog
    dead_letters: DeadLetters
    saved: SavedViews
    readiness: list[Readiness] = field(default_factory=list)
    now_us: list[int] = field(default_factory=lambda: [NOW_US])
    clients: list[Client] = field(default_factory=list)

    def client(self, **other_places: Any) -> Client:
        return self.client_of(create_app(replace(self.places, **other_places)))

    def client_of(self, app: FastAPI) -> Client:
        made = Client(app)
        self.clients.append(made)
        return made

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.places.gateway.close()
        self.dead_letters.close()
        self.saved.close()
        self.hot.close()
        self.log.close()


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(**query: Any) -> House:
        settings = Settings(data=tmp_path, query=QuerySettings(**query))
        now_us = [NOW_US]
        metrics = Metrics()
        hot = HotMemory(64 << 20, clock=lambda: now_us[0])
        log = SqliteLog(tmp_path / "log.db", settings=LogSettings(), clock=lambda: now_us[0])
        readiness = [Readiness("log", True), Readiness("lake", True)]
        files: list[str] = []
        dead_letters = DeadLetters(tmp_path / "dead_letters.db")
        saved = SavedViews(tmp_path / "saved_views.db", clock=lambda: now_us[0])
        places = Places(
            settings=settings,
            clock=lambda: now_us[0],
            metrics=metrics,
            searchable=hot,
            tables=_HotAndFile(hot, files),
            hot=hot,
            answers=MemoryAnswers(
                keep_s=settings.query.cache_s,
                bytes_max=settings.query.cache_bytes_max,
                clock=lambda: now_us[0],
            ),
            dead_letters=dead_letters,
            saved=saved,
            gateway=Gateway(log, settings=settings.ingest, clock=lambda: now_us[0], metrics=metrics),
            readiness=lambda: readiness,
            log_figures=log.figures,
            store_figures=lambda: {"lake": {"files": 1, "bytes": 2}},
        )
        house = House(places, hot, files, log, dead_letters, saved, readiness, now_us)
        made.append(house)
        return house

    yield make
    for house in made:
        house.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()


@pytest.fixture
def client(house: House) -> Client:
    return house.client()


@contextmanager
def served(places: Places) -> Iterator[str]:
    """The application on a real uvicorn; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(places), log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        places.stopping.set()
        server.should_exit = True
        thread.join()
        listener.close()


def write_file(house: House, path: Path, batch: pa.RecordBatch) -> None:
    """A Parquet file that SQL sees beside the hot rows."""
    pa.parquet.write_table(pa.Table.from_batches([batch], STORED_SCHEMA), path)
    house.files.append(str(path))
