from __future__ import annotations

import pytest

from tailrace.client.connection import Connection, Unreachable
from tests.client.api_server import Request, api_server


def test_lines_are_given_whole_however_the_chunks_are_cut() -> None:
    """A line may lie over several chunks, and the last needs no line end."""
    with api_server() as server:
        server.routes["GET /lines"] = lambda request: request.stream(b"a\nb", b"c\r\n\nd", b"e")
        with Connection(server.url, timeout_s=5) as connection:
            assert list(connection.stream_lines("GET", "/lines")) == [b"a", b"bc", b"", b"de"]


def test_an_answer_that_is_cut_in_the_middle_is_not_taken_for_a_whole_one() -> None:
    """The lines that came are given, and then the error."""

    def cut(request: Request) -> None:
        request.stream(b"a\nb\n", whole=False)

    with api_server() as server:
        server.routes["GET /lines"] = cut
        with Connection(server.url, timeout_s=5) as connection:
            lines = connection.stream_lines("GET", "/lines")
            assert [next(lines), next(lines)] == [b"a", b"b"]
            with pytest.raises(Unreachable):
                next(lines)
