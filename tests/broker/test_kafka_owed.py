"""What fails in a rebalance, commits and revocations: by a client whose answers are chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tailrace.broker import kafka_reader
from tailrace.broker.kafka_reader import GroupReader
from tailrace.broker.port import Assignments, LogRecord


class Refusing:
    """A consumer that refuses commits as often as it is told, and takes partitions away with what it hands out."""

    def __init__(self) -> None:
        self.refusals = 0
        self.refusal = KafkaError.ILLEGAL_GENERATION
        self.committed: dict[int, int] = {}
        self.messages: list[Message] = []
        self.revoked: list[TopicPartition] = []

    def subscribe(self, topics: Sequence[str], **callbacks: Any) -> None:
        self.on_lost = callbacks["on_lost"]
        self.on_revoke = callbacks["on_revoke"]

    def consume(self, count: int, timeout_s: float) -> list[Message]:
        messages, self.messages = self.messages, []
        revoked, self.revoked = self.revoked, []
        if revoked:
            self.on_revoke(self, revoked)
        return messages

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(self.refusal))
        self.committed.update({place.partition: place.offset for place in offsets})

    def incremental_unassign(self, places: Sequence[TopicPartition]) -> None:
        pass


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    monkeypatch.setattr(kafka_reader, "_OWED_S", 0.0)
    return Refusing()


def reader_of(client: Refusing, assignments: Assignments | None = None) -> GroupReader:
    reader = GroupReader("logs", lambda on_error: cast(Consumer, client), assignments)
    reader._fetcher.next.update({0: 5, 1: 5})
    return reader


def test_what_a_rebalance_refused_is_committed_later(client: Refusing) -> None:
    """However often it is refused; a later commit of the same partition stands for it."""
    reader = reader_of(client)
    client.refusals = 3
    reader.commit({0: 5, 1: 6})
    reader._prepare()
    reader.commit({1: 9})
    assert client.committed == {}
    reader._prepare()
    assert client.committed == {0: 5, 1: 9}
    client.committed.clear()
    reader._prepare()
    assert client.committed == {}


def test_what_is_given_up_is_not_committed_any_more(client: Refusing) -> None:
    """Its new reader may be further."""
    reader = reader_of(client)
    client.refusals = 1
    reader.commit({0: 5, 1: 6})
    client.on_lost(client, [TopicPartition("logs", 0)])
    reader._prepare()
    assert client.committed == {1: 6}


def test_what_is_owed_holds_up_no_reading(client: Refusing) -> None:
    """A commit that fails in another way, as in the middle of a rebalance, which only a poll can end."""
    reader = reader_of(client)
    client.refusals = 3
    reader.commit({0: 5})
    client.refusal = KafkaError.REBALANCE_IN_PROGRESS
    client.messages = [Message(topic="logs", partition=0, offset=5, value=b"x")]
    assert len(reader.poll(bytes_max=1, timeout_s=0)) == 1
    reader.keep_alive(0)
    reader.keep_alive(0)
    assert client.committed == {0: 5}


class Failing:
    """Implements `Assignments`: cannot let go of a partition."""

    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        return {}

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        raise RuntimeError("not now")


def test_what_comes_with_a_revocation_that_fails_is_not_lost(client: Refusing) -> None:
    """It is handed out, and the error comes with the next poll: nobody would read those records again."""
    reader = reader_of(client, Failing())
    client.messages = [Message(topic="logs", partition=0, offset=5, value=b"x")]
    client.revoked = [TopicPartition("logs", 1)]
    (item,) = reader.poll(bytes_max=1, timeout_s=0)
    assert isinstance(item, LogRecord)
    assert (item.partition, item.offset, item.record.payload) == (0, 5, b"x")
    with pytest.raises(RuntimeError, match="not now"):
        reader.poll(bytes_max=1, timeout_s=0)
    assert reader.poll(bytes_max=1, timeout_s=0) == []
