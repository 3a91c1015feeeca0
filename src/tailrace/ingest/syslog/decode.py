"""Syslog messages to one batch of events.

frames ──kernel──> columns, and the messages it left out ──> plain Python ──> one batch, in order
"""

from __future__ import annotations

from datetime import UTC, tzinfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.json_logs import REJECTED_MAX, batch_of_slow_rows
from tailrace.ingest.json_slow import NotAnEvent, Row
from tailrace.ingest.syslog.frames import Framer, Frames, join_frames
from tailrace.ingest.syslog.slow import read_message
from tailrace.ingest.syslog.time import AHEAD_MAX_US, civil_us, utc_of_civil, year_of
from tailrace.ingest.text.syslog import FACILITIES
from tailrace.ingest.timestamps import believable_us
from tailrace.kernels.syslog.read import Bounds, Parsed, parse
from tailrace.model.batch import EVENT_SCHEMA, TIMESTAMP, empty_batch
from tailrace.model.level import level_of

SYSLOG = "application/vnd.tailrace.syslog"
"""Content type of a syslog message in dead letters."""

CUT_OFF = "the connection ended within the message"
"""Why the beginning of a counted message is a dead letter."""

# A row is a kilobyte as Python objects, and a tenth of it in a batch.
_SLOW_ROWS = 4096

_LEVELS = pa.array([level_of(str(severity), "syslog") for severity in range(8)], pa.string())
_END_BYTES = np.frombuffer(b"\r\n\0", np.uint8)
_ENDS_MAX = 3


def decode_syslog(body: bytes, *, limits: IngestSettings, now_us: int, zone: tzinfo = UTC) -> Decoded:
    """One message, as a datagram holds it; what ended it is left out. An empty one is no event."""
    frames, _ = without_ends(Frames(body, np.zeros(1, np.int64), np.array([len(body)])))
    return decode_frames(frames, limits=limits, now_us=now_us, zone=zone)


def decode_syslog_stream(body: bytes, *, limits: IngestSettings, now_us: int, zone: tzinfo = UTC) -> Decoded:
    """All that came over one connection. `Rejected.line` is the message's number."""
    framer = Framer(limits.line_bytes_max)
    fed = framer.feed(body)
    last, cut = framer.end()
    several = [frames for frames in (fed, last) if frames is not None]
    count = sum(map(len, several))
    decoded = Decoded(empty_batch(EVENT_SCHEMA))
    if several:
        decoded = decode_frames(join_frames(several), limits=limits, now_us=now_us, zone=zone)
    if not cut:
        return decoded
    return Decoded(decoded.events, [*decoded.rejected, Rejected(count + 1, CUT_OFF, cut)])


def without_ends(datagrams: Frames) -> tuple[Frames, npt.NDArray[np.int64]]:
    """Without the line feeds and NULs that many senders end a datagram with, and without the empty ones.

    Returns also the indexes of those that are left.
    """
    data = np.frombuffer(datagrams.data, np.uint8)
    starts, ends = datagrams.starts, datagrams.ends.copy()
    for _ in range(_ENDS_MAX):
        filled = np.flatnonzero(ends > starts)
        ends[filled] -= np.isin(data[ends[filled] - 1], _END_BYTES)
    left = np.flatnonzero(ends > starts)
    return Frames(datagrams.data, starts[left], ends[left]), left


def decode_frames(frames: Frames, *, limits: IngestSettings, now_us: int, zone: tzinfo) -> Decoded:
    """Every message is an event, but those past a limit: `Rejected.line` is their number among all.

    `zone` is that of times that tell none (RFC 3164). What a message means is in `syslog_slow`.
    """
    starts, ends = frames.starts, frames.ends
    whole = ends - starts <= limits.line_bytes_max
    fitting = np.flatnonzero(whole)
    bad = [(int(number), _too_long(limits)) for number in np.flatnonzero(~whole)]
    parsed = _parse(frames.data, starts[fitting], ends[fitting], limits, now_us, zone)
    slow = _Slow(now_us)
    before: list[int] = []
    for order, index in enumerate(parsed.slow.tolist()):
        number = int(fitting[index])
        raw = frames.data[starts[number] : ends[number]]
        try:
            slow.add(read_message(raw, limits=limits, now_us=now_us, zone=zone))
            before.append(index - order)
        except NotAnEvent as error:
            bad.append((number, str(error)))
    events = _merge(_batch(parsed, now_us, zone), slow.batches(), before)
    return Decoded(events, _rejected(frames, sorted(bad), limits))


def _parse(
    data: bytes,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    limits: IngestSettings,
    now_us: int,
    zone: tzinfo,
) -> Parsed:
    earliest_us, latest_us = believable_us(limits, now_us)
    now_civil_us = civil_us(now_us, zone)
    bounds = Bounds(
        now_us,
        earliest_us,
        latest_us,
        ahead_us=now_civil_us - now_us,
        this_year=year_of(now_civil_us),
        latest_civil_us=now_civil_us + AHEAD_MAX_US,
        fields_max=limits.fields_max,
    )
    return parse(data, starts, ends, bounds, FACILITIES)


def _batch(parsed: Parsed, now_us: int, zone: tzinfo) -> pa.RecordBatch:
    times_us = parsed.times_us
    if parsed.local.any():
        times_us = np.where(parsed.local, utc_of_civil(times_us, zone), times_us)
    rows = len(times_us)
    nothing = pa.nulls(rows, pa.string())
    columns = {
        "timestamp": pa.array(times_us).view(TIMESTAMP),
        "observed_timestamp": pa.array(np.full(rows, now_us, np.int64)).view(TIMESTAMP),
        "level": _LEVELS.take(pa.array(parsed.severities)),
        "service": parsed.service,
        "host": parsed.host,
        "message": parsed.message,
        "trace_id": nothing,
        "span_id": nothing,
        "attributes": parsed.attributes,
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


def _merge(events: pa.RecordBatch, others: list[pa.RecordBatch], before: list[int]) -> pa.RecordBatch:
    """Both in one, in order; `before` says how many messages of the kernel's stand before each of the others."""
    if not others:
        return events
    count = events.num_rows
    # Messages that were rejected stand before none.
    places = np.insert(np.arange(count), np.minimum(before, count), np.arange(count, count + len(before)))
    return pa.concat_batches([events, *others]).take(pa.array(places))


def _rejected(frames: Frames, bad: list[tuple[int, str]], limits: IngestSettings) -> list[Rejected]:
    """Those past REJECTED_MAX are told as one, with the raw bytes of the first of them."""
    told = [_one(frames, number, reason, limits) for number, reason in bad[: REJECTED_MAX + 1]]
    if len(bad) > REJECTED_MAX:
        first = told[-1]
        told[-1] = Rejected(first.line, f"{len(bad) - REJECTED_MAX:,} more messages are past a limit", first.raw)
    return told


def _one(frames: Frames, number: int, reason: str, limits: IngestSettings) -> Rejected:
    start = int(frames.starts[number])
    end = min(int(frames.ends[number]), start + limits.line_bytes_max)
    return Rejected(number + 1, reason, frames.data[start:end])


def _too_long(limits: IngestSettings) -> str:
    return (
        f"the message is longer than {limits.line_bytes_max:,} bytes (ingest.line_bytes_max); its beginning is kept"
    )


class _Slow:
    """Messages that took the slow path."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == _SLOW_ROWS:
            self._pack()

    def batches(self) -> list[pa.RecordBatch]:
        self._pack()
        return self._batches

    def _pack(self) -> None:
        if self._rows:
            self._batches.append(batch_of_slow_rows(self._rows, self._now_us))
            self._rows = []
