"""The newest events in Redis, read: the api's side.

    Redis streams ──XREAD──> follower thread ──put──> HotMemory of this process ──> snapshots, live tails
                              store_reached() ──settle──┘

Queries never wait for Redis: they ask the memory of this process, which is some milliseconds behind. While Redis is
away it holds what it has, and the store's progress lets that go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import cast

import numpy as np
import pyarrow as pa

from tailrace.config import HotSettings
from tailrace.errors import RetryLater
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.hot_memory import HotMemory, HotMemorySnapshot
from tailrace.store.hot_redis_format import Keys, decode_entry, next_offsets
from tailrace.store.port import Subscription
from tailrace.store.redis_client import AWAY_ERRORS, Breaker, open_client

# How long a read waits for something new, and so how long a partition that is new stays unseen.
_BLOCK_S = 0.25
# Redis answers a read in milliseconds; behind the time a read may block this is ample.
_TIMEOUT_S = _BLOCK_S + 1.0
# Entries of a partition in one read: many small ones at a trickle, and never more than hot.bytes_max.
_READ_ENTRIES = 64
_SETTLE_S = 1.0

_log = logging.getLogger(__name__)


class HotRedisMirror:
    """Implements `port.HotReader`; shared between threads.

    `store_reached` tells what the store that answers queries has; it may raise `RetryLater`. `hot.bytes_max` bounds
    the Arrow data here as it bounds the bytes in Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        settings: HotSettings,
        engine: Duck,
        clock: Clock,
        metrics: Metrics,
        store_reached: Callable[[], Mapping[int, int]],
        name: str = "logs",
    ) -> None:
        """`name` is the log's, as the writers were given it. Raises `Stop` for a URL that cannot be one."""
        self._metrics = metrics
        self._store_reached = store_reached
        self._keys = Keys(name)
        self._client = open_client(url, timeout_s=_TIMEOUT_S)
        self._breaker = Breaker()
        self._local = HotMemory(settings.bytes_max, engine=engine, clock=clock)
        self._stopping = threading.Event()
        self._look_at_s = 0.0
        self._positions: dict[int, int] = {}
        """The next offset to read of each partition."""
        self._newest: dict[int, int] | None = None
        """The next offset that Redis lacks, as was last seen; replaced, never changed, as other threads read it."""
        self._first_seen: dict[int, int] = {}
        """The same when Redis was reached for the first time; filled once."""
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("hot-mirror", self._follow), ("hot-settle", self._settle))
        ]
        for thread in self._threads:
            thread.start()

    def snapshot(self) -> AbstractContextManager[HotMemorySnapshot]:
        return self._local.snapshot()

    def subscribe(self) -> Subscription:
        # Before Redis was reached it is not known what is old; the tail will see it in the very mapping.
        newest = self._newest
        return _Tail(self._local.subscribe(), self._first_seen if newest is None else newest)

    def problem(self) -> str | None:
        """What is wrong with Redis, None when nothing is."""
        return self._breaker.problem

    @property
    def bytes(self) -> int:
        """Arrow data that is held here."""
        return self._local.bytes

    def close(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._local.close()
        self._client.close()

    # The follower's thread.

    def _follow(self) -> None:
        self._positions = dict(self._settle_once())
        while not self._stopping.is_set():
            try:
                self._look()
                self._read()
            except AWAY_ERRORS as error:
                self._failed(error)
            except Exception as error:
                _log.exception("hot: the newest events cannot be read from Redis")
                self._failed(error)
            else:
                if self._breaker.problem is not None:
                    self._breaker.worked()
                    _log.info("hot: Redis works again")

    def _failed(self, error: Exception) -> None:
        self._metrics.retries.labels("hot").inc()
        if self._breaker.problem is None:
            _log.warning("hot: %s; queries see events once the store has them, until Redis is back", error)
        self._breaker.failed(f"the newest events cannot be read from Redis: {error}")
        self._look_at_s = 0.0
        self._stopping.wait(Breaker.OPEN_S)

    def _look(self) -> None:
        """Which partitions there are, and how far, four times a second."""
        if time.monotonic() < self._look_at_s:
            return
        there = next_offsets(cast("dict[bytes, bytes]", self._client.hgetall(self._keys.state)))
        known = self._positions
        if self._newest is None:
            # The store may be ahead, by records without events at least.
            self._positions = {p: min(known.get(p, 0), offset) for p, offset in there.items()}
            self._first_seen.update(there)
        else:
            # A Redis that lost data is behind: it is read anew from its beginning.
            self._positions = {p: at if (at := known.get(p, 0)) <= offset else 0 for p, offset in there.items()}
        self._newest = there
        self._look_at_s = time.monotonic() + _BLOCK_S

    def _read(self) -> None:
        """Takes over what is new; waits for it up to `_BLOCK_S`."""
        if not self._positions:
            self._stopping.wait(_BLOCK_S)
            return
        streams = {self._keys.stream(p): f"{offset}-0" for p, offset in self._positions.items()}
        found = self._client.xread(streams, count=_READ_ENTRIES, block=int(_BLOCK_S * 1000))  # type: ignore[arg-type]
        batches: list[pa.RecordBatch] = []
        for stream, entries in cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", found or []):
            partition = self._keys.partition_of(stream)
            for id, fields in entries:
                self._positions[partition] = int(id.split(b"-", 1)[0])
                try:
                    batches.append(decode_entry(fields))
                except (KeyError, pa.ArrowInvalid) as error:
                    _log.warning("hot: entry %s of %s is not ours (%s); left out", id, stream, error)
        self._local.put(batches)
        if batches:
            newest = self._newest or {}
            self._newest = {p: max(offset, newest.get(p, 0)) for p, offset in self._positions.items()}

    # The settling thread: the store may take its time to answer.

    def _settle(self) -> None:
        while not self._stopping.wait(_SETTLE_S):
            self._settle_once()

    def _settle_once(self) -> Mapping[int, int]:
        """What the store has reached, as far as it says so."""
        try:
            reached = self._store_reached()
        except RetryLater:
            return {}
        except Exception:
            _log.exception("hot: the store does not tell how far it is; the newest events are kept")
            return {}
        self._local.settle(reached)
        return reached


class _Tail:
    """Implements `port.Subscription`: what was in Redis before it began (below `floor`) is left out."""

    def __init__(self, feed: Subscription, floor: Mapping[int, int]) -> None:
        self.missed = 0
        self._feed = feed
        self._floor = floor

    def take(self, timeout_s: float) -> list[pa.RecordBatch]:
        taken = [rows for batch in self._feed.take(timeout_s) if (rows := self._new(batch)).num_rows]
        self.missed = self._feed.missed
        return taken

    def _new(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Entries, and so batches, are of one partition, with offsets that rise."""
        floor = self._floor.get(batch["log_partition"][0].as_py(), 0)
        if batch["log_offset"][0].as_py() >= floor:
            return batch
        return batch.slice(int(np.searchsorted(batch["log_offset"].to_numpy(), floor)))

    def close(self) -> None:
        self._feed.close()
