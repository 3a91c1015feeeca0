"""A whole cluster on real Kafka, Redis and Elasticsearch, whose parts are killed, paused and restarted under load."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from deploy.local.cluster import Cluster
from deploy.local.kafka import KafkaCluster
from deploy.local.process import Process

from tests.faults.cluster_oracle import Load, assert_once_everywhere, in_lake, wait_caught_up
from tests.real_servers import serve

# One cluster at a time: two of them take so long on two cores that what they are about is not seen any more.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("cluster")]

BLOWS = int(os.environ.get("TAILRACE_TEST_BLOWS", "8"))
SETTINGS = {"worker.flush_interval_s": "0.3", "worker.flush_rows": "2000", "jsonl.keep_files": "1000"}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    yield from serve(Cluster(tmp_path / "cluster", workers=2, gateways=2, apis=1, settings=SETTINGS))


def test_whatever_is_killed_each_acknowledged_event_is_in_every_store_once(cluster: Cluster) -> None:
    """kill -9 and SIGSTOP of broker, Redis, Elasticsearch, workers and gateways at random instants, under load."""
    chance = random.Random(20250328)
    parts: list[Process] = [*cluster.servers, *cluster.workers, *cluster.gateways]
    with Load(cluster.gateways) as load:
        # Each part is struck once at least.
        struck = [*parts, *chance.choices(parts, k=max(0, BLOWS - len(parts)))]
        chance.shuffle(struck)
        for part in struck:
            time.sleep(chance.uniform(0.3, 2.0))
            if chance.random() < 0.35:
                part.pause()
                time.sleep(chance.uniform(0.5, 4.0))
                part.resume()
            else:
                part.kill()
                time.sleep(chance.uniform(0.0, 2.0))
                part.start()
        time.sleep(1)
    assert len(load.acknowledged) > 500, load.statuses
    wait_caught_up(cluster)
    assert_once_everywhere(cluster, load)


def test_a_worker_that_was_thought_dead_writes_nothing_twice(cluster: Cluster) -> None:
    """Stopped for longer than its session, its partitions go to the other worker; then it wakes up and goes on."""
    with Load(cluster.gateways) as load:
        time.sleep(1.5)
        cluster.workers[0].pause()
        # The session is 6 s; the other worker then needs a moment to write what this one was about to.
        time.sleep(11)
        cluster.workers[0].resume()
        time.sleep(2)
    wait_caught_up(cluster)
    assert_once_everywhere(cluster, load)


def test_a_rolling_restart_of_every_role_refuses_nothing_for_good(cluster: Cluster) -> None:
    """SIGTERM to each role in turn under load: each ends in less than ten seconds, with no status but 202 and 503."""
    cluster.add("api")
    with Load(cluster.gateways) as load:
        for role in cluster.roles:
            time.sleep(0.5)
            started_s = time.monotonic()
            role.stop()
            assert time.monotonic() - started_s < 10, f"{role.name} took too long to drain"
            assert "stopped" in role.said()
            role.start()
        time.sleep(0.5)
    # 0: no connection, while a gateway is being restarted.
    assert load.statuses.keys() <= {0, 202, 503}, load.statuses
    assert not any(client.without_retry_after for client in load.clients)
    wait_caught_up(cluster)
    assert_once_everywhere(cluster, load)


def test_a_store_that_is_away_delays_only_itself(cluster: Cluster) -> None:
    """Elasticsearch is down: lake and text go on, readiness names it; it catches up alone when it is back."""
    cluster.search.kill()
    with Load(cluster.gateways, clients=1) as load:
        time.sleep(3)
    acknowledged = load.acknowledged
    until_s = time.monotonic() + 30
    while {key for key, _ in in_lake(cluster)} < acknowledged.keys() and time.monotonic() < until_s:
        time.sleep(0.3)
    assert {key for key, _ in in_lake(cluster)} == acknowledged.keys()
    # A worker that has nothing to write there does not know yet.
    told = [worker.request("GET", "/readyz") for worker in cluster.workers]
    unready = [orjson.loads(body)["detail"] for status, body in told if status == 503]
    assert unready
    assert all("elasticsearch" in detail for detail in unready)
    cluster.search.start()
    wait_caught_up(cluster)
    assert_once_everywhere(cluster, load)


def test_queries_are_answered_while_redis_is_away(cluster: Cluster) -> None:
    """Ingest goes on, the api answers from the store, and the newest events are seen again when Redis is back."""
    with Load(cluster.gateways, clients=1) as load:
        time.sleep(1)
        cluster.redis.kill()
        time.sleep(1)
        for path in ("/logs?limit=1", "/api/count", "/api/search?q=event"):
            status, body = cluster.apis[0].request("GET", path)
            assert status == 200, (path, body)
        cluster.redis.start()
        time.sleep(1)
    wait_caught_up(cluster)
    assert_once_everywhere(cluster, load)


def test_one_of_three_brokers_dies_and_nothing_is_refused_for_good(
    tmp_path: Path, own_kafka_cluster: KafkaCluster
) -> None:
    """Three replicas, two in sync: the leader is killed under load; every event arrives, once, after some stalls."""
    settings = {**SETTINGS, "kafka.replication": "3"}
    kafka = own_kafka_cluster
    with Cluster(tmp_path / "cluster", workers=1, gateways=1, apis=1, settings=settings, kafka=kafka) as cluster:
        with Load(cluster.gateways) as load:
            for broker in kafka.brokers[:1]:
                time.sleep(2)
                broker.kill()
                time.sleep(4)
                broker.start()
                kafka.wait_full_isr()
        assert load.statuses.keys() <= {0, 202, 503}, load.statuses
        assert load.statuses[202] > 50
        wait_caught_up(cluster)
        assert_once_everywhere(cluster, load)
