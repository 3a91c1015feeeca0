"""One `POST /logs`: NDJSON out, and what the answer means for the events."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

# The server has read the body and will never take it: bad request, too large, wrong type, not processable.
_REFUSED_FOR_GOOD = frozenset({400, 413, 415, 422})

_BACKOFF_FIRST_S = 0.25
_BACKOFF_MAX_S = 30.0

# A server that asks for more is asked again anyway: a wrong header must not silence an application for a day.
_RETRY_AFTER_MAX_S = 300.0

_ANSWER_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Delivered:
    """Acknowledged: durable at the server, but for `rejected` lines that it could not read."""

    rejected: int
    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take this body. `too_large`: it might take its halves."""

    too_large: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Away:
    """Nothing is known to be stored; the same body may succeed later, not before `retry_after_s`."""

    retry_after_s: float
    detail: str


Outcome = Delivered | Refused | Away


class Poster:
    """Keeps one connection open. Used by one thread."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Raises `ValueError` when the URL is not an `http` or `https` address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an address like http://127.0.0.1:8001")
        self.url = url
        self._connection_type = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + "/logs"
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, lines: Sequence[bytes], key: str | None) -> Outcome:
        """Send the lines as one body, gzip-compressed. Raises nothing.

        A body that comes twice under one `key`, its Idempotency-Key, is stored once.
        """
        # Level 1: log lines shrink to about a fifth already, and the application needs its processor more.
        body = gzip.compress(b"".join(lines), compresslevel=1, mtime=0)
        try:
            reused = self._connection is not None
            try:
                return self._exchange(body, len(lines), key)
            except (ConnectionError, http.client.BadStatusLine):
                self.close()
                if not reused:
                    raise
                # Servers close idle connections; that says nothing about whether they are there.
                return self._exchange(body, len(lines), key)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Away(0, f"{self.url} cannot be reached: {type(error).__name__}: {error}")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, body: bytes, count: int, key: str | None) -> Outcome:
        if self._connection is None:
            self._connection = self._connection_type(self._host, self._port, timeout=self._timeout_s)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if key is not None:
            headers["Idempotency-Key"] = key
        self._connection.request("POST", self._path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read(_ANSWER_BYTES_MAX)
        if not answer.isclosed():
            self.close()
        retry_after = answer.headers.get("Retry-After")
        return outcome(answer.status, text, retry_after, count=count, now_s=time.time())


def outcome(status: int, text: bytes, retry_after: str | None, *, count: int, now_s: float) -> Outcome:
    """What an answer to a body of `count` lines means.

    Other 4xx than the four about the body itself (401, 404, …) are answers of a wrong address, a missing token or a
    proxy: mended by people, and no fault of the events. So they are Away, like 5xx and 429.
    """
    detail = f"{status} {text[:500].decode('utf-8', 'replace')}"
    if 200 <= status < 300:
        return Delivered(min(_rejected(text), count), detail)
    if status in _REFUSED_FOR_GOOD:
        return Refused(status == 413, detail)
    return Away(min(_seconds(retry_after, now_s), _RETRY_AFTER_MAX_S), detail)


def backoff_s(attempt: int, fraction: float) -> float:
    """How long to wait after the failure number `attempt` (from 1): doubling, capped, and spread by `fraction`.

    `fraction` is a random number in [0, 1): many applications that lost the same server must not come back at once.
    """
    ceiling = min(_BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 20), _BACKOFF_MAX_S)
    return ceiling * (0.5 + fraction / 2)


def _rejected(text: bytes) -> int:
    try:
        rejected = json.loads(text)["rejected"]
    except (ValueError, LookupError, TypeError):
        return 0
    return max(rejected, 0) if isinstance(rejected, int) else 0


def _seconds(retry_after: str | None, now_s: float) -> float:
    """RFC 9110, 10.2.3: whole seconds or a date. What is neither counts as none."""
    if retry_after is None:
        return 0.0
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now_s, 0.0)
    except (ValueError, TypeError):
        return 0.0
