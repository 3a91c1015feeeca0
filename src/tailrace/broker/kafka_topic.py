"""The topic at the start: made as wished, or looked at."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]

from tailrace.broker.kafka_client import MESSAGE_BYTES_MAX, code_of, reason_of
from tailrace.config import KafkaSettings
from tailrace.errors import RetryLater, Stop

log = logging.getLogger(__name__)

_REQUEST_S = 5.0
_PAUSE_S = 0.2
# What brokers take by default; assumed where nobody may look it up.
_BROKER_MESSAGE_BYTES_MAX = 1_048_588
# Replicas that make it worth to ask for two of them in sync: one may then be away and writing still goes on.
_REPLICATION_FOR_TWO_IN_SYNC = 3

_NOT_ALLOWED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_WRONG_CONFIG = frozenset({KafkaError.INVALID_CONFIG, KafkaError.POLICY_VIOLATION})


@dataclass(frozen=True, slots=True)
class Topic:
    """`message_bytes_max` is the topic's bound of one batch of messages."""

    name: str
    partitions: int
    message_bytes_max: int


def ensure_topic(
    admin: AdminClient, name: str, settings: KafkaSettings, config: Mapping[str, str], *, timeout_s: float
) -> Topic:
    """Make the topic, or check it when it is there.

    `config`: properties that a new topic is given, such as `retention.bytes`. Raises `RetryLater` when the cluster
    does not answer within `timeout_s`, and `Stop` when it answers that this topic cannot be used.
    """
    until_s = time.monotonic() + timeout_s
    while True:
        try:
            partitions = _partitions(admin, name, min(_REQUEST_S, max(0.1, until_s - time.monotonic())))
            if partitions is None:
                _create(admin, name, settings, config)
                # Until every broker knows it.
                continue
            break
        except (KafkaException, RetryLater) as error:
            if time.monotonic() >= until_s:
                raise RetryLater(f"Kafka topic {name}: {reason_of(error)}") from error
            time.sleep(_PAUSE_S)
    if partitions < settings.partitions:
        log.warning(
            "Kafka topic %s has %d partitions, and kafka.partitions wishes for %d; no more than %d workers can share "
            "it. Add partitions with Kafka's own tools",
            name,
            partitions,
            settings.partitions,
            partitions,
        )
    found = _config(admin, name)
    if "compact" in found.get("cleanup.policy", ""):
        raise Stop(f"Kafka topic {name} is compacted, which drops events; make it with cleanup.policy=delete")
    return Topic(name, partitions, int(found.get("max.message.bytes", _BROKER_MESSAGE_BYTES_MAX)))


def _partitions(admin: AdminClient, name: str, timeout_s: float) -> int | None:
    """None when there is no such topic. Asks for all topics: asking for one can make it."""
    found = admin.list_topics(timeout=timeout_s).topics.get(name)
    if found is None:
        return None
    if found.error is not None:
        if found.error.code() in _NOT_ALLOWED:
            raise Stop(f"Kafka topic {name}: {reason_of(found.error)}; allow this user to read and write it")
        raise RetryLater(reason_of(found.error))
    return len(found.partitions) or None


def _create(admin: AdminClient, name: str, settings: KafkaSettings, config: Mapping[str, str]) -> None:
    wished = {"max.message.bytes": str(MESSAGE_BYTES_MAX), **config}
    if settings.replication >= _REPLICATION_FOR_TWO_IN_SYNC:
        wished.setdefault("min.insync.replicas", "2")
    try:
        _create_with(admin, name, settings, wished)
    except KafkaException as error:
        code = code_of(error)
        if code in _WRONG_CONFIG and not config:
            log.warning("Kafka topic %s is made with the cluster's own settings: %s", name, reason_of(error))
            _create_with(admin, name, settings, {})
        elif code == KafkaError.INVALID_REPLICATION_FACTOR:
            raise RetryLater(
                f"the cluster cannot hold {settings.replication} replicas (kafka.replication): {reason_of(error)}"
            ) from error
        elif code in _NOT_ALLOWED:
            raise Stop(f"Kafka topic {name} is not there and may not be made: {reason_of(error)}; make it") from error
        elif code in _WRONG_CONFIG:
            raise Stop(f"Kafka topic {name} cannot be made: {reason_of(error)}") from error
        elif code != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    time.sleep(_PAUSE_S)


def _create_with(admin: AdminClient, name: str, settings: KafkaSettings, config: Mapping[str, str]) -> None:
    new = NewTopic(name, settings.partitions, settings.replication, config=dict(config))
    admin.create_topics([new], request_timeout=_REQUEST_S)[name].result()
    log.info("made Kafka topic %s of %d partitions", name, settings.partitions)


def _config(admin: AdminClient, name: str) -> dict[str, str]:
    """The topic's properties; none where they may not be looked up."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    try:
        entries: dict[str, Any] = admin.describe_configs([resource], request_timeout=_REQUEST_S)[resource].result()
    except KafkaException as error:
        log.info("the properties of Kafka topic %s are not told: %s", name, reason_of(error))
        return {}
    return {key: entry.value for key, entry in entries.items() if entry.value is not None}
