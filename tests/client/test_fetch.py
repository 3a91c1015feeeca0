"""`tailrace fetch`: random queries, measured."""

from __future__ import annotations

import random
from urllib.parse import parse_qs, urlsplit

from click.testing import CliRunner

from tailrace.client.fetch import fetch, random_path
from tests.client.api_server import Request, api_server


def test_queries_are_random_and_some_come_again() -> None:
    """All kinds of filters are used, the same seed asks the same, and a cache has something to do."""
    paths = [random_path(random.Random(number)) for number in range(3_000)]
    assert paths == [random_path(random.Random(number)) for number in range(3_000)]
    assert 500 < len(set(paths)) < 2_900
    used = {name for path in paths for name in parse_qs(urlsplit(path).query)}
    assert used == {"start", "limit", "service", "level", "q"}


def test_it_prints_latencies_cache_and_errors() -> None:
    """What the server answered is what is counted, and a failed query is exit status 1."""
    with api_server() as server:
        server.routes["GET /logs"] = lambda request: request.answer(
            200, b"{}", {"X-Cache": "hit" if "service" in request.query else "miss"}
        )
        arguments = ["--rate", "200", "--for", "300ms", "--concurrency", "3", "--url", server.url]
        done = CliRunner().invoke(fetch, arguments, catch_exceptions=False)
        asked = [request for request in server.requests if request.path == "/logs"]
        hits = sum("service" in request.query for request in asked)
        assert done.exit_code == 0
        assert done.output.startswith(f"{len(asked)} answers in ")
        assert "p50" in done.output
        assert f"cache    {hits} hits  {len(asked) - hits} misses" in done.output
        assert 0 < len(asked) <= 61

        def refuse(request: Request) -> None:
            request.answer_json({"title": "Too Many Requests", "detail": "slower"}, 429)

        server.routes["GET /logs"] = refuse
        done = CliRunner().invoke(fetch, arguments)
        assert done.exit_code == 1
        assert "x the server answered 429: Too Many Requests: slower" in done.output
