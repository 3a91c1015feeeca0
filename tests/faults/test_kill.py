"""Fifty times kill -9, and nothing that was acknowledged is lost, doubled or changed."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import deltalake
import orjson
import pytest

from tests.server import Server

KILLS = int(os.environ.get("TAILRACE_TEST_KILLS", "50"))


class RecordingClient:
    """Posts bodies of random events without end and never repeats one; keeps which were acknowledged.

    An event is known by the `n` in its attributes. What was sent without an answer may be there once or not at all.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: dict[str, str] = {}
        self.unanswered: dict[str, str] = {}
        self._seed = seed
        self._count = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.is_set():
            events = self._events()
            body = b"\n".join(
                orjson.dumps({"message": message, "n": key, "level": "INFO"}) for key, message in events.items()
            )
            try:
                connection.request("POST", "/logs", body, {"content-type": "application/x-ndjson"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self.unanswered |= events
                time.sleep(0.02)
                continue
            if answer.status == 202:
                self.acknowledged |= events
            else:
                # A refusal says that nothing was kept: these events must not turn up.
                assert answer.status in (429, 503), answer.status
                time.sleep(0.02)
        connection.close()

    def _events(self) -> dict[str, str]:
        events = {}
        for _ in range(self._random.choice((1, 3, 50, 400))):
            self._count += 1
            noise = "".join(self._random.choices('abc XYZ0189"\\\n\t\x00é漢🙂', k=self._random.randrange(60)))
            events[f"{self._seed}-{self._count}"] = f"event {self._count} {noise}"
        return events


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_acknowledged_event_is_in_every_store_once_after_fifty_kills(tmp_path: Path) -> None:
    """kill -9 at random instants under load: lake, jsonl and search hold each acknowledged event once, unchanged."""
    instants = random.Random(20250328)
    server = Server(
        tmp_path / "data",
        *(
            "--store",
            "lake",
            "--store",
            "jsonl",
            "--set",
            "worker.flush_interval_s=0.2",
            "--set",
            "worker.flush_rows=2000",
        ),
        *("--set", "jsonl.rotate_bytes=2000000", "--set", "jsonl.keep_files=1000"),
    )
    clients = [RecordingClient(server.port, seed) for seed in range(3)]
    server.start()
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            time.sleep(instants.uniform(0.05, 1.2))
            server.kill()
            server.start(wait=instants.random() < 0.8)
        server.wait_ready()
        time.sleep(1)
    finally:
        for client in clients:
            client.stop()
    acknowledged = {key: message for client in clients for key, message in client.acknowledged.items()}
    unanswered = {key: message for client in clients for key, message in client.unanswered.items()}
    assert len(acknowledged) > 1000
    try:
        server.wait_stored()
        status, exported = server.request("GET", "/api/search?format=ndjson&order=asc")
        assert status == 200
        searched = [orjson.loads(line) for line in exported.splitlines()]
        assert server.get_json("/api/count")["count"] == len(searched)
    finally:
        assert server.stop() == 0

    table = deltalake.DeltaTable(tmp_path / "data" / "lake").to_pyarrow_table(columns=["message", "attributes"])
    lake = [
        (dict(a)["n"], m) for m, a in zip(*(table[c].to_pylist() for c in ("message", "attributes")), strict=True)
    ]
    lines = [
        orjson.loads(line)
        for file in (tmp_path / "data" / "jsonl").glob("logs*.txt")
        for line in file.read_bytes().splitlines()
    ]
    assert len({line["id"] for line in lines}) == len(lines)

    stores = {
        "search": [(event["attributes"]["n"], event["message"]) for event in searched],
        "lake": lake,
        "jsonl": [(line["attributes"]["n"], line["message"]) for line in lines],
    }
    for name, found in stores.items():
        counts = Counter(key for key, _ in found)
        assert [key for key, count in counts.items() if count > 1] == [], f"doubled in {name}"
        assert [key for key in acknowledged if key not in counts] == [], f"lost from {name}"
        sent = unanswered | acknowledged
        assert [pair for pair in found if sent.get(pair[0]) != pair[1]] == [], f"changed or never sent, in {name}"
