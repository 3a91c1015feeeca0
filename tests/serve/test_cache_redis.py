"""Answers of `GET /logs` that several apis share through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
import redis as driver
from deploy.local.redis import Redis

from tailrace.config import QuerySettings
from tailrace.errors import Stop
from tailrace.ops.metrics import Metrics
from tailrace.store import answers_redis
from tailrace.store.answers_redis import RedisAnswers
from tailrace.store.hot_redis_format import Keys
from tests.serve.conftest import House, many, served
from tests.store.hot_rig import eventually

PATH = "/logs?service=auth&level=INFO"


@contextmanager
def api(house: House, url: str, **query: Any) -> Iterator[httpx.Client]:
    """One of several, on its own event loop."""
    answers = RedisAnswers(url, settings=QuerySettings(**query), metrics=house.places.metrics, name="test")
    with (
        served(replace(house.places, answers=answers)) as base,
        httpx.Client(base_url=base, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does other things too is not a Redis that is away."""
    monkeypatch.setattr(answers_redis, "_TIMEOUT_S", 20.0)


def result(client: httpx.Client) -> str:
    answer = client.get(PATH)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["logs"]) == answer.json()["count"] > 0
    return str(answer.headers["x-cache"])


@pytest.mark.usefixtures("patient")
def test_apis_share_their_answers(own_redis: Redis, house: House) -> None:
    """What one has found, another serves, until it is made anew; and it lies in Redis as JSON, for its time."""
    house.hot.put([many(40)])
    with api(house, own_redis.url) as one, api(house, own_redis.url) as other:
        assert [result(one), result(other), result(one)] == ["miss", "hit", "hit"]
        with driver.Redis.from_url(own_redis.url) as client:
            [key] = client.keys(Keys("test").answer("*"))
            body: Any = client.get(key)
            time_to_live: Any = client.ttl(key)
        assert orjson.loads(body) == one.get(PATH).json()
        assert 0 < time_to_live <= 120
        house.hot.put([many(4, offset=1)])
        assert one.get(PATH, headers={"Cache-Control": "no-cache"}).headers["x-cache"] == "miss"
        assert other.get(PATH).content == one.get(PATH).content != body


@pytest.mark.usefixtures("patient")
def test_an_answer_ends_with_its_time(own_redis: Redis, house: House) -> None:
    """`query.cache_s`, below a second too."""
    house.hot.put([many(4)])
    with api(house, own_redis.url, cache_s=0.2) as client:
        assert result(client) == "miss"
        eventually(lambda: result(client) == "miss", "the end of its time")


@pytest.mark.usefixtures("patient")
def test_an_answer_that_is_too_large_is_not_kept(own_redis: Redis) -> None:
    """A body takes Redis' time from everybody else."""

    async def run() -> None:
        answers = RedisAnswers(own_redis.url, settings=QuerySettings(), metrics=Metrics())
        await answers.put("large", bytes(9 << 20))
        assert await answers.get("large") is None
        await answers.put("small", b"x")
        assert await answers.get("small") == b"x"
        # Many more at once than there are connections wait for one.
        assert await asyncio.gather(*(answers.get("small") for _ in range(300))) == [b"x"] * 300
        assert answers.problem() is None
        await answers.close()

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_redis_away_is_a_miss(own_redis: Redis, house: House, fault: str) -> None:
    """Never an error, and every question is answered; it heals by itself, with what is asked in between."""
    house.hot.put([many(4)])
    with api(house, own_redis.url) as client:
        eventually(lambda: result(client) == "hit", "a hit")
        getattr(own_redis, fault)()
        assert [result(client) for _ in range(20)] == ["miss"] * 20
        (own_redis.start if fault == "kill" else own_redis.resume)()
        eventually(lambda: result(client) == "hit", "a hit")


def test_a_silent_redis_is_asked_once_a_second(own_redis: Redis) -> None:
    """Its time-out is not waited for by each question."""

    async def run() -> None:
        answers = RedisAnswers(own_redis.url, settings=QuerySettings(), metrics=Metrics())
        own_redis.pause()
        assert await answers.get("key") is None
        assert "Redis" in str(answers.problem())
        # With the time-out of a tenth of a second for each, the breaker would have closed several times.
        assert [await answers.get("key") for _ in range(10_000)] == [None] * 10_000
        own_redis.resume()
        while await answers.get("key") != b"x":
            await asyncio.sleep(0.01)
            await answers.put("key", b"x")
        assert answers.problem() is None
        await answers.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_wrong_url_stops_at_once() -> None:
    """With a word on what it should be."""
    with pytest.raises(Stop, match="redis://HOST:PORT/DB"):
        RedisAnswers("http://nowhere", settings=QuerySettings(), metrics=Metrics())
