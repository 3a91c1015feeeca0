"""The topic as Spark's Kafka source is told of it: where each partition starts, and properties in Java's names."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from tailrace.broker.kafka_client import make_admin, make_consumer, reason_of
from tailrace.broker.kafka_url import KafkaPlace, parse_kafka_url
from tailrace.config import KafkaSettings
from tailrace.errors import RetryLater, Stop

log = logging.getLogger(__name__)

_REQUEST_S = 10.0
_SAMPLE_MESSAGES = 1000
_SAMPLE_S = 5.0
_POLL_S = 0.2

# librdkafka's properties whose Java names are the same.
_SAME = frozenset(
    {"security.protocol", "sasl.mechanism", "client.id", "client.rack", "ssl.endpoint.identification.algorithm"}
)
_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """`starts` has every partition; `message_bytes` is the mean of what is read next, 0 when nothing is there."""

    place: KafkaPlace
    starts: Mapping[int, int]
    message_bytes: int


def look_at_topic(url: str, settings: KafkaSettings, reached: Mapping[int, int]) -> Topic:
    """Where to read on, for a lake that has `reached` these offsets.

    Raises `RetryLater` while Kafka is away, `Stop` when there is no such topic.
    """
    place = parse_kafka_url(url)
    admin = make_admin(place.servers, settings.options)
    try:
        found = admin.list_topics(timeout=_REQUEST_S).topics.get(place.topic)
        if found is None:
            raise Stop(f"{url}: there is no such topic; the first worker or gateway makes it")
        partitions = sorted(found.partitions)
        earliest = _offsets(admin, place.topic, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        latest = _offsets(admin, place.topic, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    except KafkaException as error:
        raise RetryLater(f"{url}: {reason_of(error)}") from error
    starts = {partition: max(first, reached.get(partition, 0)) for partition, first in earliest.items()}
    for partition, first in earliest.items():
        if first > reached.get(partition, 0) > 0:
            log.error(
                "%s: partition %d begins at offset %d, and the lake has reached %d: what was between is gone",
                url,
                partition,
                first,
                reached[partition],
            )
    waiting = {partition: start for partition, start in starts.items() if start < latest[partition]}
    return Topic(place, starts, _message_bytes(place, settings, waiting) if waiting else 0)


def source_options(
    topic: Topic, settings: KafkaSettings, *, batch_bytes: int, extra: Mapping[str, str]
) -> dict[str, str]:
    """Options of Spark's Kafka source; `extra` are given by the user and win."""
    options = {
        "kafka.bootstrap.servers": topic.place.servers,
        "subscribe": topic.place.topic,
        "startingOffsets": json.dumps({topic.place.topic: {str(p): offset for p, offset in topic.starts.items()}}),
        "includeHeaders": "true",
        # What a producer's transaction has not committed is not in the log.
        "kafka.isolation.level": "read_committed",
        # Spark bounds a batch by messages, which hold one event or fifty thousand.
        "maxOffsetsPerTrigger": str(max(batch_bytes // max(topic.message_bytes, 1), 1)),
    }
    return {
        **options,
        **{f"kafka.{name}": value for name, value in java_properties(settings.options).items()},
        **extra,
    }


def java_properties(options: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's properties for TLS and SASL as Kafka's Java client names them; others are left out."""
    java = {name: value for name, value in options.items() if name in _SAME}
    if "sasl.mechanisms" in options:
        java["sasl.mechanism"] = options["sasl.mechanisms"]
    module = _LOGIN_MODULES.get(java.get("sasl.mechanism", ""))
    if module is not None and "sasl.username" in options:
        user, password = _quoted(options["sasl.username"]), _quoted(options.get("sasl.password", ""))
        java["sasl.jaas.config"] = f"{module} required username={user} password={password};"
    if "ssl.ca.location" in options:
        java |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": options["ssl.ca.location"]}
    return java


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _offsets(admin: AdminClient, topic: str, partitions: list[int], spec: OffsetSpec) -> dict[int, int]:
    asked = {TopicPartition(topic, partition): spec for partition in partitions}
    answers = admin.list_offsets(asked, request_timeout=_REQUEST_S)
    return {place.partition: answer.result().offset for place, answer in answers.items()}


def _message_bytes(place: KafkaPlace, settings: KafkaSettings, starts: Mapping[int, int]) -> int:
    """The mean of the first messages that come."""
    consumer = make_consumer(place.servers, settings.options, group_id="tailrace-spark", error_cb=log.debug)
    until_s = time.monotonic() + _SAMPLE_S
    sizes: list[int] = []
    try:
        consumer.assign([TopicPartition(place.topic, partition, offset) for partition, offset in starts.items()])
        while not sizes and time.monotonic() < until_s:
            messages = consumer.consume(_SAMPLE_MESSAGES, _POLL_S)
            sizes = [len(message.value() or b"") for message in messages if message.error() is None]
    finally:
        consumer.close()
    return sum(sizes) // len(sizes) if sizes else 0
