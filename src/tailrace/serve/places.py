"""What the routes need, filled by the wiring: ports and a few callables, never adapters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tailrace.broker.port import LogFigures
from tailrace.config import Settings
from tailrace.ingest.gateway import Gateway
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.serve.cache import AnswerCache
from tailrace.store.dead_letters import DeadLetter
from tailrace.store.port import HotReader, Searchable
from tailrace.store.sandbox.run import Tabular
from tailrace.store.saved_views import Content, SavedView


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether one place can be used. `detail` says what is wrong, or is empty."""

    name: str
    ready: bool
    detail: str = ""


class Counted(Protocol):
    def count(self) -> int: ...


class Letters(Counted, Protocol):
    """The dead letters, as people look after them. Every change is durable on return."""

    def list(self, *, limit: int, before: str | None = None) -> Sequence[DeadLetter]:
        """Newest first by identity; those below the id `before`, which need not be there any more."""
        ...

    def get(self, id: str) -> DeadLetter:
        """Raises `NotFound`."""
        ...

    def drop(self, id: str) -> None:
        """Raises `NotFound`."""
        ...


class Views(Protocol):
    """What people have saved. Every change is durable on return; of two changes of one view the last one wins."""

    def list(self) -> Sequence[SavedView]:
        """The last changed first."""
        ...

    def get(self, id: str) -> SavedView:
        """Raises `NotFound`."""
        ...

    def create(self, content: Content) -> SavedView:
        """Under a new id. Raises `BadInput` when there is no room."""
        ...

    def change(self, id: str, content: Content) -> SavedView:
        """Raises `NotFound`, and `BadInput` when there is no room."""
        ...

    def remove(self, id: str) -> None:
        """Raises `NotFound`."""
        ...


DEMO_EVENTS_PER_S = 200
"""What the demo makes unless it is told otherwise: lively, and nothing that a laptop notices."""


@dataclass(frozen=True, slots=True)
class DemoState:
    """`rate`: events a second on average, as they are made or were last; `sent`: all that this process has made."""

    running: bool
    rate: int
    sent: int


class Demo(Protocol):
    """Realistic events of this process's own. Shared between threads; all but `figures` may take a moment."""

    def figures(self) -> DemoState: ...

    def start(self, rate: int) -> None:
        """At `rate` events a second on average, also when it runs already."""
        ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What every role can tell of itself. `dead_letters` is None for a role that does not keep any.

    `readiness`, `log_figures` and `store_figures` may block; they are called in threads. `stopping` is set when the
    server is asked to end, so that live tails end by themselves.
    """

    settings: Settings
    clock: Clock
    metrics: Metrics
    readiness: Callable[[], Sequence[Readiness]]
    log_figures: Callable[[], LogFigures]
    store_figures: Callable[[], Mapping[str, Mapping[str, int | float | str]]]
    dead_letters: Counted | None = None
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places(Vitals):
    """What queries and the dashboard need. `searchable` answers over hot and store together; `tables` gives the same
    events to SQL. `demo` is None where no events are taken in.
    """

    searchable: Searchable
    tables: Tabular
    hot: HotReader
    dead_letters: Letters
    gateway: Gateway
    answers: AnswerCache
    saved: Views
    demo: Demo | None = None
