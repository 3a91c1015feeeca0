"""Each batch has an Idempotency-Key of its own, and keeps it at every try, on every way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailrace.handler.spool import Spool
from tests.client.log_server import LogServer, Reply, log_server
from tests.client.test_handler import log_numbered, logger_to, numbered


@pytest.fixture
def server() -> Iterator[LogServer]:
    with log_server() as running:
        yield running


def keys(server: LogServer) -> list[str]:
    return [headers["Idempotency-Key"] for headers in server.headers]


def test_every_batch_has_its_own_key(server: LogServer) -> None:
    """Two requests, two keys."""
    with logger_to(server.url) as (logger, handler):
        for number in range(2):
            log_numbered(logger, 1, number)
            assert handler.flush(10)
    assert len(keys(server)) == len(set(keys(server))) == 2


def test_a_batch_keeps_its_key_at_every_try(server: LogServer) -> None:
    """Whatever kept its answer away: 503s here, of which nobody knows what was stored behind them."""
    answers = iter([503, 503, 202])
    server.decide = lambda events: Reply(next(answers))
    with logger_to(server.url) as (logger, handler):
        log_numbered(logger, 3)
        while not handler.flush(10):
            pass
    assert len(keys(server)) == 3
    assert len(set(keys(server))) == 1


def test_the_halves_of_a_batch_keep_their_keys(server: LogServer) -> None:
    """A body that is too large goes in halves; a half that is tried again has the same key, and no other one has."""
    bodies: dict[str, list[str]] = {}
    lost = ["the first answer to a half"]

    def decide(events: list[dict[str, Any]]) -> Reply:
        messages = [event["message"] for event in events]
        assert bodies.setdefault(keys(server)[-1], messages) == messages
        if len(events) > 2:
            return Reply(413)
        return Reply(503) if lost and lost.pop() else Reply()

    server.decide = decide
    with logger_to(server.url, batch_events_max=8, flush_interval_s=5) as (logger, handler):
        log_numbered(logger, 8)
        while not handler.flush(10):
            pass
    assert server.messages() == numbered(8)
    assert len(bodies) == 7
    assert len(keys(server)) == 8


@pytest.mark.parametrize("hangs", [True, False])
def test_the_spool_keeps_the_key_of_what_was_tried(server: LogServer, tmp_path: Path, hangs: bool) -> None:
    """The next process sends the batch under the key under which the last one has tried it.

    Also when the first was still waiting for the answer as it was closed.
    """
    server.decide = lambda events: Reply(503)
    if hangs:
        server.hang()
    with logger_to(server.url, spool_folder=tmp_path, exit_timeout_s=0.1) as (logger, _):
        log_numbered(logger, 5)
        server.wait_for(lambda server: server.requests == 1)
        if hangs:
            log_numbered(logger, 5, start=5)
    tried = set(keys(server))
    server.stop()
    server.headers.clear()
    server.decide = lambda events: Reply()
    server.start_again()
    with logger_to(server.url, spool_folder=tmp_path) as (_, handler):
        server.wait_for(lambda server: len(server.events) >= (10 if hangs else 5))
        assert handler.flush(10)
    assert server.messages() == numbered(10 if hangs else 5)
    assert tried <= set(keys(server))
    assert len(set(keys(server))) == len(keys(server)) == (2 if hangs else 1)


def test_what_was_never_tried_shares_a_segment_and_its_key(tmp_path: Path) -> None:
    """Small batches do not become a request each; one that was tried stands alone, in the order of time."""
    spool = Spool(tmp_path, bytes_max=1 << 20)
    spool.append([b"1\n"])
    spool.append([b"2\n"])
    spool.append([b"3\n"], key="tried-1")
    spool.append([b"4\n"])
    spool.append([b"5\n"])
    found = []
    while (segment := spool.claim()) is not None:
        with segment:
            found.append((segment.key, segment.lines()))
            segment.delete()
    assert [lines for _, lines in found] == [[b"1\n", b"2\n"], [b"3\n"], [b"4\n", b"5\n"]]
    assert found[1][0] == "tried-1"
    assert len({key for key, _ in found}) == 3


def test_a_segment_of_an_older_version_is_sent_without_a_key(server: LogServer, tmp_path: Path) -> None:
    """Its name has none."""
    (tmp_path / "00000000000000000001-1-1.ndjson").write_bytes(b'{"message": "old"}\n')
    with logger_to(server.url, spool_folder=tmp_path) as (_, handler):
        server.wait_for(lambda server: len(server.events) == 1)
        assert handler.flush(10)
    assert "Idempotency-Key" not in server.headers[0]
