"""`kafka://HOST:PORT[,HOST:PORT…][/TOPIC]`: which cluster, which topic."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tailrace.errors import Stop

SCHEME = "kafka://"
DEFAULT_TOPIC = "logs"
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/,@?#\s]+):(\d{1,5})")
# Kafka's own rule for the names of topics.
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class KafkaPlace:
    """`servers`: as librdkafka's `bootstrap.servers` wants them."""

    servers: str
    topic: str


def parse_kafka_url(url: str) -> KafkaPlace:
    """Raises `Stop` that says which part is wrong."""
    if not url.startswith(SCHEME):
        raise Stop(f"{url}: not the URL of a Kafka topic; it has the form kafka://HOST:PORT[,HOST:PORT…]/TOPIC")
    servers, _, topic = url.removeprefix(SCHEME).partition("/")
    topic = topic.rstrip("/") or DEFAULT_TOPIC
    for server in servers.split(","):
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found[2]) < 65536:
            raise Stop(f"{url}: {server!r} is not HOST:PORT; a password belongs in kafka.options")
    if _TOPIC.fullmatch(topic) is None or topic in (".", ".."):
        raise Stop(f"{url}: {topic!r} is not the name of a topic: letters, digits, '.', '_' and '-', at most 249")
    return KafkaPlace(servers, topic)


def letters_url(url: str) -> str:
    """The topic of the dead letters and claims that belong to the topic of `url`. Raises `Stop`."""
    place = parse_kafka_url(url)
    return f"{SCHEME}{place.servers}/{place.topic}.dead-letters"


def saved_url(url: str) -> str:
    """The topic of what people have saved, beside the topic of `url`. Raises `Stop`."""
    place = parse_kafka_url(url)
    return f"{SCHEME}{place.servers}/{place.topic}.saved-views"
