"""Fixtures of the real servers of `deploy.local`, and where their tests run.

The shared ones are started at the first use in a process and stopped at its end. Tests of a server are put on one
worker of pytest-xdist (`--dist loadgroup`), so that each server is started once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.hdfs import Hdfs
from deploy.local.kafka import Kafka, KafkaCluster
from deploy.local.opensearch import OpenSearch
from deploy.local.process import Missing
from deploy.local.redis import Redis
from deploy.local.s3 import S3


class Startable(Protocol):
    """A process, or a set of them."""

    name: str

    def start(self) -> object: ...

    def stop(self) -> object: ...


Server = TypeVar("Server", bound=Startable)


def serve(server: Server) -> Iterator[Server]:
    """Runs the server for as long as the fixture lives. What is missing on the machine skips, and fails in CI."""
    try:
        server.start()
    except Missing as e:
        if os.environ.get("CI"):
            pytest.fail(f"{server.name} has to be tested here, but {e}")
        pytest.skip(f"{server.name} is NOT TESTED: {e}")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One broker, shared: use a topic and a group of your own."""
    yield from serve(Kafka(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three brokers, shared: leave them alive."""
    yield from serve(KafkaCluster(tmp_path_factory.mktemp("kafka_cluster")))


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Shared: use a prefix of your own."""
    yield from serve(Redis(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elasticsearch]:
    """Shared: use index names of your own."""
    yield from serve(Elasticsearch(tmp_path_factory.mktemp("elasticsearch")))


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """Shared: use index names of your own."""
    yield from serve(OpenSearch(tmp_path_factory.mktemp("opensearch")))


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Shared: use a bucket of your own."""
    yield from serve(S3(tmp_path_factory.mktemp("s3")))


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    """Shared: use a folder of your own."""
    yield from serve(Hdfs(tmp_path_factory.mktemp("hdfs")))


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """One broker for this test alone, to be killed and paused."""
    yield from serve(Kafka(tmp_path / "kafka"))


@pytest.fixture
def own_kafka_cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Three brokers for this test alone."""
    yield from serve(KafkaCluster(tmp_path / "kafka_cluster"))


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    """For this test alone."""
    yield from serve(Redis(tmp_path / "redis"))


@pytest.fixture
def own_elasticsearch(tmp_path: Path) -> Iterator[Elasticsearch]:
    """For this test alone."""
    yield from serve(Elasticsearch(tmp_path / "elasticsearch"))


@pytest.fixture
def own_opensearch(tmp_path: Path) -> Iterator[OpenSearch]:
    """For this test alone."""
    yield from serve(OpenSearch(tmp_path / "opensearch"))


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[S3]:
    """For this test alone."""
    yield from serve(S3(tmp_path / "s3"))


@pytest.fixture
def own_hdfs(tmp_path: Path) -> Iterator[Hdfs]:
    """For this test alone."""
    yield from serve(Hdfs(tmp_path / "hdfs"))


GROUPS = {
    # First: one process has the JVM of Spark, whatever else a test uses.
    "spark": "spark",
    "spark_jars": "spark",
    "kafka": "log",
    "kafka_cluster": "log",
    "redis": "log",
    "elasticsearch": "search",
    "opensearch": "search",
    "s3": "lake",
    "hdfs": "lake",
}
"""The worker group of a shared server's tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests of servers slow, and groups those that share one."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if any(name in used or f"own_{name}" in used for name in GROUPS):
            item.add_marker(pytest.mark.slow)
        groups = [group for name, group in GROUPS.items() if name in used]
        if groups:
            item.add_marker(pytest.mark.xdist_group(groups[0]))
