"""`tailrace send --follow` on real files and a real server, both of which die and begin again: every line once."""

from __future__ import annotations

import collections
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.server import Server
from tests.shippers import rig

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"


class Shipper:
    """A `tailrace send --follow` in a process of its own."""

    def __init__(self, server: Server, folder: Path, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "tailrace", "send", "--to", server.url, "--follow"]
        self._positions = folder / "positions"
        self._command += ["--positions", str(self._positions), *arguments]
        self._output = folder / "shipper.output"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._output.open("ab") as output:
            environment = {**os.environ, "NODE_NAME": "node-7"}
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output, env=environment)

    @property
    def began(self) -> int:
        """Another number each time that it has taken up its positions: it begins a new journal then."""
        return self._positions.stat().st_ino if self._positions.exists() else 0

    def known_names(self) -> set[str]:
        """Of the files in its journal."""
        text = self._positions.read_text() if self._positions.exists() else ""
        return set(re.findall(r'"name":"(.*?)"', text))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def said(self) -> str:
        return self._output.read_text("utf-8", "replace")


@contextmanager
def shipping(server: Server, folder: Path, *arguments: str) -> Iterator[Shipper]:
    """It ends with status 0 when it is told to."""
    shipper = Shipper(server, folder, *arguments)
    shipper.start()
    try:
        yield shipper
        assert shipper.stop() == 0, shipper.said()
    finally:
        shipper.kill()


@contextmanager
def killing(shipper: Shipper, *, seed: int) -> Iterator[list[int]]:
    """While the block runs: kill -9 of the shipper at random moments after it is up, and begin it again.

    Counts the kills.
    """
    chance = random.Random(seed)
    done = threading.Event()
    kills: list[int] = []

    def kill() -> None:
        began = 0
        while not done.wait(0.01):
            if shipper.began != began and not done.wait(chance.uniform(0.0, 1.2)):
                shipper.kill()
                kills.append(1)
                began = shipper.began
                shipper.start()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield kills
    finally:
        done.set()
        thread.join()


def write_numbered(
    path: Path, numbers: range, rotate: Callable[[], None], *, rotations: int = 4, seconds: float = 6.0
) -> None:
    """As a program that logs and rotates its own file does, in small writes that do not end where lines do."""
    chance = random.Random(path.name)
    step = max(1, len(numbers) // 160)
    every = len(numbers) // step // (rotations + 1)
    for index, first in enumerate(range(numbers.start, numbers.stop, step)):
        if index and index % every == 0:
            rotate()
        lines = "".join(
            f"2026-03-28 10:00:00,{number % 1000:03} INFO {rig.message(number)}\n"
            for number in range(first, min(first + step, numbers.stop))
        ).encode()
        cut = chance.randrange(len(lines))
        with path.open("ab", buffering=0) as file:
            file.write(lines[:cut])
            time.sleep(seconds / 320)
            file.write(lines[cut:])
        time.sleep(seconds / 320)


def renamed(path: Path) -> Callable[[], None]:
    """app.log.2 to app.log.3, app.log.1 to app.log.2, app.log to app.log.1."""

    def rotate() -> None:
        for number in range(8, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.rename(path.with_name(f"{path.name}.{number + 1}"))
        path.rename(path.with_name(f"{path.name}.1"))

    return rotate


def copied_and_cut(path: Path) -> Callable[[], None]:
    """As logrotate's copytruncate does it, but that nothing is written in between."""

    def rotate() -> None:
        renamed_copy = path.with_name(f"{path.name}.0")
        for number in range(8, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.rename(path.with_name(f"{path.name}.{number + 1}"))
        shutil.copyfile(path, renamed_copy)
        renamed_copy.rename(path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)

    return rotate


@pytest.mark.parametrize("rotation", [renamed, copied_and_cut])
def test_each_line_is_stored_once_over_rotations_and_kills(
    rotation: Callable[[Path], Callable[[], None]], tmp_path: Path
) -> None:
    """Two files rotated under their writers, the shipper killed at random and the server in the middle.

    A name that was seen once is enough: whole generations come and go while nobody looks.
    """
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("one.log", "two.log"):
        (logs / name).write_text(f"2026-03-28 09:59:59 INFO the first line of {name}\n")
    with Server(tmp_path / "data") as server:
        first_pid = server.pid
        with shipping(server, tmp_path, str(logs / "*.log")) as shipper:
            rig.wait_for(lambda: {"one.log", "two.log"} <= shipper.known_names(), what="its first look")
            with rig.killed_meanwhile(server):
                with killing(shipper, seed=7) as kills:
                    writers = [
                        threading.Thread(target=write_numbered, args=(path, numbers, rotation(path)))
                        for path, numbers in (
                            (logs / "one.log", range(rig.COUNT // 2)),
                            (logs / "two.log", range(rig.COUNT // 2, rig.COUNT)),
                        )
                    ]
                    for writer in writers:
                        writer.start()
                    for writer in writers:
                        writer.join()
                    rig.wait_for(lambda: len(kills) >= 3, what="three kills")
                # On a slow machine it gets no further as long as it is killed.
                rig.wait_for(lambda: server.pid != first_pid, what="the kill of the server")
            rig.wait_for_count(server, rig.COUNT)
            time.sleep(2)  # What comes twice would come now.
        assert rig.numbers(server) == collections.Counter(range(rig.COUNT)), shipper.said()


def test_what_was_written_and_rotated_while_the_shipper_was_away_is_sent(tmp_path: Path) -> None:
    """Stopped in the middle, rotated both ways, started again: the rest of the old file and all of the new one."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with Server(tmp_path / "data") as server:
        shipper = Shipper(server, tmp_path, str(logs / "*.log"))
        one, two = logs / "one.log", logs / "two.log"
        expected = 0

        def write(path: Path, count: int) -> None:
            nonlocal expected
            with path.open("ab") as file:
                file.write(b"".join(b"%s\n" % rig.message(expected + each).encode() for each in range(count)))
            expected += count

        for path in (one, two):
            write(path, 100)
        shipper.start()
        rig.wait_for_count(server, expected)
        assert shipper.stop() == 0
        for path in (one, two):
            write(path, 100)
        renamed(one)()
        copied_and_cut(two)()
        for path in (one, two):
            write(path, 100)
        shipper.start()
        rig.wait_for_count(server, expected)
        shipper.kill()
        assert rig.numbers(server) == collections.Counter(range(600))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for the tests that only look at events of their own."""
    with Server(tmp_path_factory.mktemp("server") / "data") as it:
        yield it


def as_here(command: list[str], server: Server, folder: Path) -> list[str]:
    """The arguments of a `tailrace send --follow` of the documentation, for the files and the server of a test."""
    assert command[:2] == ["send", "--follow"]
    kept = [part for part in command[2:] if not part.startswith(("--to=", "--positions="))]
    if "--to" in kept:
        del kept[kept.index("--to") : kept.index("--to") + 2]
    return [re.sub(r"^/var/", f"{folder}/", part) for part in kept]


def test_the_command_of_the_page_about_files_is_run(server: Server, tmp_path: Path) -> None:
    """Files in folders of any depth, without those that it leaves out; each event with its file."""
    page = (DOCS / "ingest/files.md").read_text()
    [command] = re.findall(r"^```sh\ntailrace (.*)\n```$", page, re.MULTILINE)
    for name in ("syslog.log", "deep/er/shop.log", "journal/left-out.log", "shop.log.gz"):
        path = tmp_path / "log" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"2026-03-28 10:00:00 WARN {name}\n")
    with shipping(server, tmp_path, *as_here(shlex.split(command), server, tmp_path)):
        rig.wait_for(lambda: len(rig.events(server, "level:WARN")) == 2, what="two events")
    assert {event["service"] for event in rig.events(server, "level:WARN")} == {"syslog", "shop"}


def test_the_agent_of_kubernetes_reads_what_the_programs_wrote(server: Server, tmp_path: Path) -> None:
    """As the manifest runs it: long lines whole again, traces joined for each stream, JSON as fields, names from the
    path, the node as host; and not its own lines.
    """
    agent = yaml.safe_load((KUBERNETES / "agent.yaml").read_text())
    [container] = agent["spec"]["template"]["spec"]["containers"]
    pod = tmp_path / "log/pods/shop_cart-5d9_0f1e-77/cart"
    links = tmp_path / "log/containers"
    pod.mkdir(parents=True)
    links.mkdir()
    lines = [
        "stdout P the first ha",
        "stderr F 2026-03-28 10:00:00 ERROR it broke",
        "stdout F lf and the second",
        "stderr F java.lang.IllegalStateException: no stock",
        "stderr F \tat shop.Cart.add(Cart.java:7)",
        'stdout F {"level":"warn","msg":"low","stock":{"left":2}}',
    ]
    text = "".join(f"2026-03-28T10:00:0{at}.123456789Z {line}\n" for at, line in enumerate(lines))
    for name in ("cart-5d9_shop_cart", "agent-x_tailrace_agent"):
        (pod / f"{name}.log").write_text(text)
        (links / f"{name}-{'ab' * 32}.log").symlink_to(pod / f"{name}.log")
    (pod / "cart-5d9_shop_cart.log").rename(pod / "0.log")
    (links / f"cart-5d9_shop_cart-{'ab' * 32}.log").unlink()
    (links / f"cart-5d9_shop_cart-{'ab' * 32}.log").symlink_to(pod / "0.log")
    with shipping(server, tmp_path, *as_here(container["args"], server, tmp_path)):
        rig.wait_for(lambda: len(rig.events(server, "service:cart")) == 3, what="three events")
    found = {str(event["message"]).partition("\n")[0]: event for event in rig.events(server, "service:cart")}
    whole = found["the first half and the second"]
    assert str(whole["timestamp"]).startswith("2026-03-28T10:00:00.123456")
    assert whole["host"] == "node-7"
    attributes = whole["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["stream"] == "stdout"
    assert attributes["kubernetes.namespace"] == "shop"
    assert attributes["kubernetes.pod"] == "cart-5d9"
    assert attributes["kubernetes.container"] == "cart"
    assert attributes["kubernetes.pod_uid"] == "0f1e-77"
    assert attributes["container.id"] == "ab" * 32
    trace = found["2026-03-28 10:00:00 ERROR it broke"]
    assert trace["level"] == "ERROR"
    assert str(trace["message"]).endswith("no stock\n\tat shop.Cart.add(Cart.java:7)")
    assert str(trace["timestamp"]).startswith("2026-03-28T10:00:00.000000")
    low = found["low"]
    assert (low["level"], str(low["timestamp"])[:19]) == ("WARN", "2026-03-28T10:00:05")
    assert isinstance(low["attributes"], dict)
    assert low["attributes"]["stock.left"] == "2"
    assert rig.events(server, "service:agent") == []


def test_the_agent_of_the_page_about_docker_reads_a_containers_lines(server: Server, tmp_path: Path) -> None:
    """As the compose file runs it, with the name that Docker's own file tells."""
    page = (DOCS / "ingest/containers.md").read_text()
    [block] = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    id = "cd" * 32
    folder = tmp_path / "lib/docker/containers" / id
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(json.dumps({"Name": "/shop-db-1", "Config": {"Image": "postgres:18"}}))
    lines = [("half ", "10:00:01"), ('a "line"\n', "10:00:02"), ('{"level":"error","msg":"gone"}\n', "10:00:03")]
    (folder / f"{id}-json.log").write_text(
        "".join(
            json.dumps({"log": log, "stream": "stderr", "time": f"2026-03-28T{time}.5Z"}, separators=(",", ":"))
            + "\n"
            for log, time in lines
        )
    )
    command = yaml.safe_load(block)["services"]["agent"]["command"]
    with shipping(server, tmp_path, *as_here(command, server, tmp_path)):
        rig.wait_for(lambda: len(rig.events(server, "service:shop-db-1")) == 2, what="two events")
    first, second = sorted(rig.events(server, "service:shop-db-1"), key=lambda event: str(event["timestamp"]))
    assert (first["message"], str(first["timestamp"])[:21]) == ('half a "line"', "2026-03-28T10:00:01.5")
    assert (second["message"], second["level"]) == ("gone", "ERROR")
    assert isinstance(first["attributes"], dict)
    assert first["attributes"]["container.id"] == id
    assert first["attributes"]["container.image"] == "postgres:18"
