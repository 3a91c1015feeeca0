"""Where the newest events are: in the memory of this process, or in Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import redis

from tailrace.config import HotSettings
from tailrace.errors import Stop
from tailrace.serve.cache import AnswerCache, MemoryAnswers
from tailrace.store.answers_redis import RedisAnswers
from tailrace.store.duck import Duck
from tailrace.store.hot_memory import HotMemory
from tailrace.store.hot_redis import HotRedis
from tailrace.store.hot_redis_mirror import HotRedisMirror
from tailrace.store.redis_client import AWAY_ERRORS, open_client
from tailrace.wiring.log import log_name
from tailrace.wiring.opening import Opening

# Nobody waits for Redis, at the start neither.
_CHECK_S = 1.0


def is_shared_hot(settings: HotSettings) -> bool:
    """Whether other processes see what this one puts there. Raises `Stop` for a URL of no known kind."""
    kind = settings.url.partition("://")[0]
    if kind not in ("memory", "redis", "rediss"):
        raise Stop(f"hot.url = {settings.url!r}: the newest events are in memory:// or redis://HOST:PORT/DB")
    return kind != "memory"


def open_memory(opening: Opening, engine: Duck) -> HotMemory:
    hot = opening.opened(HotMemory(opening.settings.hot.bytes_max, engine=engine, clock=opening.clock))
    opening.metrics.hot_bytes.set_function(lambda: hot.bytes)
    return hot


def open_redis(opening: Opening) -> HotRedis:
    """For a worker: where it puts events. Raises `Stop`."""
    settings = opening.settings.hot
    _check_redis(settings.url)
    hot = opening.opened(
        HotRedis(
            settings.url,
            settings=settings,
            clock=opening.clock,
            metrics=opening.metrics,
            name=log_name(opening.settings.log),
        )
    )
    opening.metrics.hot_bytes.set_function(lambda: hot.bytes)
    opening.dispensable["hot"] = hot.problem
    return hot


def open_mirror(opening: Opening, engine: Duck, store_reached: Callable[[], Mapping[int, int]]) -> HotRedisMirror:
    """For an api: what workers have put there, and the store lacks. Raises `Stop`."""
    settings = opening.settings.hot
    _check_redis(settings.url)
    hot = opening.opened(
        HotRedisMirror(
            settings.url,
            settings=settings,
            engine=engine,
            clock=opening.clock,
            metrics=opening.metrics,
            store_reached=store_reached,
            name=log_name(opening.settings.log),
        )
    )
    opening.metrics.hot_bytes.set_function(lambda: hot.bytes)
    opening.dispensable["hot mirror"] = hot.problem
    return hot


def open_answers(opening: Opening) -> AnswerCache:
    """Answers of `GET /logs` that are kept for a while; the app that uses them closes them."""
    settings = opening.settings
    if is_shared_hot(settings.hot):
        answers = RedisAnswers(
            settings.hot.url, settings=settings.query, metrics=opening.metrics, name=log_name(settings.log)
        )
        opening.dispensable["answers"] = answers.problem
        return answers
    return MemoryAnswers(keep_s=settings.query.cache_s, bytes_max=settings.query.cache_bytes_max, clock=opening.clock)


def _check_redis(url: str) -> None:
    """Raises `Stop` where Redis says no, as it would tomorrow. That it is away is no matter."""
    try:
        with contextlib.closing(open_client(url, timeout_s=_CHECK_S)) as client:
            client.ping()
    except (redis.AuthenticationError, redis.ResponseError, redis.InvalidResponse) as error:
        place = urlsplit(url).netloc.rpartition("@")[2]
        raise Stop(
            f"hot.url: Redis at {place} refuses: {error}; write redis://USER:PASSWORD@HOST:PORT/DB, "
            "or redis://:PASSWORD@HOST:PORT/DB for a password alone"
        ) from error
    except AWAY_ERRORS:
        pass
