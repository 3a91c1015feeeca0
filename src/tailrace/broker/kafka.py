"""The log on Apache Kafka: `broker.port.Log` on one topic.

An append is durable when its future resolves: all replicas that are in sync have it (`acks=all`). Offsets, order and
groups are Kafka's own. Any number of processes may append and read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from tailrace.broker.kafka_client import check_options, make_admin, make_consumer, make_producer
from tailrace.broker.kafka_figures import Figures
from tailrace.broker.kafka_reader import Follower, GroupReader
from tailrace.broker.kafka_topic import ensure_topic
from tailrace.broker.kafka_url import parse_kafka_url
from tailrace.broker.kafka_writer import Writer
from tailrace.broker.port import Assignments, LogFigures, Record
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import RetryLater
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics

# Long enough for a cluster that elects a leader; whoever starts us tries again.
_START_S = 10.0


def group_id(topic: str, group: str) -> str:
    """The group's name in Kafka, which many programs share."""
    return f"tailrace-{topic}-{group}"


class KafkaLog:
    """Implements `broker.port.Log`; shared between threads.

    `groups`: whose lag the figures tell. `topic_config`: properties that the topic is made with, such as
    `retention.bytes`. Raises `Stop` when the URL, `kafka.options` or the topic cannot be used, and `RetryLater` when
    the cluster does not answer for 10 s.
    """

    def __init__(
        self,
        url: str,
        *,
        kafka: KafkaSettings,
        log: LogSettings,
        groups: Sequence[str],
        clock: Clock,
        metrics: Metrics | None = None,
        topic_config: Mapping[str, str] | None = None,
    ) -> None:
        place = parse_kafka_url(url)
        check_options(kafka.options)
        self._servers = place.servers
        self._options = dict(kafka.options)
        self._closed = False
        admin = make_admin(place.servers, self._options)
        self._topic = ensure_topic(admin, place.topic, kafka, topic_config or {}, timeout_s=_START_S)
        self._figures = Figures(
            lambda: make_admin(self._servers, self._options),
            self._topic,
            {group: group_id(place.topic, group) for group in groups},
        )
        self._writer = Writer(
            self._topic,
            lambda on_error: make_producer(
                self._servers,
                self._options,
                message_bytes_max=self._topic.message_bytes_max,
                error_cb=on_error,
            ),
            queue_bytes_max=log.append_queue_bytes_max,
            clock=clock,
            metrics=metrics,
        )

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        """All records of one append go to one partition. One that is larger than a message may be is split by its
        rows; its place is then that of its first part. One that cannot be split fails the future with `TooLarge`.
        """
        return self._writer.append(records)

    def reader(self, group: str, assignments: Assignments | None = None) -> GroupReader:
        self._check_open()
        name = group_id(self._topic.name, group)
        return GroupReader(
            self._topic.name,
            lambda on_error: make_consumer(self._servers, self._options, group_id=name, error_cb=on_error),
            assignments,
        )

    def follower(self, start: Mapping[int, int] | None = None) -> Follower:
        """Reads all partitions, each from its offset in `start` (else from its first record), and commits nothing."""
        self._check_open()
        return Follower(
            self._topic.name,
            # The client wants a name; nothing is ever committed under it.
            lambda on_error: make_consumer(
                self._servers, self._options, group_id=group_id(self._topic.name, "follower"), error_cb=on_error
            ),
            self._topic.partitions,
            start or {},
        )

    def figures(self) -> LogFigures:
        """Raises `RetryLater` while Kafka is away. At most a second old."""
        return self._figures.read()

    def close(self) -> None:
        self._closed = True
        self._writer.close()

    def _check_open(self) -> None:
        if self._closed:
            raise RetryLater(f"Kafka topic {self._topic.name}: the log is closed")
