"""Commits that a rebalance refuses, of partitions that stay where they are: by a client whose answers are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tailrace.broker import kafka_reader
from tailrace.broker.kafka_reader import GroupReader


class Refusing:
    """A consumer that refuses commits as often as it is told."""

    def __init__(self) -> None:
        self.refusals = 0
        self.committed: dict[int, int] = {}

    def subscribe(self, topics: Sequence[str], **callbacks: Any) -> None:
        self.on_lost = callbacks["on_lost"]

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        if self.refusals:
            self.refusals -= 1
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
        self.committed.update({place.partition: place.offset for place in offsets})

    def incremental_unassign(self, places: Sequence[TopicPartition]) -> None:
        pass


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    monkeypatch.setattr(kafka_reader, "_OWED_S", 0.0)
    return Refusing()


def reader_of(client: Refusing) -> GroupReader:
    reader = GroupReader("logs", lambda on_error: cast(Consumer, client), None)
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
