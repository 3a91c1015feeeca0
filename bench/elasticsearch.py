"""Into Elasticsearch and OpenSearch, beside the bulk helpers of their own clients: same server, same documents.

The helpers are given finished JSON, and `requests` whole bodies in three threads, so that neither spends time on
documents; ours begins with Arrow batches, as the worker has them, and writes its progress too. All create with the
same ids on the same mapping, and end with the refresh that makes the documents visible. The server has the same
cores; each way's best round counts.

    python -m bench.elasticsearch [--events 30000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import elasticsearch.helpers
import opensearchpy
import opensearchpy.helpers
import orjson
import pyarrow as pa
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.opensearch import OpenSearch
from deploy.local.search_node import SearchNode

import elasticsearch
from bench.report import Row, table
from tailrace.client.demo_events import DEMO_START_US, DemoEvents
from tailrace.config import ElasticsearchSettings
from tailrace.model.batch import with_identity
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.elasticsearch.documents import by_day, index_of, render
from tailrace.store.elasticsearch.mapping import install_template
from tailrace.store.elasticsearch.server import NDJSON, Server
from tailrace.store.elasticsearch.store import ElasticsearchStore

NAME = "bench"
# Events of one log record, as a gateway under load makes them.
_RECORD_EVENTS = 5_000
_CHUNKS = (500, 2_000, 5_000)
_THREADS = 3
_RAW_BYTES = 4 << 20

Write = Callable[[], None]


class NoLetters:
    """Nothing is refused in a benchmark."""

    def add(self, letters: pa.RecordBatch, identities: object) -> None:
        raise AssertionError(letters.to_pylist()[0]["reason"])


def elasticsearch_rows(folder: Path, events: int, seed: int, rounds: int = 3) -> Iterator[Row]:
    """Two rows a server: ours as a multiple of the helpers' best, and of requests that cost their client nothing."""
    batch = DemoEvents(seed).batch(events, start_us=DEMO_START_US, end_us=DEMO_START_US + 60_000_000)
    for node in (Elasticsearch(folder / "elasticsearch"), OpenSearch(folder / "opensearch")):
        with node:
            yield from _compare(node, batch, rounds)


def _compare(node: SearchNode, batch: pa.RecordBatch, rounds: int) -> Iterator[Row]:
    server = Server(node.store_url(NAME))
    install_template(server, ElasticsearchSettings())
    ((day, stored),) = by_day(with_identity(batch, 0, 0))
    index = index_of(NAME, day)
    rates: dict[str, float] = {}
    ways = {"Tailrace": lambda: _ours(node, batch), **_bare(node, server, index, stored)}
    # The first of all runs pays for a cold server, and does not count.
    for run, (way, write) in enumerate([("", ways["Tailrace"]), *(list(ways.items()) * rounds)]):
        for old in (index, f"tailrace-{NAME}-progress"):
            server.request("DELETE", f"/{old}", expected=(404,))
        server.create_index(index)
        started = time.perf_counter()
        write()
        server.request("POST", f"/{index}/_refresh")
        rate = batch.num_rows / (time.perf_counter() - started)
        assert server.request("GET", f"/{index}/_count")["count"] == batch.num_rows
        if run:
            rates[way] = max(rate, rates.get(way, 0.0))
    server.close()
    ours, requests = rates.pop("Tailrace"), rates.pop("requests")
    note = f"{ours:,.0f} events/s; " + ", ".join(f"{way} {rate:,.0f}" for way, rate in rates.items())
    yield Row(f"into {node.name}, beside its bulk helper", ours / max(rates.values()), "x bare", 0.9, 1.2, True, note)
    note = f"{requests:,.0f} events/s"
    yield Row(f"into {node.name}, beside bare requests", ours / requests, "x bare", more_is_better=True, note=note)


def _ours(node: SearchNode, batch: pa.RecordBatch) -> None:
    store = ElasticsearchStore(
        node.store_url(NAME),
        settings=ElasticsearchSettings(),
        clock=system_clock_us,
        metrics=Metrics(),
        dead_letters=NoLetters(),
    )
    starts = range(0, batch.num_rows, _RECORD_EVENTS)
    records = [with_identity(batch.slice(start, _RECORD_EVENTS), 0, at) for at, start in enumerate(starts)]
    store.write(records, {0: len(records)})
    store.close()


def _bare(node: SearchNode, server: Server, index: str, stored: pa.RecordBatch) -> Mapping[str, Write]:
    """The ways of the server's own client, with everything made ready beforehand."""
    lines, places = render(stored)
    pairs = lines.tobytes().decode().splitlines()
    actions = [(orjson.loads(action), document) for action, document in zip(pairs[::2], pairs[1::2], strict=True)]
    rows_at_once = max(1, len(places) * _RAW_BYTES // len(lines))
    bodies = [
        lines[places[start] : places[min(start + rows_at_once, len(places) - 1)]].tobytes()
        for start in range(0, len(places) - 1, rows_at_once)
    ]

    def requests() -> None:
        def send(body: bytes) -> None:
            answer = server.send("POST", f"/{index}/_bulk", body, content_type=NDJSON).json()
            assert not answer["errors"]

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(send, bodies))

    helpers: Any
    client: Any
    if node.name == "elasticsearch":
        client, helpers = elasticsearch.Elasticsearch(node.url, request_timeout=60), elasticsearch.helpers
    else:
        client, helpers = opensearchpy.OpenSearch(node.url, timeout=60), opensearchpy.helpers

    as_given = {"index": index, "expand_action_callback": lambda action: action}

    def streaming(chunk: int) -> Write:
        return lambda: _exhaust(helpers.streaming_bulk(client, actions, chunk_size=chunk, **as_given))

    def parallel(chunk: int) -> Write:
        return lambda: _exhaust(
            helpers.parallel_bulk(client, actions, thread_count=_THREADS, chunk_size=chunk, **as_given)
        )

    return {
        f"streaming_bulk {_CHUNKS[1]}": streaming(_CHUNKS[1]),
        **{f"parallel_bulk {chunk}": parallel(chunk) for chunk in _CHUNKS},
        "requests": requests,
    }


def _exhaust(results: Iterator[tuple[bool, Any]]) -> None:
    for is_done, result in results:
        assert is_done, result


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.elasticsearch", description=__doc__)
    options.add_argument("--events", type=int, default=30_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        print(table(list(elasticsearch_rows(Path(folder), chosen.events, chosen.seed, chosen.rounds))))


if __name__ == "__main__":
    main()
