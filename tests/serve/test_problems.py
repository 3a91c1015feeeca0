from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tailrace.errors import NotFound, QueryError, RetryLater, SlowDown, Stop, TooLarge
from tailrace.serve.query_threads import QueryThreads
from tailrace.store.port import Snapshot
from tests.serve.conftest import Client, House


class _Failing:
    """A searchable in which a fault lies."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        raise self._fault
        yield


@pytest.mark.parametrize(
    ("fault", "status", "members"),
    [
        (RetryLater("the lake is away", retry_after_s=7), 503, {"retry_after_s": 7}),
        (SlowDown("too many"), 429, {"retry_after_s": 1}),
        (QueryError("odd", column=3), 400, {"column": 3, "detail": "column 3: odd"}),
        (NotFound("not here"), 404, {"title": "Not Found"}),
        (TooLarge("too much"), 413, {}),
        (Stop("file x is damaged"), 500, {}),
        (ValueError("secret detail"), 500, {}),
    ],
)
def test_each_error_has_its_answer(house: House, fault: Exception, status: int, members: dict[str, Any]) -> None:
    """Every kind of error, at a page and at a stream, is its problem document; what is inside stays inside."""
    client = house.client(searchable=_Failing(fault))
    for path in ("/api/count", "/api/search?format=ndjson", "/logs"):
        _check_problem(client.get(path), status, members)


def _check_problem(answer: httpx.Response, status: int, members: dict[str, Any]) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= problem.keys()
    assert members.items() <= problem.items()
    if status in (429, 503):
        assert answer.headers["retry-after"] == str(members["retry_after_s"])
    if status == 500:
        assert "secret" not in answer.text
        assert "damaged" not in problem["detail"] or "log" in problem["detail"]


def test_an_unforeseen_error_is_logged_with_the_id_it_is_answered_with(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """The client's id of the request, or a made one, joins a 500 with the server's log."""
    client = house.client(searchable=_Failing(ValueError("inside")))
    answer = client.get("/api/count", headers={"X-Request-Id": "abc-1"})
    assert answer.json()["instance"] == answer.headers["x-request-id"] == "abc-1"
    assert "abc-1" in caplog.text
    assert "inside" in caplog.text
    odd = client.get("/api/count", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert odd.isalnum()


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/api/count", 405)])
def test_an_unknown_path_and_method(client: Client, method: str, path: str, status: int) -> None:
    """404 and 405 are problem documents that name the path."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert path in answer.json()["detail"]
    if status == 405:
        assert answer.headers["allow"]


def test_every_answer_has_the_security_headers(client: Client) -> None:
    """Good answers and bad ones carry them, and a request id."""
    for path in ("/healthz", "/nothing", "/docs", "/api/search?limit=x"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]


def test_queries_past_the_bound_are_refused(make_house: Callable[..., House]) -> None:
    """With every place taken the next query is a 429 at once, and counted."""
    house = make_house(requests_max=1)
    threads = QueryThreads(house.places.settings.query, house.places.metrics)
    with threads.admitted("count"), pytest.raises(SlowDown, match="requests_max"), threads.admitted("count"):
        pass
    with threads.admitted("count"):
        pass
    threads.close()
    assert b'tailrace_queries_refused_total{kind="count"} 1.0' in house.client().get("/metrics").content
