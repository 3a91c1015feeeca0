"""`tailrace search`: what it asks for, and what it prints into pipes and onto terminals."""

from __future__ import annotations

import csv
import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tailrace.client.output import harmless
from tailrace.client.query_errors import caret
from tailrace.client.search import search
from tests.client.api_server import ApiServer, Request, api_server


def event(number: int, **members: Any) -> dict[str, Any]:
    return {
        "timestamp": f"2025-03-28T10:00:00.{number:06d}Z",
        "level": "ERROR",
        "message": f"event {number}",
        "service": "shop",
        "host": "web-1",
        "trace_id": None,
        "span_id": None,
        "attributes": {"latency_ms": str(number)},
        "id": f"0-1-{number}",
        "observed_timestamp": "2025-03-28T10:00:01.000000Z",
    } | members


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running


def serve(server: ApiServer, *events: dict[str, Any], chunk: int = 50) -> None:
    def answer(request: Request) -> None:
        assert request.query["format"] == "ndjson"
        body = b"".join(orjson.dumps(one) + b"\n" for one in events)
        # Chunks end in the middle of lines, as they do on the network.
        request.stream(*(body[start : start + chunk] for start in range(0, len(body), chunk)))

    server.routes["GET /api/search"] = answer


def run(server: ApiServer, *arguments: str) -> Result:
    return CliRunner().invoke(search, [*arguments, "--url", server.url])


def on_terminal(server: ApiServer, *arguments: str, **environment: str) -> bytes:
    """The bytes that a terminal of eighty columns is sent."""
    ours, theirs = pty.openpty()
    script = "import sys; from tailrace.cli import main; main()"
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", script, "search", *arguments, "--url", server.url],
        stdout=theirs,
        stdin=subprocess.DEVNULL,
        env=variables | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment,
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65_536):
            written += part
    except OSError:
        pass  # The end of a terminal that nobody writes to any more.
    os.close(ours)
    assert process.wait() == 0
    return written


def test_text_has_the_message_last_and_untouched(server: ApiServer) -> None:
    """Into a pipe go the message's own bytes, and `-` stands for a field that is not there."""
    serve(server, event(1, message="\x1b[31mred\ttext  "), event(2, level=None, service=None, message=""))
    done = run(server, "level:ERROR")
    assert done.stdout_bytes == (
        b"2025-03-28T10:00:00.000001Z ERROR shop web-1 \x1b[31mred\ttext  \n2025-03-28T10:00:00.000002Z - - web-1 \n"
    )
    assert done.exit_code == 0


def test_the_query_and_the_times_reach_the_server_as_typed(server: ApiServer) -> None:
    """Words for times are the server's to understand."""
    serve(server, event(1))
    query = 'service:pay* AND "card declined" & ü'
    run(server, query, "--since", "30y", "--until", "yesterday", "--order", "asc", "--limit", "7")
    assert server.requests[-1].query == {
        "q": query,
        "start": "30y",
        "end": "yesterday",
        "order": "asc",
        "limit": "7",
        "format": "ndjson",
    }
    run(server, "--all")
    assert server.requests[-1].query == {"order": "desc", "format": "ndjson"}


def test_json_is_what_the_server_sent(server: ApiServer) -> None:
    """Byte for byte, one object a line."""
    serve(server, event(1), event(2))
    assert (
        run(server, "--output", "json").stdout_bytes
        == orjson.dumps(event(1)) + b"\n" + orjson.dumps(event(2)) + b"\n"
    )


def test_csv_is_the_servers_own(server: ApiServer) -> None:
    """Its heading and its rows, without a detour over objects."""
    body = b'timestamp,message\n1,"two\nlines"\n'
    server.routes["GET /api/search"] = lambda request: request.stream(body)
    done = run(server, "--output", "csv", "--all")
    assert server.requests[-1].query["format"] == "csv"
    assert done.stdout_bytes == body


@pytest.mark.parametrize("output", ["json", "csv", "table", "text"])
def test_fields_choose_columns_and_attributes(server: ApiServer, output: str) -> None:
    """Names that are no column are attributes, with or without their prefix; what is absent is empty."""
    serve(server, event(1, message='say "hi"'))
    done = run(server, "--output", output, "--fields", "message, latency_ms,attributes.latency_ms,nothing")
    if output == "json":
        assert orjson.loads(done.stdout) == {
            "message": 'say "hi"',
            "latency_ms": "1",
            "attributes.latency_ms": "1",
            "nothing": None,
        }
    elif output == "csv":
        heading, row = csv.reader(io.StringIO(done.stdout))
        assert heading == ["message", "latency_ms", "attributes.latency_ms", "nothing"]
        assert row == ['say "hi"', "1", "1", ""]
    elif output == "table":
        assert [line.split("  ") for line in done.stdout.splitlines()][2][0] == 'say "hi"'
    else:
        assert done.stdout == '1 1 - say "hi"\n'


def test_a_table_lines_up(server: ApiServer) -> None:
    """A message of two lines stays one row."""
    serve(server, event(1, message="a\nb"), event(2, service="a-longer-name"))
    lines = run(server, "--output", "table", "--fields", "service,message").stdout.splitlines()
    assert lines == [
        "service        message",
        "-------------  -------",
        "shop           a\\x0ab",
        "a-longer-name  event 2",
    ]


@pytest.mark.parametrize("output", ["text", "json", "csv", "table"])
def test_nothing_found_is_exit_status_1(server: ApiServer, output: str) -> None:
    """As grep has it, so that scripts can ask."""
    server.routes["GET /api/search"] = lambda request: request.stream(
        *([b"timestamp,level\n"] if request.query["format"] == "csv" else [])
    )
    assert run(server, "nothing", "--output", output).exit_code == 1


def test_count_prints_the_number(server: ApiServer) -> None:
    """From `/api/count`, with the same exit status."""
    server.routes["GET /api/count"] = lambda request: request.answer_json({"count": int(request.query["q"])})
    done = run(server, "1234", "--count", "--since", "1h")
    assert (done.stdout, done.exit_code) == ("1234\n", 0)
    assert server.requests[-1].query == {"q": "1234", "start": "1h"}
    assert run(server, "0", "--count").exit_code == 1


def test_a_wrong_query_is_shown_with_a_caret(server: ApiServer) -> None:
    """Under the column that the server names, and exit status 2."""
    problem = {"title": "Bad Request", "status": 400, "detail": "column 7: a value is missing", "column": 7}
    server.routes["GET /api/search"] = lambda request: request.answer_json(problem, 400)
    done = run(server, "level: AND x", "--output", "csv", "--fields", "message")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == "Error: column 7: a value is missing\n  level: AND x\n        ^\n"


def test_a_server_that_is_not_there_is_exit_status_2() -> None:
    """It is not the same as nothing found."""
    server = ApiServer()
    server.stop()
    done = run(server, "x")
    assert done.exit_code == 2
    assert "nothing listens at" in done.stderr


@pytest.mark.parametrize(
    ("query", "column", "shown"),
    [
        ("abc", 1, "  abc\n  ^"),
        ("abc", 4, "  abc\n     ^"),
        ("日本 x", 4, "  日本 x\n       ^"),
        ("a\tb", 3, "  a b\n    ^"),
        ("one\ntwo x", 9, "  two x\n      ^"),
    ],
)
def test_the_caret_stands_where_the_eye_looks(query: str, column: int, shown: str) -> None:
    """Wide characters take two cells, and of several lines the right one is shown."""
    assert caret(query, column) == shown


@given(st.text())
def test_no_text_can_command_a_terminal(text: str) -> None:
    """Whatever a message holds, no control character but line end and tab is left."""
    assert not [each for each in harmless(text) if (each < " " and each not in "\n\t") or "\x7f" <= each <= "\x9f"]
    assert harmless(harmless(text)) == harmless(text)


def test_a_terminal_gets_colours_and_no_commands_of_the_message(server: ApiServer) -> None:
    """The only escapes are the colours of ours; the message's are made visible, and long lines are left to wrap."""
    serve(server, event(1, message="\x1b]0;owned\x07 \x9b31m[bold]" + "x" * 200, service="a\nb"))
    written = on_terminal(server)
    assert b"\x1b[1;31mERROR\x1b[0m" in written
    assert rb"\x1b]0;owned\x07 \x9b31m[bold]" + b"x" * 200 in written
    assert rb"a\x0ab" in written
    assert b"\x1b]" not in written


def test_no_color_is_respected(server: ApiServer) -> None:
    """With NO_COLOR a terminal gets no escape at all."""
    serve(server, event(1))
    written = on_terminal(server, NO_COLOR="1")
    assert written.endswith(b"event 1\r\n")
    assert b"\x1b" not in written
