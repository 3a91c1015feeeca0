"""Which stores, and which of them answers queries."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from tailrace.config import Settings
from tailrace.errors import QueryError, RetryLater, Stop
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.process.worker import OpenStore
from tailrace.store.duck import Duck
from tailrace.store.elasticsearch.maintenance import ElasticsearchMaintenance
from tailrace.store.elasticsearch.search import ElasticsearchSearch
from tailrace.store.elasticsearch.server import Refused, Server
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tailrace.store.event_tables import EventTables
from tailrace.store.jsonl import open_when_free
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.maintenance import Maintenance
from tailrace.store.lake.place import open_place
from tailrace.store.port import DeadLetterBox, HotReader, Searchable
from tailrace.store.sandbox.run import Tables, Tabular
from tailrace.wiring.opening import Opening

Figures = Mapping[str, int | float | str]

_LAKE_SCHEMES = ("file", "s3", "hdfs")
_ELASTICSEARCH_SCHEMES = ("elasticsearch", "elasticsearch+https")


@dataclass(frozen=True, slots=True)
class Target:
    """One entry of the setting `stores`. `kind` is the store's name, and its group's in the log."""

    kind: Literal["lake", "elasticsearch", "jsonl"]
    url: str


def targets(settings: Settings) -> Sequence[Target]:
    """Raises `Stop` for a URL of no known kind, and for two of one kind."""
    found = [_target(url) for url in settings.stores]
    kinds = [target.kind for target in found]
    if len(set(kinds)) < len(kinds):
        raise Stop(f"stores = {list(settings.stores)}: one of each kind at most (lake, elasticsearch, jsonl)")
    if not {"lake", "elasticsearch"} & set(kinds):
        raise Stop(f"stores = {list(settings.stores)}: one of them must answer queries: lake or elasticsearch")
    return found


def _target(url: str) -> Target:
    scheme, has_scheme, _ = url.partition("://")
    if url == "lake":
        return Target("lake", url)
    if url == "jsonl":
        return Target("jsonl", url)
    if has_scheme and scheme in _LAKE_SCHEMES:
        return Target("lake", url)
    if has_scheme and scheme in _ELASTICSEARCH_SCHEMES:
        return Target("elasticsearch", url)
    if has_scheme and scheme == "jsonl":
        return Target("jsonl", url)
    raise Stop(
        f"stores: {url!r} is none of lake, file:///PATH, s3://BUCKET/PATH, hdfs://HOST:PORT/PATH, "
        "elasticsearch://HOST:PORT/NAME, jsonl, jsonl:///PATH"
    )


@dataclass(frozen=True, slots=True)
class Queried:
    """The store that answers queries."""

    name: str
    searchable: Searchable
    reached: Callable[[], Mapping[int, int]]
    tables: Callable[[HotReader], Tabular]


class Stores:
    """The stores of one process. The lake is opened once, by whoever needs it first. Shared between threads."""

    def __init__(self, opening: Opening, engine: Duck) -> None:
        self.targets = targets(opening.settings)
        self._opening = opening
        self._settings = opening.settings
        self._engine = engine
        self._lock = threading.Lock()
        self._lake: Lake | None = None
        self._elasticsearch: ElasticsearchSearch | None = None
        self._looked_after: set[str] = set()

    def opener(self, target: Target, dead_letters: DeadLetterBox) -> OpenStore:
        """How a worker opens its store."""
        settings, clock = self._settings, self._opening.clock
        if target.kind == "lake":
            return lambda _: self._looked_after_lake(target)
        if target.kind == "jsonl":
            folder = _folder(target, self._opening.data)
            return lambda stopping: open_when_free(folder, settings=settings.jsonl, clock=clock, stopping=stopping)
        return lambda _: self._looked_after_elasticsearch(target, dead_letters)

    def queried(self) -> Queried:
        """The first store that can search. Raises `Stop` when it is away for too long."""
        target = next(target for target in self.targets if target.kind != "jsonl")
        if target.kind == "lake":
            lake = self._opening.patiently("lake", lambda: self._open_lake(target))
            return Queried("lake", lake, lake.reached, lambda hot: EventTables(hot, lake))
        self._opening.patiently("elasticsearch", lambda: _check_server(target))
        search = self._open_search(target)
        return Queried("elasticsearch", search, search.reached, lambda _: _NoTables())

    def check(self) -> None:
        """Raises `Stop` for a store that can never be used: its worker would end, and nobody see it. One that is away
        is opened later.
        """
        for target in self.targets:
            with contextlib.suppress(RetryLater):
                if target.kind == "lake":
                    self._open_lake(target)
                elif target.kind == "elasticsearch":
                    _check_server(target)

    def figures(self) -> Mapping[str, Figures]:
        """What is known of the size of each store that is open here. Raises `RetryLater`."""
        with self._lock:
            lake, search = self._lake, self._elasticsearch
        found: dict[str, Figures] = {}
        if lake is not None:
            files = lake.table.state().files.values()
            rows, size_bytes = sum(file.rows or 0 for file in files), sum(file.size_bytes for file in files)
            found["lake"] = {"files": len(files), "rows": rows, "bytes": size_bytes}
        if search is not None:
            found["elasticsearch"] = search.figures()
        return found

    def _open_lake(self, target: Target) -> Lake:
        with self._lock:
            if self._lake is None:
                self._lake = self._opening.opened(
                    open_lake_at(target, self._settings, self._engine, self._opening.clock, self._opening.metrics)
                )
            return self._lake

    def _looked_after_lake(self, target: Target) -> Lake:
        """The lake, with its upkeep at work in this process until its end."""
        lake = self._open_lake(target)
        self._look_after(target, lambda: Maintenance(lake, settings=self._settings, clock=self._opening.clock))
        return lake

    def _looked_after_elasticsearch(self, target: Target, dead_letters: DeadLetterBox) -> ElasticsearchStore:
        settings, clock = self._settings, self._opening.clock
        store = ElasticsearchStore(
            target.url,
            settings=settings.elasticsearch,
            clock=clock,
            metrics=self._opening.metrics,
            dead_letters=dead_letters,
        )
        self._look_after(
            target, lambda: ElasticsearchMaintenance(target.url, settings=settings.retention, clock=clock)
        )
        return store

    def _look_after(self, target: Target, make: Callable[[], _Maintenance]) -> None:
        with self._lock:
            if target.kind not in self._looked_after:
                self._looked_after.add(target.kind)
                self._opening.started(make(), lambda upkeep: upkeep.start(), lambda upkeep: upkeep.stop())

    def _open_search(self, target: Target) -> ElasticsearchSearch:
        with self._lock:
            if self._elasticsearch is None:
                self._elasticsearch = self._opening.opened(
                    ElasticsearchSearch(
                        target.url, settings=self._settings.query, engine=self._engine, clock=self._opening.clock
                    )
                )
            return self._elasticsearch


@contextlib.contextmanager
def open_lake(settings: Settings, *, clock: Clock) -> Iterator[Lake]:
    """The lake alone, for upkeep beside a running server or without one. Raises `Stop` when there is none."""
    target = next((target for target in targets(settings) if target.kind == "lake"), None)
    if target is None:
        raise Stop(f"stores = {list(settings.stores)}: there is no lake among them")
    path = _folder(target, settings.data)
    if target.url in ("lake", "file") and not path.exists():
        raise Stop(f"{path}: there is no lake here; name the data folder with --data, or another lake with --store")
    with (
        contextlib.closing(Duck(settings.query, temp_directory=settings.data / "temporary")) as duck,
        contextlib.closing(open_lake_at(target, settings, duck, clock, Metrics())) as lake,
    ):
        yield lake


def open_lake_at(target: Target, settings: Settings, engine: Duck, clock: Clock, metrics: Metrics) -> Lake:
    place = open_place(
        str(_folder(target, settings.data)) if target.url == "lake" else target.url,
        storage_options=settings.lake.storage_options,
        cache=settings.data / "lake-cache",
        cache_bytes_max=settings.lake.cache_bytes_max,
    )
    return Lake(place, engine=engine, clock=clock, metrics=metrics)


def _check_server(target: Target) -> None:
    """Raises `RetryLater` while it is away, and `Stop` when it is something else."""
    with contextlib.closing(Server(target.url)) as server:
        try:
            server.product()
        except (Refused, ValueError) as error:
            host = server.address.hosts[0]
            raise Stop(
                f"{host}: this is neither Elasticsearch nor OpenSearch ({error}); mend the store's URL"
            ) from error


class _Maintenance(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


class _NoTables:
    """Implements `sandbox.Tabular` for a store that has no files for SQL."""

    @contextlib.contextmanager
    def tables(self) -> Iterator[Tables]:
        raise QueryError("SQL reads the files of a lake; put one among the `stores`, before elasticsearch")
        yield


def _folder(target: Target, data: Path) -> Path:
    """Where a store on local disk is: in the data folder, or where its URL says."""
    path = urlsplit(target.url).path if "://" in target.url else ""
    return Path(path) if path else data / target.kind
