"""Both servers, for tests that ask the same of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from deploy.local.search_node import SearchNode

from tailrace.config import ElasticsearchSettings
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tests.store.elasticsearch.rig import Letters


@dataclass
class Rig:
    """Stores on indices of one test's own."""

    url: str
    letters: Letters = field(default_factory=Letters)
    metrics: Metrics = field(default_factory=Metrics)
    opened: list[ElasticsearchStore] = field(default_factory=list)

    def open(self, settings: ElasticsearchSettings | None = None) -> ElasticsearchStore:
        store = ElasticsearchStore(
            self.url,
            settings=settings or ElasticsearchSettings(),
            clock=system_clock_us,
            metrics=self.metrics,
            dead_letters=self.letters,
        )
        self.opened.append(store)
        return store

    def retries(self) -> float:
        value = self.metrics.registry.get_sample_value("tailrace_retries_total", {"place": "elasticsearch"})
        return value or 0.0


@pytest.fixture
def rig_on(request: pytest.FixtureRequest) -> Iterator[Callable[[SearchNode], Rig]]:
    """Makes a rig on the server that it is given."""
    rigs: list[Rig] = []

    def make(server: SearchNode) -> Rig:
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
        rigs.append(Rig(server.store_url(name)))
        return rigs[-1]

    yield make
    for rig in rigs:
        for store in rig.opened:
            store.close()


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.slow, pytest.mark.xdist_group("search")])
        for name in ("elasticsearch", "opensearch")
    ]
)
def rig(request: pytest.FixtureRequest, rig_on: Callable[[SearchNode], Rig]) -> Rig:
    return rig_on(request.getfixturevalue(request.param))
