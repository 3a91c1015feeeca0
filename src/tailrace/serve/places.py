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
    """What queries need. `searchable` answers over hot and store together; `tables` gives the same events to SQL."""

    searchable: Searchable
    tables: Tabular
    hot: HotReader
    dead_letters: Letters
    gateway: Gateway
    answers: AnswerCache
