"""`tailrace tail`: the event stream, and what it does when the stream ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tailrace.client.tail import server_sent_events, tail
from tests.client.api_server import ApiServer, Request, api_server
from tests.client.test_search import event

LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["log", "missed"]), st.lists(LINE, min_size=1, max_size=3))))
def test_any_stream_of_events_is_read_as_it_was_written(events: list[tuple[str, list[str]]]) -> None:
    """Data of several lines, comments in between, and an event that is cut off at the end is left out."""
    text = ": hello\n\n"
    for kind, data in events:
        text += f"event: {kind}\n" + "".join(f"data: {line}\n" for line in data) + "\n: heartbeat\n\n"
    lines = (text + "event: log\ndata: cut").encode().split(b"\n")
    opened, *read = server_sent_events(lines)
    assert opened == ("open", "")
    assert read == [(kind, "\n".join(data)) for kind, data in events]


def log(number: int) -> bytes:
    return b"event: log\nid: 0-1-1\ndata: " + orjson.dumps(event(number)) + b"\n\n"


@pytest.mark.slow
def test_it_shows_events_and_connects_again_by_itself() -> None:
    """Through an ended stream and a server that is away for a moment; what was missed is told; Ctrl-C ends it."""
    with api_server() as server:
        turns = iter(range(4))
        done = threading.Event()

        def answer(request: Request) -> None:
            turn = next(turns, 4)
            if turn == 0:
                request.stream(b": tail\n\n", log(1), b'event: missed\ndata: {"count": 1234}\n\n', log(2))
            elif turn == 1:
                request.answer_json({"title": "Service Unavailable", "detail": "starting"}, 503)
            else:
                request.stream(b": tail\n\n", log(3))
                done.set()

        server.routes["GET /api/tail"] = answer
        script = "from tailrace.cli import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", script, "tail", "level:ERROR", "--fields", "message", "--url", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        shown = [process.stdout.readline() for _ in range(3)]
        assert done.wait(20)
        os.kill(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=20)
        assert shown == [b"event 1\n", b"event 2\n", b"event 3\n"]
        assert b"1,234 events were missed" in told
        assert b"starting; connecting again" in told
        assert b"Traceback" not in told
        assert process.returncode == 0
        assert server.requests[0].query == {"q": "level:ERROR"}


@pytest.mark.parametrize("status", [400, 503])
def test_the_first_refusal_is_final(status: int) -> None:
    """A wrong query, or a server that takes no tails: said at once, with exit status 2."""
    with api_server() as server:
        server.routes["GET /api/tail"] = lambda request: request.answer_json(
            {"title": "x", "detail": "column 1: no", "column": 1}, status
        )
        done = CliRunner().invoke(tail, ["(", "--url", server.url])
    assert done.exit_code == 2
    assert done.stderr == "Error: column 1: no\n  (\n  ^\n"


def test_without_a_server_it_says_so() -> None:
    """The first connection is not tried for ever."""
    server = ApiServer()
    server.stop()
    assert CliRunner().invoke(tail, ["--url", server.url]).exit_code == 2
