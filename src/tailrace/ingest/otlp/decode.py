"""OTLP log requests: an `ExportLogsServiceRequest` in protobuf or in JSON.

    body ──find──> records, and the resource and scope of each group of them ──> kernel ──events──┐
                                          └─what the kernel leaves out──> plain Python ──events──┴──> one batch

What a record means is in `events.py`. A record that is wrong is rejected and does not hold back the others; its
raw bytes are a request of its own, with its resource and scope, so that it can be replayed. A request whose frame is
wrong is refused as a whole, as the specification asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.config import MIB, IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.json_logs import REJECTED_MAX, batch_of_slow_rows
from tailrace.ingest.json_slow import Row
from tailrace.ingest.otlp import documents, wire
from tailrace.ingest.otlp.events import Context, LogRecord, row_of
from tailrace.ingest.timestamps import believable_us
from tailrace.kernels import otlp
from tailrace.kernels.ndjson import Bounds

OTLP_PROTOBUF = "application/vnd.opentelemetry.otlp.logs+protobuf"
OTLP_JSON = "application/vnd.opentelemetry.otlp.logs+json"
"""How the raw bytes of rejected records are named: `application/x-protobuf` could be anybody's."""

BODY_BYTES_MAX = 256 * MIB
"""Past this the 32-bit offsets of Arrow's strings could not be trusted to do."""

EXPANDED_BYTES_MAX = 512 * MIB
"""What all copies of resources and scopes may take, and all rows: two bytes may be a record, and each has the
attributes of its resource, so that a body of a megabyte could else become a terabyte."""

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
    found = otlp.find(body, rows_max=rows_max)
    if isinstance(found, int):
        raise BadInput(f"the body is not an ExportLogsServiceRequest: it is damaged at byte {found + 1}")
    if found is None:
        raise _too_many(rows_max)
    spans = found.records[:, :2]
    messages = np.frombuffer(body, np.uint8)
    return _Reader(body, _Protobuf(limits), limits, now_us).read(messages, found.records, spans, found.groups)


def decode_otlp_json(body: bytes, *, limits: IngestSettings, now_us: int) -> OtlpDecoded:
    """The events of a request in JSON, or of several behind one another. Else as `decode_otlp_protobuf`."""
    rows_max = _check(body)
    found = otlp.find_in_json(body, rows_max=rows_max, line_bytes_max=limits.line_bytes_max)
    if isinstance(found, int):
        raise BadInput(f"the body is not an ExportLogsServiceRequest as JSON: see byte {found + 1}")
    if found is None:
        raise _too_many(rows_max)
    reader = _Reader(body, _Documents(limits), limits, now_us)
    return reader.read(found.messages, found.records, found.spans, found.groups)


def is_otlp_protobuf(payload: bytes) -> bool:
    """Whether these bytes of an unknown format are a request with a record in it: every length in it is right."""
    if not payload.startswith(b"\x0a") or len(payload) > BODY_BYTES_MAX:
        return False
    found = otlp.find(payload, rows_max=EXPANDED_BYTES_MAX // _ROW_BYTES)
    return isinstance(found, otlp.Found) and len(found.records) > 0


def is_otlp_json(payload: bytes) -> bool:
    """Whether a JSON document is a request, by its first key."""
    return _JSON_REQUEST.match(payload) is not None


def _check(body: bytes) -> int:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"{len(body):,} bytes of OTLP are more than {BODY_BYTES_MAX:,}; lower ingest.body_bytes_max")
    return EXPANDED_BYTES_MAX // _ROW_BYTES


def _too_many(rows_max: int) -> TooLarge:
    return TooLarge(f"more than {rows_max:,} log records in one request; send them in several")


class _Form(Protocol):
    """What the two encodings differ in."""

    def context(self, resource: bytes, scope: bytes) -> Context: ...

    def record(self, raw: bytes) -> LogRecord: ...

    def request(self, resource: bytes, scope: bytes, records: Sequence[bytes]) -> bytes:
        """Requests behind one another are one with the records of all."""
        ...


class _Protobuf:
    def __init__(self, limits: IngestSettings) -> None:
        self._limits = limits

    def context(self, resource: bytes, scope: bytes) -> Context:
        return wire.read_context(resource, scope, limits=self._limits)

    def record(self, raw: bytes) -> LogRecord:
        return wire.read_record(raw, limits=self._limits)

    def request(self, resource: bytes, scope: bytes, records: Sequence[bytes]) -> bytes:
        return wire.request_of(resource, scope, records)


class _Documents:
    def __init__(self, limits: IngestSettings) -> None:
        self._limits = limits

    def context(self, resource: bytes, scope: bytes) -> Context:
        return documents.read_context(resource, scope, limits=self._limits)

    def record(self, raw: bytes) -> LogRecord:
        return documents.read_record(raw, limits=self._limits)

    def request(self, resource: bytes, scope: bytes, records: Sequence[bytes]) -> bytes:
        return documents.request_of(resource, scope, records)


@dataclass(slots=True)
class _Contexts:
    """The contexts of a body, each once, as they are collected."""

    resources: list[bytes] = field(default_factory=list)
    scopes: list[bytes] = field(default_factory=list)
    services: list[str | None] = field(default_factory=list)
    hosts: list[str | None] = field(default_factory=list)
    column_bytes: list[int] = field(default_factory=list)
    """What service and host take in each row."""
    faults: list[str | None] = field(default_factory=list)
    """Why no record of the context can be an event."""
    fields: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=lambda: [0])
    keys: bytearray = field(default_factory=bytearray)
    values: bytearray = field(default_factory=bytearray)
    key_offsets: list[int] = field(default_factory=lambda: [0])
    value_offsets: list[int] = field(default_factory=lambda: [0])

    def add(self, resource: bytes, scope: bytes, read: Callable[[bytes, bytes], Context]) -> None:
        try:
            context, fault = read(resource, scope), None
        except BadInput as error:
            context, fault = Context(), f"its resource or scope: {error}"
        self.resources.append(resource)
        self.scopes.append(scope)
        self.services.append(context.service)
        self.hosts.append(context.host)
        self.column_bytes.append(len((context.service or "").encode()) + len((context.host or "").encode()))
        self.faults.append(fault)
        self.fields.append(context.fields)
        for key, value in context.attributes.items():
            self.keys += key.encode()
            self.values += value.encode()
            self.key_offsets.append(len(self.keys))
            self.value_offsets.append(len(self.values))
        self.first.append(len(self.key_offsets) - 1)

    def blocks(self) -> otlp.Blocks:
        return otlp.Blocks(
            np.array([fault is not None for fault in self.faults], np.bool_),
            np.array(self.first, np.int64),
            np.array(self.fields, np.int64),
            np.frombuffer(bytes(self.keys), np.uint8),
            np.frombuffer(bytes(self.values), np.uint8),
            np.array(self.key_offsets, np.int64),
            np.array(self.value_offsets, np.int64),
        )


class _Reader:
    """One request."""

    def __init__(self, body: bytes, form: _Form, limits: IngestSettings, now_us: int) -> None:
        self._body = body
        self._form = form
        self._limits = limits
        self._now_us = now_us
        self._contexts = _Contexts()

    def read(
        self,
        messages: npt.NDArray[np.uint8],
        records: npt.NDArray[np.int64],
        spans: npt.NDArray[np.int64],
        groups: npt.NDArray[np.int64],
    ) -> OtlpDecoded:
        """`records` and `groups` as `otlp_find` has them; `spans` is where the records are in the body."""
        records[:, 2] = self._collect(groups)[records[:, 2]]
        blocks = self._contexts.blocks()
        rows = np.bincount(records[:, 2], minlength=len(blocks.odd))
        shared = otlp.shared_bytes(rows, blocks)
        columns = int((rows * np.array(self._contexts.column_bytes, np.int64)).sum())
        if shared + columns + len(records) * _ROW_BYTES > EXPANDED_BYTES_MAX:
            raise TooLarge(
                f"the records with the attributes of their resources take more than {EXPANDED_BYTES_MAX:,} bytes; "
                "send them in several requests"
            )
        earliest_us, latest_us = believable_us(self._limits, self._now_us)
        limits = self._limits
        bounds = Bounds(
            self._now_us, earliest_us, latest_us, limits.line_bytes_max, limits.fields_max, limits.nesting_max
        )
        scanned = otlp.scan(messages, records, blocks, bounds, shared)
        contexts = pa.array(scanned.groups)
        events = scanned.events
        for name, texts in (("service", self._contexts.services), ("host", self._contexts.hosts)):
            index = events.schema.get_field_index(name)
            column = pa.array(texts, pa.string()).take(contexts)
            events = events.set_column(index, events.schema.field(index), column)
        return self._with_others(events, scanned.others, records, spans)

    def _collect(self, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Read each resource and scope once; the index of the context of each group."""
        known: dict[tuple[bytes, bytes], int] = {}
        places = np.empty(len(groups), np.int64)
        for first in range(0, len(groups), _SLOW_ROWS):
            for i, (start, end, scope_start, scope_end) in enumerate(groups[first : first + _SLOW_ROWS].tolist()):
                pair = (self._body[start:end], self._body[scope_start:scope_end])
                place = known.get(pair)
                if place is None:
                    place = known[pair] = len(known)
                    self._contexts.add(*pair, self._form.context)
                places[first + i] = place
        return places

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
                        last = place, self._context(place)
                    record = self._form.record(raw)
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

    def _context(self, place: int) -> Context:
        fault = self._contexts.faults[place]
        if fault is not None:
            raise BadInput(fault)
        return self._form.context(self._contexts.resources[place], self._contexts.scopes[place])


class _Bad:
    """The rejected records of a request.

    Each is told with its resource and scope, until REJECTED_MAX of them, or about as many bytes as the body has, are
    told so; the rest as one.
    """

    def __init__(self, form: _Form, contexts: _Contexts, bytes_max: int) -> None:
        self.count = 0
        self._form = form
        self._contexts = contexts
        self._room_bytes = bytes_max
        self._rejected: list[Rejected] = []
        self._surplus_first = 0
        self._surplus: list[tuple[int, list[bytes]]] = []

    def add(self, number: int, reason: str, place: int, raw: bytes) -> None:
        self.count += 1
        size = len(self._contexts.resources[place]) + len(self._contexts.scopes[place]) + len(raw)
        if not self._surplus and len(self._rejected) < REJECTED_MAX and size <= self._room_bytes + MIB:
            self._room_bytes -= size
            self._rejected.append(Rejected(number, reason, self._request(place, [raw])))
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
        raw = b"".join(self._request(place, raws) for place, raws in self._surplus)
        return [*self._rejected, Rejected(self._surplus_first, reason, raw)]

    def _request(self, place: int, raws: Sequence[bytes]) -> bytes:
        return self._form.request(self._contexts.resources[place], self._contexts.scopes[place], raws)
