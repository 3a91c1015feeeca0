"""Bulk requests: many documents at a time, several requests at once, and what becomes of those that are not taken.

For each document the server answers with a status of its own.

    2xx, 409        it is there; 409: it was already, by the same identity
    429, 5xx        sent again by itself, a few times, each time later; then `RetryLater`
    400             the document's own fault: it is refused, with the server's reason
    anything else   the index's fault (closed, gone, read-only, forbidden): `RetryLater` until somebody mends it
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from tailrace.errors import RetryLater
from tailrace.kernels.bulk_out import Places
from tailrace.kernels.json_text import Bytes
from tailrace.ops.metrics import Metrics
from tailrace.store.elasticsearch.documents import render
from tailrace.store.elasticsearch.server import NDJSON, Answer, Busy, Server, said_in

# Enough that the server has the next request when it is done with one; more would only wait in its queue.
REQUESTS_AT_ONCE = 3

# Some three seconds in all: a full queue of the server is worked off by then, or it is more than a full queue.
_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)

# The server's filter: of each item only what is looked at. `errors` comes first in the answer.
_PARAMETERS = {"filter_path": "errors,items.*.status,items.*.error"}
_ALL_IS_WELL = b'{"errors":false'

# 400 for these says nothing of the document.
_INDEX_ERRORS = frozenset({"index_closed_exception", "validation_exception", "invalid_index_name_exception"})


class Refusal(NamedTuple):
    """A document that the server will never take: its row in the part that was sent, and the server's reason."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is to be done about the documents of one answer, by their places in the request."""

    again: Sequence[int]
    refused: Sequence[Refusal]
    why_again: str = ""


class BulkWriter:
    """Sends the parts of a batch through a few threads. Used by one thread."""

    def __init__(self, server: Server, *, metrics: Metrics, place: str) -> None:
        self._server = server
        self._retries = metrics.retries.labels(place)
        self._pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="bulk")

    def write(self, parts: Iterable[tuple[str, pa.RecordBatch]]) -> list[tuple[str, pa.RecordBatch, list[Refusal]]]:
        """Send each part to its index; durable on return. Gives back the parts with what was refused of them.

        Parts are rendered by the threads that send them, so that only what is on its way is in memory. Raises
        `RetryLater` when any could not be sent; the others may be there then.
        """
        sent = [(index, part, self._pool.submit(self._write_part, index, part)) for index, part in parts]
        try:
            done = [(index, part, future.result()) for index, part, future in sent]
        except BaseException:
            _abandon([future for _, _, future in sent])
            raise
        return [each for each in done if each[2]]

    def close(self) -> None:
        self._pool.shutdown()

    def _write_part(self, index: str, part: pa.RecordBatch) -> list[Refusal]:
        lines, places = render(part)
        return self._write_rows(index, lines, places, range(part.num_rows))

    def _write_rows(self, index: str, lines: Bytes, places: Places, rows: Sequence[int]) -> list[Refusal]:
        refused: list[Refusal] = []
        why_again = ""
        for wait_s in (0.0, *_WAITS_S):
            if wait_s > 0:
                self._retries.inc()
                time.sleep(wait_s)
            try:
                answer = self._send(index, _payload(lines, places, rows))
            except Busy as error:
                why_again = str(error)
                continue
            if answer.status == 413:
                return refused + self._write_halves(index, lines, places, rows)
            if answer.body.startswith(_ALL_IS_WELL):
                return refused
            result = sort_items(index, orjson.loads(answer.body)["items"], rows)
            refused += result.refused
            rows, why_again = result.again, result.why_again
            if not rows:
                return refused
        raise RetryLater(f"{index}: {len(rows)} events not taken yet: {why_again}")

    def _write_halves(self, index: str, lines: Bytes, places: Places, rows: Sequence[int]) -> list[Refusal]:
        """The server, or what stands before it, takes less at a time than `elasticsearch.bulk_bytes`."""
        if len(rows) == 1:
            return [Refusal(rows[0], "413: the server does not take a request of this size")]
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:])
        return [refusal for half in halves for refusal in self._write_rows(index, lines, places, half)]

    def _send(self, index: str, payload: memoryview) -> Answer:
        path = f"/{index}/_bulk"
        return self._server.send("POST", path, payload, content_type=NDJSON, parameters=_PARAMETERS, expected=(413,))


def sort_items(index: str, items: Sequence[Mapping[str, Any]], rows: Sequence[int]) -> Sorted:
    """Read an answer with errors; item `i` is of row `rows[i]`. Pure.

    Raises `RetryLater` for a fault of the index.
    """
    again: list[int] = []
    refused: list[Refusal] = []
    why_again = ""
    for row, item in zip(rows, items, strict=True):
        result = item["create"]
        status = result["status"]
        if status < 300 or status == 409:
            continue
        error = result["error"]
        reason = said_in(error)
        if status == 429 or status >= 500:
            again.append(row)
            why_again = reason
        elif status == 400 and error["type"] not in _INDEX_ERRORS:
            refused.append(Refusal(row, reason))
        else:
            raise RetryLater(f"{index}: {status} {reason}")
    return Sorted(again, refused, why_again)


def _payload(lines: Bytes, places: Places, rows: Sequence[int]) -> memoryview:
    first, last = rows[0], rows[-1]
    if last - first + 1 == len(rows):
        return lines[places[first] : places[last + 1]].data
    return memoryview(b"".join(lines[places[row] : places[row + 1]].data for row in rows))


def _abandon(futures: Iterable[Future[Any]]) -> None:
    """Let none begin any more and wait for those that have: whoever tries again must not meet them."""
    begun = [future for future in futures if not future.cancel()]
    for future in begun:
        future.exception()
