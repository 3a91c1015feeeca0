"""`tailrace send` against a small real HTTP server that keeps what it is sent and can be told to be difficult."""

from __future__ import annotations

import bz2
import gzip
import http.server
import io
import json
import lzma
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner, Result

from tailrace.client import send_source
from tailrace.client.send import send
from tailrace.client.send_source import service_name
from tailrace.model.batch import ARROW_STREAM, decode_batch
from tests.loghub import LOGHUB, needs_loghub
from tests.server import Server

NDJSON = "application/x-ndjson"

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Sink:
    """`replies` are given first, one a request; then everything is accepted."""

    url: str
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    replies: list[Reply | None] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, Any]]:
        arrow = [decode_batch(body).to_pylist() for kind, body in self.bodies if kind == ARROW_STREAM]
        return [event for events in arrow for event in events]

    @property
    def messages(self) -> list[str]:
        return [event["message"] for event in self.events]


@pytest.fixture
def sink() -> Iterator[Sink]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kind = self.headers["content-type"]
            found.keys.append(self.headers["idempotency-key"])
            reply = found.replies.pop(0) if found.replies else _accept(kind, body)
            if reply is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            status, headers, content = reply
            if status < 300:
                found.bodies.append((kind, body))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Sink(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def _accept(kind: str, body: bytes) -> Reply:
    rows = decode_batch(body).num_rows if kind == ARROW_STREAM else body.count(b"\n")
    return 202, {}, json.dumps({"accepted": rows, "rejected": 0, "partial": False}).encode()


def _send(sink: Sink, *arguments: str | Path, input: bytes | None = None) -> Result:
    return CliRunner().invoke(send, ["--to", sink.url, *map(str, arguments)], input=input)


def test_a_file_comes_in_whole_with_what_was_read_out_of_it(sink: Sink, tmp_path: Path) -> None:
    """Messages, time, level, the file's name as service and its path as attribute; the last line says how many."""
    path = tmp_path / "shop.log.1"
    path.write_bytes(b"2020-01-31 10:00:00 ERROR broke\n2020-01-31 10:00:01 INFO mended")
    result = _send(sink, path)
    assert result.exit_code == 0
    assert result.stdout.startswith("2 lines sent, 0 rejected, in ")
    assert sink.messages == ["2020-01-31 10:00:00 ERROR broke", "2020-01-31 10:00:01 INFO mended"]
    assert [event["level"] for event in sink.events] == ["ERROR", "INFO"]
    assert {event["service"] for event in sink.events} == {"shop"}
    assert dict(sink.events[0]["attributes"])["log.file.path"] == str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress], ids=["gzip", "zstd", "bzip2", "xz"]
)
def test_compressed_files_are_known_by_their_content(
    sink: Sink, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    """Whatever the file is called, and also when it was appended to as a second member."""
    path = tmp_path / "app.log"
    path.write_bytes(compress(b"one\n") + compress(b"two\n"))
    assert _send(sink, path).exit_code == 0
    assert sink.messages == ["one", "two"]


@pytest.mark.slow
def test_a_large_file_goes_in_several_requests_in_order(sink: Sink, tmp_path: Path) -> None:
    """Lines are never cut where chunks are."""
    path = tmp_path / "big.log"
    lines = [f"2020-01-31 10:00:00 INFO {number} {'x' * 90}" for number in range(42_000)]
    path.write_text("\n".join(lines) + "\n")
    assert _send(sink, path).exit_code == 0
    assert len(sink.bodies) > 1
    assert sink.messages == lines


def test_json_lines_go_as_they_are(sink: Sink, tmp_path: Path) -> None:
    """The server decodes them; the body is the file's bytes."""
    path = tmp_path / "app.json"
    path.write_bytes(b'{"message": "a"}\n{"message": "b"}\n')
    assert _send(sink, path).exit_code == 0
    assert sink.bodies == [(NDJSON, path.read_bytes())]


def test_rejected_lines_are_told_with_file_line_and_reason(sink: Sink, tmp_path: Path) -> None:
    """And the exit status says so."""
    path = tmp_path / "app.json"
    path.write_bytes(b'{"message": "a"}\n{"message": \n')
    answer = {"accepted": 1, "rejected": 1, "partial": True, "errors": [{"line": 2, "reason": "not JSON"}]}
    sink.replies.append((202, {}, json.dumps(answer).encode()))
    result = _send(sink, path, "--format", "json")
    assert result.exit_code == 1
    assert f"{path}:2: not JSON" in result.stderr
    assert "1 lines sent, 1 rejected" in result.stdout


def test_a_body_without_a_good_line_is_told_like_any_other(sink: Sink, tmp_path: Path) -> None:
    """The server answers it with 400 and the same receipt; that is no reason to stop."""
    path = tmp_path / "app.json"
    path.write_bytes(b"{x}\n")
    answer = {"accepted": 0, "rejected": 1, "partial": False, "errors": [{"line": 1, "reason": "not JSON"}]}
    sink.replies.append((400, {}, json.dumps(answer).encode()))
    result = _send(sink, path)
    assert result.exit_code == 1
    assert f"{path}:1: not JSON" in result.stderr


def test_a_line_that_is_too_long_is_sent_as_it_is_for_the_dead_letters(sink: Sink, tmp_path: Path) -> None:
    """The good lines around it go as events."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n" + b"x" * (1 << 20) + b"y\nthree\n")
    assert _send(sink, path).exit_code == 0
    assert sink.messages == ["one", "three"]
    assert sink.bodies[1] == (NDJSON, b"x" * (1 << 20) + b"y\n")


def test_a_server_that_is_busy_or_away_is_asked_again(sink: Sink, tmp_path: Path) -> None:
    """503, 429 and a broken connection: the same body until it is acknowledged, once."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    sink.replies += [(503, {"retry-after": "0"}, b"{}"), (429, {"retry-after": "0"}, b"{}"), None]
    result = _send(sink, path)
    assert result.exit_code == 0
    assert sink.messages == ["one", "two"]
    assert len(sink.keys) == 4
    assert len(set(sink.keys)) == 1


def test_every_body_has_a_key_of_its_own(sink: Sink, tmp_path: Path) -> None:
    """Also in another run of the same file: it is sent anew."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    for _ in range(2):
        assert _send(sink, path, path).exit_code == 0
    assert len(set(sink.keys)) == 4


def test_waiting_is_announced_with_its_reason(sink: Sink, tmp_path: Path) -> None:
    """The server's own words and how long it will take."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    sink.replies.append((503, {"retry-after": "1"}, b'{"title": "Log full", "detail": "no room"}'))
    assert "503: Log full: no room; sending again in 1 s" in _send(sink, path).stderr


def test_a_refusal_ends_it_and_names_the_place(sink: Sink, tmp_path: Path) -> None:
    """401 is for people to mend; nothing is sent behind it."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    sink.replies.append((401, {}, b'{"title": "Unauthorized"}'))
    result = _send(sink, path)
    assert result.exit_code == 1
    assert "401: Unauthorized" in result.stderr
    assert f"{path}:1: not sent from this line on" in result.stderr
    assert sink.bodies == []


def test_a_damaged_file_is_named_and_the_others_are_sent(sink: Sink, tmp_path: Path) -> None:
    """What could be read of it is sent too."""
    damaged, good = tmp_path / "damaged.gz", tmp_path / "good.log"
    damaged.write_bytes(gzip.compress(os.urandom(1000) + b"\n")[:-20])
    good.write_bytes(b"one\n")
    result = _send(sink, damaged, good)
    assert result.exit_code == 1
    assert f"{damaged}: cannot be read" in result.stderr
    assert "one" in sink.messages


def test_a_file_that_is_not_there_is_refused_before_anything_is_sent(sink: Sink, tmp_path: Path) -> None:
    """A misspelt name is no reason to send half of the files."""
    (tmp_path / "a.log").write_bytes(b"one\n")
    assert _send(sink, tmp_path / "a.log", tmp_path / "b.log").exit_code == 2
    assert sink.bodies == []


def test_lines_without_a_zone_are_in_the_given_one(sink: Sink, tmp_path: Path) -> None:
    """As an offset or by a name; what is neither is refused."""
    path = tmp_path / "app.log"
    path.write_bytes(b"2020-07-01 10:00:00 x\n")
    for zone, hour in (("+02:00", 8), ("PST", 18)):
        sink.bodies.clear()
        assert _send(sink, path, "--timezone", zone).exit_code == 0
        assert sink.events[0]["timestamp"].hour == hour
    assert _send(sink, path, "--timezone", "nowhere").exit_code == 2


def test_a_pipe_can_be_sent_like_a_file(sink: Sink, tmp_path: Path) -> None:
    """As shells make one of `<(…)`."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(b"one\ntwo\n"),))
    writer.start()
    assert _send(sink, path).exit_code == 0
    writer.join()
    assert sink.messages == ["one", "two"]


@pytest.mark.slow
def test_standard_input_is_sent_as_it_comes(sink: Sink) -> None:
    """A line is at the server while the writer is still there."""
    command = [sys.executable, "-m", "tailrace", "send", "--to", sink.url, "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"one\ntw")
    process.stdin.flush()
    _wait(lambda: sink.messages == ["one"])
    process.stdin.write(b"o\n")
    assert b"2 lines sent" in process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert sink.messages == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("app.log", "app"),
        ("app.log.1", "app"),
        ("app.log.2024-01-31.gz", "app"),
        ("app-20240131.log", "app"),
        ("nova-api.log.1.2017-05-16_13", "nova-api"),
        ("events.json", "events"),
        ("app20240131.log", "app"),
        ("web1.log", "web1"),
        ("syslog", "syslog"),
        ("1234", "1234"),
    ],
)
def test_the_service_is_the_files_name_without_what_rotation_added(name: str, service: str) -> None:
    """So that the events of a file keep their service when it is rotated."""
    assert service_name(Path("/var/log") / name) == service


def test_what_has_no_line_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that no server takes is told in parts; the lines around it are whole."""
    monkeypatch.setattr(send_source, "CHUNK_BYTES", 10)
    monkeypatch.setattr(send_source, "_LINE_BYTES_MAX", 40)
    content = b"one\ntwo\n" + b"x" * 100 + b"\nthree\nfo"
    chunks = list(send_source.whole_lines(io.BytesIO(content)))
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= 50
    assert (chunks[0], chunks[-2:]) == (b"one\ntwo\n", [b"three\n", b"fo"])


def _following(url: str, folder: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tailrace", "send", "--to", url, "--follow", *map(str, arguments)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def _followed(sink: Sink, folder: Path, *arguments: str | Path, meanwhile: Callable[[], None]) -> Result:
    """In this process, which is cheaper; ended by SIGTERM when `meanwhile` is done."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            meanwhile()
        except BaseException as error:
            failures.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    # One that comes when it has ended already must not end the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        command = ["--to", sink.url, "--follow", *map(str, arguments)]
        result = CliRunner().invoke(send, command, env={"XDG_STATE_HOME": str(folder / "state")})
    finally:
        thread.join()
        signal.signal(signal.SIGTERM, before)
    if failures:
        raise failures[0]
    return result


def _ended(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return output, errors


@pytest.mark.slow
def test_follow_sends_what_is_appended_and_goes_on_where_it_ended(sink: Sink, tmp_path: Path) -> None:
    """Over a rotation; a last line without its end waits for it, also over the next start."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")

    def rotate() -> None:
        _wait(lambda: sink.messages == ["one"])
        path.rename(tmp_path / "app.log.1")
        path.write_bytes(b"two\nthr")
        _wait(lambda: sink.messages == ["one", "two"])

    result = _followed(sink, tmp_path, path, meanwhile=rotate)
    assert result.exit_code == 0
    assert result.stdout.startswith("2 lines sent")
    assert "3 bytes are left to the next start" in result.stdout
    with path.open("ab") as file:
        file.write(b"ee\n")
    _followed(sink, tmp_path, path, meanwhile=lambda: _wait(lambda: sink.messages == ["one", "two", "three"]))
    assert len(sink.keys) == len(set(sink.keys))


@pytest.mark.slow
def test_a_lost_answer_is_asked_for_with_the_same_bytes_and_the_same_key(sink: Sink, tmp_path: Path) -> None:
    """Killed before it knew what the server had: the next run sends exactly that, and then what is new."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    sink.replies += [(503, {"retry-after": "60"}, b"{}")]
    process = _following(sink.url, tmp_path, path)
    _wait(lambda: len(sink.keys) == 1)
    process.kill()
    process.communicate()
    with path.open("ab") as file:
        file.write(b"three\n")
    _followed(sink, tmp_path, path, meanwhile=lambda: _wait(lambda: sink.messages == ["one", "two", "three"]))
    assert sink.keys[0] == sink.keys[1] != sink.keys[2]
    assert [decode_batch(body).num_rows for _, body in sink.bodies] in ([1, 2], [2, 1], [1, 1, 1])


@pytest.mark.slow
def test_following_can_begin_at_the_end(sink: Sink, tmp_path: Path) -> None:
    """What was there at the first start is left out; at the next one nothing is."""
    path = tmp_path / "app.log"
    path.write_bytes(b"old\n")
    arguments = ("--from-end", tmp_path / "*.log")

    def begin_another() -> None:
        journal = (tmp_path / "state" / "tailrace").glob
        _wait(lambda: any(b"app.log" in each.read_bytes() for each in journal("*.positions")))
        (tmp_path / "later.log").write_bytes(b"later\n")
        _wait(lambda: sink.messages == ["later"])

    _followed(sink, tmp_path, *arguments, meanwhile=begin_another)
    with path.open("ab") as file:
        file.write(b"new\n")
    _followed(sink, tmp_path, *arguments, meanwhile=lambda: _wait(lambda: sink.messages == ["later", "new"]))


@pytest.mark.slow
def test_the_end_does_not_wait_for_a_server_that_is_away(tmp_path: Path) -> None:
    """What was not sent is said, and nothing is lost: the status is 0."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    process = _following("http://127.0.0.1:1", tmp_path, path)
    assert process.stderr is not None
    assert b"nothing listens" in process.stderr.readline()
    output, _ = _ended(process)
    assert output.startswith(b"0 lines sent")
    assert b"4 bytes are left to the next start" in output


@pytest.mark.slow
def test_a_refusal_ends_following_and_the_lines_are_kept(sink: Sink, tmp_path: Path) -> None:
    """Somebody has to mend it; then the next start sends them."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    sink.replies += [(401, {}, b'{"title": "Unauthorized"}')]
    result = _followed(sink, tmp_path, path, meanwhile=lambda: _wait(lambda: len(sink.keys) == 1))
    assert result.exit_code == 1
    assert "401: Unauthorized" in result.stderr
    _followed(sink, tmp_path, path, meanwhile=lambda: _wait(lambda: sink.messages == ["one"]))


def test_options_of_following_are_refused_without_it(tmp_path: Path) -> None:
    """They would be of no effect; and what cannot be followed is said."""
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    for arguments in (["--from-end"], ["--exclude", "x"], ["--multiline", "off"], ["--format", "cri"]):
        result = CliRunner().invoke(send, [*arguments, str(path)])
        assert (result.exit_code, "--follow" in result.stderr) == (2, True), arguments
    for names in (["-"], ["old.log.gz"]):
        assert CliRunner().invoke(send, ["--follow", *names]).exit_code == 2
    assert CliRunner().invoke(send, ["--follow", "--multiline", "(", str(path)]).exit_code == 2


@pytest.mark.slow
@needs_loghub
def test_the_real_files_go_into_a_real_server_and_are_counted(tmp_path: Path) -> None:
    """All 20,000 lines of ten systems are accepted, and stored."""
    with Server(tmp_path / "data") as server:
        result = CliRunner().invoke(send, ["--to", server.url, *map(str, sorted(LOGHUB.glob("*.log")))])
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("20,000 lines sent, 0 rejected")
        server.wait_stored()
        assert server.get_json("/api/count")["count"] == 20_000


def _wait(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
