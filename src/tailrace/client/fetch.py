"""`tailrace fetch`: query a server at random, and measure its answers."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlencode

import click

from tailrace.client import options
from tailrace.client.connection import Connection, ServerError, Unreachable
from tailrace.client.demo_catalogue import SERVICES
from tailrace.client.latencies import Latencies

_WINDOWS = ("1m", "5m", "15m", "1h", "6h", "24h")
_LEVELS = ("INFO", "WARN", "ERROR", "FATAL")
_QUERIES = (
    '"card declined"',
    "timeout",
    "latency_ms:>250",
    "http.status_code:[500 TO 599]",
    "user AND failed",
    "order AND NOT placed",
)
_LIMITS = (20, 100, 500)


@dataclass(slots=True)
class Measured:
    """What the answers were like; one for each thread, merged at the end."""

    latencies: Latencies = field(default_factory=Latencies)
    cache: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Measured) -> None:
        self.latencies.merge(other.latencies)
        self.cache.update(other.cache)
        self.errors.update(other.errors)


def random_path(source: random.Random) -> str:
    """A `GET /logs` as people and dashboards send them; the same query comes again now and then."""
    parameters = {"start": source.choice(_WINDOWS), "limit": str(source.choice(_LIMITS))}
    if source.random() < 0.7:
        parameters["service"] = source.choice(SERVICES)
    if source.random() < 0.5:
        parameters["level"] = source.choice(_LEVELS)
    if source.random() < 0.4:
        parameters["q"] = source.choice(_QUERIES)
    return "/logs?" + urlencode(parameters)


@click.command()
@click.option(
    "--rate", metavar="RATE", type=options.rate, default="10", show_default=True, help="Queries a second, or max."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=4, show_default=True, help="Queries under way at once."
)
@click.option(
    "--for", "duration_s", metavar="TIME", type=options.duration_s, default="10s", show_default=True, help="How long."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed asks the same queries.")
@options.url_option
def fetch(rate: options.Rate, concurrency: int, duration_s: float, seed: int, url: str) -> None:
    """Ask random `GET /logs` queries (service, level, window, words) and print how fast the answers came.

    Answers from the server's cache (X-Cache: hit) are counted apart. The exit status is 1 when a query failed.

    \b
    Examples:
      tailrace fetch                                ten queries a second for ten seconds
      tailrace fetch --rate 200 --concurrency 16 --for 1m
      tailrace fetch --rate max --concurrency 8
    """
    with Connection(url) as connection:
        connection.request("GET", "/healthz")
    started_s = time.monotonic()
    turns = _Turns(rate.per_s, started_s, started_s + duration_s)
    measured = [Measured() for _ in range(concurrency)]
    threads = [
        threading.Thread(target=_ask, args=(url, random.Random(seed * 1_000_003 + number), turns, mine), daemon=True)
        for number, mine in enumerate(measured)
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        turns.stop()
        for thread in threads:
            thread.join()
    elapsed_s = time.monotonic() - started_s
    total = Measured()
    for mine in measured:
        total.merge(mine)
    count = total.latencies.count
    click.echo(f"{count:,} answers in {elapsed_s:.1f} s ({count / elapsed_s:,.1f}/s) from {url}")
    click.echo(f"latency  {total.latencies.line(50, 90, 99)}")
    click.echo(f"cache    {total.cache['hit']:,} hits  {total.cache['miss']:,} misses")
    for text, times in total.errors.most_common():
        click.echo(f"error    {times:,} x {text}")
    if total.errors:
        sys.exit(1)


class _Turns:
    """Who may ask when: one clock for all threads, so that together they keep the rate."""

    def __init__(self, per_s: float | None, start_s: float, end_s: float) -> None:
        self._per_s = per_s
        self._next_s = start_s
        self._end_s = end_s
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def take(self) -> bool:
        """Wait for the next turn. False when the time is over."""
        now_s = time.monotonic()
        with self._lock:
            # Turns that nobody was free to take are not made up for.
            turn_s = max(self._next_s, now_s - 1.0) if self._per_s else now_s
            if turn_s >= self._end_s:
                return False
            self._next_s = turn_s + (1 / self._per_s if self._per_s else 0.0)
        return not self._stop.wait(max(turn_s - now_s, 0.0))

    def stop(self) -> None:
        self._stop.set()


def _ask(url: str, source: random.Random, turns: _Turns, measured: Measured) -> None:
    with Connection(url) as connection:
        while turns.take():
            path = random_path(source)
            started_s = time.perf_counter()
            try:
                answer = connection.request("GET", path)
            except (ServerError, Unreachable) as error:
                measured.errors[error.message] += 1
                continue
            measured.latencies.add(time.perf_counter() - started_s)
            measured.cache[answer.headers.get("x-cache", "none").lower()] += 1
