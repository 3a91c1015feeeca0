"""The one place that makes adapters from settings, starts them in order and stops them in reverse."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

import pyarrow as pa
from starlette.types import ASGIApp

from tailrace.broker.port import Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import Settings
from tailrace.errors import Stop, TailraceError
from tailrace.ingest.gateway import Gateway
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.process.worker import Worker
from tailrace.serve.app import create_app
from tailrace.serve.ingest_routes import ingest_router
from tailrace.serve.places import Places, Readiness
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.duck import Duck
from tailrace.store.event_tables import EventTables
from tailrace.store.hot_memory import HotMemory
from tailrace.store.jsonl import JsonlStore
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.maintenance import Maintenance
from tailrace.store.port import Store
from tailrace.store.union import Union

_GROUP = "worker"


class _Closable(Protocol):
    def close(self) -> None: ...


_P = TypeVar("_P", bound=_Closable)


@dataclass(frozen=True, slots=True)
class Platform:
    """All roles, running. `append` puts a batch of EVENT_SCHEMA into the log; it is durable on return."""

    app: ASGIApp
    append: Callable[[pa.RecordBatch], None]
    stopping: threading.Event


@contextlib.contextmanager
def platform(settings: Settings, *, clock: Clock) -> Iterator[Platform]:
    """Everything in this process, until it is left; then what was read is written, and the files are closed.

    Raises `Stop` when a place cannot be opened.
    """
    metrics = Metrics()
    data = settings.data
    data.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    with contextlib.ExitStack() as stack:

        def opened(place: _P) -> _P:
            stack.callback(place.close)
            return place

        log = opened(SqliteLog(data / "log.db", settings=settings.log, clock=clock, metrics=metrics))
        dead_letters = opened(DeadLetters(data / "dead_letters.db", bytes_max=settings.dead_letters.bytes_max))
        duck = opened(Duck(settings.query, temp_directory=data / "temporary"))
        hot = opened(HotMemory(settings.hot.bytes_max, engine=duck, clock=clock))
        lake = opened(Lake(data / "lake", engine=duck, clock=clock, metrics=metrics))
        maintenance = Maintenance(lake, settings=settings, clock=clock)
        maintenance.start()
        stack.callback(maintenance.stop)
        stores: list[Store] = [lake]
        if settings.jsonl.enabled:
            stores.append(opened(JsonlStore(data / "jsonl", settings=settings.jsonl, clock=clock)))
        reader = opened(log.reader(_GROUP))
        worker = Worker(
            reader,
            hot=hot,
            stores=stores,
            dead_letters=dead_letters,
            settings=settings.lake,
            clock=clock,
            metrics=metrics,
        )
        worker.start()
        stack.callback(worker.stop)
        metrics.dead_letters_pushed_out.set_function(lambda: dead_letters.figures().pushed_out)
        metrics.log_bytes.set_function(lambda: log.figures().bytes)
        metrics.log_lag_events.set_function(lambda: log.figures().lag_rows[_GROUP])
        metrics.hot_bytes.set_function(lambda: hot.bytes)
        gateway = opened(Gateway(log, settings=settings.ingest, clock=clock, metrics=metrics))

        def readiness() -> list[Readiness]:
            problems = worker.problems()
            return [
                _asked("log", log.figures),
                _asked("lake", lake.reached),
                _asked("dead letters", dead_letters.count),
                Readiness("worker", not problems, "; ".join(problems)),
            ]

        def store_figures() -> dict[str, dict[str, int | float | str]]:
            with lake.snapshot() as view:
                files = view.files
            return {
                "lake": {
                    "files": len(files),
                    "rows": sum(file.rows or 0 for file in files),
                    "bytes": sum(file.size_bytes for file in files),
                },
                "dead letters": asdict(dead_letters.figures()),
            }

        def append(batch: pa.RecordBatch) -> None:
            log.append([Record(ARROW_STREAM, encode_batch(batch), batch.num_rows)]).result()

        places = Places(
            settings=settings,
            clock=clock,
            metrics=metrics,
            searchable=Union(hot, lake),
            hot=hot,
            tables=EventTables(hot, lake),
            dead_letters=dead_letters,
            gateway=gateway,
            readiness=readiness,
            log_figures=log.figures,
            store_figures=store_figures,
            stopping=stopping,
        )
        router = ingest_router(gateway, settings=settings.ingest, metrics=metrics)
        yield Platform(create_app(places, routers=[router]), append, stopping)


@contextlib.contextmanager
def open_lake(settings: Settings, *, clock: Clock) -> Iterator[Lake]:
    """The lake alone, for upkeep beside a running server or without one. Raises `Stop` when there is none."""
    path = settings.data / "lake"
    if not path.exists():
        raise Stop(f"{path}: there is no lake here; name the data folder with --data")
    with contextlib.closing(Duck(settings.query, temp_directory=settings.data / "temporary")) as duck:
        yield Lake(path, engine=duck, clock=clock, metrics=Metrics())


def _asked(name: str, question: Callable[[], object]) -> Readiness:
    """Whether the place answers."""
    try:
        question()
    except TailraceError as error:
        return Readiness(name, False, str(error))
    return Readiness(name, True)
