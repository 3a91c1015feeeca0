"""Events as JSON lines: the kernel against the standard library."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.kernels import json_out
from tailrace.kernels.json_out import json_lines
from tailrace.model.batch import STORED_SCHEMA, decode_batch, empty_batch, encode_batch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', "\\", "\n\r\t\b\f", "\x00\x1f\x7f", "ä€🎉", "a" * 300, 'say "hi"\n' * 20]
)
MAYBE = st.none() | TEXT
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.datetimes(timezones=st.just(UTC)),
            "observed_timestamp": st.just(_EPOCH),
            "level": MAYBE,
            "service": MAYBE,
            "host": MAYBE,
            "message": TEXT,
            "trace_id": MAYBE,
            "span_id": MAYBE,
            "attributes": st.dictionaries(TEXT, MAYBE, max_size=3),
            "log_partition": st.integers(0, 2**31 - 1),
            "log_offset": st.integers(0, 2**63 - 1),
            "log_row": st.integers(0, 2**31 - 1),
        }
    ),
    max_size=12,
)


def line(row: dict[str, Any]) -> str:
    """The plain twin of the kernel."""
    time = row["timestamp"]
    fields = {
        "timestamp": f"{time.year:04d}-{time:%m-%dT%H:%M:%S.%f}Z",
        **{
            name: row[name]
            for name in ("level", "service", "host", "message", "trace_id", "span_id")
            if row[name] is not None
        },
        "attributes": dict(row["attributes"]),
        "id": f"{row['log_partition']}-{row['log_offset']}-{row['log_row']}",
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


@pytest.mark.slow
@given(rows=ROWS, first=st.integers(0, 12), count=st.integers(0, 12))
@settings(deadline=None)
def test_the_kernel_writes_what_the_standard_library_would(
    rows: list[dict[str, Any]], first: int, count: int
) -> None:
    """For any text, any null, any slice of a batch."""
    batch = pa.RecordBatch.from_pylist(rows, schema=STORED_SCHEMA)
    sliced = batch.slice(first, count)
    assert json_lines(sliced).tobytes().decode() == "".join(map(line, rows[first : first + count]))


def test_times_beyond_four_digits_and_before_year_zero_are_written_in_full() -> None:
    """The ends of a 64-bit count of microseconds neither overflow nor break the line."""
    row = {
        "observed_timestamp": 0,
        "message": "",
        "attributes": [],
        "log_partition": 0,
        "log_offset": 0,
        "log_row": 0,
    }
    times_us = [-(2**63) + 1, -62_198_755_200_000_000, 2**63 - 1]
    batch = pa.RecordBatch.from_pylist([{**row, "timestamp": time_us} for time_us in times_us], schema=STORED_SCHEMA)
    stamps = [json.loads(text)["timestamp"] for text in json_lines(batch).tobytes().splitlines()]
    assert stamps == [
        "-290308-12-21T19:59:05.224193Z",
        "-0001-01-01T00:00:00.000000Z",
        "294247-01-10T04:00:54.775807Z",
    ]


def test_every_day_of_four_centuries_has_its_date() -> None:
    """The calendar repeats after 400 years, leap days and century years included."""
    row = {
        "observed_timestamp": 0,
        "message": "",
        "attributes": [],
        "log_partition": 0,
        "log_offset": 0,
        "log_row": 0,
    }
    days = range(-146_097 // 2, 146_097 // 2)
    times = pa.array([day * 86_400_000_000 for day in days], STORED_SCHEMA.field("timestamp").type)
    one = pa.RecordBatch.from_pylist([{**row, "timestamp": 0}], schema=STORED_SCHEMA)
    columns = [column.take(pa.array([0] * len(days))) for column in one.columns]
    batch = pa.RecordBatch.from_arrays([times, *columns[1:]], schema=STORED_SCHEMA)
    stamps = [text[14:24].decode() for text in json_lines(batch).tobytes().splitlines()]
    assert stamps == [(_EPOCH + timedelta(days=day)).date().isoformat() for day in days]


def test_one_compilation_serves_batches_from_python_and_from_the_wire() -> None:
    """Buffers that are writable or not, with and without nulls, are of one type to the kernel."""
    row = {"timestamp": 0, "observed_timestamp": 0, "message": "m", "log_partition": 0, "log_offset": 0, "log_row": 0}
    cases: list[dict[str, Any]] = [{"attributes": []}, {"attributes": [("a", None)], "level": "INFO", "host": "h"}]
    for columns in cases:
        batch = pa.RecordBatch.from_pylist([{**row, **columns}], schema=STORED_SCHEMA)
        assert json_lines(batch).tobytes() == json_lines(decode_batch(encode_batch(batch))).tobytes()
    json_lines(empty_batch(STORED_SCHEMA))
    assert len(json_out._write_lines.signatures) == 1
