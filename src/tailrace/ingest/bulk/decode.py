"""Bulk requests and single documents of Elasticsearch: bytes in, a batch and what became of each item out.

body ──actions──> lines with index and id in them ──NDJSON kernel──> events, and the items that it left out
                  ──plain Python──> one batch, in order ──ids that were seen before──> the rest is dropped

A document is an event as in `json_slow`, with its index and, where it was given, its id as the attributes `_index`
and `_id`. Two documents of one index and id are one event, and the first one stays.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest.bulk.actions import Items, read_items
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.json_logs import BODY_BYTES_MAX, NAMES, REJECTED_MAX, BadLines, SlowRows, places_of
from tailrace.ingest.json_slow import NotAnEvent, NotJson, Row, decode_event
from tailrace.ingest.timestamps import believable_us
from tailrace.kernels.bulk_in import CREATE, DELETE, DOCUMENT_START, ID_END, ID_START, OPERATION
from tailrace.kernels.ndjson.read import Bounds, Framing, scan
from tailrace.model.claim import DOCUMENT_ID, DOCUMENT_INDEX, document_digest

DEFAULT_INDEX = "logs"
"""For documents that name no index, and come to a path without one."""

CREATED, CONFLICT, NOOP = range(3)
"""Outcomes that all items share; the others are failures of their own."""

_NOT_PARSED = "document_parsing_exception"
_OWN_FIELD = "Field [{}] is a metadata field and cannot be added inside a document; it belongs into the action"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an item is answered, besides its index and id."""

    status: int
    result: str | None = None
    type: str | None = None
    reason: str | None = None


_SHARED = (
    Outcome(201),
    Outcome(
        409,
        type="version_conflict_engine_exception",
        reason="version conflict, document already exists (current version [1])",
    ),
    Outcome(200, result="noop"),
)


_SURPLUS = Outcome(
    400, type=_NOT_PARSED, reason="not an event; of the documents of one request no more are told one by one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkDecoded(Decoded):
    """`outcomes[which[i]]` is what item `i` is answered once the events are durable. `documents` are the digests,
    as `model.claim` has them, of the events that have an id."""

    items: Items
    which: npt.NDArray[np.int64]
    outcomes: Sequence[Outcome]
    documents: Sequence[bytes]


class Seen(Protocol):
    """Which documents are events already. Shared between threads."""

    def seen(self, documents: Sequence[bytes]) -> Collection[bytes]:
        """Those of these digests, and perhaps others."""
        ...


class NothingSeen:
    """Implements `Seen`."""

    def seen(self, documents: Sequence[bytes]) -> Collection[bytes]:
        return ()


def decode_bulk(
    body: bytes,
    *,
    limits: IngestSettings,
    now_us: int,
    index: str = DEFAULT_INDEX,
    seen: Seen | None = None,
) -> BulkDecoded:
    """The events of a bulk request. `index` is for the items that name none.

    A document that is no event, or an action that is not possible, is refused alone; `Rejected` has the line and the
    bytes of the document. Raises `BadInput` for an action that cannot be read, and as `read_items`.
    """
    return _decode(read_items(body, index=index, limits=limits), limits, now_us, seen or NothingSeen())


def decode_document(
    document: bytes,
    *,
    limits: IngestSettings,
    now_us: int,
    operation: str = "index",
    index: str = DEFAULT_INDEX,
    id: str | None = None,
    seen: Seen | None = None,
) -> BulkDecoded:
    """One document, over several lines as it may be, as a bulk request of one item. Raises as `decode_bulk`."""
    action = {operation: {"_index": index} if id is None else {"_index": index, "_id": id}}
    # Between values a line feed is as good as a blank; within a text, where JSON has none, it becomes one.
    body = orjson.dumps(action) + b"\n" + document.replace(b"\n", b" ") + b"\n"
    decoded = _decode(read_items(body, index=index, limits=limits), limits, now_us, seen or NothingSeen())
    return replace(decoded, rejected=[Rejected(1, each.reason, document) for each in decoded.rejected])


def _decode(items: Items, limits: IngestSettings, now_us: int, seen: Seen) -> BulkDecoded:
    if len(items.lines) > BODY_BYTES_MAX:
        raise TooLarge(f"{len(items.lines):,} bytes with the index of each item are more than {BODY_BYTES_MAX:,}")
    earliest_us, latest_us = believable_us(limits, now_us)
    bounds = Bounds(now_us, earliest_us, latest_us, limits.line_bytes_max, limits.fields_max, limits.nesting_max)
    scanned = scan(items.lines.data.toreadonly(), NAMES, bounds, framing=Framing.LINES)
    others = scanned.others[:, 2] - 1
    failures = _Failures(items)
    for number in _with_id_of_their_own(scanned.events, items, np.delete(np.arange(len(items)), others)):
        failures.add(number, _NOT_PARSED, _OWN_FIELD.format("_id"))
    foreign = list(failures.numbers)
    slow = SlowRows(now_us)
    for _, _, line, before in places_of(scanned):
        number = line - 1
        reason = items.refused.get(number)
        if reason is not None:
            failures.add(number, "illegal_argument_exception", reason)
            continue
        document = items.document(number)
        if failures.full and not document.startswith(b"{"):
            failures.add(number, _NOT_PARSED, "")
            continue
        try:
            slow.add(_row(document, items.text(number), limits, now_us), before)
        except (NotJson, NotAnEvent) as error:
            failures.add(number, _NOT_PARSED, str(error))
    events = slow.joined(scanned.events)
    which = np.zeros(len(items), np.int64)
    outcomes, rejected = failures.told(which)
    # The rows of `events` are all items but those of the others that failed.
    failed = np.setdiff1d(np.fromiter(failures.numbers, np.int64), foreign, assume_unique=True)
    kept = np.delete(np.arange(len(items)), failed)
    documents = _tell_repeated(items, kept[which[kept] == CREATED], which, seen)
    created = which[kept] == CREATED
    if not created.all():
        events = events.filter(pa.array(created))
    return BulkDecoded(events, rejected, items=items, which=which, outcomes=outcomes, documents=documents)


def _with_id_of_their_own(events: pa.RecordBatch, items: Items, numbers: npt.NDArray[np.int64]) -> list[int]:
    """Items whose documents have a field `_id`, and whose actions have none. `numbers` are the items of the rows.

    A document that has it beside the action's, as one that has a field `_index`, has a key twice, which the kernel
    leaves to the slow path.
    """
    attributes = events.column("attributes")
    named = np.flatnonzero(pc.equal(attributes.keys, DOCUMENT_ID).to_numpy(zero_copy_only=False))
    given = items.table[numbers, ID_END] > items.table[numbers, ID_START]
    if len(named) == np.count_nonzero(given):
        return []
    rows = np.searchsorted(attributes.offsets.to_numpy(), named, side="right") - 1
    return [int(number) for number in numbers[rows[~given[rows]]]]


def _row(document: bytes, text: bytes, limits: IngestSettings, now_us: int) -> Row:
    row = decode_event(document, limits=limits, now_us=now_us)
    for name in (DOCUMENT_INDEX, DOCUMENT_ID):
        if name in row.attributes:
            raise NotAnEvent(_OWN_FIELD.format(name))
    return row._replace(attributes={**json.loads(b"{" + text + b"}"), **row.attributes})


def _tell_repeated(
    items: Items, numbers: npt.NDArray[np.int64], which: npt.NDArray[np.int64], seen: Seen
) -> Sequence[bytes]:
    """The documents with an id, of these items, that no event has, nor an item before them; fills in `which`."""
    numbers = numbers[items.table[numbers, ID_END] > items.table[numbers, ID_START]]
    if not len(numbers):
        return ()
    digests = [document_digest(index, id) for index, id in items.names(numbers)]
    before = set(seen.seen(digests))
    if not before and len(set(digests)) == len(digests):
        return digests
    first = []
    for number, digest in zip(numbers.tolist(), digests, strict=True):
        if digest in before:
            which[number] = CONFLICT if items.table[number, OPERATION] == CREATE else NOOP
        else:
            before.add(digest)
            first.append(digest)
    return first


class _Failures:
    """Items that are refused. Those past REJECTED_MAX share an outcome, and a dead letter."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._told: dict[int, Outcome] = {}
        self._surplus: dict[int, Outcome] = {}

    @property
    def full(self) -> bool:
        return len(self._told) >= REJECTED_MAX

    @property
    def numbers(self) -> Sequence[int]:
        return [*self._told, *self._surplus]

    def add(self, number: int, type: str, reason: str) -> None:
        if self.full:
            self._surplus[number] = _SURPLUS
        else:
            self._told[number] = Outcome(400, type=type, reason=reason)

    def told(self, which: npt.NDArray[np.int64]) -> tuple[Sequence[Outcome], list[Rejected]]:
        """All outcomes there are, and the dead letters; fills in `which`."""
        outcomes = [*_SHARED, _SURPLUS]
        bad = BadLines()
        line, counted = 1, 0
        for number, outcome in sorted({**self._told, **self._surplus}.items()):
            if outcome is _SURPLUS:
                which[number] = len(_SHARED)
            else:
                which[number] = len(outcomes)
                outcomes.append(outcome)
            row = self._items.table[number]
            if row[OPERATION] == DELETE:
                continue  # nothing that was to be kept
            start = int(row[DOCUMENT_START])
            line += self._items.body.count(b"\n", counted, start)
            counted = start
            bad.add(line, outcome.reason or "", self._items.document(number))
        return outcomes, bad.rejected()
