"""OTLP log requests: an `ExportLogsServiceRequest` in protobuf or in JSON.

    body ──find──> records, and the resource and scope of each group of them ──> kernel ──events──┐
                                          └─what the kernel leaves out──> plain Python ──events──┴──> one batch

What a record means is in `events.py`. A record that is wrong is rejected and does not hold back the others; its
raw bytes are a request of its own, with its resource and scope, so that it can be replayed. A request whose frame is
wrong is refused as a whole, as the specification asks for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.config import MIB, IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.json_logs import REJECTED_MAX, batch_of_slow_rows
from tailrace.ingest.json_slow import Row
from tailrace.ingest.otlp import documents, wire
from tailrace.ingest.otlp.contexts import EXPANDED_BYTES_MAX, Contexts, Form, check_expanded
from tailrace.ingest.otlp.events import Context, row_of
from tailrace.ingest.timestamps import believable_us
from tailrace.kernels.ndjson.read import Bounds
from tailrace.kernels.otlp import read

OTLP_PROTOBUF = "application/vnd.opentelemetry.otlp.logs+protobuf"
OTLP_JSON = "application/vnd.opentelemetry.otlp.logs+json"
"""How the raw bytes of rejected records are named: `application/x-protobuf` could be anybody's."""

BODY_BYTES_MAX = 256 * MIB
"""Past this the 32-bit offsets of Arrow's strings could not be trusted to do."""

_JSON_REQUEST = re.compile(rb'\s*\{\s*"resourceLogs"\s*:')

# A row that says nothing takes so much: times, offsets, and its place.
_ROW_BYTES = 100
# A row is a kilobyte as Python objects, and a tenth of it in a batch.
_SLOW_ROWS = 4096


@dataclass(frozen=True, slots=True)
class OtlpDecoded(Decoded):
    """`rejected_records` counts records: past REJECTED_MAX many of them are one `Rejected`."""

    rejected_records: int = 0


def decode_otlp_protobuf(body: bytes, *, limits: IngestSettings, now_us: int) -> OtlpDecoded:
    """The events of a request in protobuf. `Rejected.line` is the record's number.

    Raises `BadInput` when the body is no such message, `TooLarge` when it is past a bound.
    """
    rows_max = _check(body)
    found = read.find(body, rows_max=rows_max)
    if isinstance(found, int):
        raise BadInput(f"the body is not an ExportLogsServiceRequest: it is damaged at byte {found + 1}")
    if found is None:
        raise _too_many(rows_max)
    spans = found.records[:, :2]
    messages = np.frombuffer(body, np.uint8)
    return _Reader(body, wire, limits, now_us).read(messages, found.records, spans, found.groups)


def decode_otlp_json(body: bytes, *, limits: IngestSettings, now_us: int) -> OtlpDecoded:
    """The events of a request in JSON, or of several behind one another. Else as `decode_otlp_protobuf`."""
    rows_max = _check(body)
    found = read.find_in_json(body, rows_max=rows_max, line_bytes_max=limits.line_bytes_max)
    if isinstance(found, int):
        raise BadInput(f"the body is not an ExportLogsServiceRequest as JSON: see byte {found + 1}")
    if found is None:
        raise _too_many(rows_max)
    reader = _Reader(body, documents, limits, now_us)
    return reader.read(found.messages, found.records, found.spans, found.groups)


def is_otlp_protobuf(payload: bytes) -> bool:
    """Whether these bytes of an unknown format are a request with a record in it: every length in it is right."""
    if not payload.startswith(b"\x0a") or len(payload) > BODY_BYTES_MAX:
        return False
    found = read.find(payload, rows_max=EXPANDED_BYTES_MAX // _ROW_BYTES)
    return isinstance(found, read.Found) and len(found.records) > 0


def is_otlp_json(payload: bytes) -> bool:
    """Whether a JSON document is a request, by its first key."""
    return _JSON_REQUEST.match(payload) is not None


def _check(body: bytes) -> int:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"{len(body):,} bytes of OTLP are more than {BODY_BYTES_MAX:,}; lower ingest.body_bytes_max")
    return EXPANDED_BYTES_MAX // _ROW_BYTES


def _too_many(rows_max: int) -> TooLarge:
    return TooLarge(f"more than {rows_max:,} log records in one request; send them in several")


class _Reader:
    """One request."""

    def __init__(self, body: bytes, form: Form, limits: IngestSettings, now_us: int) -> None:
        self._body = body
        self._form = form
        self._limits = limits
        self._now_us = now_us
        self._contexts = Contexts(body, form, limits)

    def read(
        self,
        messages: npt.NDArray[np.uint8],
        records: npt.NDArray[np.int64],
        spans: npt.NDArray[np.int64],
        groups: npt.NDArray[np.int64],
    ) -> OtlpDecoded:
        """`records` and `groups` as `kernels/otlp/find.py` has them; `spans` is where the records are in the body."""
        records[:, 2] = self._contexts.collect(groups)[records[:, 2]]
        blocks = self._contexts.blocks()
        rows = np.bincount(records[:, 2], minlength=len(blocks.odd))
        shared = read.shared_bytes(rows, blocks)
        columns = int((rows * np.array(self._contexts.column_bytes, np.int64)).sum())
        check_expanded(shared + columns + len(records) * _ROW_BYTES)
        earliest_us, latest_us = believable_us(self._limits, self._now_us)
        limits = self._limits
        bounds = Bounds(
            self._now_us, earliest_us, latest_us, limits.line_bytes_max, limits.fields_max, limits.nesting_max
        )
        scanned = read.scan(messages, records, blocks, bounds, shared)
        contexts = pa.array(scanned.groups)
        events = scanned.events
        for name, texts in (("service", self._contexts.services), ("host", self._contexts.hosts)):
            index = events.schema.get_field_index(name)
            column = pa.array(texts, pa.string()).take(contexts)
            events = events.set_column(index, events.schema.field(index), column)
        return self._with_others(events, scanned.others, records, spans)

    def _with_others(
        self,
        events: pa.RecordBatch,
        others: npt.NDArray[np.int64],
        records: npt.NDArray[np.int64],
        spans: npt.NDArray[np.int64],
    ) -> OtlpDecoded:
        rows: list[Row] = []
        batches = [events]
        before: list[int] = []
        bad = _Bad(self._form, self._contexts, len(self._body))
        last: tuple[int, Context] = (-1, Context())
        for first in range(0, len(others), _SLOW_ROWS):
            for index, rows_before in others[first : first + _SLOW_ROWS].tolist():
                start, end = spans[index].tolist()
                place = int(records[index, 2])
                raw = self._body[start:end]
                try:
                    if place != last[0]:
                        last = place, self._contexts.context(place)
                    record = self._form.read_record(raw, limits=self._limits)
                    rows.append(row_of(record, last[1], limits=self._limits, now_us=self._now_us))
                except BadInput as error:
                    bad.add(index + 1, str(error), place, raw)
                    continue
                before.append(rows_before)
            if rows:
                batches.append(batch_of_slow_rows(rows, self._now_us))
                rows = []
        if before:
            count = events.num_rows
            places = np.arange(count, count + len(before))
            try:
                joined = pa.concat_batches(batches)
            except pa.ArrowInvalid:
                raise TooLarge("the request is too large as events; send it in parts") from None
            events = joined.take(pa.array(np.insert(np.arange(count), before, places)))
        return OtlpDecoded(events, bad.rejected(), bad.count)


class _Bad:
    """The rejected records of a request.

    Each is told with its resource and scope, until REJECTED_MAX of them, or about as many bytes as the body has, are
    told so; the rest as one, which is no longer than the body.
    """

    def __init__(self, form: Form, contexts: Contexts, bytes_max: int) -> None:
        self.count = 0
        self._form = form
        self._contexts = contexts
        self._room_bytes = bytes_max
        self._rejected: list[Rejected] = []
        self._surplus_first = 0
        # Runs of one context each.
        self._surplus: list[tuple[int, list[bytes]]] = []

    def add(self, number: int, reason: str, place: int, raw: bytes) -> None:
        self.count += 1
        size = len(self._contexts.resource_of(place)) + len(self._contexts.scope_of(place)) + len(raw)
        if not self._surplus and len(self._rejected) < REJECTED_MAX and size <= self._room_bytes + MIB:
            self._room_bytes -= size
            self._rejected.append(Rejected(number, reason, self._request([(place, [raw])])))
            return
        self._surplus_first = self._surplus_first or number
        if not self._surplus or self._surplus[-1][0] != place:
            self._surplus.append((place, []))
        self._surplus[-1][1].append(raw)

    def rejected(self) -> list[Rejected]:
        if not self._surplus:
            return self._rejected
        count = self.count - len(self._rejected)
        reason = f"{count:,} more, from record {self._surplus_first} on, are not events"
        by_resource = groupby(self._surplus, key=lambda run: self._contexts.resource_of(run[0]))
        raw = b"".join(self._request(list(runs)) for _, runs in by_resource)
        return [*self._rejected, Rejected(self._surplus_first, reason, raw)]

    def _request(self, runs: Sequence[tuple[int, Sequence[bytes]]]) -> bytes:
        """The records of contexts that share a resource."""
        resource = self._contexts.resource_of(runs[0][0])
        return self._form.request_of(resource, [(self._contexts.scope_of(place), raws) for place, raws in runs])
