"""Answers of `GET /logs` in Redis, shared by all apis: strings `tailrace:{NAME}:answers:KEY` that expire."""

from __future__ import annotations

import logging
from typing import cast

from tailrace.config import QuerySettings
from tailrace.ops.metrics import Metrics
from tailrace.store.hot_redis_format import Keys
from tailrace.store.redis_client import AWAY_ERRORS, Breaker, open_async_client

# An answer that takes longer than this to fetch had better be made.
_TIMEOUT_S = 0.1
# A page of 10,000 events; a few of these at once are all that the connections carry in that time.
_BODY_BYTES_MAX = 8 << 20
# Each carries a thousand answers a second and more; a question waits for a free one.
_CONNECTIONS_MAX = 32

_log = logging.getLogger(__name__)


class RedisAnswers:
    """Implements `serve.cache.AnswerCache`; used from one event loop, in which it is to be closed.

    Redis itself lets answers go after `query.cache_s`, and earlier where its `maxmemory-policy` says so. Failed calls
    are counted in `tailrace_retries{place="answers"}`.
    """

    def __init__(self, url: str, *, settings: QuerySettings, metrics: Metrics, name: str = "logs") -> None:
        """`name` is the log's. Raises `Stop` for a URL that cannot be one."""
        self._metrics = metrics
        self._keys = Keys(name)
        self._keep_ms = max(1, int(settings.cache_s * 1000))
        self._client = open_async_client(url, timeout_s=_TIMEOUT_S, connections_max=_CONNECTIONS_MAX)
        self._breaker = Breaker()

    async def get(self, key: str) -> bytes | None:
        if not self._breaker.lets_through():
            return None
        try:
            body = cast("bytes | None", await self._client.get(self._keys.answer(key)))
        except AWAY_ERRORS as error:
            self._failed(error)
            return None
        self._worked()
        return body

    async def put(self, key: str, body: bytes) -> None:
        if len(body) > _BODY_BYTES_MAX or not self._breaker.lets_through():
            return
        try:
            await self._client.set(self._keys.answer(key), body, px=self._keep_ms)
        except AWAY_ERRORS as error:
            self._failed(error)
        else:
            self._worked()

    def problem(self) -> str | None:
        """What is wrong with Redis, None when nothing is."""
        return self._breaker.problem

    async def close(self) -> None:
        await self._client.aclose()

    def _failed(self, error: Exception) -> None:
        self._metrics.retries.labels("answers").inc()
        if self._breaker.problem is None:
            _log.warning("answers: %s; each question is answered anew until Redis is back", error)
        self._breaker.failed(f"answers are not shared through Redis: {error}")

    def _worked(self) -> None:
        if self._breaker.problem is not None:
            self._breaker.worked()
            _log.info("answers: Redis works again")
