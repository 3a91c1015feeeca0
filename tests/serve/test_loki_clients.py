"""Loki's own command line client, and live tails over a WebSocket, against a real server."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.serve.test_loki_doc import COMMANDS
from tests.server import Server

pytestmark = pytest.mark.slow

_HOME = Path(__file__).parents[2] / ".servers" / "bin" / "logcli"
LOGCLI = shutil.which("logcli") or (str(_HOME) if _HOME.exists() else None)
needs_logcli = pytest.mark.skipif(LOGCLI is None, reason="NOT TESTED: no logcli; tests/shippers/go/build makes it")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("loki") / "data") as running:
        now_s = time.time()
        native = [
            {"timestamp": now_s - 60 + number, "level": ("INFO", "ERROR")[number % 2], "service": "pay", "host": "h1"}
            | {"message": json.dumps({"status": 200 + number % 3, "took": f"{number}ms"})}
            for number in range(50)
        ]
        status, _ = running.post_logs("\n".join(map(json.dumps, native)).encode())
        assert status == 202
        push(running, [(f"pushed {number}", now_s - 30 + number) for number in range(20)])
        running.wait_stored()
        yield running


def push(server: Server, lines: list[tuple[str, float]]) -> None:
    values = [[str(int(at_s * 1e6) * 1000), line, {"user": "u1"}] for line, at_s in lines]
    body = json.dumps({"streams": [{"stream": {"app": "shop", "env": "prod"}, "values": values}]}).encode()
    status, answer = server.request("POST", "/loki/api/v1/push", body, {"content-type": "application/json"})
    assert status == 204, answer


def logcli(server: Server, *arguments: str) -> str:
    assert LOGCLI is not None
    command = [LOGCLI, "--quiet", f"--addr={server.url}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()


@needs_logcli
def test_logcli_lists_labels_and_streams(server: Server) -> None:
    """Of events of the native API and of pushed ones together."""
    assert logcli(server, "labels").split() == ["app", "env", "host", "level", "service_name"]
    assert logcli(server, "labels", "service_name").split() == ["pay", "shop"]
    assert logcli(server, "series", '{app="shop"}').strip() == '{app="shop", env="prod", service_name="shop"}'


@needs_logcli
def test_logcli_reads_lines_in_batches(server: Server) -> None:
    """Each of them once, although it asks for a few at a time."""
    raw = logcli(server, "query", '{app="shop"}', "--limit=100", "--batch=7", "--output=raw", "--forward")
    assert raw.split("\n")[:-1] == [f"pushed {number}" for number in range(20)]
    parsed = logcli(server, "query", '{service_name="pay"} | json | status=201 | took>40ms', "--output=jsonl")
    lines = [json.loads(line) for line in parsed.splitlines()]
    assert sorted(json.loads(each["line"])["took"] for each in lines) == ["43ms", "46ms", "49ms"]


@needs_logcli
def test_logcli_asks_for_metrics(server: Server) -> None:
    """A count by level, and one that is none."""
    query = 'sum by (level) (count_over_time({service_name="pay"}[5m]))'
    counts = json.loads(logcli(server, "instant-query", query))
    assert sorted((each["metric"]["level"], each["value"][1]) for each in counts) == [("error", "25"), ("info", "25")]
    with pytest.raises(subprocess.CalledProcessError) as failed:
        logcli(server, "instant-query", 'rate({a="b"}[1m]) by (c)')
    assert b"grouping not allowed for rate aggregation" in failed.value.stderr


@needs_logcli
def test_logcli_shows_volumes_stats_and_fields(server: Server) -> None:
    """What Grafana asks for beside lines."""
    volumes = json.loads(logcli(server, "volume", '{service_name=~".+"}', "--targetLabels=service_name"))
    assert {each["metric"]["service_name"] for each in volumes} == {"pay", "shop"}
    assert "entries: 20" in logcli(server, "stats", '{app="shop"}')
    assert "took" in logcli(server, "detected-fields", '{service_name="pay"}')


@needs_logcli
@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("logcli") and "--tail" not in line])
def test_the_commands_of_the_page_run(server: Server, command: str) -> None:
    """Each as it stands there."""
    logcli(server, *shlex.split(command)[1:])


@needs_logcli
def test_logcli_follows_a_query(server: Server) -> None:
    """The last lines of the past, and each new one, once."""
    assert LOGCLI is not None
    command = [LOGCLI, "--quiet", f"--addr={server.url}", "query", "--tail", "--output=raw", "--limit=2"]
    with subprocess.Popen([*command, '{app="shop"} |~ "pushed|followed"'], stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        try:
            said = [following.stdout.readline().decode().strip() for _ in range(2)]
            push(server, [("followed", time.time())])
            said.append(following.stdout.readline().decode().strip())
        finally:
            following.terminate()
    assert said == ["pushed 18", "pushed 19", "followed"]


def tail(server: Server, query: str, more: str = "") -> ClientConnection:
    return connect(f"{server.url.replace('http', 'ws')}/loki/api/v1/tail?query={query}{more}")


def received(socket: ClientConnection) -> dict[str, Any]:
    """The next message that has lines."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(timeout=20))
        if message["streams"]:
            return message


def test_a_tail_begins_with_old_lines_and_goes_on_with_new_ones(server: Server) -> None:
    """From `start` on, the last of them; then each new line of the query, and no other."""
    with tail(server, "{app=%22shop%22}|~%22pushed|new%22", f"&limit=3&start={int(time.time()) - 600}") as socket:
        old = received(socket)["streams"]
        assert [line for _, line in old[0]["values"]] == ["pushed 17", "pushed 18", "pushed 19"]
        push(server, [("other", time.time()), ("new one", time.time())])
        new = received(socket)["streams"]
        assert [line for _, line in new[0]["values"]] == ["new one"]
        assert new[0]["stream"]["app"] == "shop"


def test_a_tail_without_a_query_that_can_be_read_is_closed(server: Server) -> None:
    """With the reason."""
    with tail(server, "{app=") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert "parse error" in closed.value.rcvd.reason


def test_a_server_that_stops_closes_its_tails(tmp_path: Path) -> None:
    """They are told that it goes, and it ends in order."""
    with Server(tmp_path / "data") as server:
        with tail(server, "{app=%22shop%22}") as socket:
            assert json.loads(socket.recv(timeout=20)) == {"streams": []}
            assert server.stop() == 0
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
