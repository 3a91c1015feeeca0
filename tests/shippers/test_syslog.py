"""Real senders of syslog, as docs/ingest/syslog.md configures them, all at once, while the server is killed.

Plain syslog has no acknowledgements: what is on its way when the server dies is lost, and nobody sends it twice. So
each sender's events are stored at most once, and what was sent well before and well after is all there.
"""

from __future__ import annotations

import collections
import logging
import logging.handlers
import os
import re
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, free_port
from tests.shippers.rig import (
    COUNT,
    events,
    killed_meanwhile,
    message,
    numbers,
    program,
    syslog_ng_environment,
    wait_for,
)

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "ingest" / "syslog.md").read_text()

# Each sends for so long, so that the server is away for a part of it.
_SENDING_S = 3.0
_BURSTS = 100


def configuration(name: str) -> str:
    """The block of the page under the heading."""
    found = re.search(rf"^### {name}\n.*?```\w*\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


@dataclass(frozen=True)
class Ports:
    tcp: int
    udp: int
    tls: int

    def put(self, block: str) -> str:
        """The block with this server's ports in the place of the page's."""
        udp = "--udp" in block or "SysLogHandler" in block
        return re.sub(r"\b5514\b", str(self.udp if udp else self.tcp), block).replace("6514", str(self.tls))


Say = Callable[[str], None]


def bursts(say: Say, is_back: threading.Event) -> None:
    """COUNT messages, a part at a time; the last quarter when the server is back."""
    size = COUNT // _BURSTS
    for first in range(0, COUNT, size):
        if first >= COUNT * 3 // 4:
            assert is_back.wait(60)
        for number in range(first, first + size):
            say(message(number))
        time.sleep(_SENDING_S / _BURSTS)


@dataclass(frozen=True)
class Stored:
    """What is stored of each sender's numbers, and its last event."""

    numbers: dict[str, collections.Counter[int]]
    last: dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Stored]:
    """All senders have sent, with the server killed meanwhile. Each is a service of its own."""
    folder = tmp_path_factory.mktemp("syslog")
    ports = Ports(free_port(), free_port(), free_port())
    server = Server(
        folder / "data",
        *("--set", f"listeners.syslog_tcp=127.0.0.1:{ports.tcp}"),
        *("--set", f"listeners.syslog_udp=127.0.0.1:{ports.udp}"),
        *("--set", f"listeners.syslog_tls=127.0.0.1:{ports.tls}"),
        *("--set", f"listeners.tls_certificate={certificates}/server.pem"),
        *("--set", f"listeners.tls_key={certificates}/server.key"),
    )
    with ExitStack() as stack, server:
        senders = {
            "rsyslog": rsyslog(stack, folder / "rsyslog", ports.put(configuration("rsyslog"))),
            "rsyslog-tls": rsyslog(stack, folder / "rsyslog-tls", tls_block(ports, certificates)),
            "syslog-ng": syslog_ng(stack, folder / "syslog-ng", ports.put(configuration("syslog-ng"))),
            "logger-tcp": logger(stack, ports, "--tcp"),
            "logger-udp": logger(stack, ports, "--udp"),
            "python-udp": python(ports, socket.SOCK_DGRAM),
            "python-tcp": python(ports, socket.SOCK_STREAM),
        }
        is_back = threading.Event()
        threads = [threading.Thread(target=bursts, args=(say, is_back)) for say in senders.values()]
        first_pid = server.pid
        with killed_meanwhile(server, after_events=len(senders) * COUNT // 4):
            for thread in threads:
                thread.start()
            wait_for(lambda: server.pid != first_pid, what="the second start")
            server.wait_ready()
            is_back.set()
            for thread in threads:
                thread.join()
        found: dict[str, collections.Counter[int]] = {}

        def all_have_sent_their_last() -> bool:
            found.update({name: numbers(server, f"service:{name}") for name in senders})
            return all(COUNT - 1 in counted for name, counted in found.items() if name != "logger-tcp")

        wait_for(all_have_sent_their_last, what="the last event of every sender")
        last = {name: events(server, f'service:{name} AND "event {max(found[name])}"')[0] for name in senders}
        yield Stored(found, last)


def tls_block(ports: Ports, certificates: Path) -> str:
    block = ports.put(configuration("rsyslog over TLS"))
    return block.replace("/etc/ssl/certs/tailrace-ca.pem", f"{certificates}/server.pem")


def rsyslog(stack: ExitStack, folder: Path, block: str) -> Say:
    """Forwards what is appended to a file."""
    folder.mkdir()
    (folder / "in.log").touch()
    (folder / "rsyslog.conf").write_text(
        f'global(workDirectory="{folder}")\nmodule(load="imfile")\n'
        f'input(type="imfile" File="{folder}/in.log" Tag="{folder.name}:" Facility="local4" Severity="err")\n{block}'
    )
    command = [program("rsyslogd"), "-n", "-f", str(folder / "rsyslog.conf"), "-i", str(folder / "pid")]
    return to_file(stack, folder, command, dict(os.environ))


def syslog_ng(stack: ExitStack, folder: Path, block: str) -> Say:
    """The same; it wants a version, and to be told where everything is."""
    folder.mkdir()
    (folder / "in.log").touch()
    (folder / "syslog-ng.conf").write_text(
        f'@version: 3.35\nsource s_src {{ file("{folder}/in.log" program-override("syslog-ng") flags(no-parse)'
        f" default-facility(local4) default-priority(err) follow-freq(0.1)); }};\n{block}"
    )
    binary = Path(program("syslog-ng"))
    files = ["--cfgfile", "--persist-file", "--pidfile", "--control"]
    names = ["syslog-ng.conf", "persist", "pid", "control"]
    command = [str(binary), "--foreground", "--no-caps", f"--module-path={binary.parents[1]}/lib/syslog-ng/3.38"]
    command += [f"{option}={folder}/{name}" for option, name in zip(files, names, strict=True)]
    return to_file(stack, folder, command, syslog_ng_environment())


def to_file(stack: ExitStack, folder: Path, command: list[str], environment: dict[str, str]) -> Say:
    output = stack.enter_context((folder / "output").open("wb"))
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    lines = stack.enter_context((folder / "in.log").open("a", buffering=1))

    def say(text: str) -> None:
        lines.write(text + "\n")

    return say


def logger(stack: ExitStack, ports: Ports, transport: str) -> Say:
    """The page's command, with its messages on standard input."""
    block = configuration("logger").replace("\\\n", " ")
    (line,) = (line for line in block.splitlines() if transport in line)
    command = shlex.split(ports.put(line).replace('"it broke"', "").replace("shop", f"logger-{transport[2:]}"))
    process = subprocess.Popen(
        [program("logger"), *command[1:]], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdin is not None
    stdin = process.stdin

    def say(text: str) -> None:
        # Over TCP it ends when the server is away.
        if process.poll() is None:
            try:
                stdin.write(text.encode() + b"\n")
            except BrokenPipeError:
                process.wait()

    return say


def python(ports: Ports, kind: socket.SocketKind) -> Say:
    """The page's handler; over TCP with another socket, after an error with a new one."""
    names: dict[str, Any] = {}
    exec(ports.put(configuration("Python")), names)
    logging.getLogger().removeHandler(names["handler"])
    handler: Any = names["handler"]
    if kind is socket.SOCK_STREAM:
        handler = logging.handlers.SysLogHandler(("127.0.0.1", ports.tcp), socktype=kind)
    handler.ident = "python-tcp: " if kind is socket.SOCK_STREAM else "python-udp: "

    def connect_again(_: logging.LogRecord) -> None:
        handler.close()
        handler.socket = None

    handler.handleError = connect_again

    def say(text: str) -> None:
        handler.emit(logging.LogRecord("shop", logging.ERROR, "", 0, text, None, None))

    return say


def gaps(counted: collections.Counter[int]) -> list[range]:
    """Runs of numbers that are missing below the highest."""
    found = []
    expected = 0
    for number in sorted(counted):
        if number > expected:
            found.append(range(expected, number))
        expected = number + 1
    return found


@pytest.mark.parametrize("name", ["rsyslog", "rsyslog-tls", "syslog-ng"])
def test_a_sender_with_a_queue_loses_what_was_on_its_way_and_no_more(stored: Stored, name: str) -> None:
    """Less than it sends in a second is missing; nothing is there twice but what rsyslog sends again."""
    counted = stored.numbers[name]
    # The first message of what it has at hand, when that did not go through at once, whoever listens.
    assert sum(counted.values()) - len(counted) <= (3 if name.startswith("rsyslog") else 0)
    assert COUNT - len(counted) < COUNT / _SENDING_S, gaps(counted)


@pytest.mark.parametrize("name", ["logger-udp", "python-udp", "python-tcp"])
def test_a_sender_without_a_queue_loses_what_it_sends_meanwhile(stored: Stored, name: str) -> None:
    """All is there from before the kill and from after the restart, once."""
    counted = stored.numbers[name]
    assert max(counted.values()) == 1
    (missing,) = gaps(counted)
    assert COUNT // 5 <= missing.start < missing.stop <= COUNT


def test_logger_over_tcp_ends_when_the_server_is_away(stored: Stored) -> None:
    """All is there that it had sent before, once."""
    counted = stored.numbers["logger-tcp"]
    assert max(counted.values()) == 1
    assert gaps(counted) == []
    assert len(counted) >= COUNT // 5


def test_what_the_senders_tell_beside_the_message(stored: Stored) -> None:
    """Level, host, facility and what else each of them knows."""
    for name, event in stored.last.items():
        attributes = event["attributes"]
        assert isinstance(attributes, dict)
        assert event["level"] == "ERROR", name
        assert event["host"] == ("127.0.0.1" if name.startswith("python") else socket.gethostname())
        assert attributes["facility"] == ("user" if name.startswith("python") else "local4"), name
        assert str(event["timestamp"]) <= str(event["observed_timestamp"]), name
    sent = stored.last["logger-tcp"]["attributes"]
    assert isinstance(sent, dict)
    assert (sent["msgid"], sent["order@32473.id"]) == ("ID47", "17")
