"""Every error as an RFC 9457 problem document, `application/problem+json`.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "what to do", "instance": REQUEST ID}

A query that cannot be parsed carries `column`; a wrong parameter, `parameter`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tailrace.errors import BadInput, QueryError, RetryLater, SlowDown, TailraceError
from tailrace.serve.query_threads import ClientGone

PROBLEM_JSON = "application/problem+json"

_logger = logging.getLogger(__name__)


def problem_body(status: int, detail: str, **members: Any) -> bytes:
    """The document as bytes; `members` are added to it."""
    title = HTTPStatus(status).phrase
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail, **members})


def problem_of(error: TailraceError) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers for an error, by its kind."""
    if isinstance(error, SlowDown | RetryLater):
        status = 429 if isinstance(error, SlowDown) else 503
        headers = {"Retry-After": str(error.retry_after_s)}
        return status, problem_body(status, str(error), retry_after_s=error.retry_after_s), headers
    if isinstance(error, QueryError):
        return error.status, problem_body(error.status, str(error), column=error.column), {}
    if isinstance(error, BadInput):
        return error.status, problem_body(error.status, str(error)), {}
    # `Stop`: a place is damaged. The client learns that, and the operator's log has the rest.
    _logger.error("a request met a place that is damaged: %s", error)
    return 500, problem_body(500, "a place of this server is damaged; its log says which"), {}


def add_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(TailraceError, _on_tailrace_error)
    app.add_exception_handler(RequestValidationError, _on_wrong_parameters)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientGone, _on_client_gone)


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    return Response(problem_body(status, detail, **members), status, dict(headers or {}), media_type=PROBLEM_JSON)


async def _on_tailrace_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, TailraceError)
    status, body, headers = problem_of(error)
    return Response(body, status, headers, media_type=PROBLEM_JSON)


async def _on_wrong_parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"parameter": ".".join(str(part) for part in each["loc"][1:]), "reason": _reason(each)}
        for each in error.errors()
    ]
    detail = "; ".join(f"{each['parameter'] or 'body'}: {each['reason']}" for each in wrong)
    return problem_response(400, detail, errors=wrong)


def _reason(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such parameter"
    return str(error["msg"])


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404:
        detail = f"there is nothing at {request.url.path}; /docs lists what there is"
    if error.status_code == 405:
        detail = f"{request.method} is not answered at {request.url.path}"
    return problem_response(error.status_code, detail, error.headers)


async def _on_client_gone(_: Request, error: Exception) -> Response:
    # Nobody reads it; 499 is what proxies' logs call it.
    return Response(status_code=499)
