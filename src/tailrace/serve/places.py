"""What the routes need, filled by the wiring: ports and a few callables, never adapters."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tailrace.broker.port import LogFigures
from tailrace.config import Settings
from tailrace.ingest.gateway import Gateway
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.port import Hot, Searchable
from tailrace.store.sandbox.run import Tabular


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether one place can be used. `detail` says what is wrong, or is empty."""

    name: str
    ready: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """`searchable` answers over hot and lake together; `tables` gives the same events to SQL.

    `readiness`, `log_figures` and `store_figures` may block; they are called in threads. `stopping` is set when the
    server is asked to end, so that live tails end by themselves.
    """

    settings: Settings
    clock: Clock
    metrics: Metrics
    searchable: Searchable
    tables: Tabular
    hot: Hot
    dead_letters: DeadLetters
    gateway: Gateway
    readiness: Callable[[], Sequence[Readiness]]
    log_figures: Callable[[], LogFigures]
    store_figures: Callable[[], Mapping[str, Mapping[str, int | float | str]]]
    stopping: threading.Event = field(default_factory=threading.Event)
