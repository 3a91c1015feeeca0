"""Elasticsearch's routes: what clients ask first, what they send, and the errors they understand."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tailrace.broker.port import LogRecord, Record
from tailrace.config import IngestSettings
from tailrace.errors import RetryLater, SlowDown
from tailrace.ingest.gateway import Gateway
from tailrace.model.batch import ARROW_STREAM, decode_batch
from tailrace.model.claim import DOCUMENTS, ROW_CLAIMS
from tailrace.ops.metrics import Metrics
from tailrace.serve.app import create_app
from tailrace.serve.elasticsearch.bulk_routes import bulk_router
from tailrace.serve.elasticsearch.probe_routes import probe_router
from tests.read_from import ReadFrom
from tests.serve.conftest import NOW_US, Client, House


def application(house: House, gateway: Gateway | None = None) -> Client:
    places = house.places
    routers = [bulk_router(gateway or places.gateway, places.metrics), probe_router()]
    return house.client_of(create_app(places, routers=routers))


@pytest.fixture
def elastic(house: House) -> Client:
    return application(house)


def stored(house: House) -> list[tuple[str, dict[str, str]]]:
    """Message and attributes of the log's events."""
    reader = house.log.reader("test", ReadFrom())
    records = reader.poll(bytes_max=1 << 20, timeout_s=0)
    reader.close()
    found: list[tuple[str, dict[str, str]]] = []
    for each in records:
        assert isinstance(each, LogRecord)
        assert each.record.headers.get(ROW_CLAIMS, DOCUMENTS) == DOCUMENTS
        if each.record.content_type == ARROW_STREAM:
            rows = decode_batch(each.record.payload).to_pylist()
            found += [(row["message"], dict(row["attributes"])) for row in rows]
    return found


ITEM = '{"create":{"_index":"web","_id":"%s"}}\n{"message":"m%s"}\n'


CONTENT_TYPES = (
    "application/vnd.elasticsearch+x-ndjson; compatible-with=9",
    "application/json; charset=utf-8",
    "text/odd",
    "",
)


def test_bulk_whatever_the_method_and_the_content_type(house: House, elastic: Client) -> None:
    """The events are in the log when it is answered, and the answer says that it comes from Elasticsearch."""
    requests = [(method, content_type) for method in ("PUT", "POST") for content_type in CONTENT_TYPES]
    for number, (method, content_type) in enumerate(requests):
        headers = {"content-type": content_type, "content-encoding": "gzip"}
        body = gzip.compress((ITEM % (number, number) + '{"index":{}}\n{"message":"n"}').encode())
        answer = elastic.request(method, "/own/_bulk?filter_path=errors&refresh=true", content=body, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["x-elastic-product"] == "Elasticsearch"
        assert answer.headers["content-type"] == "application/json"
        created = b',"errors":false,"items":[{"create":{"_index":"web","_id":"%d","status":201}},' % number
        assert created in answer.content
    expected = [(f"m{number}", {"_index": "web", "_id": str(number)}) for number in range(len(requests))]
    found = stored(house)
    assert found[::2] == expected
    assert found[1::2] == [("n", {"_index": "own"})] * len(requests)


def test_a_document_that_was_made_durable_is_not_appended_again(house: House, elastic: Client) -> None:
    """Over another path and as a single document too; one that was refused for its bytes is no such document."""
    assert elastic.request("POST", "/_bulk", content=ITEM % (1, 1)).json()["errors"] is False
    again = elastic.request("POST", "/_bulk", content=ITEM % (1, 2) + ITEM % (2, 2)).json()
    assert [item["create"]["status"] for item in again["items"]] == [409, 201]
    assert elastic.request("PUT", "/web/_create/1", content=b'{"message":"m3"}').status_code == 409
    assert elastic.request("PUT", "/web/_doc/1?op_type=create", content=b'{"message":"m3"}').status_code == 409
    assert elastic.request("PUT", "/web/_doc/1", content=b'{"message":"m3"}').json()["result"] == "noop"
    assert elastic.request("PUT", "/web/_create/3", content=b'{"message"').status_code == 400
    assert elastic.request("POST", "/web/_create/3", content=b'{"message":"m3"}').status_code == 201
    assert elastic.request("POST", "/web/_doc", content=b'{"message":"m4"}').json()["_id"]
    assert elastic.request("PUT", "/web/_doc/a%2Fb", content=b'{"message":"m5"}').json()["_id"] == "a/b"
    assert [message for message, _ in stored(house)] == ["m1", "m2", "m3", "m4", "m5"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "type"),
    [
        (b"no action", {}, 400, "illegal_argument_exception"),
        (b"", {}, 400, "illegal_argument_exception"),
        (b"{}", {"content-encoding": "br"}, 415, "media_type_header_exception"),
        (b"{}", {"content-encoding": "gzip"}, 400, "illegal_argument_exception"),
        (b"x" * 70, {}, 413, "content_too_long_exception"),
        (gzip.compress(b"x" * 70), {"content-encoding": "gzip"}, 413, "content_too_long_exception"),
    ],
)
def test_errors_have_elasticsearchs_shape(
    house: House, body: bytes, headers: dict[str, str], status: int, type: str
) -> None:
    """And its header, or its clients would say that this is no Elasticsearch; nothing is kept."""
    gateway = Gateway(
        house.log, settings=IngestSettings(body_bytes_max=64), clock=lambda: NOW_US, metrics=house.places.metrics
    )
    answer = application(house, gateway).request("POST", "/_bulk", content=body, headers=headers)
    gateway.close()
    assert answer.status_code == status
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    error = answer.json()
    assert error["status"] == status
    assert error["error"]["type"] == error["error"]["root_cause"][0]["type"] == type
    assert stored(house) == []


@pytest.mark.parametrize(
    ("error", "status"), [(SlowDown("full", retry_after_s=3), 429), (RetryLater("away", retry_after_s=3), 503)]
)
def test_what_may_be_sent_again_says_when(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """429 and 503 with Retry-After; and its id is not taken for a durable one."""

    def refuse(_: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        raise error

    monkeypatch.setattr(house.log, "append", refuse)
    gateway = Gateway(house.log, settings=IngestSettings(), clock=lambda: NOW_US, metrics=Metrics())
    client = application(house, gateway)
    for _ in range(2):
        answer = client.request("POST", "/_bulk", content=ITEM % (1, 1))
        assert (answer.status_code, answer.headers["retry-after"]) == (status, "3")
        assert answer.json()["error"]["reason"] == str(error)
    gateway.close()


PROBES: dict[str, Callable[[Any], bool]] = {
    "GET /_license": lambda body: body["license"]["status"] == "active",
    "GET /_xpack": lambda body: body["features"]["ilm"]["enabled"] is False,
    "GET /_cluster/health": lambda body: body["status"] == "green",
    "GET /_nodes/http": lambda body: body["nodes"]["tailrace"]["http"]["publish_address"] == "tailrace",
    "GET /_ilm/policy/filebeat": lambda body: body == {},
    "PUT /_ilm/policy/filebeat": lambda body: body["acknowledged"],
    "PUT /_index_template/filebeat-8": lambda body: body["acknowledged"],
    "GET /_data_stream/filebeat-8": lambda body: body == {"data_streams": []},
    "PUT /_ingest/pipeline/p": lambda body: body["acknowledged"],
    "GET /_logstash/pipeline/p": lambda body: body == {},
    "GET /node/_refresh": lambda body: body["_shards"]["failed"] == 0,
    "POST /_refresh": lambda body: body["_shards"]["failed"] == 0,
}


def test_what_clients_ask_before_they_send(elastic: Client) -> None:
    """They go on."""
    for probe, is_right in PROBES.items():
        answer = elastic.request(*probe.split())
        assert answer.status_code == 200, probe
        assert answer.headers["x-elastic-product"] == "Elasticsearch"
        assert is_right(answer.json()), probe


def test_what_clients_ask_for_without_a_body(elastic: Client) -> None:
    """HEAD: whether it is there."""
    for name in (
        "_index_template/x",
        "_template/x",
        "_cat/health",
        "_alias/x",
        "_data_stream/x",
        "_component_template/x",
    ):
        assert elastic.request("HEAD", f"/{name}").status_code == 200, name


CLIENTS = (
    {"accept": "application/vnd.elasticsearch+json; compatible-with=9", "user-agent": "elasticsearch-py/9.5.1"},
    {"accept": "application/json", "user-agent": "Elastic-filebeat/8.19.0 (linux; amd64)"},
    {"accept": "*/*", "user-agent": "curl/8.5.0"},
    {"user-agent": "opensearch-py/3.2.0"},
)


def test_the_root_greets_clients_as_elasticsearch_does(elastic: Client) -> None:
    """Version, flavour and tagline are what they look at."""
    for headers in CLIENTS:
        body: dict[str, Any] = elastic.get("/", headers=headers).json()
        assert body["version"]["number"].startswith("8.")
        assert body["version"]["build_flavor"] == "default"
        assert body["tagline"] == "You Know, for Search"
        assert elastic.request("HEAD", "/", headers=headers).headers["x-elastic-product"] == "Elasticsearch"


def test_the_root_is_the_page_for_browsers(house: House, elastic: Client) -> None:
    """Whoever takes HTML gets the dashboard, as without these routes."""
    headers = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page = elastic.get("/", headers=headers)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "x-elastic-product" not in page.headers
    assert (
        elastic.get("/live", headers={"accept": "application/json"}).headers["content-type"].startswith("text/html")
    )


def test_the_description_tells_the_truth_about_errors(house: House) -> None:
    """They are described in Elasticsearch's shape, and not as problem documents."""
    places = replace(house.places)
    document = create_app(places, routers=[bulk_router(places.gateway, places.metrics), probe_router()]).openapi()
    bulk = document["paths"]["/_bulk"]
    assert set(bulk) == {"post", "put"}
    for status, answer in bulk["post"]["responses"].items():
        assert list(answer["content"]) == ["application/json"], status
    assert "/_license" not in document["paths"]


def test_two_requests_at_once_may_both_be_created(house: House) -> None:
    """Neither knows of the other; whoever reads the log leaves one out."""
    places = house.places
    app = create_app(places, routers=[bulk_router(places.gateway, places.metrics)])

    async def send() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tailrace") as client:
            answers = await asyncio.gather(*(client.post("/_bulk", content=ITEM % (1, 1)) for _ in range(2)))
        return [json.loads(answer.content)["items"][0]["create"]["status"] for answer in answers]

    assert set(asyncio.run(send())) <= {201, 409}
    assert 1 <= len(stored(house)) <= 2
