"""Answers kept for a while, by a hash of what was asked."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.model.clock import Clock

_ENTRY_BYTES = 256
"""What an entry takes besides its body, roughly."""


def key_of(parameters: Mapping[str, Any]) -> str:
    """Equal for equal parameters, in whatever order they were written; the caller normalises the values."""
    return hashlib.sha256(orjson.dumps(dict(parameters), option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    until_us: int


class AnswerCache:
    """Least recently used answers go first once `bytes_max` is passed. Used from the event loop only."""

    def __init__(self, *, keep_s: float, bytes_max: int, clock: Clock) -> None:
        self._keep_us = int(keep_s * 1_000_000)
        self._bytes_max = bytes_max
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        """The answer, unless it is too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.until_us <= self._clock():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry.body

    def put(self, key: str, body: bytes) -> None:
        """Keep an answer; one larger than the whole cache is not kept."""
        self._remove(key)
        if len(body) + _ENTRY_BYTES > self._bytes_max:
            return
        self._entries[key] = _Entry(body, self._clock() + self._keep_us)
        self._bytes += len(body) + _ENTRY_BYTES
        while self._bytes > self._bytes_max:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES
