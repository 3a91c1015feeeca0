"""Every error of Tailrace is one of four kinds, and the kind says what happens next.

    TailraceError
    ├── RetryLater   a place is away: wait and try again; over HTTP 503 with Retry-After
    ├── SlowDown     a bound was reached: send less; over HTTP 429 with Retry-After
    ├── BadInput     this input can never be right: tell its sender, or keep it in the dead letters; HTTP 4xx
    └── Stop         nobody here can mend it (wrong settings, damaged files): say what and where, and stop

Drivers' errors are translated into these at the boundary where the driver is called, and nowhere else.
"""

from __future__ import annotations


class TailraceError(Exception):
    """The root of the tree; its message is written for the person who has to act on it."""


class RetryLater(TailraceError):
    """A place (log, store) cannot be reached or is full; the same call may succeed later.

    `retry_after_s` is what the HTTP answer's Retry-After says, in whole seconds.
    """

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SlowDown(TailraceError):
    """A queue or buffer is at its bound; the caller must send less or later."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BadInput(TailraceError):
    """The input is wrong and will stay wrong. `status` is the HTTP status that says so."""

    status = 400


class TooLarge(BadInput):
    """The input is past a limit; the message names the limit's setting."""

    status = 413


class TooSlow(BadInput):
    """The input comes so slowly that others would have to wait for the room that it takes."""

    status = 408


class UnsupportedMedia(BadInput):
    """The content type or encoding is not one that is understood here."""

    status = 415


class NotFound(BadInput):
    """What was asked for is not here."""

    status = 404


class QueryError(BadInput):
    """A query that cannot be parsed or run.

    `column` is 1-based, in characters of the query text, and points at the part that is wrong; None where the
    whole query is meant.
    """

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message if column is None else f"column {column}: {message}")
        self.column = column


class Stop(TailraceError):
    """The program cannot go on: settings that are wrong, files that are damaged."""
