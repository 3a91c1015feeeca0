"""The rows on real engines: Kafka, Redis, Elasticsearch, and the platform on the same cores."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.redis import Redis
from tests.server import Server

from bench.cache import cache_row
from bench.elasticsearch import elasticsearch_rows
from bench.floor import arrow_body
from bench.kafka import kafka_rows, open_topic, produce_bare
from bench.load import send_bodies
from bench.report import Row
from bench.server import running
from bench.tuning import tuning_row
from tailrace.client.demo_events import ndjson_bodies
from tailrace.model.batch import ARROW_STREAM, encode_batch

BODY_EVENTS = 5_000
_NDJSON = "application/x-ndjson"
_SEARCH_EVENTS = 60_000


def distributed_rows(folder: Path, events: int, seed: int) -> Iterator[Row]:
    """Bare clients first, then the platform doing the same I/O and the rest."""
    bodies = list(itertools.islice(ndjson_bodies(events, body_events=BODY_EVENTS, seed=seed), events // BODY_EVENTS))
    with Kafka(folder / "kafka", long_lived=True) as kafka, Redis(folder / "redis") as redis:
        yield from kafka_rows(kafka.address, events=events // 3, seed=seed)
        yield from _http_rows(folder, kafka, redis, bodies)
        yield _documents_row(folder, kafka, bodies)
        yield tuning_row(kafka.address)
    yield cache_row(folder / "cache", seed)
    yield from elasticsearch_rows(folder / "search", _SEARCH_EVENTS, seed)


def _http_rows(folder: Path, kafka: Kafka, redis: Redis, bodies: Sequence[bytes]) -> Iterator[Row]:
    encodings = {
        "NDJSON": (_NDJSON, [(BODY_EVENTS, body) for body in bodies]),
        "Arrow": (ARROW_STREAM, [(BODY_EVENTS, encode_batch(arrow_body(body))) for body in bodies]),
    }
    for name, (content_type, sent) in encodings.items():
        engines = ("--set", f"log.url={kafka.url(name)}", "--set", f"hot.url={redis.url}")
        with running(folder / name, *engines) as server:
            load = send_bodies(server, sent, content_type)
        what = f"HTTP ({name} bodies) to Kafka to lake + Redis"
        yield Row(what, load.stored_events_per_s, "events/s", 300_000, 500_000, True)


def _documents_row(folder: Path, kafka: Kafka, bodies: Sequence[bytes]) -> Row:
    log, topic = open_topic(kafka.address)
    log.close()
    produce_bare(kafka.address, topic, [line for body in bodies for line in body.splitlines()], compression="lz4")
    with running(folder / "documents", "--set", f"log.url={kafka.url(topic)}") as server:
        rate = _storing_rate(server, len(bodies) * BODY_EVENTS)
    return Row("Kafka, a JSON document a message, into lake + hot", rate, "events/s", 350_000, 600_000, True)


def _storing_rate(server: Server, events: int) -> float:
    """Events a second between the first look that finds some of them stored and the one that finds all."""
    first: tuple[float, float] | None = None
    while True:
        stored = _metric(server, 'tailrace_events_stored_total{store="lake"}')
        now = time.perf_counter()
        if first is None and stored > 0:
            first = (now, stored)
        if stored >= events and first is not None:
            return (stored - first[1]) / (now - first[0])
        time.sleep(0.02)


def _metric(server: Server, name: str) -> float:
    for line in server.request("GET", "/metrics")[1].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return 0.0
