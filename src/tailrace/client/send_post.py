"""`POST /logs` until it is acknowledged: what is sent again and when, and what the answers add up to."""

from __future__ import annotations

import math
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import click

from tailrace.client.connection import Connection, ServerError, Unreachable

NDJSON = "application/x-ndjson"

# The server says so when it has no room or cannot reach its log; a proxy when it cannot reach the server.
_AWAY = frozenset({429, 502, 503, 504})

_BACKOFF_FIRST_S = 0.25
_BACKOFF_MAX_S = 10.0

# A proxy may name any number; nobody means to be away for longer without a look.
_RETRY_AFTER_MAX_S = 600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try again: `first_s` for a server that has not answered yet, `later_s` for one that has."""

    first_s: float
    later_s: float


# A wrong address should be told soon; a server that was there will most likely be back. What is written now and
# read nowhere else is worth any wait.
FILE_PATIENCE = Patience(15.0, 300.0)
PIPE_PATIENCE = Patience(15.0, math.inf)
FOLLOW_PATIENCE = Patience(math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server did with one body. `errors`: line numbers in the body, and reasons (the first hundred)."""

    accepted: int
    rejected: int
    errors: list[tuple[int, str]]


class Poster:
    """One connection, used by one thread."""

    def __init__(self, url: str, *, say: Callable[[str], None], stop: threading.Event, patience: Patience) -> None:
        """`say` is told about the waits; `stop` ends them."""
        self._connection = Connection(url)
        self._say = say
        self._stop = stop
        self._patience = patience
        self._answered = False

    def post(self, body: bytes, content_type: str, *, key: str | None = None) -> Receipt:
        """Send until it is acknowledged: the events are durable on return.

        A body whose answer was lost is sent again under the same Idempotency-Key, and stored once. `key` is that
        key, where the same body may have been sent by an earlier process; None: one that is new. Raises
        `click.ClickException` when the server refuses the body or stays away for too long.
        """
        headers = {"content-type": content_type, "idempotency-key": key or str(uuid.uuid4())}
        started_s = time.monotonic()
        attempt, backoff_s = 0, _BACKOFF_FIRST_S
        while True:
            try:
                answer = self._connection.request("POST", "/logs", body=body, headers=headers)
                self._answered = True
                return _receipt(answer.json())
            except ServerError as error:
                self._answered = True
                if error.status == 400 and (receipt := _receipt_of_error(error)):
                    return receipt
                if error.status not in _AWAY:
                    raise
                failure, wait_s = error.message, error.retry_after_s
            except Unreachable as error:
                failure, wait_s = error.message, None
            if wait_s is None:
                wait_s = backoff_s * random.uniform(0.5, 1)
                backoff_s = min(2 * backoff_s, _BACKOFF_MAX_S)
            wait_s = min(wait_s, _RETRY_AFTER_MAX_S)
            attempt += 1
            patience_s = self._patience.later_s if self._answered else self._patience.first_s
            if time.monotonic() + wait_s - started_s > patience_s:
                raise click.ClickException(f"{failure}; gave up after {attempt} attempts")
            if wait_s >= 1 or attempt == 3:
                self._say(f"{failure}; sending again in {wait_s:.0f} s")
            if self._stop.wait(wait_s):
                raise click.Abort

    def close(self) -> None:
        self._connection.close()


def _receipt(answer: object) -> Receipt:
    if not isinstance(answer, dict) or not isinstance(answer.get("accepted"), int):
        raise click.ClickException(f"this is not the answer of a Tailrace server: {str(answer)[:300]}")
    errors = [(int(error.get("line", 0)), str(error.get("reason", ""))) for error in answer.get("errors", [])]
    return Receipt(answer["accepted"], int(answer.get("rejected", 0)), errors)


def _receipt_of_error(error: ServerError) -> Receipt | None:
    """The receipt that comes with 400 when not one line was good; None when it is an error about the body."""
    try:
        return _receipt(error.json())
    except (ValueError, click.ClickException):
        return None
