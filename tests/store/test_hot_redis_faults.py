"""Redis killed, emptied and silent while events are put and read."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as driver
from deploy.local.redis import Redis

from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.store.hot_redis import HotRedis
from tailrace.store.hot_redis_format import decode_entry
from tests.store.hot_rig import WAIT_S, RedisLog, eventually, held, numbered, redis_log, taken


@pytest.fixture
def log(own_redis: Redis) -> Iterator[RedisLog]:
    with redis_log(own_redis.url) as log:
        yield log


def offsets_in_redis(log: RedisLog) -> list[int]:
    with driver.Redis.from_url(log.url, protocol=2) as client:
        found: Any = client.xrange(log.keys.stream(0))
        return [o for _, fields in found for o in decode_entry(fields)["log_offset"].to_pylist()]


class Putting:
    """Puts a record of one event again and again, in a thread, replaying some, as a worker does."""

    def __init__(self, writer: HotRedis) -> None:
        self.through = 0
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.001):
            first = self.through - 3 if self.through % 7 == 3 else self.through
            self._writer.put([numbered(offset) for offset in range(first, self.through + 1)])
            self.through += 1

    def more(self, count: int = 100) -> None:
        target = self.through + count
        eventually(lambda: self.through >= target, "putting")

    def end(self) -> int:
        """The last offset."""
        self._stop.set()
        self._thread.join()
        return self.through - 1


@pytest.mark.parametrize("keeps_data", [True, False])
def test_kill_9_under_puts(own_redis: Redis, log: RedisLog, keeps_data: bool) -> None:
    """Writer and mirror go on by themselves, the last events are seen, and nothing is there twice."""
    writer, mirror = log.writer(), log.mirror()
    tail = mirror.subscribe()
    putting = Putting(writer)
    for _ in range(2):
        putting.more()
        own_redis.kill()
        putting.more()
        if not keeps_data:
            shutil.rmtree(own_redis.folder / "appendonlydir")
        own_redis.start()
        putting.more()
    last = putting.end()
    eventually(lambda: f"{last}-0" in held(mirror), "the last event")
    assert writer.flush(WAIT_S)
    eventually(lambda: writer.problem() is None and mirror.problem() is None, "good health")
    there = offsets_in_redis(log)
    assert there == sorted(set(there))
    assert there[-1] == last
    seen = held(mirror)
    assert len(seen) == len(set(seen))
    followed = taken(tail, f"{last}-0")
    assert len(followed) == len(set(followed))
    assert log.metrics.hot_events_skipped._value.get() == 0
    # What was put while Redis was away waited for it.
    assert len(there) > 200


def test_a_redis_that_is_silent(own_redis: Redis, log: RedisLog) -> None:
    """Puts and queries go on while it answers nothing; the newest that wait are shown when it does, and once."""
    writer, mirror = log.writer(), log.mirror()
    writer.put([numbered(0)])
    eventually(lambda: held(mirror) == ["0-0"])
    own_redis.pause()
    rows = batch_of_rows([{"timestamp": 1, "observed_timestamp": 1, "message": "m" * 500}] * 10_000)
    puts = (32 << 20) // rows.nbytes + 20
    for offset in range(1, puts + 1):
        writer.put([with_identity(rows, 0, offset)])  # Were it to wait for Redis, this would never end.
    eventually(lambda: writer.problem() is not None and mirror.problem() is not None, "a problem told")
    assert held(mirror) == ["0-0"]
    assert "Redis" in str(writer.problem())
    skipped = log.metrics.hot_events_skipped._value.get()
    assert skipped > 0
    own_redis.resume()
    writer.put([numbered(puts + 1)])
    eventually(lambda: f"{puts + 1}-0" in held(mirror), "the last event")
    eventually(lambda: writer.problem() is None and mirror.problem() is None, "good health")
    there = Counter(offsets_in_redis(log))
    assert set(there.values()) == {1, 10_000}
    # What was sent when it fell silent may have got in, and is counted all the same.
    assert there.total() + skipped >= puts * 10_000 + 2


def test_redis_comes_later(own_redis: Redis, log: RedisLog) -> None:
    """Writer and mirror start without it; tails opened meanwhile show what is put into it."""
    own_redis.kill()
    writer, mirror = log.writer(), log.mirror()
    tail = mirror.subscribe()
    writer.put([numbered(0)])
    eventually(lambda: writer.problem() is not None and mirror.problem() is not None, "a problem told")
    assert held(mirror) == []
    own_redis.start()
    eventually(lambda: held(mirror) == ["0-0"])
    writer.put([numbered(1)])
    assert taken(tail, "1-0")[-1] == "1-0"
    eventually(lambda: writer.problem() is None and mirror.problem() is None, "good health")


def test_closing_does_not_wait_for_a_redis_that_is_away(own_redis: Redis, log: RedisLog) -> None:
    """SIGTERM ends a worker and an api also then."""
    writer, mirror = log.writer(), log.mirror()
    own_redis.pause()
    writer.put([numbered(0)])
    writer.close()
    mirror.close()
    own_redis.resume()


def test_a_full_redis(own_redis: Redis, log: RedisLog) -> None:
    """It refuses entries (maxmemory, noeviction); they wait, and get in when it has room again."""
    writer = log.writer()
    writer.put([numbered(0)])
    assert writer.flush(WAIT_S)
    with driver.Redis.from_url(log.url) as client:
        client.config_set("maxmemory", "1mb")
        writer.put([numbered(1)])
        eventually(lambda: "maxmemory" in str(writer.problem()), "a problem told")
        client.config_set("maxmemory", "0")
    eventually(lambda: writer.problem() is None, "good health")
    assert writer.flush(WAIT_S)
    assert offsets_in_redis(log) == [0, 1]


_WRITER = """
import sys
from tailrace.config import HotSettings
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.hot_redis import HotRedis
from tests.store.hot_rig import numbered
writer = HotRedis(sys.argv[1], settings=HotSettings(), clock=system_clock_us, metrics=Metrics(), name=sys.argv[2])
for line in sys.stdin:
    writer.put([numbered(int(line))])
writer.close()
"""


def test_a_tail_in_another_process(own_redis: Redis, log: RedisLog) -> None:
    """What a worker's process puts is followed in the api's; closing the worker sends what waits."""
    mirror = log.mirror()
    tails = [mirror.subscribe(), mirror.subscribe()]
    worker = subprocess.Popen(
        [sys.executable, "-c", _WRITER, log.url, log.name],
        stdin=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    worker.communicate("".join(f"{offset}\n" for offset in range(500)), timeout=WAIT_S)
    assert worker.returncode == 0
    for tail in tails:
        assert taken(tail, "499-0") == [f"{offset}-0" for offset in range(500)]
