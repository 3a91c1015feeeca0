"""`tailrace up` on the real engines, all roles in one process."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from deploy.local.elasticsearch import Elasticsearch
from deploy.local.kafka import Kafka
from deploy.local.redis import Redis
from deploy.local.role import Role

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EVENTS: list[dict[str, Any]] = [
    {"message": "the pump runs", "level": "INFO", "service": "pump", "litres": 7},
    {"message": "the pump stands", "level": "ERROR", "service": "pump", "litres": 0},
    {"message": "the gate is open", "level": "INFO", "service": "gate"},
]
BODY = b"\n".join(map(orjson.dumps, EVENTS))


def get(role: Role, path: str) -> Any:
    status, body = role.request("GET", path)
    assert status == 200, (path, body)
    return orjson.loads(body)


def sql(role: Role, query: str) -> tuple[int, Any]:
    body = orjson.dumps({"query": query})
    status, answer = role.request("POST", "/api/sql", body, {"content-type": "application/json"})
    return status, orjson.loads(answer)


def until(is_so: Callable[[], bool], what: Callable[[], object]) -> None:
    until_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until_s, what()
        time.sleep(0.05)


def send_and_follow(role: Role) -> list[str]:
    """Posts the events, and returns the messages that a live tail of errors has shown."""
    connection = http.client.HTTPConnection("127.0.0.1", role.port, timeout=60)
    connection.request("GET", "/api/tail?q=level:ERROR")
    tail = connection.getresponse()
    assert tail.readline() == b": tail\n"
    assert role.request("POST", "/logs", BODY, {"content-type": "application/x-ndjson"})[0] == 202
    while not (line := tail.readline()).startswith(b"data: "):
        assert line, "the tail ended"
    connection.close()
    return [orjson.loads(line.removeprefix(b"data: "))["message"]]


def assert_found(role: Role) -> None:
    """By search, by the seeds' route, by counts and by their histogram: each event once, hot or stored."""
    found = get(role, "/api/search?q=service:pump&order=asc")["events"]
    assert sorted(event["message"] for event in found) == ["the pump runs", "the pump stands"]
    assert len(get(role, "/logs?service=gate")["logs"]) == 1
    assert get(role, "/api/count?q=litres:>5")["count"] == 1
    buckets = get(role, "/api/histogram?by=level")["buckets"]
    assert sum(bucket["count"] for bucket in buckets) == len(EVENTS)


def wait_stored(role: Role) -> None:
    def lags() -> dict[str, int]:
        found: dict[str, int] = get(role, "/api/status")["log"]["lag_records"]
        return found

    until(lambda: not any(lags().values()), lags)


def run(folder: Path, stores: list[str], **settings: str) -> Role:
    given = {"stores": json.dumps(stores), "worker.flush_interval_s": "0.2"}
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return Role(folder, "up", name="up", settings=given | named)


@pytest.fixture
def everything(tmp_path: Path, kafka: Kafka, redis: Redis, elasticsearch: Elasticsearch) -> Iterator[Role]:
    stores = ["lake", elasticsearch.store_url("roles-up"), f"jsonl://{tmp_path / 'logs'}"]
    with run(tmp_path / "up", stores, log__url=kafka.url("roles-up"), hot__url=redis.url) as role:
        yield role


def test_one_process_does_it_all_on_kafka_and_redis(everything: Role, tmp_path: Path) -> None:
    """POST, live tail, search, GET /logs, SQL; the events are in the lake, in Elasticsearch and in logs.txt, once."""
    assert send_and_follow(everything) == ["the pump stands"]
    assert_found(everything)
    wait_stored(everything)
    assert_found(everything)
    status, answer = sql(everything, "SELECT level, count(*) AS n FROM logs GROUP BY level ORDER BY level")
    assert (status, answer["rows"]) == (200, [["ERROR", 1], ["INFO", 2]])
    stores = get(everything, "/api/status")["stores"]
    assert stores["lake"]["rows"] == len(EVENTS)
    lines = (tmp_path / "logs" / "logs.txt").read_bytes().splitlines()
    assert sorted(orjson.loads(line)["message"] for line in lines) == sorted(e["message"] for e in EVENTS)
    places = {place["name"]: place["detail"] for place in get(everything, "/readyz")["places"]}
    workers = {"lake worker", "elasticsearch worker", "jsonl worker"}
    assert places == dict.fromkeys({"log", "lake", "dead letters", "hot", "hot mirror", "answers"} | workers, "")


def test_elasticsearch_can_be_the_only_store(tmp_path: Path, elasticsearch: Elasticsearch) -> None:
    """Live tail, search, counts and histogram work without a lake; SQL says that it has nothing to read."""
    with run(tmp_path / "up", [elasticsearch.store_url("roles-alone")]) as role:
        assert send_and_follow(role) == ["the pump stands"]
        assert_found(role)
        wait_stored(role)
        assert_found(role)
        assert get(role, "/api/status")["stores"]["elasticsearch"]["documents"] == len(EVENTS)
        status, answer = sql(role, "SELECT 1 FROM logs")
        assert status == 400
        assert "SQL reads the files of a lake" in answer["detail"]
