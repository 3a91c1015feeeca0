"""Reading a topic: as a member of a group, or all of it alone.

    poll ──> take up new partitions ──> fetch ──> items
               committed offsets, the watermarks, `Assignments.assigned`, then the offsets to read from

New partitions are taken up outside of the client's callback, which may not fail: it only notes them, and the next
step, which can be tried again, asks what must be known. Partitions that are taken away are given up inside of it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from tailrace.broker.kafka_client import code_of, reason_of
from tailrace.broker.kafka_fetch import Fetcher
from tailrace.broker.port import Assignments, LogLines, LogRecord
from tailrace.errors import RetryLater, Stop

log = logging.getLogger(__name__)

MakeConsumer = Callable[[Callable[[KafkaError], None]], Consumer]

_REQUEST_S = 5.0
# How soon a poll notices that it is to end.
_SLICE_S = 0.1

# A rebalance is over by then, mostly.
_OWED_S = 1.0

# The group has given the partitions to others, or is about to say so.
_NOT_OURS = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._FENCED,
    }
)


class _Reader:
    """What both ways of reading share."""

    def __init__(self, topic: str, make_consumer: MakeConsumer) -> None:
        self._topic = topic
        self._fetcher = Fetcher(topic)
        self._consumer = make_consumer(self._fetcher.on_error)
        # Re-entered by commits from within `Assignments`.
        self._lock = threading.RLock()
        self._closing = False
        self._closed = False

    def poll(self, *, bytes_max: int, timeout_s: float) -> list[LogRecord | LogLines]:
        until_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, until_s - time.monotonic())
            with self._lock:
                if self._closing:
                    return []
                self._prepare()
                items = self._fetcher.fetch(self._consumer, bytes_max=bytes_max, timeout_s=min(left_s, _SLICE_S))
            if items or left_s == 0:
                return items

    def keep_alive(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, until_s - time.monotonic())
            with self._lock:
                if self._closing:
                    return
                self._prepare()
                self._fetcher.hold(self._consumer, min(left_s, _SLICE_S))
            if left_s == 0:
                return

    def close(self) -> None:
        """A poll that waits in another thread returns at once, with nothing."""
        self._closing = True
        with self._lock:
            if self._closed:
                return
            try:
                # Gives up the partitions, whose last offsets are committed meanwhile.
                self._consumer.close()
            finally:
                self._closed = True
            self._check()

    def _prepare(self) -> None:
        """Before each fetch. May raise."""

    def _check(self) -> None:
        """After the client's callbacks have run. May raise."""

    def _watermarks(self, partition: int) -> tuple[int, int]:
        """The first offset that is there, and the one behind the last."""
        found = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_REQUEST_S)
        if found is None:
            raise RetryLater(f"Kafka topic {self._topic}: no answer about partition {partition}")
        return found

    def _check_start(self, partition: int, start: int, low: int, high: int) -> None:
        if start > high:
            raise Stop(
                f"Kafka topic {self._topic}, partition {partition}: offset {start} was reached before, and the topic "
                f"ends at {high}. It was deleted and made anew, or has lost records; events of its new records would "
                "be taken for those that are stored. Give the log another topic (log.url)"
            )
        if start < low:
            log.warning(
                "Kafka topic %s, partition %d: records %d to %d were deleted by the topic's retention before they "
                "were read",
                self._topic,
                partition,
                start,
                low - 1,
            )


class GroupReader(_Reader):
    """Implements `broker.port.LogReader`: one member of a consumer group."""

    def __init__(self, topic: str, make_consumer: MakeConsumer, assignments: Assignments | None) -> None:
        super().__init__(topic, make_consumer)
        self._assignments = assignments
        self._new: set[int] = set()
        self._failed: Exception | None = None
        # A partition that stays ours over a rebalance is not assigned anew: what could not be committed meanwhile is
        # committed later, or nobody would.
        self._owed: dict[int, int] = {}
        self._owed_from_s = 0.0
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def commit(self, offsets: Mapping[int, int]) -> None:
        with self._lock:
            # A broker takes a commit from any member of the group, and would set the new owner's back.
            ours = {p: offset for p, offset in offsets.items() if p in self._fetcher.next}
            if len(ours) < len(offsets):
                self._not_ours(offsets.keys() - ours.keys(), "another member reads them")
            if not ours or self._closed:
                return
            places = [TopicPartition(self._topic, partition, offset) for partition, offset in ours.items()]
            try:
                self._raise_errors(self._consumer.commit(offsets=places, asynchronous=False) or ())
            except KafkaException as error:
                if code_of(error) not in _NOT_OURS:
                    raise RetryLater(
                        f"Kafka topic {self._topic}: offsets not committed: {reason_of(error)}"
                    ) from error
                self._not_ours(ours, reason_of(error))
                self._owed.update(ours)
                self._owed_from_s = time.monotonic() + _OWED_S
            else:
                for partition in ours:
                    self._owed.pop(partition, None)

    def _commit_owed(self) -> None:
        """Again after a while when that fails: the rebalance that may be the cause goes on in the polls."""
        if self._owed and time.monotonic() >= self._owed_from_s:
            self._owed_from_s = time.monotonic() + _OWED_S
            with contextlib.suppress(RetryLater):
                self.commit({p: offset for p, offset in self._owed.items() if p in self._fetcher.next})

    def _not_ours(self, partitions: Iterable[int], reason: str) -> None:
        log.warning(
            "Kafka topic %s: offsets of partitions %s were not committed: %s; their new reader goes on from what the "
            "stores have reached",
            self._topic,
            sorted(partitions),
            reason,
        )

    def _prepare(self) -> None:
        # Not at the end of the poll in which it failed: what that has fetched would be lost with the error.
        self._check()
        self._commit_owed()
        if not self._new:
            return
        try:
            self._take_up(sorted(self._new))
        except KafkaException as error:
            raise RetryLater(f"Kafka topic {self._topic}: {reason_of(error)}") from error

    def _take_up(self, partitions: list[int]) -> None:
        found = self._consumer.committed([TopicPartition(self._topic, p) for p in partitions], timeout=_REQUEST_S)
        self._raise_errors(found)
        committed = {place.partition: max(0, place.offset) for place in found}
        marks = {partition: self._watermarks(partition) for partition in partitions}
        starts = dict(committed)
        if self._assignments is not None:
            starts.update(self._assignments.assigned(committed))
        for partition in partitions:
            self._check_start(partition, starts[partition], *marks[partition])
        places = [
            TopicPartition(self._topic, partition, max(starts[partition], marks[partition][0]))
            for partition in partitions
        ]
        self._consumer.incremental_assign(places)
        for place in places:
            self._fetcher.start(self._consumer, place.partition, place.offset)
        self._new.difference_update(partitions)

    def _raise_errors(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            if place.error is not None:
                raise KafkaException(place.error)

    def _check(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    # The client's callbacks, called from within its `consume` and `close`.

    def _on_assign(self, consumer: Any, places: list[TopicPartition]) -> None:
        self._new.update(place.partition for place in places)
        # Ends the rebalance; without a call the client would assign them itself.
        consumer.incremental_assign([])

    def _on_revoke(self, consumer: Any, places: list[TopicPartition]) -> None:
        self._give_up(consumer, places, lost=False)

    def _on_lost(self, consumer: Any, places: list[TopicPartition]) -> None:
        self._give_up(consumer, places, lost=True)

    def _give_up(self, consumer: Any, places: list[TopicPartition], *, lost: bool) -> None:
        partitions = {place.partition for place in places}
        self._new -= partitions
        ours = sorted(partitions & self._fetcher.next.keys())
        for partition in partitions:
            self._owed.pop(partition, None)
        try:
            if ours and self._assignments is not None:
                self._assignments.revoked(ours, lost=lost)
        except Exception as error:
            # Raised by the next call, once the client has what it needs.
            self._failed = error
        finally:
            self._fetcher.stop(ours)
            consumer.incremental_unassign([TopicPartition(self._topic, partition) for partition in ours])


class Follower(_Reader):
    """Implements `broker.port.LogReader`: reads every partition, and is in no group."""

    def __init__(self, topic: str, make_consumer: MakeConsumer, partitions: int, start: Mapping[int, int]) -> None:
        super().__init__(topic, make_consumer)
        self._start: dict[int, int] | None = {partition: start.get(partition, 0) for partition in range(partitions)}

    def commit(self, offsets: Mapping[int, int]) -> None:
        raise Stop(f"Kafka topic {self._topic}: a follower has no group to commit for")

    def _prepare(self) -> None:
        if self._start is None:
            return
        try:
            for partition, offset in self._start.items():
                if offset:
                    self._check_start(partition, offset, *self._watermarks(partition))
        except KafkaException as error:
            raise RetryLater(f"Kafka topic {self._topic}: {reason_of(error)}") from error
        self._consumer.assign(
            [TopicPartition(self._topic, p, offset or OFFSET_BEGINNING) for p, offset in self._start.items()]
        )
        for partition, offset in self._start.items():
            self._fetcher.start(self._consumer, partition, offset)
        self._start = None
