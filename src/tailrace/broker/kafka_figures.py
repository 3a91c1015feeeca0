"""How full a topic is, and how far its groups have come: asked for at most once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from tailrace.broker.kafka_client import reason_of
from tailrace.broker.kafka_topic import Topic
from tailrace.broker.port import LogFigures
from tailrace.errors import RetryLater

# Long enough that several scrapers cost no more than one; short enough for a graph.
_FRESH_S = 1.0
_REQUEST_S = 5.0


class Figures:
    """Shared between threads. `groups`: name to the group's id in Kafka."""

    def __init__(self, make_admin: Callable[[], AdminClient], topic: Topic, groups: dict[str, str]) -> None:
        self._make_admin = make_admin
        self._admin: AdminClient | None = None
        self._topic = topic.name
        self._partitions = range(topic.partitions)
        self._groups = groups
        self._lock = threading.Lock()
        self._until_s = 0.0
        self._last: LogFigures | str | None = None

    def read(self) -> LogFigures:
        """Raises `RetryLater` while Kafka is away."""
        with self._lock:
            if self._last is None or time.monotonic() >= self._until_s:
                try:
                    self._last = self._ask()
                except (KafkaException, RetryLater) as error:
                    # A broker that came back refuses the leader's epoch that this client goes on to send.
                    self._admin = None
                    self._last = f"Kafka topic {self._topic}: {reason_of(error)}"
                self._until_s = time.monotonic() + _FRESH_S
            if isinstance(self._last, str):
                raise RetryLater(self._last)
            return self._last

    def _ask(self) -> LogFigures:
        self._admin = self._admin or self._make_admin()
        low = self._offsets(self._admin, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        high = self._offsets(self._admin, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        places = [TopicPartition(self._topic, partition) for partition in self._partitions]
        lag: dict[str, int] = {}
        for name, group_id in self._groups.items():
            request = [ConsumerGroupTopicPartitions(group_id, places)]
            answer: Any = self._admin.list_consumer_group_offsets(request, request_timeout=_REQUEST_S)[group_id]
            committed: Sequence[TopicPartition] = _value(answer).topic_partitions
            # What was deleted unread is not waiting any more.
            lag[name] = sum(high[place.partition] - max(place.offset, low[place.partition]) for place in committed)
        records = sum(high[partition] - low[partition] for partition in self._partitions)
        return LogFigures(bytes=0, bytes_max=0, records=records, lag_records=lag, lag_rows={})

    def _offsets(self, admin: AdminClient, spec: OffsetSpec) -> dict[int, int]:
        asked = {TopicPartition(self._topic, partition): spec for partition in self._partitions}
        answers: dict[TopicPartition, Any] = admin.list_offsets(asked, request_timeout=_REQUEST_S)
        return {place.partition: _value(answer).offset for place, answer in answers.items()}


def _value(future: Any) -> Any:
    """Raises `RetryLater`.

    Never the future's own error: that would hold this call's frames, and they the client, in a circle which the
    collector undoes in any thread, the client's own among them.
    """
    error = future.exception()
    if error is not None:
        raise RetryLater(reason_of(error))
    return future.result()
