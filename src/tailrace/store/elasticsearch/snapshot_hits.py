"""Documents as a server gives them back, brought to batches of events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyarrow as pa

from tailrace.model.batch import IDENTITY, STORED_SCHEMA

_TEXTS = ("level", "service", "host", "message", "trace_id", "span_id")


def batch_of(sources: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """The events of documents' `_source`, in STORED_SCHEMA, in their order."""
    attributes = [_attributes(source) for source in sources]
    starts = pa.array([0, *accumulate(map(len, attributes))], pa.int32())
    keys = pa.array([key for each in attributes for key in each], pa.string())
    values = pa.array([value for each in attributes for value in each.values()], pa.string())
    observed = pa.array([source["observed_timestamp"] for source in sources], pa.string())
    columns = {
        "timestamp": pa.array([source["timestamp_us"] for source in sources], pa.int64()),
        "observed_timestamp": observed.cast(STORED_SCHEMA.field("observed_timestamp").type),
        "attributes": pa.MapArray.from_arrays(starts, keys, values),
    }
    for name in _TEXTS:
        columns[name] = pa.array([source.get(name) for source in sources], pa.string())
    for name in IDENTITY:
        columns[name] = pa.array([source[name] for source in sources], STORED_SCHEMA.field(name).type)
    return pa.RecordBatch.from_arrays(
        [columns[field.name].cast(field.type) for field in STORED_SCHEMA], schema=STORED_SCHEMA
    )


def _attributes(source: dict[str, Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = source["attributes"]
    return {**found, **source["attributes_apart"]} if "attributes_apart" in source else found
