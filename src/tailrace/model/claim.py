"""The claim: how the same events, appended to the log twice, are stored once.

A producer that repeats what may have arrived gives each copy the same claim, in a header of the log record. Whoever
reads the log asks `store.port.Claims` which record has it, and leaves the others out.

    letter/0-17-3              the replay of a dead letter; for ever
    key/1763726400123456/K     a request with an Idempotency-Key K, percent-encoded, and when it came in, in
                               microseconds: two requests with one K are one while their times are near
    key/1763726400123456/K/rejected    the dead letters of the same request

A log that must split a record puts the rows of each part behind its claim, `/0-5000`: each is to be stored.
"""

from __future__ import annotations

import re
from urllib.parse import quote

CLAIM = "claim"
"""Header of a log record; its value is the claim."""

ONLY_STORE = "only-store"
"""Header of a log record made from a letter that one store had refused: that store's name. Every other store has the
event already, and leaves the record out."""

KEY_CHARACTERS_MAX = 255

_KEY = re.compile(rf"[\x20-\x7e]{{1,{KEY_CHARACTERS_MAX}}}")
_REQUEST = re.compile(r"key/(\d{1,16})/(.+)")


def is_key(key: str) -> bool:
    """Whether a client may use this as an Idempotency-Key: 1 to 255 printable characters of ASCII."""
    return _KEY.fullmatch(key) is not None


def request_claim(key: str, at_us: int) -> str:
    """The claim of a request's events; `at_us` is when it came in."""
    return f"key/{at_us}/{quote(key, safe='')}"


def rejected_claim(key: str, at_us: int) -> str:
    """The claim of the same request's dead letters."""
    return f"{request_claim(key, at_us)}/rejected"


def letter_claim(letter_id: str) -> str:
    """The claim of what a dead letter became."""
    return f"letter/{letter_id}"


def key_and_time(claim: str) -> tuple[str, int | None]:
    """What must be unique, and around when, in microseconds; None: for ever."""
    found = _REQUEST.fullmatch(claim)
    return (claim, None) if found is None else (f"key/{found[2]}", int(found[1]))
