"""Docker's log drivers and OpenTelemetry's SDK for Go, as docs/ingest configures them, while the server is killed.

`tests/shippers/go/build` makes them. As that takes minutes, they are skipped where nobody has done so, in CI too.
"""

from __future__ import annotations

import collections
import itertools
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, free_port
from tests.shippers.rig import COUNT, exported, killed_meanwhile, message, wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = {"gelf": "gelf.md", "fluentd": "forward.md", "syslog": "syslog.md", "splunk": "splunk.md"}
PORTS = {"12201": "gelf_udp", "24224": "forward", "5514": "syslog_tcp", "4317": "otlp_grpc"}
COUNTS = {"fluentd": COUNT // 5}
"""Fewer than COUNT of a sender that waits for each line until it is on disk."""

_STEP = 100


@dataclass(frozen=True)
class Stored:
    """By sender: how often each number is stored, and one of the events."""

    numbers: dict[str, collections.Counter[int]]
    event: dict[str, dict[str, Any]]


def built(name: str) -> str:
    path = ROOT / ".servers" / "bin" / f"go-{name}"
    if not path.exists():
        pytest.skip(f"NOT TESTED: {path.name} is not in .servers/bin; tests/shippers/go/build makes it")
    return str(path)


def docker_command(driver: str) -> list[str]:
    """The driver and its options, as the page gives them to `docker run`."""
    page = (ROOT / "docs" / "ingest" / PAGES[driver]).read_text("utf-8")
    (line,) = re.findall(rf"docker run --log-driver {driver} .*", page)
    words = shlex.split(line)
    return [built("docker"), driver, *(after for word, after in itertools.pairwise(words) if word == "--log-opt")]


def feed(command: list[str], sender: str, is_back: threading.Event) -> None:
    """The last quarter of the lines when the server is back."""
    count = COUNTS.get(sender, COUNT)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as to:
        assert to.stdin is not None
        for first in range(0, count, _STEP):
            if first == count * 3 // 4:
                is_back.wait(120)
            lines = [f"{sender}: {message(number)}\n" for number in range(first, first + _STEP)]
            to.stdin.write("".join(lines).encode())
            to.stdin.flush()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """All senders have sent at once."""
    commands = {driver: docker_command(driver) for driver in PAGES}
    commands["otel"] = [built("otel"), "grpc", "http://127.0.0.1:4317"]
    ports = {port: free_port() for port in PORTS}
    options = [f"listeners.{PORTS[port]}=127.0.0.1:{here}" for port, here in ports.items()]
    folder = tmp_path_factory.mktemp("go")
    with Server(folder / "data", *(word for option in options for word in ("--set", option))) as server:
        address = re.compile(r"(?:127\.0\.0\.1|tailrace\.example):(\d+)")

        def here(word: str) -> str:
            return address.sub(lambda found: f"127.0.0.1:{ports.get(found[1], server.port)}", word)

        is_back = threading.Event()
        threads = [
            threading.Thread(target=feed, args=([here(word) for word in command], sender, is_back))
            for sender, command in commands.items()
        ]
        first_pid = server.pid
        with killed_meanwhile(server, after_events=COUNT):
            for thread in threads:
                thread.start()
            wait_for(lambda: server.pid != first_pid, what="the second start")
            server.wait_ready()
            is_back.set()
            for thread in threads:
                thread.join()
        server.wait_stored()
        numbers: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
        event = {}
        for each in exported(server, "*"):
            sender, _, text = str(each["message"]).partition(": ")
            numbers[sender][int(text.rpartition(" ")[2])] += 1
            event[sender] = each
        yield Stored(numbers, event)


def test_docker_fluentd(stored: Stored) -> None:
    """A line is sent again, under its id, until it is acknowledged: each is stored once."""
    assert stored.numbers["fluentd"] == dict.fromkeys(range(COUNTS["fluentd"]), 1)
    assert stored.event["fluentd"]["attributes"]["container_name"] == "/shop"


def test_docker_splunk(stored: Stored) -> None:
    """A body is sent again until it is answered: nothing is lost, and twice is at most what was on its way."""
    counted = stored.numbers["splunk"]
    assert sorted(counted) == list(range(COUNT))
    assert counted.total() - COUNT <= 1_000
    assert stored.event["splunk"]["host"]
    assert stored.event["splunk"]["attributes"]["source"] == "stdout"


def test_otel_sdk(stored: Stored) -> None:
    """Over gRPC: nothing is lost, and twice is at most the batch that was on its way."""
    counted = stored.numbers["otel"]
    assert sorted(counted) == list(range(COUNT))
    assert counted.total() - COUNT <= 512
    event = stored.event["otel"]
    assert (event["level"], event["service"], event["host"]) == ("WARN", "checkout", "web-1")
    assert event["attributes"]["order.price"] == "1.5"


@pytest.mark.parametrize("driver", ["gelf", "syslog"])
def test_docker_without_acknowledgements(stored: Stored, driver: str) -> None:
    """Nothing is twice, and what is lost is what was sent around the kill."""
    counted = stored.numbers[driver]
    assert max(counted.values()) == 1
    missing = sorted(set(range(COUNT)) - set(counted))
    assert missing == list(range(missing[0], missing[-1] + 1)), "something is lost that was sent while the server ran"
    event = stored.event[driver]
    assert (event["level"], event["service"]) == ("INFO", {"gelf": None, "syslog": "shop"}[driver])
    assert event["host"]
