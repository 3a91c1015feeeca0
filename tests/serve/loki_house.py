"""An application with the events of `logql_events`, for all tests of a module together."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.query.logql_events import events
from tests.serve.conftest import Client, House, make_house, stored


def loki_client(factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The events are in two records, in no order of time."""
    rows = events()
    shuffled = [rows[place * 37 % len(rows)] for place in range(len(rows))]
    makers: Iterator[Callable[..., House]] = make_house.__wrapped__(factory.mktemp("loki"))  # type: ignore[attr-defined]
    for make in makers:
        house = make()
        house.hot.put([stored(shuffled[:40], offset=0), stored(shuffled[40:], offset=1)])
        yield house.client()
