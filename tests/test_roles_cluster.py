"""Roles on real Kafka, Redis and Elasticsearch, as users meet them."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from deploy.local.cluster import Cluster
from deploy.local.role import Role

from tests.faults.cluster_oracle import by_api, in_lake, in_search, in_text, wait_caught_up
from tests.real_servers import serve
from tests.roles_load import Callers, SlowBody, event

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("cluster")]

STORES = {"lake": in_lake, "text": in_text, "search": in_search, "api": by_api}
SETTINGS = {"worker.flush_interval_s": "0.2"}
DRAIN_S = 10.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("roles") / "cluster"
    for cluster in serve(Cluster(folder, workers=1, gateways=2, apis=1, settings=SETTINGS)):
        # Before the first event: an index of somebody else's that has its own idea of one field.
        for day in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):
            ask_search(cluster, "PUT", f"/logs-{day:%Y.%m.%d}", {"mappings": mapping_of_trace_id(True)})
        yield cluster


def mapping_of_trace_id(is_strict: bool) -> dict[str, Any]:
    return {"properties": {"trace_id": {"type": "long", "ignore_malformed": not is_strict}}}


def ask_search(cluster: Cluster, method: str, path: str, body: object) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", cluster.search.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, orjson.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()


def ask(role: Role, method: str, path: str, body: bytes | None = None) -> Any:
    status, answer = role.request(method, path, body)
    assert status in (200, 202, 204), answer
    return orjson.loads(answer) if answer else None


def post(role: Role, body: bytes, headers: Mapping[str, str] | None = None) -> int:
    """The status; 0 where none came."""
    try:
        return role.request("POST", "/logs", body, {"content-type": "application/x-ndjson", **(headers or {})})[0]
    except (OSError, http.client.HTTPException):
        return 0


def counts(cluster: Cluster, name: str, prefix: str) -> Counter[str]:
    return Counter(key for key, _ in STORES[name](cluster) if key.startswith(prefix))


def until(is_so: Callable[[], bool], what: Callable[[], object], timeout_s: float = 60.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until_s, what()
        time.sleep(0.1)


def test_a_refused_document_is_kept_and_its_replay_reaches_the_one_store_that_lacks_it(cluster: Cluster) -> None:
    """Elasticsearch refuses a trace id that its index takes for a number; once that is mended, it has the event once,
    and the other stores have it once as before."""
    refused = orjson.dumps({"message": "refused", "n": "letter-1", "trace_id": "not a number"})
    assert post(cluster.gateways[0], event("letter-0") + b"\n" + refused) == 202
    wait_caught_up(cluster)
    both = Counter(["letter-0", "letter-1"])
    assert counts(cluster, "search", "letter") == Counter(["letter-0"])
    assert counts(cluster, "lake", "letter") == counts(cluster, "text", "letter") == both

    [letter] = ask(cluster.apis[0], "GET", "/api/dead-letters")["dead_letters"]
    assert letter["source"].startswith("elasticsearch: index logs-")
    assert "trace_id" in letter["reason"]
    ask_search(cluster, "PUT", "/logs-*/_mapping", mapping_of_trace_id(False))
    assert ask(cluster.apis[0], "POST", f"/api/dead-letters/{letter['id']}/replay") == {"accepted": 1}
    wait_caught_up(cluster)
    for name in STORES:
        assert counts(cluster, name, "letter") == both, name
    assert ask(cluster.apis[0], "GET", "/api/dead-letters")["count"] == 0


def test_one_key_at_two_gateways_is_stored_once(cluster: Cluster) -> None:
    """The same body and key sent to both at once, and again after kill -9 of the one that was about to answer."""
    expected: set[str] = set()
    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            body, headers = event(f"key-{number}"), {"idempotency-key": str(uuid.uuid4())}
            assert [*threads.map(post, cluster.gateways, [body] * 2, [headers] * 2)] == [202, 202]
            expected.add(f"key-{number}")
    dying, other = cluster.gateways
    for number, after_s in enumerate((0.0, 0.002, 0.01)):
        keys = [f"key-dying-{number}-{row}" for row in range(2000)]
        body, headers = b"\n".join(map(event, keys)), {"idempotency-key": str(uuid.uuid4())}
        sending = threading.Thread(target=post, args=(dying, body, headers))
        sending.start()
        time.sleep(after_s)
        dying.kill()
        sending.join()
        assert post(other, body, headers) == 202
        expected.update(keys)
        dying.start()
    wait_caught_up(cluster)
    for name in STORES:
        assert counts(cluster, name, "key-") == Counter(expected), name


def test_a_gateway_that_ends_answers_what_was_begun(cluster: Cluster) -> None:
    """SIGTERM while 64 callers and slow bodies are at work: all are answered, and what was acknowledged is stored."""
    gateway = cluster.gateways[0]
    callers = Callers(gateway.port, 64)
    bodies = [SlowBody(gateway.port, f"c-slow{number}", parts=12, pause_s=0.2) for number in range(4)]
    callers.start()
    for body in bodies:
        body.start()
    time.sleep(1)
    started_s = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - started_s < DRAIN_S
    told = callers.join()
    for body in bodies:
        body.join()
    gateway.start()
    assert [(body.status, body.failure) for body in bodies] == [(202, None)] * 4
    assert told.statuses.keys() <= {202, 503}, told.statuses
    assert not told.without_retry_after
    wait_caught_up(cluster)
    expected = Counter({*told.acknowledged, *(key for body in bodies for key in body.keys)})
    for name in STORES:
        assert counts(cluster, name, "c") == expected, name


def readiness(role: Role) -> tuple[int, dict[str, tuple[bool, str]]]:
    status, body = role.request("GET", "/readyz")
    return status, {place["name"]: (place["ready"], place["detail"]) for place in orjson.loads(body)["places"]}


def is_told(role: Role, place: str, reason: str, *, status: int) -> bool:
    found, places = readiness(role)
    ready, detail = places.get(place, (True, ""))
    return found == status and ready == (status == 200) and reason in detail


def test_readiness_names_the_place_that_is_missing(cluster: Cluster) -> None:
    """Log and store by name; Redis, without which all goes on, is a detail. All heal by themselves."""
    gateway, worker, api = cluster.gateways[0], cluster.workers[0], cluster.apis[0]
    roles = (gateway, worker, api)

    def told(role: Role, place: str, reason: str, *, status: int) -> None:
        until(lambda: is_told(role, place, reason, status=status), lambda: (role.name, readiness(role)))

    cluster.redis.kill()
    assert post(gateway, event("ready-1")) == 202
    told(worker, "hot", "Redis", status=200)
    told(api, "hot mirror", "Redis", status=200)
    until(lambda: b"ready-1" in api.request("GET", "/logs?limit=5")[1], lambda: "not seen in the store")
    told(api, "answers", "Redis", status=200)
    assert readiness(gateway)[0] == 200
    cluster.redis.start()
    cluster.search.kill()
    assert post(gateway, event("ready-2")) == 202
    told(worker, "elasticsearch worker", "no answer", status=503)
    assert readiness(gateway)[0] == readiness(api)[0] == 200
    cluster.search.start()
    cluster.kafka.kill()
    for role in roles:
        told(role, "log", "Kafka topic logs", status=503)
        # The figures are wanted now more than ever.
        assert role.request("GET", "/metrics")[0] == 200
    cluster.kafka.start()
    for role in roles:
        until(lambda role=role: readiness(role)[0] == 200, lambda role=role: readiness(role))  # type: ignore[misc]
    for role, place in ((worker, "hot"), (api, "hot mirror")):
        told(role, place, "", status=200)
    metrics = worker.request("GET", "/metrics")[1].decode()
    [hot_bytes] = [line.split()[1] for line in metrics.splitlines() if line.startswith("tailrace_hot_bytes ")]
    assert float(hot_bytes) > 0
    wait_caught_up(cluster)
    for name in STORES:
        assert counts(cluster, name, "ready") == Counter(["ready-1", "ready-2"]), name


def test_a_role_whose_places_are_away_ends_in_time(cluster: Cluster) -> None:
    """SIGTERM while Kafka, Redis and Elasticsearch are silent and a request waits: the request gets 503, and all end
    within ten seconds."""
    body, answers = event("silent"), list[tuple[int, str | None]]()
    gateway, worker, api = cluster.gateways[1], cluster.workers[0], cluster.apis[0]

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        connection.request("POST", "/logs", body)
        answer = connection.getresponse()
        answers.append((answer.status, answer.getheader("retry-after")))

    for server in cluster.servers:
        server.pause()
    try:
        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(0.5)
        started_s = time.monotonic()
        for role in (gateway, worker, api):
            role.terminate()
        for role in (gateway, worker, api):
            assert role.stop() == 0, role.name
        assert time.monotonic() - started_s < DRAIN_S
        sending.join()
    finally:
        for server in cluster.servers:
            server.resume()
    [(status, retry_after)] = answers
    assert status == 503
    assert retry_after is not None
    for role in (gateway, worker, api):
        assert "stopped" in role.said()
        role.spawn()
    for role in (gateway, worker, api):
        role.wait_ready()
