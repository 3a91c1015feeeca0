"""What the tests of real clients share: a server on ports of its own that is killed while they send.

A client sends COUNT events. The message of each ends in `event N`, with N from 0; by that number what was stored is
counted. What a client may lose, or send twice, is a matter of its own contract: the tests say which.
"""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from tests.server import Server
from tests.shippers.provision import ELASTICSEARCH_8, NPM, SYSLOG_NG

COUNT = 10_000

_NUMBER = re.compile(r"event (\d+)$")
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/lib/systemd"])


def message(number: int) -> str:
    return f"a line of some length that says that this is event {number}"


@contextmanager
def killed_meanwhile(server: Server, *, after_events: int = COUNT // 3, down_s: float = 0.5) -> Iterator[None]:
    """While the block runs: kill -9 as soon as so many events were taken in, and start again after a while.

    On the way out the server is up again, whatever happened. The kill is certain: the block fails if it was not
    reached.
    """
    done = threading.Event()
    failures: list[BaseException] = []
    killed = threading.Event()

    def watch() -> None:
        try:
            while server.accepted() < after_events:
                if done.wait(0.01):
                    return
            server.kill()
            killed.set()
            time.sleep(down_s)
            server.start()
        except BaseException as error:
            failures.append(error)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()
    if failures:
        raise failures[0]
    assert killed.is_set(), "all was sent before the server was killed"


def events(server: Server, query: str = "*") -> list[dict[str, object]]:
    """All that is stored and matches, as the export gives it."""
    server.wait_stored()
    return exported(server, query)


def exported(server: Server, query: str) -> list[dict[str, object]]:
    status, body = server.request("GET", f"/api/search?format=ndjson&q={quote(query)}")
    assert status == 200, (status, body)
    return [orjson.loads(line) for line in body.splitlines()]


def numbers(server: Server, query: str = "*") -> collections.Counter[int]:
    """How often each number is stored, among the events whose message ends in one."""
    counted: collections.Counter[int] = collections.Counter()
    for event in events(server, query):
        if found := _NUMBER.search(str(event["message"]).rstrip()):
            counted[int(found[1])] += 1
    return counted


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60.0, what: str = "it") -> None:
    until_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until_s:
            raise AssertionError(f"{what} did not happen in {timeout_s} s")
        time.sleep(0.05)


def wait_for_count(server: Server, count: int, *, timeout_s: float = 60.0) -> None:
    """Until so many different numbers are stored."""
    wait_for(lambda: len(numbers(server)) >= count, timeout_s=timeout_s, what=f"{count} events")


def program(name: str) -> str:
    """The path of a program. What is missing on the machine skips, and fails in CI."""
    path = str(SYSLOG_NG / "usr" / "sbin" / name) if name == "syslog-ng" else shutil.which(name, path=_PATH)
    if path is None or not Path(path).exists():
        return missing(f"{name} is not here")
    return path


def missing(what: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and has to be tested here; `make shippers` installs it")
    pytest.skip(f"NOT TESTED: {what}; `make shippers` installs it")


def syslog_ng_environment() -> dict[str, str]:
    """It is unpacked, not installed: where its libraries are."""
    folders = [SYSLOG_NG / "usr/lib/x86_64-linux-gnu", SYSLOG_NG / "usr/lib/syslog-ng"]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, folders))}


def elasticsearch_8_environment() -> dict[str, str]:
    """For a Python whose `elasticsearch` is version 8."""
    if not ELASTICSEARCH_8.is_dir():
        missing("elasticsearch-py 8 is not here")
    return {**os.environ, "PYTHONPATH": str(ELASTICSEARCH_8)}


def run_node(
    script: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run an ES module that may import the packages in `tests/shippers/npm`; returns what it said."""
    if not (NPM / "node_modules").is_dir():
        missing("the npm clients are not here")
    file = NPM / "node_modules" / f".script-{os.getpid()}-{threading.get_ident()}.mjs"
    file.write_text(script)
    try:
        return run([program("node"), str(file), *arguments], environment=environment, timeout_s=timeout_s)
    finally:
        file.unlink()


def run(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Raises with the output when it fails."""
    environ = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done
