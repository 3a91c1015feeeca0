"""How Spark's Kafka source is told what librdkafka's properties say."""

from __future__ import annotations

import json

from tailrace.broker.kafka_url import KafkaPlace
from tailrace.config import KafkaSettings
from tailrace.jobs.topic import Topic, java_properties, source_options

PLACE = KafkaPlace("a:1,b:2", "logs")


def test_tls_and_sasl_are_said_in_javas_words() -> None:
    """A password may hold what ends a string in a JAAS file."""
    options = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": 'a"\\b',
        "ssl.ca.location": "/ca.pem",
        "linger.ms": "5",
    }
    assert java_properties(options) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="me" password="a\\"\\\\b";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/ca.pem",
    }


def test_it_starts_where_the_lake_has_ended() -> None:
    """And takes so many messages at once as make the wished bytes; what was given by hand wins."""
    topic = Topic(PLACE, starts={0: 7, 1: 0}, message_bytes=100)
    options = source_options(topic, KafkaSettings(), batch_bytes=1000, extra={"minPartitions": "4"})
    assert json.loads(options["startingOffsets"]) == {"logs": {"0": 7, "1": 0}}
    assert options["maxOffsetsPerTrigger"] == "10"
    assert options["kafka.bootstrap.servers"] == "a:1,b:2"
    assert options["kafka.isolation.level"] == "read_committed"
    assert options["minPartitions"] == "4"


def test_a_message_larger_than_a_batch_is_one() -> None:
    """And an empty topic has no mean size."""
    for message_bytes in (0, 5000):
        topic = Topic(PLACE, starts={0: 0}, message_bytes=message_bytes)
        options = source_options(topic, KafkaSettings(), batch_bytes=1000, extra={})
        assert int(options["maxOffsetsPerTrigger"]) == (1000 if message_bytes == 0 else 1)
