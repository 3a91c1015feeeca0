"""What OTLP answers, in protobuf and in JSON.

Sources: `ExportLogsServiceResponse` of `opentelemetry/proto/collector/logs/v1/logs_service.proto`,
`google.rpc.Status` and `google.rpc.RetryInfo` of `googleapis`, "OTLP/HTTP Response" of the OTLP specification.
"""

from __future__ import annotations

import orjson

from tailrace.errors import BadInput, RetryLater, SlowDown, TailraceError
from tailrace.ingest.otlp.decode import OtlpDecoded
from tailrace.ingest.otlp.wire import bytes_field, number_field

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 3, 8, 13, 14
"""Codes of `google.rpc.Code`, which are gRPC's."""

_REASON_CHARACTERS_MAX = 500
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def code_of(error: TailraceError) -> int:
    if isinstance(error, SlowDown):
        return RESOURCE_EXHAUSTED
    if isinstance(error, RetryLater):
        return UNAVAILABLE
    return INVALID_ARGUMENT if isinstance(error, BadInput) else INTERNAL


def response_protobuf(decoded: OtlpDecoded) -> bytes:
    """Empty when every record was taken."""
    if not decoded.rejected_records:
        return b""
    partial = number_field(1, decoded.rejected_records) + bytes_field(2, _why(decoded).encode())
    return bytes_field(1, partial)


def response_json(decoded: OtlpDecoded) -> bytes:
    if not decoded.rejected_records:
        return b"{}"
    partial = {"rejectedLogRecords": str(decoded.rejected_records), "errorMessage": _why(decoded)}
    return orjson.dumps({"partialSuccess": partial})


def status_protobuf(code: int, message: str, *, retry_after_s: int | None = None) -> bytes:
    """A `Status`; with `retry_after_s` it has a `RetryInfo`, without which a client must not send again."""
    status = number_field(1, code) + bytes_field(2, message.encode())
    if retry_after_s is None:
        return status
    return status + bytes_field(3, bytes_field(1, _RETRY_INFO) + bytes_field(2, retry_info(retry_after_s)))


def retry_info(retry_after_s: int) -> bytes:
    """A `RetryInfo`: when to send again."""
    return bytes_field(1, number_field(1, retry_after_s))


def status_json(code: int, message: str) -> bytes:
    return orjson.dumps({"code": code, "message": message})


def _why(decoded: OtlpDecoded) -> str:
    """The first record's reason; all are in the dead letters."""
    first = decoded.rejected[0]
    return f"record {first.line}: {first.reason[:_REASON_CHARACTERS_MAX]} (all are kept as dead letters)"
