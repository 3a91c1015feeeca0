"""The handler where processes end, die and fork: real processes against a real server."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.log_server import LogServer, log_server

pytestmark = pytest.mark.slow

SET_UP = """
import logging, os, sys, threading
from tailrace.handler import TailraceHandler
url, folder = sys.argv[1], sys.argv[2] or None
handler = TailraceHandler(url, spool_folder=folder, flush_interval_s=0.05, exit_timeout_s=EXIT_S)
log = logging.getLogger("app")
log.setLevel("INFO")
log.addHandler(handler)
"""

# What is in the spool need not be sent before a process ends: the next one goes on.
UNTIL_THE_SPOOL_IS_EMPTY = "while os.listdir(folder): threading.Event().wait(0.01)\n"


@pytest.fixture
def server() -> Iterator[LogServer]:
    with log_server() as running:
        yield running


def run(body: str, url: str, folder: Path | None = None, exit_s: float = 10) -> subprocess.CompletedProcess[str]:
    script = SET_UP.replace("EXIT_S", str(exit_s)) + body
    arguments = [sys.executable, "-c", script, url, "" if folder is None else str(folder)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def named(prefix: str, count: int) -> Counter[str]:
    return Counter(f"{prefix} {number}" for number in range(count))


def test_everything_is_sent_before_the_process_ends(server: LogServer) -> None:
    """Even when the last events are logged in the last moment, and by an exit function."""
    body = (
        "import atexit\n"
        "atexit.register(lambda: log.info('app 2000'))\n"
        "for number in range(2000): log.info('app %d', number)\n"
    )
    done = run(body, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.messages() == named("app", 2001)


def test_an_exception_that_ends_the_process_does_not_lose_the_log(server: LogServer) -> None:
    """The events before it are on the server."""
    done = run("log.info('app 0')\nraise SystemExit(3)", server.url)
    assert done.returncode == 3
    assert server.messages() == named("app", 1)


def test_a_hanging_server_holds_up_the_end_only_so_long(server: LogServer) -> None:
    """After `exit_timeout_s` the process ends, and says how many events it could not deliver."""
    server.hang()
    done = run("for number in range(3000): log.info('app %d', number)", server.url, exit_s=0.2)
    assert done.returncode == 0
    assert "3000 events were dropped" in done.stderr


def test_with_a_hanging_server_the_rest_is_spooled_at_exit(server: LogServer, tmp_path: Path) -> None:
    """The batch in the hanging request too, under the key it had there; the next start sends it all."""
    server.hang()
    done = run("for number in range(500): log.info('app %d', number)", server.url, tmp_path, exit_s=0.2)
    assert done.returncode == 0
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.iterdir()) == 500
    server.resume()
    assert run(UNTIL_THE_SPOOL_IS_EMPTY, server.url, tmp_path).returncode == 0
    assert set(server.messages()) == set(named("app", 500))


def test_the_spool_survives_kill_9(server: LogServer, tmp_path: Path) -> None:
    """What `counters.spooled` counted before the process was killed is sent by the next start, exactly once."""
    server.stop()
    body = (
        "for number in range(3000): log.info('app %d', number)\n"
        "assert handler.flush(30)\n"
        "assert handler.counters.spooled == 3000\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert run(body, server.url, tmp_path).returncode == -9
    server.start_again()
    assert run("log.info('next 0')\n" + UNTIL_THE_SPOOL_IS_EMPTY, server.url, tmp_path).returncode == 0
    assert server.messages() == named("app", 3000) + named("next", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_fork_neither_loses_nor_doubles_events(server: LogServer) -> None:
    """The queue at the fork is the parent's; the child logs by a thread of its own."""
    body = (
        "for number in range(300): log.info('before %d', number)\n"
        "child = os.fork()\n"
        "who = 'child' if child == 0 else 'parent'\n"
        "for number in range(300): log.info('%s %d', who, number)\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
        "assert handler.flush(10)\n"
        "assert handler.counters.sent == (600 if child else 300), handler.counters\n"
    )
    done = run(body, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.messages() == named("before", 300) + named("child", 300) + named("parent", 300)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_send_before_they_end(server: LogServer, tmp_path: Path, method: str) -> None:
    """They end without running exit functions, and nothing is lost all the same."""
    script = tmp_path / "program.py"
    script.write_text(
        SET_UP.replace("EXIT_S", "10")
        + f"""
import multiprocessing
def work(name):
    for number in range(100): log.info("%s %d", name, number)
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    children = [context.Process(target=work, args=(name,)) for name in ("one", "two")]
    for child in children: child.start()
    for child in children: child.join()
    work("main")
"""
    )
    done = subprocess.run(
        [sys.executable, str(script), server.url, ""], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert server.messages() == named("one", 100) + named("two", 100) + named("main", 100)


def test_a_signal_handler_that_logs_does_not_deadlock(server: LogServer) -> None:
    """Signals that interrupt `emit` at any instant log themselves, thousands of times."""
    body = (
        "import signal\n"
        "ticks = []\n"
        "def on_tick(*_):\n"
        "    ticks.append(1)\n"
        "    log.info('tick')\n"
        "signal.signal(signal.SIGALRM, on_tick)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)\n"
        "for number in range(10000): log.info('app %d', number)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "assert handler.flush(20)\n"
        "assert handler.counters.sent == 10000 + len(ticks), (handler.counters, len(ticks))\n"
    )
    done = run(body, server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.messages()["tick"] > 10
