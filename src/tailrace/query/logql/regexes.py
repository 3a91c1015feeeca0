"""Regular expressions of queries: RE2's, run by Arrow, so that none of them can hang a thread."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import QueryError

_NAMED = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_GROUP_NUMBER = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))")


def check_regex(regex: str) -> None:
    """Raises `QueryError` for what RE2 refuses."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern=regex)
    except pa.ArrowInvalid as error:
        reason = str(error).partition("Invalid regular expression: ")[2] or str(error)
        raise QueryError(f"parse error: error parsing regexp: {reason}: `{regex}`") from None


def whole(regex: str) -> str:
    """A regex that covers the whole value, as matchers mean theirs."""
    return f"^(?s:{regex})$"


def captures(regex: str) -> tuple[str, tuple[str, ...]]:
    """The regex with its groups without a name made non-capturing, and the names of the others, in order."""
    pieces = _groups(regex)
    rewritten = "".join("(?:" if is_group and text == "(" else text for text, is_group in pieces)
    found = (_NAMED.fullmatch(text) for text, is_group in pieces if is_group)
    return rewritten, tuple(named[1] for named in found if named)


def all_captures(regex: str) -> tuple[str, tuple[str, ...]]:
    """The regex with every group named, and for each group, by its number, the name that it had or its number."""
    parts: list[str] = []
    names: list[str] = []
    for text, is_group in _groups(regex):
        named = _NAMED.fullmatch(text)
        if is_group and (text == "(" or named):
            parts.append(f"(?P<g{len(names) + 1}>")
            names.append(named[1] if named else str(len(names) + 1))
        else:
            parts.append(text)
    return "".join(parts), tuple(names)


def expanded(template: str, groups: dict[str, str]) -> str:
    """`$1`, `${name}` and `$$` of a replacement filled in; a group that is not there is empty."""
    return _GROUP_NUMBER.sub(lambda match: "$" if match[3] else groups.get(match[1] or match[2], ""), template)


def rewritten(replacement: str, names: tuple[str, ...]) -> str:
    """The same as RE2's replacement, `\\1`; `names` are those of `all_captures`. Raises `ValueError` past `$9`."""
    numbers = {str(number): number for number in range(len(names) + 1)}
    numbers = {name: number for number, name in enumerate(names, 1)} | numbers

    def group(match: re.Match[str]) -> str:
        number = numbers.get(match[1] or match[2])
        if number is not None and number > 9:
            raise ValueError(f"only the first nine groups can be named in a replacement, not {match[0]}")
        return "$" if match[3] else "" if number is None else f"\\{number}"

    return _GROUP_NUMBER.sub(group, replacement.replace("\\", "\\\\"))


_PIECE = re.compile(
    r"\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|\(\?P?<[A-Za-z_]\w*>|\(\?|\(|.", re.DOTALL
)


def _groups(regex: str) -> list[tuple[str, bool]]:
    """The pieces of a regex; those that begin a capturing group are marked."""
    return [(match[0], match[0] == "(" or _NAMED.fullmatch(match[0]) is not None) for match in _PIECE.finditer(regex)]
