"""Paths into a JSON document, as `| json a="servers[0].name"` writes them."""

from __future__ import annotations

import re

_STEP = re.compile(r'\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]', re.ASCII)


def json_path(text: str) -> tuple[str | int, ...] | None:
    """Keys and indices; None for a text that is no path."""
    steps: list[str | int] = []
    end = 0
    while end < len(text):
        match = _STEP.match(text, end)
        if match is None or (not end and text.startswith(".")):
            return None
        name, index, quoted = match.groups()
        if name is not None and end and text[end] != ".":
            return None
        steps.append(name if name is not None else int(index) if index is not None else quoted.replace('\\"', '"'))
        end = match.end()
    return tuple(steps) or None
