from __future__ import annotations

import base64

import pyarrow as pa

from tailrace.broker.port import LogRecord
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings
from tailrace.model.batch import decode_batch
from tailrace.model.claim import CLAIM, ONLY_STORE
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA
from tailrace.serve.health_routes import MASK, masked
from tailrace.serve.places import Readiness
from tailrace.store.dead_letters import DeadLetters
from tests.serve.conftest import NOW_US, Client, House, many

GOOD = b'{"message": "mended", "service": "pay"}'


def _letters(house: House, *raws: bytes, offset: int = 17, source: str = "POST /logs from 127.0.0.1") -> None:
    rows = [
        {
            "observed_timestamp": NOW_US,
            "source": source,
            "line": row + 1,
            "reason": "not JSON",
            "content_type": "application/json",
            "raw": raw,
        }
        for row, raw in enumerate(raws)
    ]
    identities = [(0, offset, row) for row in range(len(raws))]
    kept = house.places.dead_letters
    assert isinstance(kept, DeadLetters)
    kept.add(pa.RecordBatch.from_pylist(rows, DEAD_LETTER_SCHEMA), identities)


def _logged(log: SqliteLog) -> list[tuple[list[str], dict[str, str]]]:
    reader = log.reader("test")
    records = reader.poll(bytes_max=1 << 20, timeout_s=0)
    reader.close()
    return [
        (decode_batch(each.record.payload)["message"].to_pylist(), dict(each.record.headers))
        for each in records
        if isinstance(each, LogRecord)
    ]


def test_health_and_readiness(house: House, client: Client) -> None:
    """healthz answers always; readyz is 503 while a place is missing, and names it."""
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json()["ready"] is True
    house.readiness[1] = Readiness("lake", False, "disk full")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "lake: disk full"
    assert answer.json()["places"][0] == {"name": "log", "ready": True, "detail": ""}
    assert client.get("/healthz").status_code == 200


def test_metrics_are_in_prometheus_text(house: House, client: Client) -> None:
    """Queries and cache answers are counted where they happen."""
    house.hot.put([many(3)])
    client.get("/logs")
    client.get("/logs")
    client.get("/api/search?format=csv")
    text = client.get("/metrics").text
    assert 'tailrace_cache_answers_total{result="hit"} 1.0' in text
    assert 'tailrace_cache_answers_total{result="miss"} 1.0' in text
    assert 'tailrace_query_seconds_count{kind="export"} 1.0' in text


def test_status_says_what_there_is(house: House, client: Client) -> None:
    """The status has the figures of the places and the settings in force."""
    _letters(house, b"x")
    status = client.get("/api/status").json()
    assert status["log"]["records"] == 0
    assert status["stores"] == {"lake": {"files": 1, "bytes": 2}}
    assert status["dead_letters"] == 1
    assert status["settings"]["query"]["cache_s"] == 120
    assert status["now"] == "2025-03-28T10:00:00.000000Z"


def test_secrets_are_masked() -> None:
    """Passwords in URLs, in parameters of URLs and in settings named so are not told; the rest is."""
    told = masked(
        {
            "listen": "127.0.0.1:8001",
            "log": {"url": "kafka://user:hunter2@host:9092/logs?sasl_password=hunter2&x=1"},
            "api_key": "hunter2",
            "auth": {"tokens": ["hunter2"], "bearer_token": "hunter2", "keys": None},
            "urls": ["redis://:hunter2@host"],
        }
    )
    assert "hunter2" not in str(told)
    assert told["log"]["url"] == f"kafka://{MASK}@host:9092/logs?sasl_password={MASK}&x=1"
    assert told["listen"] == "127.0.0.1:8001"


def test_dead_letters_are_listed_read_and_dropped(house: House, client: Client) -> None:
    """The list pages from the newest; one has its bytes and text; what was dropped is gone."""
    _letters(house, b"\xff\x00", b"{bad", b"{worse")
    page = client.get("/api/dead-letters?limit=2").json()
    assert [each["id"] for each in page["dead_letters"]] == ["0-17-2", "0-17-1"]
    assert page["count"] == 3
    rest = client.get("/api/dead-letters", params={"limit": 2, "before": page["next_before"]}).json()
    assert [each["id"] for each in rest["dead_letters"]] == ["0-17-0"]
    assert rest["next_before"] is None
    whole = client.get("/api/dead-letters/0-17-0").json()
    assert (base64.b64decode(whole["raw_base64"]), whole["text"]) == (b"\xff\x00", None)
    assert client.get("/api/dead-letters/0-17-1").json()["text"] == "{bad"
    assert client.request("DELETE", "/api/dead-letters/0-17-1").status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        assert client.request(method, f"/api/dead-letters/0-17-1{path}").status_code == 404


def test_a_dead_letter_is_replayed_mended(house: House, client: Client) -> None:
    """While it is wrong it stays; mended, its event is in the log, marked with its letter, and it is gone."""
    _letters(house, b'{"message": "mended"')
    still = client.request("POST", "/api/dead-letters/0-17-0/replay")
    assert still.status_code == 400
    assert still.json()["errors"][0]["line"] == 1
    assert _logged(house.log) == []
    assert client.get("/api/dead-letters").json()["count"] == 1
    done = client.request("POST", "/api/dead-letters/0-17-0/replay", content=GOOD)
    assert done.json() == {"accepted": 1}
    assert _logged(house.log) == [(["mended"], {CLAIM: "letter/0-17-0"})]
    assert client.get("/api/dead-letters").json()["count"] == 0


def test_what_a_store_refused_is_replayed_to_that_store_alone(house: House, client: Client) -> None:
    """The log record names the store, so that those that have the event do not get it twice."""
    _letters(house, GOOD, source="elasticsearch: logs-2025.03.28")
    [letter] = client.get("/api/dead-letters").json()["dead_letters"]
    assert letter["id"] == "0-17-0-elasticsearch"
    assert client.request("POST", f"/api/dead-letters/{letter['id']}/replay").json() == {"accepted": 1}
    assert _logged(house.log) == [(["mended"], {CLAIM: "letter/0-17-0-elasticsearch", ONLY_STORE: "elasticsearch"})]
    assert client.get(f"/api/dead-letters/{letter['id']}").status_code == 404


def test_a_mended_text_has_the_bounds_of_a_body(house: House, client: Client) -> None:
    """A replay's body is held to ingest.body_bytes_max, and with all others to ingest.body_bytes_in_flight_max."""
    _letters(house, b"x")
    house.places.gateway.limits = IngestSettings(body_bytes_max=100, body_bytes_in_flight_max=120)
    too_large = client.request("POST", "/api/dead-letters/0-17-0/replay", content=GOOD * 3)
    assert (too_large.status_code, "ingest.body_bytes_max" in too_large.json()["detail"]) == (413, True)
    with house.places.gateway.reservation() as others:
        others.add(100)
        assert client.request("POST", "/api/dead-letters/0-17-0/replay", content=GOOD).status_code == 429
    assert client.request("POST", "/api/dead-letters/0-17-0/replay", content=GOOD).json() == {"accepted": 1}
