"""Taking messages from a consumer: in good-sized lots, only of the partitions that are read, each once."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tailrace.broker.kafka_client import reason_of
from tailrace.broker.kafka_messages import damaged, has_errors, items_of
from tailrace.broker.port import LogLines, LogRecord
from tailrace.errors import RetryLater, Stop

log = logging.getLogger(__name__)

# Beyond this a larger lot is no faster, and its documents leave the processor's cache before they are decoded.
_MESSAGES_MAX = 10_000
# How long a lot that has begun is waited for to be full: many small lots cost more than they bring forward.
_GATHER_S = 0.005
# So much is held while nobody has room, before fetching is paused. To pause throws away what was fetched ahead, and a
# reader that waits for a moment only should not pay for that.
_HELD_BYTES_MAX = 1 << 20
_PROBE_S = 1.0

_AWAY = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._RESOLVE,
    }
)


class Fetcher:
    """Used under its owner's lock. `next` names the partitions that are read, and the next offset wanted of each."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.next: dict[int, int] = {}
        self._held: deque[LogRecord | LogLines] = deque()
        self._held_bytes = 0
        self._mean_bytes = 1024
        self._paused = False
        self._away = ""
        self._failure: KafkaError | None = None

    def on_error(self, error: KafkaError) -> None:
        """The client's callback for what concerns no message."""
        if error.code() in _AWAY:
            self._away = reason_of(error)

    def start(self, consumer: Consumer, partition: int, offset: int) -> None:
        """To be called right after the partition was assigned."""
        self.next[partition] = offset
        if self._paused:
            consumer.pause([TopicPartition(self._topic, partition)])

    def stop(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            del self.next[partition]
        self._held = deque(item for item in self._held if item.partition not in partitions)
        self._held_bytes = sum(map(_bytes_of, self._held))

    def fetch(self, consumer: Consumer, *, bytes_max: int, timeout_s: float) -> list[LogRecord | LogLines]:
        """Up to about `bytes_max` of payload; raises `RetryLater` when there is nothing because Kafka is away."""
        if self._paused:
            consumer.resume(self._partitions())
            self._paused = False
        if not self._held:
            self._raise_failure()
            messages_max = max(1, min(_MESSAGES_MAX, bytes_max // self._mean_bytes))
            if not self._take_in(consumer, messages_max, timeout_s):
                self._probe(consumer)
        return self._hand_out(bytes_max)

    def hold(self, consumer: Consumer, timeout_s: float) -> None:
        """Serve the client's callbacks for so long, and take in no more than a little."""
        if self._held_bytes >= _HELD_BYTES_MAX and not self._paused:
            consumer.pause(self._partitions())
            self._paused = True
        until_s = time.monotonic() + timeout_s
        if self._take_in(consumer, 1, timeout_s):
            time.sleep(max(0.0, until_s - time.monotonic()))

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition) for partition in self.next]

    def _take_in(self, consumer: Consumer, messages_max: int, timeout_s: float) -> bool:
        messages = consumer.consume(1, timeout_s)
        if not messages:
            return False
        self._away = ""
        if messages_max > 1:
            messages += consumer.consume(messages_max - 1, _GATHER_S)
        before_bytes = self._held_bytes
        if has_errors(messages):
            self._hold_without_errors(consumer, messages)
        else:
            self._hold(items_of(messages, self.next))
        self._mean_bytes = max(1, (self._held_bytes - before_bytes) // len(messages))
        return True

    def _hold(self, items: Sequence[LogRecord | LogLines]) -> None:
        for item in items:
            self._held_bytes += _bytes_of(item)
            self.next[item.partition] = _last_of(item) + 1
        self._held.extend(items)

    def _hold_without_errors(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        damage: dict[int, KafkaError] = {}
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._BAD_MSG:
                damage.setdefault(message.partition() or 0, error)
            elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
                log.warning("Kafka topic %s: %s", self._topic, reason_of(error))
            # Behind a damaged batch the client reads what is no batch, and says so.
            elif message.partition() not in damage:
                self._failure = error
        good = [message for message in messages if message.error() is None]
        if good:
            self._hold(items_of(good, self.next))
        for partition in damage.keys() & self.next.keys():
            self._pass_over(consumer, partition, damage[partition])

    def _pass_over(self, consumer: Consumer, partition: int, error: KafkaError) -> None:
        """The next record is in a batch whose checksum is wrong: hand it out as damaged, and read on behind it.

        What the client says of a damaged batch, offsets included, is not to be trusted, and so it is sent to the
        place by hand; the batch's other records then are damaged ones too, one after the other.
        """
        offset = self.next[partition]
        self._hold([damaged(partition, offset, f"log record {partition}-{offset}: {reason_of(error)}")])
        consumer.seek(TopicPartition(self._topic, partition, offset + 1))

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is None:
            return
        text = f"Kafka topic {self._topic}: {reason_of(failure)}"
        raise Stop(text) if failure.fatal() else RetryLater(text)

    def _probe(self, consumer: Consumer) -> None:
        """Once all brokers were seen to be down, ask: a topic where nothing comes says nothing by itself."""
        if not self._away:
            return
        try:
            consumer.list_topics(self._topic, timeout=_PROBE_S)
        except KafkaException as error:
            raise RetryLater(f"Kafka topic {self._topic}: {self._away} ({reason_of(error)})") from error
        self._away = ""

    def _hand_out(self, bytes_max: int) -> list[LogRecord | LogLines]:
        taken: list[LogRecord | LogLines] = []
        size_bytes = 0
        while self._held:
            size_bytes += _bytes_of(self._held[0])
            if taken and size_bytes > bytes_max:
                break
            taken.append(self._held.popleft())
            self._held_bytes -= _bytes_of(taken[-1])
        return taken


def _bytes_of(item: LogRecord | LogLines) -> int:
    return len(item.payload if isinstance(item, LogLines) else item.record.payload)


def _last_of(item: LogRecord | LogLines) -> int:
    return int(item.offsets[-1]) if isinstance(item, LogLines) else item.offset
