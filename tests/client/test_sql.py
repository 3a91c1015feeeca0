"""`tailrace sql` and `tailrace dead-letters`: what they ask for and print."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from tailrace.client.dead_letters import dead_letters
from tailrace.client.sql import sql
from tests.client.api_server import ApiServer, Request, api_server


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running


def test_a_table_of_any_values(server: ApiServer) -> None:
    """Numbers, nulls and nested values in a table, and a word when there is more than it shows."""
    server.routes["POST /api/sql"] = lambda request: request.answer_json(
        {
            "columns": [{"name": "service", "type": "string"}, {"name": "n", "type": "int64"}],
            "rows": [["shop", 12], [None, {"a": [1]}]],
            "count": 2,
            "truncated": True,
        }
    )
    done = CliRunner().invoke(sql, ["SELECT 1", "--url", server.url])
    assert done.stdout.splitlines() == ["service  n", "-------  ---------", "shop     12", '         {"a":[1]}']
    assert "only the first 2 rows" in done.stderr
    assert orjson.loads(server.requests[-1].body) == {"query": "SELECT 1", "format": "json"}


@pytest.mark.parametrize(("output", "form"), [("json", "ndjson"), ("csv", "csv")])
def test_streams_pass_through(server: ApiServer, output: str, form: str) -> None:
    """JSON and CSV are the server's own bytes, and `-` reads the query from standard input."""
    server.routes["POST /api/sql"] = lambda request: request.stream(b'"a","b"\n1,"x', b'y"\n')
    done = CliRunner().invoke(sql, ["-", "--output", output, "--url", server.url], input="SELECT 2")
    assert done.stdout == '"a","b"\n1,"xy"\n'
    assert orjson.loads(server.requests[-1].body) == {"query": "SELECT 2", "format": form}


def test_a_wrong_statement_is_exit_status_2(server: ApiServer) -> None:
    """With the server's reason."""
    server.routes["POST /api/sql"] = lambda request: request.answer_json(
        {"title": "x", "detail": "no such table"}, 400
    )
    done = CliRunner().invoke(sql, ["SELECT 1 FROM x", "--url", server.url])
    assert (done.exit_code, done.stderr) == (2, "Error: no such table\n")


class Letters:
    """The routes of the dead letters, over a list."""

    def __init__(self, server: ApiServer, count: int) -> None:
        self.ids = [f"0-{number}-0" for number in range(count, 0, -1)]
        self.replayed: dict[str, bytes] = {}
        server.routes["GET /api/dead-letters"] = self._list
        for letter_id in self.ids:
            path = f"/api/dead-letters/{letter_id}"
            server.routes[f"GET {path}"] = self._get
            server.routes[f"DELETE {path}"] = self._drop
            server.routes[f"POST {path}/replay"] = self._replay

    @staticmethod
    def summary(letter_id: str) -> dict[str, Any]:
        return {
            "id": letter_id,
            "observed_timestamp": "2025-03-28T10:00:00.000000Z",
            "source": "POST /logs from 127.0.0.1",
            "line": 3,
            "reason": "not JSON",
            "content_type": "application/x-ndjson",
            "bytes": 4,
        }

    def _list(self, request: Request) -> None:
        before = request.query.get("before")
        first = self.ids.index(before) + 1 if before else 0
        page = self.ids[first : first + int(request.query["limit"])]
        more = page[-1] if first + len(page) < len(self.ids) else None
        letters = [self.summary(each) for each in page]
        request.answer_json({"dead_letters": letters, "count": len(self.ids), "next_before": more})

    def _get(self, request: Request) -> None:
        letter = self.summary(request.path.rsplit("/", 1)[1])
        raw = b"\xff\x00{a"
        request.answer_json(letter | {"raw_base64": base64.b64encode(raw).decode(), "text": None})

    def _drop(self, request: Request) -> None:
        self.ids.remove(request.path.rsplit("/", 1)[1])
        request.answer(204, b"")

    def _replay(self, request: Request) -> None:
        letter_id = request.path.split("/")[-2]
        self.replayed[letter_id] = request.body
        if letter_id == "0-2-0":
            problem = {"title": "Bad Request", "detail": "still cannot be decoded"}
            request.answer_json(problem | {"errors": [{"line": 1, "reason": "no brace"}]}, 400)
        else:
            request.answer_json({"accepted": 1})


def letters(server: ApiServer, *arguments: str, text: str | None = None) -> Any:
    return CliRunner().invoke(dead_letters, [*arguments, "--url", server.url], input=text)


def test_dead_letters_are_listed_page_by_page(server: ApiServer) -> None:
    """More than a page of the server holds, up to the limit asked for."""
    Letters(server, 1_200)
    done = letters(server, "list", "--limit", "700", "--output", "json")
    ids = [orjson.loads(line)["id"] for line in done.stdout.splitlines()]
    assert ids == [f"0-{number}-0" for number in range(1_200, 500, -1)]
    assert "2 of 1,200" in letters(server, "list", "--limit", "2").stderr


def test_a_dead_letter_is_shown_with_its_bytes(server: ApiServer) -> None:
    """As a dump when they are no text, and alone with --raw."""
    Letters(server, 1)
    assert "ff 00 7b 61" in letters(server, "show", "0-1-0").stdout
    assert letters(server, "show", "0-1-0", "--raw").stdout_bytes == b"\xff\x00{a"
    assert letters(server, "show", "0-9-0").exit_code == 2


def test_replaying_all_goes_on_past_one_that_fails(server: ApiServer) -> None:
    """It says which stays and why, and ends with exit status 1."""
    kept = Letters(server, 3)
    done = letters(server, "replay", "--all")
    assert sorted(kept.replayed) == ["0-1-0", "0-2-0", "0-3-0"]
    assert done.exit_code == 1
    assert "0-2-0: still cannot be decoded: no brace" in done.stderr
    assert done.stdout.count("1 events are in the log") == 2


def test_a_mended_letter_is_sent_with_its_new_bytes(server: ApiServer, tmp_path: Path) -> None:
    """From a file; and only one at a time."""
    kept = Letters(server, 3)
    mended = tmp_path / "line.json"
    mended.write_bytes(b'{"a":1}')
    assert letters(server, "replay", "0-1-0", "--mended", str(mended)).exit_code == 0
    assert kept.replayed == {"0-1-0": b'{"a":1}'}
    assert letters(server, "replay", "--all", "--mended", str(mended)).exit_code == 2


def test_dropping_asks_first(server: ApiServer) -> None:
    """There is no way back, so `no` and nothing at all keep everything."""
    kept = Letters(server, 3)
    assert letters(server, "drop", "--all", text="n\n").exit_code == 1
    assert len(kept.ids) == 3
    assert letters(server, "drop", "--yes").exit_code == 2
    assert letters(server, "drop", "0-2-0", "--yes").stdout == "1 dropped\n"
    assert letters(server, "drop", "--all", text="y\n").exit_code == 0
    assert kept.ids == []
