"""What a bulk request is answered: compact JSON, its keys in the order in which clients look for them.

    {"took":3,"errors":false,"items":[{"create":{"_index":"web","_id":"7","status":201}}]}

Fluent Bit looks for the bytes `"errors":false,"items":[`, Vector for `"errors":true`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from tailrace.ingest.bulk.decode import BulkDecoded, Outcome
from tailrace.ingest.decoded import Decoded
from tailrace.kernels.bulk_in import COUNTER_DIGITS, ITEM_BYTES, TEXT_END, TEXT_START, write_items
from tailrace.kernels.simd import WIDTH

_REASON_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Decoded):
    """A request and what it is answered once its events are durable. `documents` is that of `BulkDecoded`."""

    status: int
    body: bytes
    documents: Sequence[bytes]


def bulk_answer(decoded: BulkDecoded, *, id_prefix: str) -> Answered:
    """The answer without its first member: how long it took is known when the events are durable.

    `id_prefix` and the item's number are the id of a document that came without one; ASCII without quotes.
    """
    items, which = decoded.items, decoded.which
    tails = [_tail(outcome) for outcome in decoded.outcomes]
    sizes = np.array([len(tail) for tail in tails])
    ends = np.cumsum(sizes)
    texts = int((items.table[:, TEXT_END] - items.table[:, TEXT_START]).sum())
    size = texts + int(sizes[which].sum()) + len(items) * (ITEM_BYTES + len(id_prefix))
    out = np.empty(size + WIDTH, np.uint8)
    end = write_items(
        items.lines,
        items.table,
        which,
        np.frombuffer(b"".join(tails), np.uint8),
        np.stack([ends - sizes, ends], axis=1),
        np.frombuffer(id_prefix.encode(), np.uint8),
        out,
    )
    statuses = np.array([outcome.status for outcome in decoded.outcomes])
    errors = b"true" if (statuses[which] >= 400).any() else b"false"
    body = b'"errors":%s,"items":[%s]}' % (errors, out.data[:end])
    return Answered(decoded.events, decoded.rejected, status=200, body=body, documents=decoded.documents)


def with_took(body: bytes, took_ms: int) -> bytes:
    """What `bulk_answer` made, whole."""
    return b'{"took":%d,%s' % (took_ms, body)


def document_answer(decoded: BulkDecoded, *, id_prefix: str) -> Answered:
    """For a single document, as `decode_document` reads it."""
    outcome = decoded.outcomes[decoded.which[0]]
    body = _document_body(decoded, outcome, id_prefix)
    return Answered(decoded.events, decoded.rejected, status=outcome.status, body=body, documents=decoded.documents)


def _document_body(decoded: BulkDecoded, outcome: Outcome, id_prefix: str) -> bytes:
    if outcome.type is not None:
        return error_body(outcome.status, outcome.type, outcome.reason or "")
    place = orjson.loads(b"{" + decoded.items.text(0) + b"}")
    body = {
        "_index": place["_index"],
        "_id": place.get("_id", id_prefix + "0" * COUNTER_DIGITS),
        "_version": 1,
        "result": outcome.result or "created",
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "_seq_no": 0,
        "_primary_term": 1,
    }
    return orjson.dumps(body)


def error_body(status: int, type: str, reason: str) -> bytes:
    """An error of a whole request, as Elasticsearch tells one."""
    cause = {"type": type, "reason": reason[:_REASON_CHARACTERS_MAX]}
    return orjson.dumps({"error": {"root_cause": [cause], **cause}, "status": status})


def _tail(outcome: Outcome) -> bytes:
    """Of an item's answer what stands behind its index and id."""
    told: dict[str, Any] = {} if outcome.result is None else {"result": outcome.result}
    told["status"] = outcome.status
    if outcome.type is not None:
        told["error"] = {"type": outcome.type, "reason": (outcome.reason or "")[:_REASON_CHARACTERS_MAX]}
    return b"," + orjson.dumps(told)[1:-1]
