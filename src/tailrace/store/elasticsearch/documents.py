"""Events as documents: which index, which requests, which bytes.

A document of the index `NAME-YYYY.MM.DD`, its `_id` the event's identity `PARTITION-OFFSET-ROW`:

    {"@timestamp":"2026-11-21T12:00:00.000000Z","observed_timestamp":"…","timestamp_us":1795262400000000,
     "level":"WARN","service":"auth","host":"web-1","message":"…","trace_id":"…","span_id":"…",
     "attributes":{"latency_ms":"12"}, …, "log_partition":0,"log_offset":17,"log_row":3}

The day is the UTC day of arrival (`observed_timestamp`): whatever a client writes into `timestamp`, it cannot make a
thousand indices, and retention counts from arrival. `attributes_apart`, an object like `attributes`, is there when an
event has attributes that no server could index (`kernels.bulk_out`); `…` is what `mapping_derived` makes for queries.
Pure; `docs/formats/elasticsearch.md` has it all.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

from tailrace.kernels.bulk_out import BulkNames, Places, bulk_lines, bulk_names, text_bytes
from tailrace.kernels.json_out import json_lines
from tailrace.kernels.json_text import Bytes
from tailrace.store.elasticsearch.mapping_derived import derived

NAMES = {**{name: name for name in BulkNames._fields}, "timestamp": "@timestamp"}
"""The documents' keys, by our own names."""

_BULK_NAMES = bulk_names(NAMES)

DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)

# Names, punctuation, times and numbers of one event's two lines.
_BESIDE_TEXT_BYTES = 350
# What is derived for queries repeats most of the text.
_TEXT_TWICE = 2
# Below this the server spends more on a request than on its documents.
_WORTH_A_REQUEST_BYTES = 256 * 1024


def index_of(name: str, day: int) -> str:
    """The index of a day, counted from 1970-01-01."""
    return f"{name}-{_EPOCH + timedelta(days=day):%Y.%m.%d}"


def day_of(name: str, index: str) -> int | None:
    """The day of such an index; None for any other index."""
    match = re.fullmatch(rf"{re.escape(name)}-(\d{{4}}\.\d\d\.\d\d)", index)
    if match is None:
        return None
    try:
        return (datetime.strptime(match[1], "%Y.%m.%d").replace(tzinfo=UTC).date() - _EPOCH).days
    except ValueError:
        return None


def by_day(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of each day of arrival."""
    days = batch.column("observed_timestamp").cast(pa.int64()).to_numpy() // DAY_US
    found = np.unique(days)
    for day in found:
        yield int(day), batch if len(found) == 1 else batch.filter(pa.array(days == day))


def slices(batch: pa.RecordBatch, bulk_bytes: int, *, at_once: int) -> Iterator[pa.RecordBatch]:
    """The batch in parts of up to about so many bytes of bulk lines, at least one row each.

    They are as many as keep `at_once` requests busy to the end, unless they became too small to be worth one.
    """
    before = text_bytes(batch) * _TEXT_TWICE + np.arange(batch.num_rows + 1) * _BESIDE_TEXT_BYTES
    size = before[-1]
    turns = math.ceil(size / (bulk_bytes * at_once))
    count = max(math.ceil(size / bulk_bytes), min(turns * at_once, size // _WORTH_A_REQUEST_BYTES))
    cuts = np.searchsorted(before, np.linspace(0, size, count + 1))
    for first, last in itertools.pairwise(np.unique(cuts).tolist()):
        yield batch.slice(first, last - first)


def render(batch: pa.RecordBatch) -> tuple[Bytes, Places]:
    """The bulk lines of a part, and where those of each row start, with the end of all as the last."""
    return bulk_lines(batch, derived(batch), _BULK_NAMES)


def as_sent(batch: pa.RecordBatch, rows: Sequence[int]) -> list[bytes]:
    """These events as JSON that `POST /logs` takes for the same events: what a dead letter keeps of them."""
    lines = json_lines(batch.take(pa.array(rows, pa.int64()))).tobytes().splitlines()
    # The identity is kept beside the letter; in its text it would become an attribute.
    return [line[: line.rindex(b',"id":"')] + b"}" for line in lines]
