"""Lines that are logfmt: `key=value key="value" key`.

A pair that is wrong is left out, and the next one read; whoever is strict stops there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tailrace.query.logql.values import unquoted

_PAIR = re.compile(
    r'[\x00-\x20]*(?:(?P<key>[^\x00-\x20="]+)(?:(?P<equal>=)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r'|(?P<value>[^\x00-\x20="]*)(?=[\x00-\x20]|$)|(?P<bad>[^\x00-\x20]*))|(?=[\x00-\x20]|$)|(?P<odd>[^\x00-\x20]*))'
    r"|(?P<garbage>[^\x00-\x20]+))",
    re.DOTALL,
)


class NoLogfmt(ValueError):
    """The line has something that is no pair."""


def pairs(line: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    """Keys and values in order; a key alone has the empty value. `strict` raises `NoLogfmt` at what is no pair."""
    end = 0
    while match := _PAIR.match(line, end):
        end = match.end()
        key = match["key"]
        if key is None or match["bad"] is not None or match["odd"] is not None:
            if strict:
                raise NoLogfmt(f"logfmt syntax error at pos {end + 1}")
            if match["bad"] is not None and match["bad"].startswith('"'):
                # A text without its end takes the rest of the line with it.
                return
            continue
        value = match["value"] or ""
        if match["quoted"] is not None:
            text = unquoted(f'"{match["quoted"]}"')
            if text is None:
                if strict:
                    raise NoLogfmt(f"logfmt syntax error at pos {end + 1}: invalid quoted value")
                continue
            value = text
        yield key, value
