"""`python -m bench.tuning`: partitions x batch x linger on a real Kafka, and what they do to latency under peak load.

One producer sends events at a fixed rate, one consumer reads them; the latency of an event is from its making until
the consumer has it. The first row is what one partition and no batching give. Where a setting cannot carry the rate,
its queue grows for as long as the run lasts, and the latency says so.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from deploy.local.kafka import Kafka

from bench.report import Row

EVENT_BYTES = 175
# Events are made in small bursts, as a process that has a time slice of its own makes them.
_TICK_S = 0.002
_BAR = 40


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is varied. `batch`: messages of one request at most; `linger_ms`: how long one waits for more."""

    partitions: int
    batch: int
    linger_ms: float


@dataclass(frozen=True, slots=True)
class Latency:
    tuning: Tuning
    p50_ms: float
    p99_ms: float
    delivered: int
    sent: int


DEFAULTS = Tuning(partitions=1, batch=1, linger_ms=0)
TUNED = Tuning(partitions=4, batch=10_000, linger_ms=5)
SWEEP = [
    Tuning(*each) for each in itertools.product((1, 4, 12), (1, 100, 10_000), (0, 5, 20)) if Tuning(*each) != DEFAULTS
]


def measured(address: str, tuning: Tuning, *, rate: int, for_s: float) -> Latency:
    """Latency of `rate` events a second for so long, and the share that had arrived a few seconds later."""
    topic = f"tuning-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(topic, tuning.partitions, 1)]).values():
        future.result()
    arrived: list[np.ndarray] = []
    stop = threading.Event()
    ready = threading.Event()
    thread = threading.Thread(target=_consume, args=(address, topic, arrived, ready, stop))
    thread.start()
    ready.wait(30)
    sent = _produce(address, topic, tuning, rate, for_s)
    until = time.monotonic() + for_s
    while sum(map(len, arrived)) < sent and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    thread.join()
    admin.delete_topics([topic])
    # What has not arrived by now is later than everything that has.
    late = np.full(sent - sum(map(len, arrived)), (for_s * 2) * 1000.0)
    latencies = np.concatenate([*arrived, late])
    p50, p99 = np.percentile(latencies, [50, 99])
    return Latency(tuning, float(p50), float(p99), sent - len(late), sent)


def _produce(address: str, topic: str, tuning: Tuning, rate: int, for_s: float) -> int:
    producer = Producer(
        {
            "bootstrap.servers": address,
            "acks": "all",
            "linger.ms": tuning.linger_ms,
            "batch.num.messages": tuning.batch,
            "queue.buffering.max.messages": 2_000_000,
            "compression.type": "none" if tuning.batch == 1 else "lz4",
        }
    )
    padding = b"x" * (EVENT_BYTES - 8)
    started = time.perf_counter()
    sent = 0
    while (elapsed := time.perf_counter() - started) < for_s:
        due = int(elapsed * rate)
        for _ in range(due - sent):
            producer.produce(topic, time.perf_counter_ns().to_bytes(8, "little") + padding)
        sent = max(due, sent)
        producer.poll(0)
        time.sleep(_TICK_S)
    producer.flush(for_s)
    producer.purge()
    return sent


def _consume(
    address: str, topic: str, arrived: list[np.ndarray], ready: threading.Event, stop: threading.Event
) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 5,
        }
    )
    consumer.subscribe([topic], on_assign=lambda *_: ready.set())
    while not stop.is_set():
        messages = consumer.consume(5000, 0.02)
        now = time.perf_counter_ns()
        if messages:
            made = np.frombuffer(b"".join((message.value() or b"")[:8] for message in messages), np.int64)
            arrived.append((now - made) / 1e6)
    consumer.close()


def sweep(address: str, *, rate: int, for_s: float) -> list[Latency]:
    """The defaults first, then every other combination."""
    found = []
    for tuning in [DEFAULTS, *SWEEP]:
        found.append(measured(address, tuning, rate=rate, for_s=for_s))
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def tuning_row(address: str, *, rate: int = 8_000, for_s: float = 4.0) -> Row:
    """What four partitions, batches and a linger of 5 ms make of p99, at a rate that the defaults may not carry."""
    before = measured(address, DEFAULTS, rate=rate, for_s=for_s)
    after = measured(address, TUNED, rate=rate, for_s=for_s)
    change = (after.p99_ms / before.p99_ms - 1) * 100
    note = f"{before.p99_ms:.1f} ms to {after.p99_ms:.1f} ms at {rate:,} events/s"
    return Row("p99 latency, tuned against one partition and no batching", change, "%", -40, -80, False, note)


def table(found: list[Latency]) -> str:
    """Markdown, with a bar of the logarithm of p99."""
    first, *_ = found
    lines = ["| partitions | batch | linger | p50 | p99 | against defaults | |", "|---|---|---|---|---|---|---|"]
    low, high = (np.log(bound([each.p99_ms for each in found])) for bound in (min, max))
    for each in found:
        bar = "█" * round(1 + (np.log(each.p99_ms) - low) / (high - low + 1e-9) * (_BAR - 1))
        lost = "" if each.delivered == each.sent else f" {each.sent - each.delivered:,} late"
        tuning = f"{each.tuning.partitions} | {each.tuning.batch:,} | {each.tuning.linger_ms:g} ms"
        latency = f"{each.p50_ms:.1f} ms | {each.p99_ms:.1f} ms | {each.p99_ms / first.p99_ms - 1:+.0%}"
        lines.append(f"| {tuning} | {latency} | `{bar}`{lost} |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench.tuning", description=__doc__)
    options.add_argument("--rate", type=int, default=30_000, help="events a second")
    options.add_argument("--seconds", type=float, default=3.0, help="how long each combination runs")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-tuning-") as folder, Kafka(Path(folder)) as kafka:
        print(table(sweep(kafka.address, rate=chosen.rate, for_s=chosen.seconds)))


if __name__ == "__main__":
    main()
