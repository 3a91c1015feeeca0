"""HTTP to a Tailrace server, as all client commands speak it: one kept-alive connection, readable errors.

A `Connection` is used by one thread at a time. It sends each request once; what may be sent again, and when, is
the caller's decision, who can tell from the error whether the server was reached at all.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click

DEFAULT_URL = "http://127.0.0.1:8001"

# How much of a page that is not ours (a proxy's, say) is worth showing in an error.
_FOREIGN_BODY_CHARACTERS_MAX = 300

_STREAM_PART_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises `ServerError` when the body is not JSON: then it is not a Tailrace server that answered."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise ServerError(f"this is not JSON: {_excerpt(self.body)}", status=self.status) from None


class ServerError(click.ClickException):
    """The server answered with an error; the message is the problem's title and detail (RFC 9457)."""

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None, body: bytes = b"") -> None:
        super().__init__(f"the server answered {status}: {message}")
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body

    def json(self) -> Any:
        """The body of the error; raises `ValueError` when it is not JSON."""
        return json.loads(self.body)


class Unreachable(click.ClickException):
    """No answer came: the server is down, the address is wrong, or the connection broke."""


class Connection:
    """A client of the server at `url`, such as `http://127.0.0.1:8001` or `https://logs.example.org/tailrace`."""

    def __init__(self, url: str = DEFAULT_URL, timeout_s: float = 60.0) -> None:
        """Connects on the first request. `timeout_s` bounds each wait for the network, not a whole request."""
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise click.BadParameter(f"{url!r} is not an address; write it as in {DEFAULT_URL}")
        self.url = url
        self._prefix = parts.path.rstrip("/")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._http = kind(parts.hostname, port, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read its whole answer, whose status is below 400.

        Raises `ServerError` for an answer of 400 and more, `Unreachable` when none came.
        """
        with self._translated():
            response = self._send(method, path, body, headers)
            content = response.read()
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        if answer.status >= 400:
            raise _server_error(answer)
        return answer

    def stream_lines(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Send one request and give each line of its answer as it comes, without its line end.

        Raises as `request` does, `Unreachable` also in the middle. The connection is closed when the iterator is
        done or let go of, since what is left of a stream cannot be skipped.
        """
        try:
            with self._translated():
                response = self._send(method, path, body, headers)
                if response.status >= 400:
                    content = response.read()
                    found = {name.lower(): value for name, value in response.getheaders()}
                    raise _server_error(Answer(response.status, found, content))
            rest = b""
            while True:
                with self._translated():
                    # `readline` would take a chunked answer that is cut in the middle for a whole one.
                    part = response.read1(_STREAM_PART_BYTES)
                if not part:
                    break
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield line.removesuffix(b"\r")
            if rest:
                yield rest
        finally:
            self.close()

    def close(self) -> None:
        """The next request connects again."""
        self._http.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> http.client.HTTPResponse:
        wanted = {"user-agent": "tailrace", **(headers or {})}
        self._reconnect_if_closed_by_server()
        self._http.request(method, self._prefix + path, body, wanted)
        return self._http.getresponse()

    def _reconnect_if_closed_by_server(self) -> None:
        """A kept-alive connection that the server has closed is readable (end of file) before anything is sent.

        Seeing it here is what makes it safe to connect again: no request can have been received.
        """
        sock = self._http.sock
        if sock is None:
            return
        # Not `select`, which refuses a descriptor past 1023: a process may have as many files open.
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        if waiting.poll(0):
            self.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise Unreachable(f"{self.url} does not answer in {self._http.timeout:g} s") from error
        except ConnectionRefusedError as error:
            self.close()
            raise Unreachable(f"nothing listens at {self.url}; is `tailrace up` running there?") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"the connection to {self.url} failed: {_reason(error)}") from error


def _server_error(answer: Answer) -> ServerError:
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = None
    if isinstance(problem, dict) and ("detail" in problem or "title" in problem):
        parts = [str(problem[key]) for key in ("title", "detail") if problem.get(key)]
        message = ": ".join(dict.fromkeys(parts))
    else:
        message = _excerpt(answer.body) or http.client.responses.get(answer.status, "no reason given")
    retry_after_s = _retry_after_s(answer.headers)
    return ServerError(message, status=answer.status, retry_after_s=retry_after_s, body=answer.body)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error) or type(error).__name__


def _excerpt(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").split())
    return text if len(text) <= _FOREIGN_BODY_CHARACTERS_MAX else text[:_FOREIGN_BODY_CHARACTERS_MAX] + "…"
