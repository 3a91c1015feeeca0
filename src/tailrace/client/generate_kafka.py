"""`tailrace generate --to kafka://…`: the events straight into a topic, as other producers fill it."""

from __future__ import annotations

import logging

import pyarrow as pa
from confluent_kafka import KafkaError, KafkaException, Producer

from tailrace.broker.kafka_messages import headers_of
from tailrace.broker.kafka_url import SCHEME, parse_kafka_url
from tailrace.broker.port import Record
from tailrace.client.connection import Unreachable
from tailrace.client.demo_events import to_ndjson
from tailrace.errors import RetryLater, Stop
from tailrace.model.batch import ARROW_STREAM, encode_batch

log = logging.getLogger(__name__)

# About half of what a topic takes in a message by default.
_MESSAGE_EVENTS = 5_000
_TIMEOUT_S = 10
_RETRY_S = 1


def is_kafka(url: str) -> bool:
    return url.startswith(SCHEME)


class KafkaSender:
    """`append` of the generator, to a topic; used by one thread at a time.

    A batch is acknowledged when all in-sync replicas have it. One that failed is sent again whole, so that part of it
    may be in the topic twice.
    """

    def __init__(self, url: str, body_format: str) -> None:
        try:
            place = parse_kafka_url(url)
        except Stop as error:
            raise Unreachable(str(error)) from error
        self._topic = place.topic
        self._url = url
        self._arrow = body_format == "arrow"
        self._failure: KafkaError | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": place.servers,
                "acks": "all",
                "enable.idempotence": True,
                "message.timeout.ms": _TIMEOUT_S * 1000,
                "queue.buffering.max.messages": 1_000_000,
                "batch.num.messages": 100_000,
                "compression.type": "none" if self._arrow else "lz4",
                # A call into Python for each of a million documents a second would be the slowest part.
                "delivery.report.only.error": True,
                "on_delivery": self._on_failure,
                "logger": log,
            }
        )

    def check(self) -> None:
        """Raises `Unreachable` when no broker or no such topic is there, which is better said at once."""
        try:
            topics = self._producer.list_topics(timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            raise Unreachable(f"no Kafka broker answers at {self._url}: {error.args[0].str()}") from error
        if self._topic not in topics:
            raise Unreachable(f"there is no topic {self._topic}: start Tailrace with log.url={self._url}, or make it")

    def append(self, batch: pa.RecordBatch) -> None:
        try:
            if self._arrow:
                for first in range(0, batch.num_rows, _MESSAGE_EVENTS):
                    part = batch.slice(first, _MESSAGE_EVENTS)
                    record = Record(ARROW_STREAM, encode_batch(part), part.num_rows)
                    self._producer.produce(self._topic, record.payload, headers=headers_of(record))
            else:
                for document in to_ndjson(batch).splitlines():
                    self._producer.produce(self._topic, document)
            waiting = self._producer.flush(_TIMEOUT_S + 1)
        except (KafkaException, BufferError) as error:
            raise RetryLater(f"Kafka topic {self._topic}: {error}", retry_after_s=_RETRY_S) from error
        failure, self._failure = self._failure, None
        if failure is not None or waiting:
            reason = failure.str() if failure is not None else f"{waiting} messages are not acknowledged"
            raise RetryLater(f"Kafka topic {self._topic}: {reason}", retry_after_s=_RETRY_S)

    def _on_failure(self, error: KafkaError | None, message: object) -> None:
        self._failure = error
