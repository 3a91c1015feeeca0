"""Answers kept for a while, by a hash of what was asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from tailrace.model.clock import Clock

_ENTRY_BYTES = 256
"""What an entry takes besides its body, roughly."""


def key_of(parameters: Mapping[str, Any]) -> str:
    """Equal for equal parameters, in whatever order they were written; the caller normalises the values."""
    return hashlib.sha256(orjson.dumps(dict(parameters), option=orjson.OPT_SORT_KEYS)).hexdigest()


class AnswerCache(Protocol):
    """Answers, for `query.cache_s` each. Used from one event loop; a place that is away is a miss, never an error."""

    async def get(self, key: str) -> bytes | None:
        """The answer, unless it is too old or let go."""
        ...

    async def put(self, key: str, body: bytes) -> None:
        """Keep an answer in the place of an older one, if it is not too large."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    until_us: int


class MemoryAnswers:
    """Implements `AnswerCache` in this process. Least recently used answers go first once `bytes_max` is passed."""

    def __init__(self, *, keep_s: float, bytes_max: int, clock: Clock) -> None:
        self._keep_us = int(keep_s * 1_000_000)
        self._bytes_max = bytes_max
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    async def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.until_us <= self._clock():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry.body

    async def put(self, key: str, body: bytes) -> None:
        self._remove(key)
        if len(body) + _ENTRY_BYTES > self._bytes_max:
            return
        self._entries[key] = _Entry(body, self._clock() + self._keep_us)
        self._bytes += len(body) + _ENTRY_BYTES
        while self._bytes > self._bytes_max:
            self._remove(next(iter(self._entries)))

    async def close(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES


class InFlight:
    """Answers that are being made: whoever asks for the same meanwhile waits for it and shares it.

    Otherwise the moment when the answer that everybody asks for has become too old would be a burst of equal queries.
    """

    def __init__(self, *, lost_by: type[Exception]) -> None:
        """`lost_by` is about the maker alone, such as its client having left: then another makes the answer."""
        self._lost_by = lost_by
        self._making: dict[str, asyncio.Future[bytes]] = {}

    async def share(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` answers, or raises, here or for the one who came first."""
        while (others := self._making.get(key)) is not None:
            await asyncio.wait({others})
            if not others.cancelled():
                return others.result()
        mine: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._making[key] = mine
        try:
            mine.set_result(await make())
        except self._lost_by:
            raise
        except Exception as error:
            mine.set_exception(error)
        finally:
            del self._making[key]
            mine.cancel()  # Does nothing to one that is done.
        return mine.result()
