"""How Tailrace talks to librdkafka: its properties, and its errors as ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tailrace.errors import RetryLater, Stop, TooLarge

log = logging.getLogger(__name__)

MESSAGE_BYTES_MAX = 32 << 20
"""What a topic of Tailrace takes in one message, when the cluster lets us say so: a body of `ingest.body_bytes_max`
compressed."""

DELIVERY_TIMEOUT_S = 10
"""How long a message is tried. An HTTP client waits meanwhile; a broker that died has been replaced in 3 to 6 s."""

RESERVED = frozenset(
    {
        "bootstrap.servers",
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "transactional.id",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "partition.assignment.strategy",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "isolation.level",
    }
)
"""Properties that carry Tailrace's promises, and so are not for `kafka.options`."""

_COMMON: dict[str, Any] = {
    "client.id": "tailrace",
    # A broker that comes back is found again within a second.
    "reconnect.backoff.max.ms": 1000,
    "socket.keepalive.enable": True,
    "topic.metadata.refresh.interval.ms": 30_000,
    # Each try to reach a broker that is away would be a line in the log, several a second; what it means for a
    # request or a reader is told once, by them.
    "log_level": 2,
}

_PRODUCER: dict[str, Any] = {
    # Ours is the bound that counts (log.append_queue_bytes_max), and it is in bytes.
    "queue.buffering.max.messages": 0,
    "queue.buffering.max.kbytes": 2_000_000,
    "message.timeout.ms": DELIVERY_TIMEOUT_S * 1000,
    # Payloads are batches already, and what comes while a request is under way shares the next one. Waiting for more
    # only adds to the time of every answer: 0.3 ms became 5.8 with 5 ms of lingering.
    "linger.ms": 0,
    # Arrow batches are compressed in themselves. zstd on top takes four times the producer's CPU for a tenth of the
    # bytes.
    "compression.type": "none",
}

_CONSUMER: dict[str, Any] = {
    # 6 s is the shortest that brokers allow by default: so long after a kill -9 another takes over.
    "session.timeout.ms": 6000,
    # A member learns by its heartbeat that another one has come.
    "heartbeat.interval.ms": 500,
    # What is fetched ahead, for each reader. More is not faster, and is memory.
    "queued.max.messages.kbytes": 32_768,
    "queued.min.messages": 100_000,
    "fetch.max.bytes": 32 << 20,
    "max.partition.fetch.bytes": 8 << 20,
    # By default a full queue is looked at again after a second, and a failed fetch after half a one.
    "fetch.queue.backoff.ms": 20,
    "fetch.error.backoff.ms": 100,
    # A damaged batch is said to be so, and not handed out.
    "check.crcs": True,
}


def make_producer(servers: str, options: Mapping[str, str], *, message_bytes_max: int, error_cb: Any) -> Producer:
    """Raises `Stop` when a property is wrong."""
    fixed = {
        "bootstrap.servers": servers,
        "acks": "all",
        "enable.idempotence": True,
        "message.max.bytes": message_bytes_max,
        "error_cb": error_cb,
        "logger": log,
    }
    with _naming_the_property():
        return Producer({**_COMMON, **_PRODUCER, **options, **fixed})


def make_consumer(servers: str, options: Mapping[str, str], *, group_id: str, error_cb: Any) -> Consumer:
    """Raises `Stop` when a property is wrong."""
    fixed = {
        "bootstrap.servers": servers,
        "group.id": group_id,
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "error_cb": error_cb,
        "logger": log,
    }
    with _naming_the_property():
        return Consumer({**_COMMON, **_CONSUMER, **options, **fixed})


def make_admin(servers: str, options: Mapping[str, str]) -> AdminClient:
    """Raises `Stop` when a property is wrong. It logs nothing: what goes wrong is in the errors of its calls."""
    with _naming_the_property():
        return AdminClient({**_COMMON, **options, "bootstrap.servers": servers, "log_level": 0})


def check_options(options: Mapping[str, str]) -> None:
    """Raises `Stop` for a property that Tailrace sets itself."""
    for name in options:
        if name in RESERVED:
            raise Stop(f"kafka.options: {name} is set by Tailrace and cannot be changed; remove it")


@contextmanager
def _naming_the_property() -> Iterator[None]:
    try:
        yield
    except (KafkaException, ValueError, TypeError) as error:
        raise Stop(f"kafka.options: {reason_of(error)}") from error


def reason_of(error: BaseException | KafkaError) -> str:
    """The driver's words, without its wrapping."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return str(error.args[0].str())
    if isinstance(error, KafkaError):
        return str(error.str())
    return str(error)


def code_of(error: BaseException) -> int | None:
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return int(error.args[0].code())
    return None


TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


def delivery_error(error: KafkaError, where: str) -> RetryLater | TooLarge:
    """Why a message was not written."""
    if error.code() in TOO_LARGE:
        return TooLarge(f"{where}: the broker refuses a message as too large; raise the topic's max.message.bytes")
    return RetryLater(f"{where} could not be written: {reason_of(error)}")
