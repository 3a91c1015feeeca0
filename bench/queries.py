"""Asking: each question over HTTP, each time with other words, as a person would."""

from __future__ import annotations

import random
import re
import statistics
import time
import urllib.parse
from collections.abc import Callable

import orjson
from tests.server import Server

from bench.report import Row

_TIMES = 15


def query_rows(server: Server, seed: int) -> list[Row]:
    """The lines of the table about finding; medians of fifteen different questions of each kind."""
    pick = random.Random(seed)
    size = f"{server.get_json('/api/count')['count'] / 1e6:.0f} M"
    sample = _sample(server, pick)
    rare = [_order(event["message"]) or event["trace_id"] for event in sample]

    def ms(ask: Callable[[int], str]) -> tuple[float, str]:
        taken = []
        for number in range(_TIMES):
            started = time.perf_counter()
            status, body = server.request("GET", ask(number))
            taken.append((time.perf_counter() - started) * 1000)
            assert status == 200, body
        return statistics.median(taken), f"first {taken[0]:.0f}, worst {max(taken):.0f} ms"

    def line(what: str, must: float, goal: float, ask: Callable[[int], str]) -> Row:
        median, note = ms(ask)
        return Row(f"{what} over {size}", median, "ms", must, goal, note=note)

    def found(word: str) -> str:
        return _path("/api/search", q=f'"{word}"', limit=100)

    latest = _path("/api/search", q="level:ERROR", limit=100)
    words = (("user", "logged"), ("connection", "refused"), ("template", "cache"), ("upstream", "reset"))
    return [
        line("trace id", 60, 10, lambda n: found(sample[n]["trace_id"])),
        line("rare word", 60, 10, lambda n: found(rare[n])),
        line("latest 100 of level:ERROR", 50, 5, lambda _: latest),
        line("histogram by minute and level", 200, 50, lambda _: "/api/histogram?interval=1m&by=level"),
        line("two words AND, count", 1000, 300, lambda n: _path("/api/count", q=" AND ".join(words[n % len(words)]))),
        line("count per service", 100, 10, lambda _: "/api/fields/service/values?limit=100"),
    ]


def rare_words(server: Server, pick: random.Random) -> list[str]:
    """Words that stand in the messages of a handful of events, from all over the table."""
    words: list[str] = []
    while len(words) < _TIMES:
        words += [word for event in _sample(server, pick) if (word := _order(event["message"]))]
    return words[:_TIMES]


def _path(route: str, **parameters: object) -> str:
    return f"{route}?{urllib.parse.urlencode(parameters)}"


def _sample(server: Server, pick: random.Random) -> list[dict[str, str]]:
    """Events from all over the table."""
    events: list[dict[str, str]] = []
    while len(events) < _TIMES:
        word = f"{pick.randrange(1000, 10000)}"
        page = orjson.loads(server.request("GET", _path("/api/search", q=word, limit=5))[1])
        events += [event for event in page["events"] if event["trace_id"]]
    return events


def _order(message: str) -> str | None:
    """The longest number, when it is as long as that of an order: such a one is in a handful of events at most."""
    numbers = sorted(re.findall(r"\b\d{6,}\b", message), key=len)
    return numbers[-1] if numbers else None
