"""The writer of the newest events: what lies in Redis, its bounds, and two writers of one partition."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import redis as driver
from deploy.local.redis import Redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.errors import Stop
from tailrace.store.hot_redis_format import decode_entry, next_offsets
from tests.store.hot_rig import WAIT_S, RedisLog, numbered, redis_log


@pytest.fixture
def log(redis: Redis) -> Iterator[RedisLog]:
    with redis_log(redis.url) as log:
        yield log


@pytest.fixture
def client(redis: Redis) -> Iterator[driver.Redis]:
    with driver.Redis.from_url(redis.url, protocol=2) as client:
        yield client


def entries(client: Any, log: RedisLog, partition: int = 0) -> list[tuple[str, list[str]]]:
    """Ids and messages."""
    found = client.xrange(log.keys.stream(partition))
    return [(id.decode(), decode_entry(fields)["message"].to_pylist()) for id, fields in found]


def counted_bytes(client: Any, log: RedisLog) -> tuple[int, int]:
    """What the hash says, and what the list of entries adds up to."""
    order = client.lrange(log.keys.order, 0, -1)
    return int(client.hget(log.keys.state, "bytes") or 0), sum(int(line.split()[2]) for line in order)


def test_what_people_see_with_redis_cli(client: Any, log: RedisLog) -> None:
    """The keys of docs/formats/hot-redis.md."""
    writer = log.writer(age_s=100)
    writer.put([numbered(6, rows=2), numbered(7, rows=3, level="ERROR", service="pay")])
    assert writer.flush(WAIT_S)
    [(id, fields)] = client.xrange(log.keys.stream(0))
    assert id == b"8-0"
    assert (fields[b"rows"], fields[b"first"], fields[b"newest"]) == (b"5", b"6", b"ERROR pay 7-2")
    assert next_offsets(client.hgetall(log.keys.state)) == {0: 8}
    hashed, listed = counted_bytes(client, log)
    assert hashed == listed == writer.bytes > len(fields[b"arrow"])
    for key in (log.keys.state, log.keys.order, log.keys.stream(0)):
        assert 0 < client.ttl(key) <= 101


def test_a_wrong_url_stops_at_once(log: RedisLog) -> None:
    """With a word on what it should be."""
    log.url = "reddis://nowhere"
    with pytest.raises(Stop, match="redis://HOST:PORT/DB"):
        log.writer()


def test_what_waits_is_sent_together(client: Any, log: RedisLog) -> None:
    """One entry for many puts: Redis is asked once for all that came meanwhile."""
    writer = log.writer()
    with writer._changed:  # The sender cannot take any yet.
        for offset in range(50):
            writer._waiting.append(numbered(offset))
    writer.put([numbered(50)])
    assert writer.flush(WAIT_S)
    [(id, messages)] = entries(client, log)
    assert (id, len(messages)) == ("51-0", 51)


def test_bytes_are_bounded_over_all_partitions(client: Any, log: RedisLog) -> None:
    """The oldest entries go, whichever their partition; the count keeps true."""
    writer = log.writer(bytes_max=30_000)
    for offset in range(60):
        writer.put([numbered(offset, partition=offset % 3)])
        assert writer.flush(WAIT_S)
        hashed, listed = counted_bytes(client, log)
        assert hashed == listed <= 30_000
    left = sorted(int(id.split("-")[0]) - 1 for p in range(3) for id, _ in entries(client, log, p))
    assert left == list(range(60 - len(left), 60))
    assert len(left) > 5


def test_old_entries_go(client: Any, log: RedisLog) -> None:
    """By the time they were put, with the next put of any partition; the events' own times do not matter."""
    now_us = [1_742_040_000_000_000]
    writer = log.writer(clock=lambda: now_us[0], age_s=10)
    for offset in range(3):
        writer.put([numbered(offset, timestamp=0)])
        assert writer.flush(WAIT_S)
        now_us[0] += 4_000_000
    writer.put([numbered(0, partition=1)])
    assert writer.flush(WAIT_S)
    assert [id for id, _ in entries(client, log)] == ["2-0", "3-0"]
    now_us[0] += 60_000_000
    writer.put([numbered(3)])
    assert writer.flush(WAIT_S)
    assert [id for id, _ in entries(client, log)] == ["4-0"]
    assert entries(client, log, 1) == []
    hashed, listed = counted_bytes(client, log)
    assert hashed == listed > 0


@given(
    puts=st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=10),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_two_writers_of_one_partition(redis: Redis, puts: list[tuple[bool, int, int]]) -> None:
    """However two that both believe they own it take turns, nothing is there twice, or out of order, or missing."""
    with redis_log(redis.url) as log, driver.Redis.from_url(redis.url, protocol=2) as client:
        writers = (log.writer(), log.writer())
        through = 0
        for second, back, count in puts:
            # Each reads on from somewhere at or below what both have read, in batches of its own.
            first = max(0, through - back)
            writers[second].put([pa.concat_batches([numbered(o, rows=2) for o in range(first, first + count)])])
            assert writers[second].flush(WAIT_S)
            through = max(through, first + count)
        found = [message for _, messages in entries(client, log) for message in messages]
        assert found == [f"{offset}-{row}" for offset in range(through) for row in range(2)]


def test_two_writers_at_the_same_time(client: Any, log: RedisLog) -> None:
    """Both read the same 300 records, in batches of their own, as fast as they can."""

    def write(step: int) -> None:
        writer = log.writer()
        for first in range(0, 300, step):
            writer.put([pa.concat_batches([numbered(o) for o in range(first, min(300, first + step))])])
        assert writer.flush(WAIT_S)

    threads = [threading.Thread(target=write, args=(step,)) for step in (3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [message for _, messages in entries(client, log) for message in messages]
    assert found == [f"{offset}-0" for offset in range(300)]


@pytest.mark.parametrize("lost", ["state", "order", "stream", "all", "scripts"])
def test_it_goes_on_after_a_loss(client: Any, log: RedisLog, lost: str) -> None:
    """A Redis that pushed out a key, or was emptied, takes the next events, and its count is true again."""
    writer = log.writer(bytes_max=10_000)
    writer.put([numbered(0), numbered(1)])
    assert writer.flush(WAIT_S)
    keys = log.keys
    gone = {"state": [keys.state], "order": [keys.order], "stream": [keys.stream(0)]}
    if lost == "scripts":
        client.script_flush()
    else:
        client.delete(*gone.get(lost, [keys.state, keys.order, keys.stream(0)]))
    for offset in range(2, 30):
        writer.put([numbered(offset)])
        assert writer.flush(WAIT_S)
    left = entries(client, log)
    assert left[-1] == ("30-0", ["29-0"])
    hashed, listed = counted_bytes(client, log)
    assert hashed == listed <= 10_000
    assert len(left) == client.llen(keys.order)


def test_logs_in_one_redis_do_not_meet(redis: Redis) -> None:
    """Each has a name."""
    with redis_log(redis.url) as one, redis_log(redis.url) as other, driver.Redis.from_url(redis.url) as client:
        for log, text in ((one, "1"), (other, "2")):
            writer = log.writer()
            writer.put([numbered(0, message=text)])
            assert writer.flush(WAIT_S)
        assert entries(client, one) == [("1-0", ["1"])]
        assert entries(client, other) == [("1-0", ["2"])]
