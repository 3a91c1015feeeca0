"""Every real server starts, answers, dies by kill -9 and comes back with what it had acknowledged."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest
import redis as redis_client
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from deltalake import DeltaTable, write_deltalake
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.hdfs import Hdfs
from deploy.local.kafka import Kafka, KafkaCluster
from deploy.local.opensearch import OpenSearch
from deploy.local.process import StartFailed
from deploy.local.redis import Redis
from deploy.local.s3 import S3
from deploy.local.search_node import SearchNode

EVENTS = 20


def test_kafka_keeps_its_messages(own_kafka: Kafka) -> None:
    """A broker that is killed comes back on its port with every acknowledged message."""
    make_topic(own_kafka.address, replicas=1)
    produce(own_kafka.address)
    own_kafka.kill()
    assert not own_kafka.running
    own_kafka.start()
    assert consume(own_kafka.address) == EVENTS


def test_kafka_cluster_outlives_a_broker(own_kafka_cluster: KafkaCluster) -> None:
    """Of three brokers any one may be killed: writes go on, and it comes back in sync."""
    make_topic(own_kafka_cluster.address, replicas=3)
    produce(own_kafka_cluster.address)
    own_kafka_cluster.brokers[0].kill()
    produce(own_kafka_cluster.address)
    own_kafka_cluster.brokers[0].start()
    own_kafka_cluster.wait_full_isr()
    own_kafka_cluster.brokers[1].kill()
    assert consume(own_kafka_cluster.address) == 2 * EVENTS


def test_redis_keeps_what_was_synced(own_redis: Redis) -> None:
    """What the append-only file has synced is there after a kill."""
    with redis_client.Redis.from_url(own_redis.url) as client:
        client.set("name", "value")
        # From here each write is synced, and with it all that stands before it in the file.
        client.config_set("appendfsync", "always")
        client.set("other", "value")
    own_redis.kill()
    own_redis.start()
    with redis_client.Redis.from_url(own_redis.url) as client:
        assert client.mget("name", "other") == [b"value", b"value"]


def test_elasticsearch_keeps_its_documents(own_elasticsearch: Elasticsearch) -> None:
    """What a bulk request has acknowledged is there after a kill."""
    keeps_its_documents(own_elasticsearch, "7.17.")


def test_opensearch_keeps_its_documents(own_opensearch: OpenSearch) -> None:
    """What a bulk request has acknowledged is there after a kill."""
    keeps_its_documents(own_opensearch, "2.19.")


def keeps_its_documents(node: SearchNode, version: str) -> None:
    assert node.get("/")["version"]["number"].startswith(version)
    lines = "".join(f'{{"create":{{"_id":"{i}"}}}}\n{{"message":"event {i}"}}\n' for i in range(EVENTS))
    headers = {"content-type": "application/x-ndjson"}
    request = urllib.request.Request(f"{node.url}/events/_bulk", lines.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert not json.load(answer)["errors"]
    node.kill()
    node.start()
    assert node.get("/events/_count")["count"] == EVENTS


def test_s3_keeps_its_tables(own_s3: S3) -> None:
    """A Delta table on S3 is whole after a kill, and wrong credentials are refused."""
    url = own_s3.make_bucket("lake") + "/table"
    write_deltalake(url, pa.table({"a": range(EVENTS)}), storage_options=own_s3.storage_options)
    own_s3.kill()
    own_s3.start()
    assert DeltaTable(url, storage_options=own_s3.storage_options).version() == 0
    with own_s3.filesystem().open_input_file("lake/table/_delta_log/00000000000000000000.json") as log:
        assert b'"numRecords":' in log.read().replace(b"\\", b"")
    with pytest.raises(OSError, match=r"(?i)signature|denied"):
        DeltaTable(url, storage_options={**own_s3.storage_options, "AWS_SECRET_ACCESS_KEY": "wrong"})


def test_hdfs_keeps_its_tables(own_hdfs: Hdfs) -> None:
    """A Delta table on HDFS is whole and can be appended to after both processes were killed."""
    url = own_hdfs.url + "/lake"
    write_deltalake(url, pa.table({"a": range(EVENTS)}))
    own_hdfs.kill()
    own_hdfs.start()
    write_deltalake(url, pa.table({"a": range(EVENTS)}), mode="append")
    assert DeltaTable(url).version() == 1


def test_a_paused_server_does_not_answer(own_redis: Redis) -> None:
    """SIGSTOP is a network that went silent: the connection is accepted and nothing comes; stop() still works."""
    own_redis.pause()
    with socket.create_connection(("127.0.0.1", own_redis.port), timeout=0.2) as connection:
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(64)
    own_redis.resume()
    assert own_redis.is_ready()
    own_redis.pause()
    assert own_redis.stop() == 0


def test_a_start_that_fails_says_why(own_redis: Redis, tmp_path: Path) -> None:
    """The error quotes what the server printed, and nothing is left running."""
    second = Redis(tmp_path / "second", arguments=["--maxmemory", "nonsense"])
    with pytest.raises(StartFailed, match=r"(?s)redis ended with 1.*maxmemory"):
        second.start()
    assert not second.running


def make_topic(address: str, *, replicas: int) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    for made in admin.create_topics([NewTopic("events", 1, replicas)]).values():
        made.result(30)


def produce(address: str) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all", "enable.idempotence": True})
    failures = []
    for i in range(EVENTS):
        producer.produce("events", f"event {i}", on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(60) == 0
    assert failures == [None] * EVENTS


def consume(address: str) -> int:
    """How many messages the topic has, read from the first to the end of its partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "count", "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition("events", 0, OFFSET_BEGINNING)])
        count = 0
        while True:
            message = consumer.poll(60)
            assert message is not None, "nothing came in a minute"
            error = message.error()
            if error is None:
                count += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                return count
            # Others are tried again by the client: a broker that is away is what the test is about.
    finally:
        consumer.close()
