"""How `tailrace send` waits for a server that is away."""

from __future__ import annotations

import math
import threading

import click
import pytest

from tailrace.client.connection import Connection, ServerError, Unreachable
from tailrace.client.send_post import FOLLOW_PATIENCE, NDJSON, Poster


class Waits(threading.Event):
    """Each wait is noted, and over at once; the last one ends it."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.waits_s: list[float] = []
        self._count = count

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        return len(self.waits_s) == self._count


@pytest.mark.parametrize(
    ("failure", "longest_s"),
    [
        (Unreachable("nothing listens"), 10.0),
        (ServerError("busy", status=503, retry_after_s=7.0), 7.0),
        (ServerError("busy", status=503, retry_after_s=math.inf), 600.0),
    ],
)
def test_a_server_may_be_away_for_days(
    failure: click.ClickException, longest_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waits stay as long as they are, however many there were."""

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(Connection, "request", fail)
    waits = Waits(2000)
    poster = Poster("http://127.0.0.1:1", say=lambda message: None, stop=waits, patience=FOLLOW_PATIENCE)
    with pytest.raises(click.Abort):
        poster.post(b"{}", NDJSON)
    assert waits.waits_s[0] <= longest_s
    assert longest_s / 2 <= min(waits.waits_s[10:]) <= max(waits.waits_s) <= longest_s
