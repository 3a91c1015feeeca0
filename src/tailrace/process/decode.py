"""From what the log gave to what it holds: events with their identity, and dead letters with theirs.

A topic may be filled by Tailrace (Arrow batches), by others (one JSON document a record, or one OTLP request), or by
both. What a record holds is told by its content type, and without one by how its bytes begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.broker.port import DAMAGED, LogLines, LogRecord, Record
from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.arrow_logs import decode_arrow
from tailrace.ingest.decoded import Rejected
from tailrace.ingest.decoders import decoder_of
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.json_slow import NotAnEvent, NotJson, decode_event
from tailrace.ingest.otlp.decode import OTLP_JSON, OTLP_PROTOBUF, is_otlp_json, is_otlp_protobuf
from tailrace.model.batch import ARROW_STREAM, EVENT_SCHEMA, STORED_SCHEMA, decode_batch, with_identity
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA, DEAD_LETTERS

Identity = tuple[int, int, int]
"""Partition, offset and row."""

_JSON = "application/json"
# How an Arrow stream begins: the mark of an encapsulated message, in Arrow's columnar format, "IPC".
_ARROW_MARK = b"\xff\xff\xff\xff"
_OTLP_TYPES = frozenset({"application/x-protobuf", "application/protobuf", OTLP_PROTOBUF})
_SAYS_NOTHING = frozenset({"", "application/octet-stream"})
# A document that is OTLP has it among its keys; to look for it in many at once costs nearly nothing.
_OTLP_KEY = b'"resourceLogs"'


@dataclass(frozen=True, slots=True)
class Decoded:
    """`events` has STORED_SCHEMA, `letters` DEAD_LETTER_SCHEMA; None where there are none.

    `identities` are those of the letters. A letter never has the identity of an event.
    """

    events: pa.RecordBatch | None = None
    letters: pa.RecordBatch | None = None
    identities: Sequence[Identity] = ()


def decode(item: LogRecord | LogLines, *, limits: IngestSettings, now_us: int) -> Decoded:
    """Never raises for what is in the item: what cannot be decoded is a dead letter."""
    if isinstance(item, LogLines):
        if _OTLP_KEY in item.payload:
            return _decode_mixed_lines(item, limits, now_us)
        return _decode_lines(item, limits, now_us)
    record = item.record
    kind = record.content_type
    reason = record.headers.get(DAMAGED)
    if reason is None:
        try:
            kind = _kind_of(record)
            return _decode_payload(item, kind, limits, now_us)
        except BadInput as error:
            reason = f"the record cannot be decoded: {error}"
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = f"the record is not an Arrow stream: {error}"
    identities = [(item.partition, item.offset, 0)]
    rejected = Rejected(0, reason, record.payload)
    return Decoded(None, _letters([rejected], identities, kind or _JSON, now_us), identities)


def _kind_of(record: Record) -> str:
    """The content type that says how to decode it."""
    media_type = record.content_type.partition(";")[0].strip().lower()
    if media_type in (DEAD_LETTERS, ARROW_STREAM):
        return media_type
    if media_type in _OTLP_TYPES:
        return OTLP_PROTOBUF
    if record.payload.startswith(_ARROW_MARK):
        return ARROW_STREAM
    if media_type in _SAYS_NOTHING and is_otlp_protobuf(record.payload):
        return OTLP_PROTOBUF
    if media_type.endswith(("/json", "+json", "ndjson")) or record.payload.lstrip()[:1] in (b"{", b"["):
        return OTLP_JSON if is_otlp_json(record.payload) else record.content_type or _JSON
    raise BadInput(f"nothing here decodes content type {record.content_type!r}")


def _decode_payload(item: LogRecord, kind: str, limits: IngestSettings, now_us: int) -> Decoded:
    record = item.record
    if kind == DEAD_LETTERS:
        letters = decode_batch(record.payload)
        if not letters.schema.equals(DEAD_LETTER_SCHEMA):
            raise BadInput("its columns are not those of a dead letter")
        rows = range(letters.num_rows)
        return Decoded(letters=letters, identities=[(item.partition, item.offset, row) for row in rows])
    if kind == ARROW_STREAM:
        return _events(item, _arrow_events(record.payload, record.rows, limits, now_us))
    return _decode_body(item, kind, limits, now_us)


def _arrow_events(payload: bytes, rows: int, limits: IngestSettings, now_us: int) -> pa.RecordBatch:
    """Tailrace says how many rows it appends, and has checked them; anybody else's are checked here."""
    if rows:
        batch = decode_batch(payload)
        if batch.num_rows == rows and batch.schema.equals(EVENT_SCHEMA):
            return batch
    return decode_arrow(payload, limits=limits, now_us=now_us).events


def _events(item: LogRecord, events: pa.RecordBatch) -> Decoded:
    return Decoded(with_identity(events, item.partition, item.offset) if events.num_rows else None)


def _decode_body(item: LogRecord, kind: str, limits: IngestSettings, now_us: int) -> Decoded:
    """JSON or OTLP, as in the body of a request."""
    found = decoder_of(kind)(item.record.payload, limits=limits, now_us=now_us)
    decoded = _events(item, found.events)
    if not found.rejected:
        return decoded
    # Numbered behind the events: a store may make a letter of an event, which then has the event's identity.
    first = found.events.num_rows
    identities = [(item.partition, item.offset, first + i) for i in range(len(found.rejected))]
    return Decoded(decoded.events, _letters(found.rejected, identities, kind, now_us), identities)


def _decode_lines(lines: LogLines, limits: IngestSettings, now_us: int) -> Decoded:
    """Each document is the only event of its record, row 0."""
    count = len(lines.offsets)
    events, rejected = _read_lines(lines.payload, limits, now_us)
    if events.num_rows + len(rejected) != count:
        # Too many bad ones to be told one by one.
        return _decode_one_by_one(lines, limits, now_us)
    if not rejected:
        return Decoded(_with_offsets(events, lines.partition, lines.offsets))
    bad = np.array([each.line - 1 for each in rejected])
    identities = [(lines.partition, offset, 0) for offset in lines.offsets[bad].tolist()]
    whole = [Rejected(0, each.reason, each.raw) for each in rejected]
    letters = _letters(whole, identities, _JSON, now_us)
    kept = _with_offsets(events, lines.partition, np.delete(lines.offsets, bad)) if events.num_rows else None
    return Decoded(kept, letters, identities)


def _decode_mixed_lines(lines: LogLines, limits: IngestSettings, now_us: int) -> Decoded:
    """Some documents may be OTLP requests of many events: those are decoded by themselves."""
    found: list[Decoded] = []
    documents = zip(lines.offsets.tolist(), lines.payload.split(b"\n"), strict=True)
    for otlp, run in groupby(documents, key=lambda each: is_otlp_json(each[1])):
        if otlp:
            records = (LogRecord(lines.partition, offset, Record(OTLP_JSON, payload, 0)) for offset, payload in run)
            found.extend(decode(record, limits=limits, now_us=now_us) for record in records)
        else:
            offsets, payloads = zip(*run, strict=True)
            plain = LogLines(lines.partition, np.array(offsets, np.int64), b"\n".join(payloads))
            found.append(_decode_lines(plain, limits, now_us))
    return _joined(found)


def _joined(found: Sequence[Decoded]) -> Decoded:
    events = [each.events for each in found if each.events is not None]
    letters = [each.letters for each in found if each.letters is not None]
    return Decoded(
        pa.concat_batches(events) if events else None,
        pa.concat_batches(letters) if letters else None,
        [identity for each in found for identity in each.identities],
    )


def _read_lines(payload: bytes, limits: IngestSettings, now_us: int) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Line by line, and never an event over several lines, whatever the first line looks like.

    A body whose first line is not JSON by itself may be read as objects over several lines; with an event put before
    it, it is not.
    """
    try:
        decode_event(payload.partition(b"\n")[0], limits=limits, now_us=now_us)
    except NotJson:
        found = decode_json(b"{}\n" + payload, limits=limits, now_us=now_us)
        events = found.events.take(pa.array(np.arange(1, found.events.num_rows)))
        return events, [Rejected(each.line - 1, each.reason, each.raw) for each in found.rejected]
    except NotAnEvent:
        pass
    found = decode_json(payload, limits=limits, now_us=now_us)
    return found.events, found.rejected


def _decode_one_by_one(lines: LogLines, limits: IngestSettings, now_us: int) -> Decoded:
    events: list[pa.RecordBatch] = []
    rejected: list[Rejected] = []
    identities: list[Identity] = []
    for offset, document in zip(lines.offsets.tolist(), lines.payload.split(b"\n"), strict=True):
        good, bad = _read_lines(document, limits, now_us)
        if good.num_rows:
            events.append(_with_offsets(good, lines.partition, np.array([offset])))
        else:
            reason = bad[0].reason if bad else "the record is empty"
            rejected.append(Rejected(0, reason, document))
            identities.append((lines.partition, offset, 0))
    letters = _letters(rejected, identities, _JSON, now_us)
    return Decoded(pa.concat_batches(events) if events else None, letters, identities)


def _with_offsets(events: pa.RecordBatch, partition: int, offsets: npt.NDArray[np.int64]) -> pa.RecordBatch:
    rows = events.num_rows
    columns = [
        *events.columns,
        pa.array(np.full(rows, partition, np.int32)),
        pa.array(offsets),
        pa.array(np.zeros(rows, np.int32)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=STORED_SCHEMA)


def _letters(
    rejected: Sequence[Rejected], identities: Sequence[Identity], content_type: str, now_us: int
) -> pa.RecordBatch:
    """One letter for each; line 0 means that the record was refused as a whole."""
    rows = [
        {
            "observed_timestamp": now_us,
            "source": f"log partition {partition} offset {offset}",
            "line": each.line,
            "reason": each.reason,
            "content_type": content_type,
            "raw": each.raw,
        }
        for each, (partition, offset, _) in zip(rejected, identities, strict=True)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DEAD_LETTER_SCHEMA)
