"""Patterns of `| pattern "<ip> - <_> [<time>]"` and `|> "<_>timeout<_>"`: literal texts with captures between."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tailrace.errors import QueryError

_CAPTURE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*)>")


@dataclass(frozen=True, slots=True)
class Capture:
    """`name` is None for `<_>`."""

    name: str | None


LinePattern = tuple[str | Capture, ...]


def line_pattern(text: str, *, names: bool) -> LinePattern:
    """The parts in order. `names`: for the parser, which needs one; a filter takes none.

    Raises `QueryError` for captures beside each other, names that come twice, and names where there must or may not
    be any.
    """
    parts: list[str | Capture] = []
    end = 0
    for match in _CAPTURE.finditer(text):
        if match.start() > end:
            parts.append(text[end : match.start()])
        elif parts and isinstance(parts[-1], Capture):
            raise QueryError(f"parse error: invalid pattern {text!r}: found consecutive capture '{match[0]}'")
        parts.append(Capture(None if match[1] == "_" else match[1]))
        end = match.end()
    if end < len(text):
        parts.append(text[end:])
    named = [part.name for part in parts if isinstance(part, Capture) and part.name is not None]
    if names and not named:
        raise QueryError(f"parse error: invalid pattern {text!r}: at least one capture is required")
    if not names and named:
        raise QueryError(f"parse error: invalid pattern {text!r}: named captures are not allowed in a line filter")
    if len(set(named)) < len(named):
        raise QueryError(f"parse error: invalid pattern {text!r}: a capture comes twice")
    return tuple(parts)


def captured(pattern: LinePattern, line: str) -> list[tuple[str, str]]:
    """The captures of a line, up to the one that was not ended: that one takes the rest."""
    found: list[tuple[str, str]] = []
    rest = line
    parts = pattern
    if isinstance(parts[0], str):
        if not line.startswith(parts[0]):
            return []
        rest = line[len(parts[0]) :]
        parts = parts[1:]
    if not line:
        return []
    for place in range(0, len(parts), 2):
        capture, literal = parts[place], parts[place + 1] if place + 1 < len(parts) else None
        assert isinstance(capture, Capture)
        at = -1 if literal is None else rest.find(str(literal))
        value = rest if at < 0 else rest[:at]
        if capture.name is not None:
            found.append((capture.name, value))
        if at < 0:
            break
        rest = rest[at + len(str(literal)) :]
    return found


def fits(pattern: LinePattern, line: str) -> bool:
    """Whether a line has the literals in order, with at least one character for each capture, and nothing behind."""
    if not line or not pattern:
        return not line and not pattern
    end = 0
    for place, part in enumerate(pattern):
        if isinstance(part, Capture):
            continue
        at = line.find(part, end)
        if at < 0 or (place and at == end):
            return False
        end = at + len(part)
    return isinstance(pattern[-1], Capture) == (end < len(line))
