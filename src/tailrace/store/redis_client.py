"""Redis as everybody here uses it: short timeouts, no retries behind our back, and a breaker while it is away.

Nothing that is kept in Redis is the only copy of anything, so nobody waits for it: what cannot be had in time is done
without.
"""

from __future__ import annotations

import time

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tailrace.errors import Stop

AWAY_ERRORS = (redis.RedisError, OSError)
"""What redis-py raises when the server is away, full, loading, or answers with an error."""

# A local network answers in a millisecond; what takes this long is not there.
CONNECT_TIMEOUT_S = 0.5
# Entries are some hundred kilobytes; a read in one go may be a hundred of them.
_READ_BYTES = 1 << 18


def open_client(url: str, *, timeout_s: float) -> redis.Redis:
    """A client for threads; connects at the first command. Raises `Stop` for a URL that cannot be one."""
    try:
        return redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=timeout_s,
            socket_read_size=_READ_BYTES,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    except ValueError as error:
        raise Stop(f"{url}: {error}; write redis://HOST:PORT/DB") from error


def open_async_client(url: str, *, timeout_s: float, connections_max: int) -> redis.asyncio.Redis:
    """A client for one event loop; connects at the first command. Raises `Stop` for a URL that cannot be one.

    When all connections are taken, a command waits for one, up to `timeout_s`.
    """
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            timeout=timeout_s,
            max_connections=connections_max,
            socket_connect_timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_read_size=_READ_BYTES,
            retry=AsyncRetry(NoBackoff(), 0),
            protocol=2,
        )
        return redis.asyncio.Redis.from_pool(pool)
    except ValueError as error:
        raise Stop(f"{url}: {error}; write redis://HOST:PORT/DB") from error


class Breaker:
    """After a failure one call a second finds out whether it is over, so that one time-out is not one for each."""

    OPEN_S = 1.0

    def __init__(self) -> None:
        self.problem: str | None = None
        self._open_until_s = 0.0

    def lets_through(self) -> bool:
        if self.problem is None:
            return True
        if time.monotonic() < self._open_until_s:
            return False
        self._open_until_s = time.monotonic() + self.OPEN_S
        return True

    def failed(self, problem: str) -> None:
        self.problem = problem
        self._open_until_s = time.monotonic() + self.OPEN_S

    def worked(self) -> None:
        self.problem = None
