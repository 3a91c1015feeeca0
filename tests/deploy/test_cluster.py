"""`make cluster`: the one command that runs everything the Compose file runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from deploy.local.process import free_port
from deploy.local.provision import PACKAGES, missing

TIMEOUT_S = 120.0


class Command:
    """`python -m deploy.local`, running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cluster"
        self.gateway = f"http://127.0.0.1:{(gateway := free_port())}"
        self.api = f"http://127.0.0.1:{(api := free_port())}"
        self._output = folder / "output"
        options = ["--folder", str(self.folder), "--rate", "200", "--set", "worker.flush_interval_s=0.5"]
        options += ["--gateway-port", str(gateway), "--api-port", str(api)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "deploy.local", *options], stdout=output, stderr=output
            )

    def said(self) -> str:
        return self._output.read_text("utf-8", "replace")

    def wait_ready(self) -> None:
        self.until(lambda: "ready after" in self.said() and "Ctrl-C" in self.said())

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not done():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.2)

    def addresses(self) -> dict[str, str]:
        """Process and address, as its table has them."""
        rows = [line.split() for line in self.said().splitlines() if ".output" in line]
        return {row[0]: row[2] for row in rows}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    if problems := missing(PACKAGES):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the cluster is NOT TESTED: {problems}")
    running = Command(tmp_path)
    try:
        running.wait_ready()
        yield running
    finally:
        tree = psutil.Process(running.process.pid).children(recursive=True) if running.process.poll() is None else []
        running.process.send_signal(signal.SIGINT)
        try:
            running.process.wait(TIMEOUT_S)
        finally:
            # A dozen servers that nobody stops would slow down every later test.
            for left in [running.process, *tree]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()


@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
def test_one_command_runs_the_whole_flow(command: Command) -> None:
    """An event posted to a gateway is found by both apis, in Elasticsearch and in logs.txt."""
    addresses = command.addresses()
    roles = {"worker1", "worker2", "worker3", "gateway1", "gateway2", "api1", "api2", "generator"}
    assert set(addresses) == {"kafka", "redis", "elasticsearch", *roles}

    event = {"level": "ERROR", "service": "auth-service", "message": "a needle in the river"}
    request = urllib.request.Request(f"{addresses['gateway2']}/logs", json.dumps(event).encode())
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status in (200, 201, 202)

    for api in (command.api, addresses["api2"]):
        command.until(lambda api=api: count(f"{api}/api/count?q=needle") == 1)  # type: ignore[misc]
    [found] = get(f"{command.api}/logs?service=auth-service&q=needle")["logs"]
    assert found["message"] == event["message"]
    search = f"http://{addresses['elasticsearch']}"
    command.until(lambda: count(f"{search}/logs-*/_count?q=message:needle") == 1)
    command.until(lambda: count(f"{search}/logs-*/_count") > 500)
    text = command.folder / "logs" / "logs.txt"
    command.until(lambda: text.exists() and "needle" in text.read_text())

    pids = [process.pid for process in psutil.Process(command.process.pid).children()]
    assert len(pids) == len(addresses)
    command.process.send_signal(signal.SIGINT)
    assert command.process.wait(TIMEOUT_S) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def count(url: str) -> int:
    try:
        return int(get(url)["count"])
    except urllib.error.HTTPError:
        return 0
