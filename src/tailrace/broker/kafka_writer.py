"""Appending to a topic: an idempotent producer, and a thread that hears what became of each message."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tailrace.broker.kafka_client import code_of, delivery_error
from tailrace.broker.kafka_messages import headers_of
from tailrace.broker.kafka_split import split_record
from tailrace.broker.kafka_topic import Topic
from tailrace.broker.port import Record
from tailrace.errors import RetryLater, SlowDown, TailraceError
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics

log = logging.getLogger(__name__)

Places = list[tuple[int, int]]

# Room for the framing of a message and of its batch; header names and values come on top.
_FRAMING_BYTES = 1024
_POLL_S = 0.1


@dataclass(slots=True)
class _Append:
    """`places`: that of each record's first message, once known."""

    future: Future[Places]
    partition: int
    size_bytes: int
    started_s: float
    places: Places
    missing: int
    error: TailraceError | None = None


@dataclass(slots=True)
class _Waiting:
    """Bytes that are not acknowledged, by partition, and all together."""

    by_partition: list[int]
    total: int = 0
    appends: int = 0
    turn: int = 0

    def add(self, size_bytes: int) -> int:
        """The partition with the least waiting takes them: one whose broker is gone is left alone meanwhile."""
        count = len(self.by_partition)
        self.turn = (self.turn + 1) % count
        partition = min(range(count), key=lambda p: (self.by_partition[p], (p - self.turn) % count))
        self.by_partition[partition] += size_bytes
        self.total += size_bytes
        self.appends += 1
        return partition

    def remove(self, partition: int, size_bytes: int) -> None:
        self.by_partition[partition] -= size_bytes
        self.total -= size_bytes
        self.appends -= 1


class Writer:
    """Shared between threads. `make_producer` is handed the callback for the client's errors."""

    def __init__(
        self,
        topic: Topic,
        make_producer: Callable[[Callable[[KafkaError], None]], Producer],
        *,
        queue_bytes_max: int,
        clock: Clock,
        metrics: Metrics | None,
    ) -> None:
        self._topic = topic
        self._make_producer = make_producer
        self._queue_bytes_max = queue_bytes_max
        self._clock = clock
        self._metrics = metrics
        self._lock = threading.Lock()
        self._waiting = _Waiting([0] * topic.partitions)
        self._closed = False
        self._poisoned = False
        self._producer = make_producer(self._on_error)
        self._splitter = ThreadPoolExecutor(1, thread_name_prefix="kafka-split")
        self._poller = threading.Thread(target=self._poll_loop, name="kafka-producer", daemon=True)
        self._poller.start()

    def append(self, records: Sequence[Record]) -> Future[Places]:
        """All of one append go to one partition, in order."""
        future: Future[Places] = Future()
        # It cannot be cancelled from here on: its records are on their way.
        future.set_running_or_notify_cancel()
        if not records:
            future.set_result([])
            return future
        size_bytes = sum(len(record.payload) for record in records)
        with self._lock:
            if self._closed:
                raise RetryLater(f"Kafka topic {self._topic.name}: the log is closed")
            # One append that is past the bound all alone must get in some time: it may wait with nothing beside it.
            if self._waiting.total and self._waiting.total + size_bytes > self._queue_bytes_max:
                raise SlowDown(
                    f"{self._waiting.total} bytes wait for Kafka's acknowledgement (log.append_queue_bytes_max)"
                )
            append = _Append(future, self._waiting.add(size_bytes), size_bytes, time.perf_counter(), [], 0)
        if all(len(record.payload) <= self._room(record) for record in records):
            self._produce(append, [[record] for record in records])
        else:
            # Not in the caller's thread, which may be the one that serves all requests.
            self._splitter.submit(self._split, append, records)
        return future

    def _room(self, record: Record) -> int:
        headers = headers_of(record)
        return self._topic.message_bytes_max - _FRAMING_BYTES - sum(len(n) + len(v or b"") + 32 for n, v in headers)

    def _split(self, append: _Append, records: Sequence[Record]) -> None:
        try:
            parts = [split_record(record, self._room(record)) for record in records]
        except Exception as error:
            self._finish(append, error)
            return
        self._produce(append, parts)

    def _produce(self, append: _Append, parts: Sequence[Sequence[Record]]) -> None:
        """Hand the messages to the client, which copies them. What it refuses fails the append."""
        producer = self._producer
        # One more than the messages, so that the append is not over before all were handed in.
        append.missing = sum(map(len, parts)) + 1
        append.places = [(append.partition, -1)] * len(parts)
        timestamp_ms = self._clock() // 1000
        for index, messages in enumerate(parts):
            for number, record in enumerate(messages):
                try:
                    producer.produce(
                        self._topic.name,
                        record.payload,
                        partition=append.partition,
                        headers=headers_of(record),
                        timestamp=timestamp_ms,
                        on_delivery=self._told(append, index if number == 0 else None),
                    )
                except (KafkaException, BufferError) as error:
                    self._refused(append, error)
        self._one_done(append)

    def _refused(self, append: _Append, error: KafkaException | BufferError) -> None:
        where = f"Kafka topic {self._topic.name}"
        if isinstance(error, KafkaException):
            append.error = delivery_error(error.args[0], where)
            if code_of(error) == KafkaError._FATAL:
                self._poisoned = True
        else:
            append.error = RetryLater(f"{where} could not be written: {error}")
        self._one_done(append)

    def _told(self, append: _Append, index: int | None) -> Callable[[KafkaError | None, Any], None]:
        """What the client calls when the message is durable, or is given up."""

        def told(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                append.error = delivery_error(error, f"Kafka topic {self._topic.name}")
            elif index is not None:
                append.places[index] = (append.partition, message.offset())
            self._one_done(append)

        return told

    def _one_done(self, append: _Append) -> None:
        with self._lock:
            append.missing -= 1
            if append.missing:
                return
        self._finish(append, append.error)

    def _finish(self, append: _Append, error: BaseException | None) -> None:
        with self._lock:
            self._waiting.remove(append.partition, append.size_bytes)
        if error is not None:
            append.future.set_exception(error)
            return
        if self._metrics is not None:
            self._metrics.log_commit_seconds.observe(time.perf_counter() - append.started_s)
            self._metrics.log_commit_records.observe(len(append.places))
        append.future.set_result(append.places)

    def _on_error(self, error: KafkaError) -> None:
        # The others the client mends by itself, and logs.
        if error.fatal():
            self._poisoned = True

    def _poll_loop(self) -> None:
        # An append is over within the time that a message is tried.
        while not self._closed or self._waiting.appends:
            self._producer.poll(_POLL_S)
            if self._poisoned:
                self._replace_producer()

    def _replace_producer(self) -> None:
        """After a fatal error a producer takes nothing more. What it still had fails, and its senders try again."""
        old = self._producer
        try:
            new = self._make_producer(self._on_error)
        except TailraceError as error:
            log.error("Kafka topic %s: no new producer: %s", self._topic.name, error)
            time.sleep(_POLL_S)
            return
        self._poisoned = False
        self._producer = new
        old.purge()
        old.flush(1)
        log.warning("Kafka topic %s: the producer met a fatal error and was made anew", self._topic.name)

    def close(self) -> None:
        """Waits until every append was acknowledged or given up."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._poller.join()
        self._splitter.shutdown()
        # Its threads and connections end with it.
        del self._producer
