"""What every answer gets: a request id, security headers, and a problem document for what nobody foresaw."""

from __future__ import annotations

import logging
import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tailrace.serve.problems import PROBLEM_JSON, problem_body

_logger = logging.getLogger(__name__)

_CSP = b"content-security-policy"
_SECURITY_HEADERS = [
    (_CSP, b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

Headers = list[tuple[bytes, bytes]]

# A client's own id is taken over so that its log and ours can be joined; anything odd would let it write into ours.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class Envelope:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = _with_envelope(message["headers"], request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # Left unfinished, a started answer is cut by the server, and the client sees that it is not whole.
            _logger.exception("request %s: %s %s failed", request_id.decode(), scope["method"], scope["path"])
            if not started:
                await _answer_500(send_with_headers, request_id.decode())


def _with_envelope(headers: Headers, request_id: bytes) -> Headers:
    """A route that has a policy of its own keeps it: a browser would hold the page to both."""
    own = any(name.lower() == _CSP for name, _ in headers)
    security = [each for each in _SECURITY_HEADERS if not (own and each[0] == _CSP)]
    return [*headers, (b"x-request-id", request_id), *security]


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return uuid.uuid4().hex.encode()


async def _answer_500(send: Send, request_id: str) -> None:
    body = problem_body(
        500, "something here is broken; the server's log has it under this request's id", instance=request_id
    )
    headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
