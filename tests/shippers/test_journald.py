"""systemd-journal-upload, with a journal that systemd-journal-remote wrote, while the server is killed."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailrace.ingest.journald.decode import CONTENT_TYPE
from tests.server import Server
from tests.shippers.rig import COUNT, events, message, numbers, program, wait_for, wait_for_count

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "ingest" / "journald.md"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as server:
        yield server


def entry(number: int) -> bytes:
    return (
        f"__CURSOR=s=0;i={number:x}\n__REALTIME_TIMESTAMP={1_763_000_000_000_000 + number}\n"
        f"__MONOTONIC_TIMESTAMP={number + 1}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=web-1\n"
        f"PRIORITY=3\nSYSLOG_IDENTIFIER=sshd\n_SYSTEMD_UNIT=ssh.service\nMESSAGE={message(number)}\n\n"
    ).encode()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A folder with a journal of COUNT entries."""
    folder = tmp_path / "journal"
    folder.mkdir()
    exported = b"".join(map(entry, range(COUNT)))
    writer = [program("systemd-journal-remote"), "-o", str(folder / "remote-test.journal"), "-"]
    subprocess.run(writer, input=exported, capture_output=True, check=True)
    return folder


def uploading(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    """As the page says, with the folder of the journal."""
    line = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("systemd-journal-upload"))
    name, url, _ = line.split()
    command = [program(name), url.replace("8001", str(server.port)), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_journal_is_stored_once_over_a_kill(server: Server, journal: Path, tmp_path: Path) -> None:
    """The client ends at the kill and begins again from its state, or from the start: each entry is stored once."""
    arguments = [f"--directory={journal}", f"--save-state={tmp_path / 'state'}", "--follow=no"]
    client = uploading(server, *arguments)
    wait_for(lambda: server.accepted() > 0 or client.poll() is not None)
    server.kill()
    client.wait(30)
    server.start()
    for _ in range(2):
        assert uploading(server, *arguments).wait(60) == 0
    again = uploading(server, f"--directory={journal}", "--follow=no")
    assert again.wait(60) == 0
    assert numbers(server) == dict.fromkeys(range(COUNT), 1)
    event = events(server, f'message:"event {COUNT - 1}"')[0]
    assert (event["service"], event["level"], event["host"]) == ("sshd", "ERROR", "web-1")


class Body:
    """Of an upload, a part at a time, after `100 Continue`."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._connection.putrequest("POST", "/upload")
        self._connection.putheader("content-type", CONTENT_TYPE)
        self._connection.putheader("transfer-encoding", "chunked")
        self._connection.putheader("expect", "100-continue")
        self._connection.endheaders()

    def send(self, part: bytes) -> None:
        self._connection.send(b"%x\r\n%b\r\n" % (len(part), part))

    def answer(self) -> tuple[int, bytes]:
        with contextlib.closing(self._connection):
            answer = self._connection.getresponse()
            return answer.status, answer.read()


def test_entries_are_stored_as_they_come(server: Server, journal: Path) -> None:
    """From the client that follows and in slow bodies; nobody waits for the rest, and the server stops in time."""
    client = uploading(server, f"--directory={journal}")
    try:
        wait_for_count(server, COUNT)
        wrong, endless = Body(server), Body(server)
        wrong.send(entry(COUNT) + entry(COUNT + 1)[:50])
        wait_for_count(server, COUNT + 1)
        wrong.send(entry(COUNT + 1)[50:])
        wait_for_count(server, COUNT + 2)
        wrong.send(b"not the format\n")
        wrong.send(b"")
        status, told = wrong.answer()
        assert (status, b"Journal Export Format" in told) == (400, True)
        endless.send(entry(COUNT + 2) + b"MESSAGE=")
        wait_for_count(server, COUNT + 3)
        assert numbers(server) == dict.fromkeys(range(COUNT + 3), 1)
        assert client.poll() is None
        assert server.stop() == 0
        assert endless.answer()[0] == 503
    finally:
        client.kill()
        client.wait()
