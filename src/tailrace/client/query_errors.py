"""Errors of queries, shown with the query and a caret under the place that is wrong."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator

import click
import orjson

from tailrace.client.connection import ServerError, Unreachable

EXIT_NOTHING_FOUND = 1
EXIT_ERROR = 2
"""As grep does: 0 something was found, 1 nothing was, 2 it could not be looked for."""


class QueryFailed(click.ClickException):
    exit_code = EXIT_ERROR


@contextlib.contextmanager
def shown_with(query: str) -> Iterator[None]:
    """Errors of the server and on the way to it become `QueryFailed`, with a caret under the column named."""
    try:
        yield
    except ServerError as error:
        detail, column = _problem(error.body)
        pointer = "" if column is None else "\n" + caret(query, column)
        raise QueryFailed((detail or error.message) + pointer) from error
    except Unreachable as error:
        raise QueryFailed(error.message) from error


def caret(query: str, column: int) -> str:
    """The line of the query that holds the 1-based column, and a caret below it."""
    before = query[: column - 1]
    first = before.rfind("\n") + 1
    line = query[first:].partition("\n")[0]
    width = sum(_cells(character) for character in before[first:])
    return f"  {line.replace(chr(9), ' ')}\n  {' ' * width}^"


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _problem(body: bytes) -> tuple[str | None, int | None]:
    """`detail` and `column` of an RFC 9457 problem document."""
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, None
    if not isinstance(problem, dict):
        return None, None
    detail, column = problem.get("detail"), problem.get("column")
    return (
        detail if isinstance(detail, str) else None,
        column if isinstance(column, int) and column > 0 else None,
    )
