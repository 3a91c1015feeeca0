"""What the tests of the hot stores share."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa

from tailrace.config import HotSettings, QuerySettings
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.hot_redis import HotRedis
from tailrace.store.hot_redis_format import Keys
from tailrace.store.hot_redis_mirror import HotRedisMirror
from tailrace.store.port import HotReader, Selection, Snapshot, Subscription

WAIT_S = 30.0
"""Far more than anything here takes; only a failure waits that long."""


def numbered(offset: int, rows: int = 1, *, partition: int = 0, **fields: Any) -> pa.RecordBatch:
    """A record whose messages say its offset and row, a second between two records."""
    at_us = 1_742_040_000_000_000 + offset * 1_000_000
    times = {"timestamp": at_us, "observed_timestamp": at_us}
    return with_identity(
        batch_of_rows([{**times, "message": f"{offset}-{row}", **fields} for row in range(rows)]), partition, offset
    )


def eventually(holds: Callable[[], bool], what: str = "it") -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come true in {WAIT_S:g} s"
        time.sleep(0.005)


def messages(snapshot: Snapshot) -> list[str]:
    found = snapshot.search(Selection(), order="asc", limit=1_000_000, after=None)
    return [str(text) for text in found["message"].to_pylist()]


def held(hot: HotReader) -> list[str]:
    with hot.snapshot() as snapshot:
        return messages(snapshot)


def taken(feed: Subscription, through: str) -> list[str]:
    """The messages that a feed gives, up to and with the one that is named."""
    found: list[str] = []
    deadline = time.monotonic() + WAIT_S
    while through not in found:
        assert time.monotonic() < deadline, f"{through} did not come in {WAIT_S:g} s; there were {found}"
        found += [text for batch in feed.take(0.5) for text in batch["message"].to_pylist()]
    return found


class RedisLog:
    """One log's newest events in a Redis: writers and mirrors of a name of its own."""

    def __init__(self, url: str, held_open: ExitStack) -> None:
        self.url = url
        self.name = f"test-{uuid.uuid4().hex}"
        self.keys = Keys(self.name)
        self.store_reached: dict[int, int] = {}
        self.metrics = Metrics()
        self._held_open = held_open

    def writer(self, *, clock: Callable[[], int] = system_clock_us, **settings: Any) -> HotRedis:
        writer = HotRedis(
            self.url, settings=HotSettings(**settings), clock=clock, metrics=self.metrics, name=self.name
        )
        self._held_open.callback(writer.close)
        return writer

    def mirror(self, store_reached: Callable[[], Mapping[int, int]] | None = None, **settings: Any) -> HotRedisMirror:
        engine = Duck(QuerySettings())
        self._held_open.callback(engine.close)
        mirror = HotRedisMirror(
            self.url,
            settings=HotSettings(**settings),
            engine=engine,
            clock=system_clock_us,
            metrics=self.metrics,
            store_reached=store_reached or (lambda: self.store_reached),
            name=self.name,
        )
        self._held_open.callback(mirror.close)
        return mirror


@contextmanager
def redis_log(url: str) -> Iterator[RedisLog]:
    with ExitStack() as held_open:
        yield RedisLog(url, held_open)
