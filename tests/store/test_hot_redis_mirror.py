"""The reader of the newest events: where it begins, what it shows, and a Redis that is not as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pytest
import redis as driver
from deploy.local.redis import Redis

from tailrace.errors import RetryLater
from tests.store.hot_rig import WAIT_S, RedisLog, eventually, held, numbered, redis_log, taken


@pytest.fixture
def log(redis: Redis) -> Iterator[RedisLog]:
    with redis_log(redis.url) as log:
        yield log


@pytest.fixture
def client(redis: Redis) -> Iterator[driver.Redis]:
    with driver.Redis.from_url(redis.url, protocol=2) as client:
        yield client


def names(*offsets: int) -> list[str]:
    return [f"{offset}-0" for offset in offsets]


def put(log: RedisLog, *offsets: int) -> None:
    """An entry each."""
    writer = log.writer()
    for offset in offsets:
        writer.put([numbered(offset)])
        assert writer.flush(WAIT_S)


def test_a_late_mirror_shows_what_is_there(log: RedisLog) -> None:
    """An api that starts when events are in Redis already."""
    put(log, *range(10))
    mirror = log.mirror()
    eventually(lambda: held(mirror) == names(*range(10)))


def test_what_the_store_has_is_not_read(
    log: RedisLog, client: driver.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins at the entry that holds the first offset the store lacks, and shows no row below it."""
    put(log, 0)
    client.xadd(log.keys.stream(0), {"would": "be noticed"}, id="2-0")
    writer = log.writer()
    writer.put([numbered(offset) for offset in range(2, 6)])
    assert writer.flush(WAIT_S)
    log.store_reached[0] = 4
    mirror = log.mirror()
    eventually(lambda: held(mirror) == names(4, 5))
    assert "not ours" not in caplog.text


def test_what_a_store_has_got_is_let_go(log: RedisLog) -> None:
    """Memory follows the store's progress, which is asked about every second."""
    mirror = log.mirror()
    put(log, 0, 1, 2)
    eventually(lambda: held(mirror) == names(0, 1, 2))
    before = mirror.bytes
    log.store_reached[0] = 2
    eventually(lambda: held(mirror) == names(2))
    assert mirror.bytes < before


def test_a_store_that_is_away_holds_nothing_up(log: RedisLog) -> None:
    """Everything in Redis is shown, and it settles when the store is back."""
    away = threading.Event()
    away.set()

    def reached() -> Mapping[int, int]:
        if away.is_set():
            raise RetryLater("the store is away")
        return {0: 2}

    put(log, 0, 1)
    mirror = log.mirror(reached)
    put(log, 2)
    eventually(lambda: held(mirror) == names(0, 1, 2))
    away.clear()
    eventually(lambda: held(mirror) == names(2))


def test_a_tail_shows_nothing_from_before(log: RedisLog) -> None:
    """Neither one that is opened at once, before Redis was asked, nor a later one."""
    put(log, *range(20))
    mirror = log.mirror()
    early = mirror.subscribe()
    eventually(lambda: held(mirror) == names(*range(20)))
    late = mirror.subscribe()
    put(log, 20, 21)
    assert taken(early, "21-0") == names(20, 21)
    assert taken(late, "21-0") == names(20, 21)


def test_a_tail_cuts_an_entry_that_is_partly_from_before(log: RedisLog) -> None:
    """After a loss in Redis a writer may put again, in one entry, what is old and what is new."""
    put(log, 0, 1, 2)
    mirror = log.mirror()
    eventually(lambda: held(mirror) == names(0, 1, 2))
    tail = mirror.subscribe()
    with driver.Redis.from_url(log.url) as client:
        client.delete(log.keys.state, log.keys.order, log.keys.stream(0))
    writer = log.writer()
    writer.put([numbered(offset) for offset in range(1, 5)])
    assert taken(tail, "4-0") == names(3, 4)
    eventually(lambda: held(mirror) == names(0, 1, 2, 3, 4))


def test_a_new_partition_is_found(log: RedisLog) -> None:
    """Without being told of it."""
    mirror = log.mirror()
    put(log, 0)
    eventually(lambda: held(mirror) == names(0))
    log.writer().put([numbered(5, partition=7)])
    eventually(lambda: held(mirror) == names(0, 5))


@pytest.mark.parametrize("first", [0, 3, 50])
def test_a_redis_that_was_emptied(log: RedisLog, client: driver.Redis, first: int) -> None:
    """What comes next is shown, whether its offsets are above, among, or below the ones before."""
    put(log, *range(4))
    mirror = log.mirror()
    eventually(lambda: held(mirror) == names(*range(4)))
    client.delete(log.keys.state, log.keys.order, log.keys.stream(0))
    put(log, *range(first, first + 6))
    eventually(lambda: held(mirror) == names(*sorted({*range(4), *range(first, first + 6)})))


def test_an_entry_of_somebody_else_is_left_out(
    log: RedisLog, client: driver.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """And what comes behind it is shown."""
    mirror = log.mirror()
    put(log, 0)
    client.xadd(log.keys.stream(0), {"arrow": b"no Arrow"}, id="2-0")
    client.xadd(log.keys.stream(0), {"hello": b"world"}, id="3-0")
    put(log, 5)
    eventually(lambda: held(mirror) == names(0, 5))
    assert mirror.problem() is None
    assert caplog.text.count("not ours") == 2


def test_many_small_entries_are_caught_up_with(log: RedisLog) -> None:
    """More than one read answers."""
    writer = log.writer()
    for offset in range(300):
        writer.put([numbered(offset)])
        if offset % 2:
            assert writer.flush(WAIT_S)
    mirror = log.mirror()
    eventually(lambda: len(held(mirror)) == 300)
