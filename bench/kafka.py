"""The Kafka log beside the bare client doing the same I/O, on both encodings of a topic.

Every function measures one way once; `kafka_rows` runs them in pairs, each next to its floor.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.floor import floor_events_per_s
from bench.report import Row
from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import LogLines, LogRecord, Record
from tailrace.client.demo_events import ndjson_bodies
from tailrace.config import IngestSettings, KafkaSettings, LogSettings
from tailrace.ingest.json_logs import decode_json
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.clock import system_clock_us
from tailrace.process.decode import decode

PARTITIONS = 6
BATCH_EVENTS = 20_000
_POLL_BYTES_MAX = 1 << 20
_ARROW_TIMES = 10
"""How often the batches are written one after the other: reading them once is over before it can be measured."""

# The bare client's best of those tried.
_BARE_PRODUCER = {
    "acks": "all",
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "batch.num.messages": 100_000,
    "queue.buffering.max.messages": 2_000_000,
    "message.max.bytes": 32 << 20,
}
_BARE_CONSUMER = {
    "queued.min.messages": 100_000,
    "queued.max.messages.kbytes": 32_768,
    "fetch.max.bytes": 64 << 20,
    "max.partition.fetch.bytes": 16 << 20,
    "fetch.queue.backoff.ms": 20,
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "group.id": "bench",
}


def open_topic(servers: str) -> tuple[KafkaLog, str]:
    """A new topic, and its name."""
    topic = f"bench-{uuid.uuid4().hex}"
    settings = KafkaSettings(partitions=PARTITIONS)
    url = f"kafka://{servers}/{topic}"
    return KafkaLog(url, kafka=settings, log=LogSettings(), groups=(), clock=system_clock_us), topic


def produce_bare(servers: str, topic: str, payloads: Sequence[bytes], *, compression: str) -> float:
    """Messages a second of `Producer.produce`, until all are acknowledged."""
    producer = Producer({"bootstrap.servers": servers, **_BARE_PRODUCER, "compression.type": compression})
    producer.list_topics(timeout=10)
    started = time.perf_counter()
    for number, payload in enumerate(payloads):
        producer.produce(topic, payload)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    return len(payloads) / (time.perf_counter() - started)


def produce_ours(log: KafkaLog, records: Sequence[Record]) -> float:
    """Records a second of `KafkaLog.append`, a few under way at once, until all are acknowledged."""
    under_way: deque[Future[list[tuple[int, int]]]] = deque()
    started = time.perf_counter()
    for record in records:
        if len(under_way) == 2 * PARTITIONS:
            under_way.popleft().result()
        under_way.append(log.append([record]))
    for future in under_way:
        future.result()
    return len(records) / (time.perf_counter() - started)


def consume_bare(servers: str, topic: str, count: int) -> float:
    """Messages a second of `Consumer.consume`, without a look at them."""
    consumer = Consumer({"bootstrap.servers": servers, **_BARE_CONSUMER})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    got, started = len(consumer.consume(1, 30)), time.perf_counter()
    while got < count:
        got += len(consumer.consume(min(10_000, count - got), 0.1))
    rate = count / (time.perf_counter() - started)
    consumer.close()
    return rate


def consume_bare_and_parse(servers: str, topic: str, count: int, parse: Callable[[bytes], object]) -> float:
    """The same, joined into bodies and parsed."""
    consumer = Consumer({"bootstrap.servers": servers, **_BARE_CONSUMER})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    messages = consumer.consume(1, 30)
    got, started = 0, time.perf_counter()
    while True:
        parse(b"\n".join([message.value() or b"" for message in messages]))
        got += len(messages)
        if got == count:
            break
        messages = consumer.consume(min(10_000, count - got), 0.1) or messages[:0]
    rate = count / (time.perf_counter() - started)
    consumer.close()
    return rate


def consume_ours(log: KafkaLog, events: int, take: Callable[[LogRecord | LogLines], int]) -> float:
    """Events a second of `poll`; `take` is given each item and tells how many events it holds."""
    reader = log.follower()
    items = reader.poll(bytes_max=1, timeout_s=30)
    got, started = 0, time.perf_counter()
    while True:
        got += sum(map(take, items))
        if got >= events:
            break
        items = reader.poll(bytes_max=_POLL_BYTES_MAX, timeout_s=1)
    rate = events / (time.perf_counter() - started)
    reader.close()
    return rate


def count_only(item: LogRecord | LogLines) -> int:
    return len(item.offsets) if isinstance(item, LogLines) else item.record.rows


def count_decoded(item: LogRecord | LogLines) -> int:
    events = decode(item, limits=IngestSettings(), now_us=system_clock_us()).events
    return 0 if events is None else int(events.num_rows)


def append_latency_ms(log: KafkaLog, record: Record, *, appends: int = 300) -> tuple[float, float]:
    """p50 and p99 of one small append at a time."""
    times = []
    for _ in range(appends):
        started = time.perf_counter()
        log.append([record]).result()
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return times[appends // 2], times[int(appends * 0.99)]


def kafka_rows(servers: str, *, events: int = 1_000_000, seed: int = 1) -> Iterator[Row]:
    """The table's rows: a topic of JSON documents, then one of Arrow batches."""
    bodies = list(
        itertools.islice(ndjson_bodies(events, body_events=BATCH_EVENTS, seed=seed), events // BATCH_EVENTS)
    )
    yield from _json_rows(servers, bodies)
    yield from _arrow_rows(servers, bodies)


def _json_rows(servers: str, bodies: Sequence[bytes]) -> Iterator[Row]:
    documents = [line for body in bodies for line in body.splitlines()]
    count = len(documents)
    size = sum(map(len, documents)) / count
    log, topic = open_topic(servers)
    rate = produce_bare(servers, topic, documents, compression="lz4")
    yield Row("Kafka, a JSON document a message: bare produce, lz4", rate, "events/s", note=f"{size:.0f} bytes each")
    floor = consume_bare(servers, topic, count)
    yield Row("… bare consume", floor, "events/s")
    parsed = consume_bare_and_parse(servers, topic, count, lambda body: floor_events_per_s([body]))
    yield Row("… bare consume, pyarrow.json", parsed, "events/s")
    rate = consume_ours(log, count, count_only)
    yield Row("… ours, read as lines", rate, "events/s", note=f"{rate / floor:.2f} of bare consume")
    rate = consume_ours(log, count, count_decoded)
    yield Row("… ours, decoded", rate, "events/s", note=f"{rate / parsed:.2f} of bare consume with pyarrow.json")
    log.close()


def _arrow_rows(servers: str, bodies: Sequence[bytes]) -> Iterator[Row]:
    batches = [_events_of(body) for body in bodies]
    records = [Record(ARROW_STREAM, encode_batch(batch), batch.num_rows) for batch in batches] * _ARROW_TIMES
    payloads = [record.payload for record in records]
    events = sum(record.rows for record in records)
    each = events / len(records)
    size = sum(map(len, payloads)) / events
    log, topic = open_topic(servers)
    bare_log, bare_topic = open_topic(servers)
    floor = produce_bare(servers, bare_topic, payloads, compression="none") * each
    yield Row("Kafka, Arrow batches: bare produce", floor, "events/s", note=f"{size:.0f} bytes an event")
    zstd_log, zstd_topic = open_topic(servers)
    rate = produce_bare(servers, zstd_topic, payloads, compression="zstd") * each
    yield Row("… bare produce, zstd on top", rate, "events/s", note=f"{rate / floor:.2f} of without")
    rate = produce_ours(log, records) * each
    yield Row("… ours, append", rate, "events/s", note=f"{rate / floor:.2f} of bare produce")
    floor = consume_bare(servers, topic, len(records)) * each
    yield Row("… bare consume", floor, "events/s")
    rate = consume_ours(log, events, count_only)
    yield Row("… ours, read", rate, "events/s", note=f"{rate / floor:.2f} of bare consume")
    rate = consume_ours(log, events, count_decoded)
    yield Row("… ours, decoded", rate, "events/s")
    p50, p99 = append_latency_ms(log, Record(ARROW_STREAM, encode_batch(batches[0].slice(0, 1)), 1))
    yield Row("… ours, append of one event, p50", p50, "ms", note=f"p99 {p99:.1f} ms")
    for opened in (log, bare_log, zstd_log):
        opened.close()


def _events_of(body: bytes) -> pa.RecordBatch:
    return decode_json(body, limits=IngestSettings(), now_us=system_clock_us()).events
