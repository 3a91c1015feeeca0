"""From the acknowledgement to the first search that finds the event, while others are sent at a steady rate."""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from collections.abc import Sequence

import orjson
from tests.server import Server

from bench.report import Row

_EVENTS_PER_S = 100_000
_FOR_S = 15.0


def visibility_row(server: Server, bodies: Sequence[bytes], body_events: int) -> Row:
    """99th percentile of about a hundred marked events at 100 k events/s."""
    stop = threading.Event()

    def load() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        due = time.perf_counter()
        number = 0
        while not stop.is_set():
            connection.request(
                "POST", "/logs", bodies[number % len(bodies)], {"content-type": "application/x-ndjson"}
            )
            connection.getresponse().read()
            number += 1
            due += body_events / _EVENTS_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
        sent.append(number * body_events)
        connection.close()

    sent: list[int] = []
    loader = threading.Thread(target=load)
    started = time.perf_counter()
    loader.start()
    taken_ms = []
    marks = random.Random(7)
    while time.perf_counter() - started < _FOR_S:
        mark = f"mark{marks.getrandbits(64):016x}"
        status, _ = server.post_logs(orjson.dumps({"message": f"watch for {mark}"}))
        acknowledged = time.perf_counter()
        assert status == 202
        while not server.get_json(f"/api/count?q={mark}")["count"]:
            pass
        taken_ms.append((time.perf_counter() - acknowledged) * 1000)
    stop.set()
    loader.join()
    rate = sent[0] / (time.perf_counter() - started)
    p99 = statistics.quantiles(taken_ms, n=100)[98]
    note = f"{len(taken_ms)} marks, median {statistics.median(taken_ms):.0f} ms, at {rate / 1e3:.0f} k events/s"
    return Row("acknowledged to visible, p99, at 100 k events/s", p99, "ms", 1000, 300, note=note)
