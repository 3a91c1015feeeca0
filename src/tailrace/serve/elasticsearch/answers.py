"""What every answer of the Elasticsearch API has: its header, and errors in its shape."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from tailrace.errors import BadInput, RetryLater, SlowDown, TailraceError, TooLarge, UnsupportedMedia
from tailrace.ingest.bulk.answer import error_body

# Without it Elastic's own clients refuse to work with a server.
PRODUCT = {"X-Elastic-Product": "Elasticsearch"}

_TYPES: Mapping[type[TailraceError], str] = {
    SlowDown: "es_rejected_execution_exception",
    RetryLater: "unavailable_shards_exception",
    TooLarge: "content_too_long_exception",
    UnsupportedMedia: "media_type_header_exception",
    BadInput: "illegal_argument_exception",
}


def json_answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json", headers=PRODUCT)


def error_answer(error: TailraceError) -> Response:
    """By the error's kind: 429 and 503 say when to come back; 4xx that it is of no use. Others are not for here."""
    type_name = next((name for kind, name in _TYPES.items() if isinstance(error, kind)), None)
    if type_name is None:
        raise error
    headers = dict(PRODUCT)
    status = error.status if isinstance(error, BadInput) else 503
    if isinstance(error, SlowDown | RetryLater):
        status = 429 if isinstance(error, SlowDown) else 503
        headers["Retry-After"] = str(error.retry_after_s)
    return Response(error_body(status, type_name, str(error)), status, media_type="application/json", headers=headers)
