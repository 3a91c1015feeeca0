"""Load on a whole cluster, and the question afterwards: is everything that was acknowledged in every store, once?"""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence

import deltalake
import orjson
import pyarrow.parquet as pq
from deploy.local.cluster import Cluster
from deploy.local.role import Role

CATCH_UP_S = 120.0


class KeyedClient:
    """Posts small bodies of numbered events to any gateway, each until it is acknowledged, under one Idempotency-Key.

    So what it has acknowledged must be in each store exactly once, also where an answer was lost on the way.
    """

    def __init__(self, gateways: Sequence[Role], seed: int) -> None:
        self._ports = itertools.cycle([gateway.port for gateway in gateways])
        self._random = random.Random(seed)
        self._seed = seed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._count = 0
        self.acknowledged: dict[str, str] = {}
        self.unanswered: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        self.without_retry_after = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            events = self._events()
            body = b"\n".join(
                orjson.dumps({"message": message, "n": key, "level": "INFO", "service": "cluster"})
                for key, message in events.items()
            )
            started_s = time.monotonic()
            if self._post_until_taken(body, str(uuid.uuid4())):
                self.acknowledged |= events
                self.slowest_s = max(self.slowest_s, time.monotonic() - started_s)
            else:
                self.unanswered |= events

    def _post_until_taken(self, body: bytes, key: str) -> bool:
        """False when the test ended first."""
        headers = {"content-type": "application/x-ndjson", "idempotency-key": key}
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", next(self._ports), timeout=30)
            try:
                connection.request("POST", "/logs", body, headers)
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
                if answer.status == 202:
                    return True
                if answer.getheader("retry-after") is None:
                    self.without_retry_after += 1
            except (OSError, http.client.HTTPException):
                self.statuses[0] += 1
            finally:
                connection.close()
            if self._stop.is_set() and self._random.random() < 0.05:
                return False
            time.sleep(0.05)

    def _events(self) -> dict[str, str]:
        events = {}
        for _ in range(self._random.choice((1, 5, 30))):
            self._count += 1
            noise = "".join(self._random.choices('abc XYZ0189"\\\n\té漢🙂', k=self._random.randrange(30)))
            events[f"{self._seed}-{self._count}"] = f"event {self._count} {noise}"
        return events


class Load:
    """Several clients at once."""

    def __init__(self, gateways: Sequence[Role], clients: int = 3) -> None:
        self.clients = [KeyedClient(gateways, seed) for seed in range(clients)]

    def __enter__(self) -> Load:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.stop()

    @property
    def acknowledged(self) -> dict[str, str]:
        return {key: message for client in self.clients for key, message in client.acknowledged.items()}

    @property
    def unanswered(self) -> dict[str, str]:
        return {key: message for client in self.clients for key, message in client.unanswered.items()}

    @property
    def statuses(self) -> Counter[int]:
        return sum((client.statuses for client in self.clients), Counter())


def wait_caught_up(cluster: Cluster, timeout_s: float = CATCH_UP_S) -> None:
    """Until every group has committed everything; a worker's answer is at most a second old."""
    until_s = time.monotonic() + timeout_s
    calm = 0
    lags: object = None
    while time.monotonic() < until_s:
        try:
            status, body = cluster.workers[0].request("GET", "/api/status")
            lags = orjson.loads(body)["log"]["lag_records"] if status == 200 else body
            calm = calm + 1 if isinstance(lags, dict) and not any(lags.values()) else 0
        except (OSError, http.client.HTTPException) as error:
            lags, calm = error, 0
        if calm >= 3:
            return
        time.sleep(0.6)
    problems = [f"{worker.name}: {_problems(worker)}" for worker in cluster.workers]
    raise AssertionError(f"not caught up after {timeout_s:.0f} s: {lags}; {problems}")


def _problems(worker: Role) -> str:
    try:
        return worker.request("GET", "/readyz")[1].decode()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


def in_lake(cluster: Cluster) -> list[tuple[str, str]]:
    """`n` and message of each event, as any reader of Delta tables finds them."""
    found: list[tuple[str, str]] = []
    for uri in deltalake.DeltaTable(str(cluster.folder / "lake")).file_uris():
        table = pq.ParquetFile(uri.removeprefix("file://")).read(columns=["message", "attributes"])
        for message, attributes in zip(table["message"].to_pylist(), table["attributes"].to_pylist(), strict=True):
            found.append((dict(attributes)["n"], message))
    return found


def in_text(cluster: Cluster) -> list[tuple[str, str]]:
    """The same of `logs.txt` and its rotated files."""
    lines = [
        orjson.loads(line)
        for path in (cluster.folder / "logs").glob("logs*.txt")
        for line in path.read_bytes().splitlines()
    ]
    return [(line["attributes"]["n"], line["message"]) for line in lines]


def in_search(cluster: Cluster) -> list[tuple[str, str]]:
    """The same of Elasticsearch, asked by plain HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.search.port, timeout=60)

    def ask(method: str, path: str, body: object = None) -> dict[str, object]:
        text = b"" if body is None else orjson.dumps(body)
        connection.request(method, path, text, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        found: dict[str, object] = orjson.loads(text)
        return found

    ask("POST", "/logs-*/_refresh")
    found: list[tuple[str, str]] = []
    page = ask("POST", "/logs-*/_search?scroll=1m", {"size": 5000, "_source": ["message", "attributes"]})
    while hits := page["hits"]["hits"]:  # type: ignore[index]
        found += [(hit["_source"]["attributes"]["n"], hit["_source"]["message"]) for hit in hits]
        page = ask("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
    connection.close()
    return found


def by_api(cluster: Cluster) -> list[tuple[str, str]]:
    """The same of an api: hot events and the lake's together."""
    status, body = cluster.apis[-1].request("GET", "/api/search?format=ndjson&order=asc")
    assert status == 200, body
    events = [orjson.loads(line) for line in body.splitlines()]
    return [(event["attributes"]["n"], event["message"]) for event in events]


def assert_once_everywhere(cluster: Cluster, load: Load) -> None:
    """Each acknowledged event is in each store once and unchanged, and nothing that was never sent is there."""
    acknowledged, sent = load.acknowledged, load.acknowledged | load.unanswered
    for name, read in {"lake": in_lake, "text": in_text, "search": in_search, "api": by_api}.items():
        found = read(cluster)
        counts = Counter(key for key, _ in found)
        lost = [key for key in acknowledged if key not in counts]
        doubled = [key for key, count in counts.items() if count > 1]
        assert not lost, f"{len(lost)} of {len(acknowledged)} lost from {name}: {lost[:5]}"
        assert not doubled, f"{len(doubled)} doubled in {name}: {doubled[:5]}"
        changed = [pair for pair in found if sent.get(pair[0]) != pair[1]]
        assert not changed, f"changed or never sent, in {name}: {changed[:5]}"
