"""URLs of topics."""

from __future__ import annotations

import pytest

from tailrace.broker.kafka_url import KafkaPlace, parse_kafka_url
from tailrace.errors import Stop


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("kafka://localhost:9092", KafkaPlace("localhost:9092", "logs")),
        ("kafka://localhost:9092/", KafkaPlace("localhost:9092", "logs")),
        ("kafka://a:1,b.org:2,10.0.0.3:65535/my.logs_1-x", KafkaPlace("a:1,b.org:2,10.0.0.3:65535", "my.logs_1-x")),
        ("kafka://[::1]:9092/logs", KafkaPlace("[::1]:9092", "logs")),
    ],
)
def test_brokers_and_topic_are_told_apart(url: str, place: KafkaPlace) -> None:
    """Several brokers, IPv6, and the topic `logs` where none is named."""
    assert parse_kafka_url(url) == place


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("kafka://localhost", "'localhost' is not HOST:PORT"),
        ("kafka://a:1,,b:2", "'' is not HOST:PORT"),
        ("kafka://a:0", "'a:0' is not HOST:PORT"),
        ("kafka://a:70000/x", "'a:70000' is not HOST:PORT"),
        ("kafka://user:secret@a:1/x", "a password belongs in kafka.options"),
        ("kafka://a:1/x/y", "'x/y' is not the name of a topic"),
        ("kafka://a:1/..", "'..' is not the name of a topic"),
        ("kafka://a:1/" + "x" * 250, "is not the name of a topic"),
        ("http://a:1/x", "not the URL of a Kafka topic"),
    ],
)
def test_a_wrong_url_says_which_part_is_wrong(url: str, what: str) -> None:
    """And the form that is right."""
    with pytest.raises(Stop, match=what):
        parse_kafka_url(url)
