"""Child processes: ports, what is missing, and what the fixtures make of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from deploy.local import jars
from deploy.local.process import Missing, Process, StartFailed, free_port, kept_port, stop_all
from deploy.local.redis import Redis

from tests import real_servers


class Python(Process):
    """Runs Python code; ready when the file `ready` is there."""

    name = "python"

    def __init__(self, folder: Path, code: str) -> None:
        super().__init__(folder)
        self.code = code

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self.code]

    def is_ready(self) -> bool:
        return (self.folder / "ready").exists()


SLEEPS = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS


def test_ports_are_free_and_kept(tmp_path: Path) -> None:
    """A folder keeps its port, so that a server comes back where its clients and its data expect it."""
    assert kept_port(tmp_path, "port") == kept_port(tmp_path, "port") != kept_port(tmp_path, "other")
    assert Redis(tmp_path / "redis").port == Redis(tmp_path / "redis").port
    assert Redis(tmp_path / "redis", port=7777).port == 7777


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's range of ports")
def test_free_ports_are_never_those_of_outgoing_connections() -> None:
    """A client that retries against a dead server must not be given the server's port, and connect to itself."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < first for _ in range(50))


def test_an_end_before_ready_is_an_error(tmp_path: Path) -> None:
    """A process that ends is told apart from one that is slow; what it printed is quoted."""
    with pytest.raises(StartFailed, match=r"(?s)python ended with 3; .*no such luck"):
        Python(tmp_path, "print('no such luck', flush=True); raise SystemExit(3)").start()


def test_a_process_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    """After its time a start fails, and the process is gone."""
    process = Python(tmp_path, "import time; time.sleep(60)")
    process.start_timeout_s = 0.2
    with pytest.raises(StartFailed, match=r"not ready after 0\.2 s"):
        process.start()
    assert not process.running


def test_sigterm_is_followed_by_sigkill(tmp_path: Path) -> None:
    """A process that does not listen is killed, and a paused one hears SIGTERM."""
    deaf, paused = Python(tmp_path / "deaf", DEAF), Python(tmp_path / "paused", SLEEPS)
    deaf.stop_timeout_s = 0.2
    deaf.start()
    paused.start()
    paused.pause()
    stop_all([deaf, paused])
    assert (deaf.exit_code, paused.exit_code) == (-9, -15)


def test_what_is_missing_skips_on_a_laptop_and_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of a server is left out in silence."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"redis is NOT TESTED: redis-server .* apt-get install"):
        next(real_servers.serve(Redis(tmp_path / "redis")))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"redis has to be tested here, but redis-server"):
        next(real_servers.serve(Redis(tmp_path / "redis")))


def test_java_that_is_missing_or_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is there and what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match=r"java is not on the PATH: install a JDK 17"):
        jars.java()
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    with pytest.raises(Missing, match=r'(?s)is not Java 17.*version "11'):
        jars.java()


def test_tests_of_servers_are_slow_and_share_a_worker(redis: Redis, request: pytest.FixtureRequest) -> None:
    """Whoever uses a shared server is left out of `make check`, and runs where the server is."""
    assert redis.running
    assert request.node.get_closest_marker("slow") is not None
    assert request.node.get_closest_marker("xdist_group").args == ("log",)
