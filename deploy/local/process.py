"""A server as a child process: started until it answers, stopped, killed, paused."""

from __future__ import annotations

import atexit
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
"""Far more than any server needs on a busy machine of two cores."""
STOP_TIMEOUT_S = 20.0
"""How long SIGTERM is given before SIGKILL."""
QUOTED_CHARACTERS = 4000
"""How much of a server's output an error quotes: its end, which holds the reason."""

# Below 32768, from where Linux takes the ports of outgoing connections. In that range a client that keeps trying to
# connect to a server that is down can be given the server's own port, be connected to itself, and keep it taken.
PORTS = range(15_000, 32_000)
# Processes of one run of the tests keep out of each other's way.
_SHARES = 8


class StartFailed(Exception):
    """The server ended or did not answer in time; the message quotes the end of its output."""


class Missing(Exception):
    """A program that is needed is not on this machine; the message says which and how to get it."""


def free_port() -> int:
    """A port on which nothing listens on 127.0.0.1, by TCP or UDP, outside the range of outgoing connections."""
    for port in itertools.islice(_CANDIDATES, 200):
        if all(_is_free(port, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise StartFailed(f"no free port found between {PORTS.start} and {PORTS.stop}")


def _candidates() -> Iterator[int]:
    """Each port of this process's share of PORTS in turn, from one at random on: a server that is down for a while
    finds its port free when it comes back."""
    number = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", "gw0"))
    share = int(number[1]) % _SHARES if number else 0
    ports = PORTS[share::_SHARES]
    first = random.SystemRandom().randrange(len(ports))
    return itertools.cycle([*ports[first:], *ports[:first]])


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


_CANDIDATES = _candidates()


def kept_port(folder: Path, name: str) -> int:
    """A free port, chosen once for this folder: servers write their addresses into their data."""
    kept = folder / "ports" / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(str(free_port()))
    return int(kept.read_text())


def stop_all(processes: Iterable[Process]) -> None:
    """SIGTERM to all of them at once, then waits for each."""
    stopping = list(processes)
    for process in stopping:
        process.terminate()
    for process in stopping:
        process.stop()


class Process(ABC):
    """One child process. Its files, with its output in `NAME.output`, are in `folder`, which is made when missing.

    A process that still runs when this program ends is killed.
    """

    name: str
    start_timeout_s: float = START_TIMEOUT_S
    stop_timeout_s: float = STOP_TIMEOUT_S

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._child: subprocess.Popen[bytes] | None = None
        self._terminated = False
        self._said_before = 0

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What to run. Called at each start; makes the configuration files it needs."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server gives the answer that a client needs. Called until true; returns within seconds."""

    def environment(self) -> Mapping[str, str]:
        return os.environ

    @property
    def output(self) -> Path:
        return self.folder / f"{self.name}.output"

    def said(self) -> str:
        """Everything it printed since the folder was made."""
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the last run; negative: the signal it died of; None: it runs, or was never started."""
        return None if self._child is None else self._child.poll()

    def start(self) -> Self:
        """Starts it and returns when it is ready.

        Raises StartFailed, and leaves nothing running, when it ends before that or takes too long.
        """
        self.spawn()
        self.wait_ready()
        return self

    def spawn(self) -> None:
        """Starts it without waiting: several servers can come up side by side."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already, pid {self.pid}")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = list(self.command())
        self._terminated = False
        self._said_before = len(self.said())
        with self.output.open("ab") as output:
            # A session of its own: Ctrl-C in the terminal reaches this program, which stops its servers in order.
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=dict(self.environment()),
                start_new_session=True,
            )
        atexit.register(self.kill)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        try:
            while not self.is_ready():
                if not self.running:
                    raise StartFailed(f"{self.name} ended with {self.exit_code}{self._quoted()}")
                if time.monotonic() > deadline:
                    raise StartFailed(f"{self.name} was not ready after {self.start_timeout_s:g} s{self._quoted()}")
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise
        if not self.running:  # Somebody else answered on its port.
            raise StartFailed(f"{self.name} ended with {self.exit_code}{self._quoted()}")

    def _quoted(self) -> str:
        said = self.said()[self._said_before :]
        return f"; the end of {self.output}:\n{said[-QUOTED_CHARACTERS:]}"

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the running process."""
        if not self.running:
            raise RuntimeError(f"{self.name} does not run")
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM, once, to a running process: a second one would tell some programs to leave at once."""
        if self._child is not None and self.running and not self._terminated:
            self._terminated = True
            self._child.terminate()
            self._child.send_signal(signal.SIGCONT)  # A paused process would not see SIGTERM.

    def stop(self) -> int | None:
        """SIGTERM, and SIGKILL when that takes too long. Returns the exit code, None if it was never started."""
        if self._child is None:
            return None
        self.terminate()
        try:
            self._child.wait(self.stop_timeout_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        atexit.unregister(self.kill)
        return self._child.returncode

    def kill(self) -> None:
        """kill -9; the process is gone on return. Does nothing when it does not run."""
        if self._child is not None:
            if self.running:
                self._child.kill()
            self._child.wait()
            atexit.unregister(self.kill)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, as when a network goes silent."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        if not self.running:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
