"""From what the log gave to what it holds: events with their identity, and dead letters with theirs.

A topic may be filled by Tailrace (Arrow batches), by others (one JSON document a record), or by both. What a record
holds is told by its content type, and without one by how its bytes begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.broker.port import DAMAGED, LogLines, LogRecord
from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.arrow_logs import decode_arrow
from tailrace.ingest.decoded import Rejected
from tailrace.ingest.json_logs import decode_json
from tailrace.ingest.json_slow import NotAnEvent, NotJson, decode_event
from tailrace.model.batch import ARROW_STREAM, EVENT_SCHEMA, STORED_SCHEMA, decode_batch, with_identity
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA, DEAD_LETTERS

Identity = tuple[int, int, int]
"""Partition, offset and row."""

_JSON = "application/json"
# How an Arrow stream begins: the mark of an encapsulated message, in Arrow's columnar format, "IPC".
_ARROW_MARK = b"\xff\xff\xff\xff"


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
        return _decode_lines(item, limits, now_us)
    record = item.record
    reason = record.headers.get(DAMAGED)
    if reason is None:
        try:
            return _decode_payload(item, limits, now_us)
        except BadInput as error:
            reason = f"the record cannot be decoded: {error}"
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = f"the record is not an Arrow stream: {error}"
    identities = [(item.partition, item.offset, 0)]
    rejected = Rejected(0, reason, record.payload)
    return Decoded(None, _letters([rejected], identities, record.content_type or _JSON, now_us), identities)


def _decode_payload(item: LogRecord, limits: IngestSettings, now_us: int) -> Decoded:
    record = item.record
    if record.content_type == DEAD_LETTERS:
        letters = decode_batch(record.payload)
        if not letters.schema.equals(DEAD_LETTER_SCHEMA):
            raise BadInput("its columns are not those of a dead letter")
        rows = range(letters.num_rows)
        return Decoded(letters=letters, identities=[(item.partition, item.offset, row) for row in rows])
    if record.content_type == ARROW_STREAM or record.payload.startswith(_ARROW_MARK):
        return _events(item, _arrow_events(record.payload, record.rows, limits, now_us))
    if _is_json(record.content_type) or record.payload.lstrip()[:1] in (b"{", b"["):
        return _decode_json(item, limits, now_us)
    raise BadInput(f"nothing here decodes content type {record.content_type!r}")


def _arrow_events(payload: bytes, rows: int, limits: IngestSettings, now_us: int) -> pa.RecordBatch:
    """Tailrace says how many rows it appends, and has checked them; anybody else's are checked here."""
    if rows:
        batch = decode_batch(payload)
        if batch.num_rows == rows and batch.schema.equals(EVENT_SCHEMA):
            return batch
    return decode_arrow(payload, limits=limits, now_us=now_us).events


def _events(item: LogRecord, events: pa.RecordBatch) -> Decoded:
    return Decoded(with_identity(events, item.partition, item.offset) if events.num_rows else None)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json", "ndjson"))


def _decode_json(item: LogRecord, limits: IngestSettings, now_us: int) -> Decoded:
    """One document, an array of them, or one a line, as in the body of a request."""
    found = decode_json(item.record.payload, limits=limits, now_us=now_us)
    decoded = _events(item, found.events)
    if not found.rejected:
        return decoded
    # Numbered behind the events: a store may make a letter of an event, which then has the event's identity.
    first = found.events.num_rows
    identities = [(item.partition, item.offset, first + i) for i in range(len(found.rejected))]
    letters = _letters(found.rejected, identities, item.record.content_type or _JSON, now_us)
    return Decoded(decoded.events, letters, identities)


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
