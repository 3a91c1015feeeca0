"""What all roles share while their places are opened."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from tailrace.config import Settings
from tailrace.errors import RetryLater, Stop
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics

log = logging.getLogger(__name__)

# A place that is started beside this process may take so long; then somebody should look.
_START_S = 60.0
_AGAIN_S = 1.0


class Closable(Protocol):
    def close(self) -> None: ...


_P = TypeVar("_P")
_C = TypeVar("_C", bound=Closable)


class Opening:
    """Opens places in order; leaving `stack` closes them in reverse. `stopping` is set when the server is to end.

    `dispensable` names places that all goes on without, each with what is wrong with it at the moment.
    """

    def __init__(self, settings: Settings, stack: contextlib.ExitStack, *, clock: Clock) -> None:
        self.settings = settings
        self.stack = stack
        self.clock = clock
        self.metrics = Metrics()
        self.stopping = threading.Event()
        self.dispensable: dict[str, Callable[[], str | None]] = {}
        self.data: Path = settings.data
        self.data.mkdir(parents=True, exist_ok=True)

    def opened(self, place: _C) -> _C:
        self.stack.callback(place.close)
        return place

    def started(self, part: _P, start: Callable[[_P], object], stop: Callable[[_P], object]) -> _P:
        start(part)
        self.stack.callback(stop, part)
        return part

    def patiently(self, name: str, make: Callable[[], _P]) -> _P:
        """Make a place that may still be starting. Raises `Stop` when it is away for too long."""
        until_s = time.monotonic() + _START_S
        while True:
            try:
                return make()
            except RetryLater as error:
                if time.monotonic() >= until_s:
                    raise Stop(f"{name}: still away after {_START_S:.0f} s: {error}") from error
                log.warning("waiting for %s: %s", name, error)
                time.sleep(_AGAIN_S)
