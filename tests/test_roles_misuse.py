"""What a role says when it is started wrongly, or before its places: one line that says what to do."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from deploy.local.kafka import Kafka
from deploy.local.process import free_port
from deploy.local.redis import Redis

from tailrace.config_load import load_settings
from tailrace.errors import Stop
from tailrace.model.clock import system_clock_us
from tailrace.wiring.roles import api_role, gateway_role, platform, worker_role

ROLES = {"gateway": gateway_role, "worker": worker_role, "api": api_role, "up": platform}
NOWHERE = "kafka://127.0.0.1:1/logs"


def start_and_end(role: str, data: Path, flags: Mapping[str, str]) -> None:
    settings = load_settings(None, {}, {"data": str(data), **flags}).settings
    with ROLES[role](settings, clock=system_clock_us):
        pass


def refusal(role: str, data: Path, flags: Mapping[str, str]) -> str:
    """What the command prints behind `Error: `."""
    with pytest.raises(Stop) as stopped:
        start_and_end(role, data, flags)
    return str(stopped.value)


def stores(*urls: str) -> dict[str, str]:
    return {"stores": json.dumps(urls)}


@pytest.mark.parametrize(
    ("role", "flags", "words"),
    [
        ("gateway", {}, "set log.url to kafka://HOST:PORT/TOPIC"),
        ("worker", {"log.url": NOWHERE}, "set hot.url to redis://HOST:PORT/0"),
        ("api", {"log.url": NOWHERE, "hot.url": "memory://"}, "set hot.url to redis://HOST:PORT/0"),
        ("up", {"log.url": "rabbit://x"}, "a log is sqlite:// or kafka://HOST:PORT/TOPIC"),
        ("up", {"hot.url": "memcached://x"}, "memory:// or redis://HOST:PORT/DB"),
        ("up", stores("mongodb://x"), "'mongodb://x' is none of lake, file:///PATH"),
        ("up", stores("lake", "file:///tmp/another"), "one of each kind at most"),
        ("up", stores("jsonl"), "one of them must answer queries: lake or elasticsearch"),
        ("up", stores("s3://bucket"), "a lake has a folder of its own: s3://bucket/PATH"),
        ("up", stores("elasticsearch://127.0.0.1:9200/Logs"), "cannot begin the name of an index"),
        ("up", stores("elasticsearch://me@127.0.0.1:9200/logs"), "write USER:PASSWORD@HOST"),
        ("up", stores("file://relative/lake"), "file:///PATH, with three slashes"),
        ("gateway", {"log.url": "kafka://broker"}, "'broker' is not HOST:PORT"),
        ("gateway", {"log.url": "kafka://127.0.0.1:1/two words"}, "'two words' is not the name of a topic"),
        ("gateway", {"log.url": NOWHERE, "kafka.options": '{"acks":"1"}'}, "acks is set by Tailrace"),
        ("gateway", {"log.url": NOWHERE, "kafka.options": '{"compresion.type":"lz4"}'}, '"compresion.type"'),
        ("gateway", {"log.urll": "x"}, "did you mean log.url?"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_do(
    tmp_path: Path, role: str, flags: Mapping[str, str], words: str
) -> None:
    """Whatever is wrong in itself is said at once, before any place is asked."""
    said = refusal(role, tmp_path, flags)
    assert words in said
    assert "\n" not in said.removeprefix("the settings are wrong:\n")


@pytest.fixture(params=[200, 404])
def somebody_else(request: pytest.FixtureRequest) -> Iterator[str]:
    """HOST:PORT of an HTTP server that is no Elasticsearch, with a page at `/` or without."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_a_search_server_that_is_something_else_is_refused(tmp_path: Path, somebody_else: str) -> None:
    """As the store that answers queries, and as a second one."""
    url = f"elasticsearch://{somebody_else}/logs"
    for urls in ([url], ["lake", url]):
        assert "neither Elasticsearch nor OpenSearch" in refusal("up", tmp_path, stores(*urls))


@pytest.mark.slow
def test_a_lake_without_rights_is_refused(tmp_path: Path, s3: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that the object store does not know: said at once, and not tried for ever."""
    options = {**s3.storage_options, "aws_secret_access_key": "wrong"}  # type: ignore[attr-defined]
    said = refusal("up", tmp_path, {**stores("s3://bucket/lake"), "lake.storage_options": json.dumps(options)})
    assert said.startswith("s3://bucket/lake: ")
    assert "wrong" not in said


@pytest.mark.slow
def test_redis_that_says_no_is_refused_and_one_that_is_away_is_not_waited_for(tmp_path: Path, kafka: Kafka) -> None:
    """A wrong password will be wrong tomorrow; without Redis all goes on."""
    log = {"log.url": kafka.url("misuse"), "kafka.partitions": "1", **stores("lake")}
    with LockedRedis(tmp_path / "redis") as redis:
        place = redis.url.removeprefix("redis://")
        for url in (redis.url, f"redis://:wrong@{place}", f"redis://:right@{place.removesuffix('/0')}/99"):
            for role in ("worker", "up"):
                said = refusal(role, tmp_path / role, {**log, "hot.url": url})
                assert f"hot.url: Redis at {redis.address} refuses" in said
                assert "wrong" not in said.replace("WRONGPASS", "")
    start_and_end("worker", tmp_path / "away", {**log, "hot.url": redis.url})


class LockedRedis(Redis):
    """With the password `right`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, arguments=("--requirepass", "right"))

    def is_ready(self) -> bool:
        return "Ready to accept connections" in self.said()


def spawn(data: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tailrace", *arguments, "--data", str(data)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    command += ["--listen", f"127.0.0.1:{free_port()}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)


@pytest.mark.slow
def test_the_command_prints_one_line(tmp_path: Path) -> None:
    """Exit code 1, and nothing but the error."""
    with spawn(tmp_path, "gateway") as command:
        said, _ = command.communicate(timeout=120)
    assert command.returncode == 1
    assert said.startswith(b"Error: tailrace gateway shares its log with other processes: set log.url")
    assert said.count(b"\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_role_that_waits_says_for_what_and_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """A search server that is away at the start is waited for; a signal ends the wait."""
    store = f"elasticsearch://127.0.0.1:{free_port()}/logs"
    with spawn(tmp_path, "up", "--store", store) as command:
        assert command.stdout is not None
        line = command.stdout.readline()
        assert b"waiting for elasticsearch" in line
        command.send_signal(number)
        started_s = time.monotonic()
        assert command.wait(30) == -number
        assert time.monotonic() - started_s < 2
