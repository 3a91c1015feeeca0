"""The roles: what each opens, and what it serves over HTTP. Everything is closed in reverse when it is left."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from starlette.types import ASGIApp

from tailrace.broker.port import Log, LogFigures, Record
from tailrace.config import Settings
from tailrace.errors import RetryLater, Stop, TailraceError
from tailrace.ingest.gateway import Gateway
from tailrace.listen.port import Listener
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.clock import Clock
from tailrace.process.worker import Worker
from tailrace.serve.app import create_app, role_app
from tailrace.serve.places import Demo, Places, Readiness, Vitals
from tailrace.serve.protocols import protocol_routers
from tailrace.store.duck import Duck
from tailrace.store.port import HotReader, HotWriter
from tailrace.store.union import Union
from tailrace.wiring.hot import is_shared_hot, open_answers, open_memory, open_mirror, open_redis
from tailrace.wiring.listeners import listeners
from tailrace.wiring.log import LettersAndClaims, is_shared, open_letters, open_log
from tailrace.wiring.opening import Opening
from tailrace.wiring.pipeline import open_pipeline
from tailrace.wiring.saved import open_saved
from tailrace.wiring.stores import Figures, Queried, Stores, targets

if TYPE_CHECKING:
    from tailrace.steps.pipeline import Pipeline

Check = Callable[[], Readiness]


@dataclass(frozen=True, slots=True)
class Role:
    """A role at work. Setting `stopping` tells what would never end by itself, such as a live tail, to do so.

    Its listeners are started and stopped with the server of `app`.
    """

    app: ASGIApp
    stopping: threading.Event
    listeners: Sequence[Listener]


Append = Callable[[pa.RecordBatch], None]
"""Puts a batch of EVENT_SCHEMA into the log; it is durable on return."""


@dataclass(frozen=True, slots=True)
class Platform(Role):
    """All roles. `demo` is what was made of `make_demo`."""

    demo: Demo | None


@contextlib.contextmanager
def gateway_role(settings: Settings, *, clock: Clock) -> Iterator[Role]:
    """Takes events in. Raises `Stop` when a place cannot be opened."""
    _must_be_shared(settings, "gateway", hot=False)
    with contextlib.ExitStack() as stack:
        opening = Opening(settings, stack, clock=clock)
        log = open_log(opening, _groups(settings))
        gateway = _open_gateway(opening, log, open_pipeline(settings, opening.metrics))
        vitals = Vitals(
            settings=settings,
            clock=clock,
            metrics=opening.metrics,
            readiness=_readiness(opening, _asked("log", log.figures)),
            log_figures=log.figures,
            store_figures=dict,
            stopping=opening.stopping,
        )
        routers = protocol_routers(gateway, opening.metrics)
        yield Role(role_app(vitals, routers=routers), opening.stopping, _listeners(opening, gateway))


@contextlib.contextmanager
def worker_role(settings: Settings, *, clock: Clock) -> Iterator[Role]:
    """Takes events from the log into every store. Raises `Stop` when a place cannot be opened."""
    _must_be_shared(settings, "worker", hot=True)
    with contextlib.ExitStack() as stack:
        opening = Opening(settings, stack, clock=clock)
        log = open_log(opening, _groups(settings))
        letters = open_letters(opening)
        stores = Stores(opening, _open_duck(opening))
        stores.check()
        pipeline = open_pipeline(settings, opening.metrics)
        workers = _start_workers(opening, log, stores, letters, open_redis(opening), pipeline)
        vitals = Vitals(
            settings=settings,
            clock=clock,
            metrics=opening.metrics,
            readiness=_readiness(opening, _asked("log", log.figures), *_at_work(workers)),
            log_figures=log.figures,
            store_figures=lambda: _figures(stores, letters),
            dead_letters=letters,
            stopping=opening.stopping,
        )
        yield Role(role_app(vitals), opening.stopping, ())


@contextlib.contextmanager
def api_role(settings: Settings, *, clock: Clock) -> Iterator[Role]:
    """Answers queries. Raises `Stop` when a place cannot be opened."""
    _must_be_shared(settings, "api", hot=True)
    with contextlib.ExitStack() as stack:
        opening = Opening(settings, stack, clock=clock)
        log = open_log(opening, _groups(settings))
        letters = open_letters(opening)
        duck = _open_duck(opening)
        stores = Stores(opening, duck)
        queried = stores.queried()
        places = _places(
            opening,
            log=log,
            letters=letters,
            stores=stores,
            queried=queried,
            hot=open_mirror(opening, duck, queried.reached),
            gateway=_open_gateway(opening, log, open_pipeline(settings, opening.metrics)),
            checks=(),
        )
        yield Role(create_app(places), opening.stopping, ())


@contextlib.contextmanager
def platform(
    settings: Settings, *, clock: Clock, make_demo: Callable[[Append], Demo] | None = None
) -> Iterator[Platform]:
    """Every role in this process, until it is left; then what was read is written, and the files are closed.

    `make_demo` makes the generator of demo events that the API can start; it is stopped first. Raises `Stop` when a
    place cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        opening = Opening(settings, stack, clock=clock)
        log = open_log(opening, _groups(settings))
        letters = open_letters(opening)
        duck = _open_duck(opening)
        stores = Stores(opening, duck)
        queried = stores.queried()
        stores.check()
        shown: HotReader
        put: HotWriter
        if is_shared_hot(settings.hot):
            # The metric of the newest events is about the memory of this process: that of the last one opened.
            put, shown = open_redis(opening), open_mirror(opening, duck, queried.reached)
        else:
            shown = put = open_memory(opening, duck)
        pipeline = open_pipeline(settings, opening.metrics)
        workers = _start_workers(opening, log, stores, letters, put, pipeline)
        gateway = _open_gateway(opening, log, pipeline)

        def append(batch: pa.RecordBatch) -> None:
            log.append([Record(ARROW_STREAM, encode_batch(batch), batch.num_rows)]).result()

        demo = None if make_demo is None else make_demo(append)
        if demo is not None:
            stack.callback(demo.stop)
        places = _places(
            opening,
            log=log,
            letters=letters,
            stores=stores,
            queried=queried,
            hot=shown,
            gateway=gateway,
            checks=_at_work(workers),
            demo=demo,
        )
        app = create_app(
            places, routers=protocol_routers(gateway, opening.metrics, letters.newest_documents), features=["ingest"]
        )
        yield Platform(app, opening.stopping, _listeners(opening, gateway), demo)


def _must_be_shared(settings: Settings, role: str, *, hot: bool) -> None:
    if not is_shared(settings.log):
        raise Stop(
            f"tailrace {role} shares its log with other processes: set log.url to kafka://HOST:PORT/TOPIC "
            "(`tailrace up` runs every role in one process, on a log of its own)"
        )
    if hot and not is_shared_hot(settings.hot):
        raise Stop(
            f"tailrace {role} shares the newest events with other processes: set hot.url to redis://HOST:PORT/0"
        )


def _groups(settings: Settings) -> Sequence[str]:
    """A group of the log for each store: each goes on at its own pace."""
    return [target.kind for target in targets(settings)]


def _open_duck(opening: Opening) -> Duck:
    return opening.opened(Duck(opening.settings.query, temp_directory=opening.data / "temporary"))


def _open_gateway(opening: Opening, log: Log, pipeline: Pipeline | None) -> Gateway:
    settings, metrics = opening.settings, opening.metrics
    gateway = Gateway(log, settings=settings.ingest, clock=opening.clock, metrics=metrics, shape=pipeline)
    return opening.opened(gateway)


def _listeners(opening: Opening, gateway: Gateway) -> Sequence[Listener]:
    return listeners(opening.settings.listeners, gateway, opening.metrics)


def _start_workers(
    opening: Opening, log: Log, stores: Stores, letters: LettersAndClaims, hot: HotWriter, pipeline: Pipeline | None
) -> Sequence[Worker]:
    """One for each store. The one whose store answers queries also shows events, keeps dead letters, and counts what
    the pipeline has dropped.
    """
    settings, metrics = opening.settings, opening.metrics
    first = next(target for target in stores.targets if target.kind != "jsonl")
    uncounted = None if pipeline is None else pipeline.uncounted()
    workers = [
        Worker(
            target.kind,
            log,
            stores.opener(target, letters),
            hot=hot if target is first else None,
            dead_letters=letters if target is first else None,
            claims=letters,
            settings=settings.worker,
            limits=settings.ingest,
            clock=opening.clock,
            metrics=metrics,
            shape=pipeline if target is first else uncounted,
        )
        for target in stores.targets
    ]
    metrics.log_bytes.set_function(_figure(log, lambda figures: figures.bytes))
    for worker in workers:
        _show_lag(opening, log, worker.name)
    # All stop at once: each may have a last flush to write.
    opening.stack.callback(_stop_all, workers)
    for worker in workers:
        worker.start()
    return workers


def _show_lag(opening: Opening, log: Log, group: str) -> None:
    metrics = opening.metrics
    metrics.log_lag_records.labels(group).set_function(
        _figure(log, lambda figures: figures.lag_records.get(group, 0))
    )
    if not is_shared(opening.settings.log):
        metrics.log_lag_events.labels(group).set_function(
            _figure(log, lambda figures: figures.lag_rows.get(group, 0))
        )


def _figure(log: Log, pick: Callable[[LogFigures], int]) -> Callable[[], float]:
    """Not a number while the log is away: then the other figures are wanted most."""

    def figure() -> float:
        try:
            return pick(log.figures())
        except RetryLater:
            return math.nan

    return figure


def _stop_all(workers: Sequence[Worker]) -> None:
    threads = [threading.Thread(target=worker.stop) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _places(
    opening: Opening,
    *,
    log: Log,
    letters: LettersAndClaims,
    stores: Stores,
    queried: Queried,
    hot: HotReader,
    gateway: Gateway,
    checks: Sequence[Check],
    demo: Demo | None = None,
) -> Places:
    return Places(
        settings=opening.settings,
        clock=opening.clock,
        metrics=opening.metrics,
        searchable=Union(hot, queried.searchable),
        hot=hot,
        tables=queried.tables(hot),
        dead_letters=letters,
        gateway=gateway,
        answers=open_answers(opening),
        saved=open_saved(opening),
        demo=demo,
        readiness=_readiness(
            opening,
            _asked("log", log.figures),
            _asked(queried.name, queried.reached),
            _asked("dead letters", letters.count),
            *checks,
        ),
        log_figures=log.figures,
        store_figures=lambda: _figures(stores, letters),
        stopping=opening.stopping,
    )


def _figures(stores: Stores, letters: LettersAndClaims) -> Mapping[str, Figures]:
    return {**stores.figures(), "dead letters": asdict(letters.figures())}


def _readiness(opening: Opening, *checks: Check) -> Callable[[], Sequence[Readiness]]:
    """What cannot be done without, and then the rest, of which it is only told what is wrong."""

    def ask() -> Sequence[Readiness]:
        if opening.stopping.is_set():
            return [Readiness("server", False, "it is stopping")]
        dispensable = [Readiness(name, True, problem() or "") for name, problem in opening.dispensable.items()]
        return [*(check() for check in checks), *dispensable]

    return ask


def _asked(name: str, question: Callable[[], object]) -> Check:
    """Whether the place answers."""

    def check() -> Readiness:
        try:
            question()
        except TailraceError as error:
            return Readiness(name, False, str(error))
        return Readiness(name, True)

    return check


def _at_work(workers: Sequence[Worker]) -> Sequence[Check]:
    return [functools.partial(_is_at_work, worker) for worker in workers]


def _is_at_work(worker: Worker) -> Readiness:
    problems = worker.problems()
    return Readiness(f"{worker.name} worker", not problems, "; ".join(problems))
