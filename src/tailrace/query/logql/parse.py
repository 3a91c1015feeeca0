"""LogQL text to its tree, by the grammar beside this file.

The grammar's package is imported with the first query: most servers never meet one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from tailrace.errors import QueryError
from tailrace.query.logql.checks import checked
from tailrace.query.logql.tree import Query

if TYPE_CHECKING:
    from lark import Lark, Token

QUERY_CHARACTERS_MAX = 65_536
"""A longer query is refused: parsing is work on the caller's word."""

_UNKNOWN_STAGE = re.compile(r"\|\s{0,100}([A-Za-z_]\w*)\s*\Z")
"""A word where an operator stands, that the parser had to take for a label."""

_NESTING_MAX = 100
"""Brackets within brackets: evaluation is recursive."""


def parse(text: str) -> Query:
    """The tree of a query. Raises `QueryError`, worded as Loki words it: `parse error at line 1, col 5: …`."""
    from lark import Token, UnexpectedInput
    from lark.exceptions import VisitError

    from tailrace.query.logql.building import Builder

    if len(text) > QUERY_CHARACTERS_MAX:
        raise QueryError(f"the query has {len(text)} characters; at most {QUERY_CHARACTERS_MAX} are read")
    _check_nesting(text)
    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as error:
        token = getattr(error, "token", None)
        if isinstance(token, Token) and token.type != "$END":
            unknown = _UNKNOWN_STAGE.search(text[: token.start_pos])
            reason = f"; {unknown[1]} is no operator that is known here" if unknown else _expectation(error)
            raise _refused(token, f"syntax error: unexpected {_shown(token)}{reason}") from None
        if token is not None:
            raise QueryError(
                f"parse error at line {text.count(chr(10)) + 1}, col {len(text) - text.rfind(chr(10))}: "
                f"syntax error: unexpected end of the query{_expectation(error)}"
            ) from None
        raise QueryError(
            f"parse error at line {error.line}, col {error.column}: syntax error: unexpected character "
            f"{text[error.pos_in_stream or 0]!r}"
        ) from None
    try:
        return checked(Builder().transform(tree))
    except (RecursionError, VisitError) as error:
        cause = error.orig_exc if isinstance(error, VisitError) else error
        if isinstance(cause, RecursionError):
            raise QueryError("parse error: too many operations within each other") from None
        raise cause from None


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    from lark import Lark

    return Lark(files(__package__).joinpath("grammar.lark").read_text("utf-8"), parser="lalr", start="start")


# A text without its end goes on to the query's: the next quote in it must not be tried as the beginning of another.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|`[^`]*(?:`|\Z)', re.DOTALL)


def _check_nesting(text: str) -> None:
    depth = 0
    for character in _QUOTED.sub("", text):
        depth += (character in "({[") - (character in ")}]")
        if depth > _NESTING_MAX:
            raise QueryError(f"parse error: more than {_NESTING_MAX} brackets within each other")


def _refused(token: Token, reason: str) -> QueryError:
    return QueryError(f"parse error at line {token.line}, col {token.column}: {reason}")


def _shown(token: Token) -> str:
    return str(token.type) if token.type.startswith("$") else f"{token.type} {str(token)!r}"


def _expectation(error: Exception) -> str:
    """What could stand there, where that is a short list."""
    wanted = sorted(set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ()))
    return f", expecting {' or '.join(wanted)}" if 0 < len(wanted) <= 4 else ""
