"""Events as bulk lines: the kernel against the standard library."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.kernels import bulk_out
from tailrace.kernels.bulk_out import DERIVED_LISTS, TERM_BYTES_MAX, BulkNames, bulk_lines, bulk_names, text_bytes
from tailrace.model.batch import STORED_SCHEMA
from tests.kernels.test_json_out import ROWS, TEXT

NAMES = {name: f"my_{name}" for name in BulkNames._fields}
DERIVED = st.fixed_dictionaries(
    {**dict.fromkeys(DERIVED_LISTS, st.lists(TEXT, max_size=3)), "partial": st.booleans()}
)
DERIVED_SCHEMA = pa.schema([*((name, pa.list_(pa.string())) for name in DERIVED_LISTS), ("partial", pa.bool_())])


def microseconds(array: pa.Array) -> list[int]:
    return array.cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]


def time_of(row: dict[str, Any], name: str) -> str:
    time = row[name]
    return f"{time.year:04d}-{time:%m-%dT%H:%M:%S.%f}Z"


def is_apart(key: str, value: str | None) -> bool:
    return "\0" in key or len(key.encode()) + len((value or "").encode()) > TERM_BYTES_MAX


def lines_of(row: dict[str, Any], derived: dict[str, Any], timestamp_us: int) -> str:
    """The plain twin of the kernel."""
    attributes = dict(row["attributes"])
    apart = {key: value for key, value in attributes.items() if is_apart(key, value)}
    fields = {
        "timestamp": time_of(row, "timestamp"),
        "observed_timestamp": time_of(row, "observed_timestamp"),
        "timestamp_us": timestamp_us,
        **{
            name: row[name]
            for name in ("level", "service", "host", "message", "trace_id", "span_id")
            if row[name] is not None
        },
        "attributes": {key: value for key, value in attributes.items() if key not in apart},
        **({"attributes_apart": apart} if apart else {}),
        **{name: derived[name] for name in DERIVED_LISTS if derived[name]},
        **({"partial": True} if derived["partial"] else {}),
        **{name: row[name] for name in ("log_partition", "log_offset", "log_row")},
    }
    action = {"create": {"_id": f"{row['log_partition']}-{row['log_offset']}-{row['log_row']}"}}
    document = {NAMES[name]: value for name, value in fields.items()}
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in (action, document))


@pytest.mark.slow
@given(rows=ROWS, first=st.integers(0, 12), count=st.integers(0, 12), data=st.data())
def test_the_kernel_writes_what_the_standard_library_would(
    rows: list[dict[str, Any]], first: int, count: int, data: st.DataObject
) -> None:
    """For any text, any null, any slice of a batch; and it says where the lines of each row are."""
    derived = data.draw(st.lists(DERIVED, min_size=len(rows), max_size=len(rows)))
    batch = pa.RecordBatch.from_pylist(rows, schema=STORED_SCHEMA).slice(first, count)
    beside = pa.RecordBatch.from_pylist(derived, schema=DERIVED_SCHEMA).slice(first, count)
    lines, places = bulk_lines(batch, beside, bulk_names(NAMES))
    times_us = microseconds(batch.column("timestamp"))
    picked = slice(first, first + count)
    expected = list(map(lines_of, rows[picked], derived[picked], times_us))
    assert lines.tobytes().decode() == "".join(expected)
    assert [lines[a:b].tobytes().decode() for a, b in itertools.pairwise(places)] == expected


@given(size=st.integers(TERM_BYTES_MAX - 3, TERM_BYTES_MAX + 3), key=st.sampled_from(["", "k", "a\0", "é"]))
def test_attributes_that_no_index_takes_stand_apart(size: int, key: str) -> None:
    """Those past the bound, and keys with a NUL; the others stay where they are."""
    row = {
        **dict.fromkeys(("timestamp", "observed_timestamp", "log_partition", "log_offset", "log_row"), 0),
        "message": "",
        "attributes": {key: "x" * size, "short": "y", "none": None},
    }
    derived: dict[str, Any] = {**{name: [] for name in DERIVED_LISTS}, "partial": False}
    lines, _ = bulk_lines(
        pa.RecordBatch.from_pylist([row], schema=STORED_SCHEMA),
        pa.RecordBatch.from_pylist([derived], schema=DERIVED_SCHEMA),
        bulk_names(NAMES),
    )
    document = json.loads(lines.tobytes().splitlines()[1])
    apart = document.get("my_attributes_apart", {})
    assert (key in apart) is is_apart(key, "x" * size)
    assert {**document["my_attributes"], **apart} == row["attributes"]
    assert document["my_attributes"].keys() >= {"short", "none"}


@pytest.mark.slow
@given(rows=ROWS, first=st.integers(0, 12), count=st.integers(0, 12))
def test_text_bytes_rise_by_what_each_row_says(rows: list[dict[str, Any]], first: int, count: int) -> None:
    """The texts and attributes of each row, of any slice of a batch, in UTF-8."""
    batch = pa.RecordBatch.from_pylist(rows, schema=STORED_SCHEMA).slice(first, count)
    names = ("level", "service", "host", "message", "trace_id", "span_id")

    def size(row: dict[str, Any]) -> int:
        texts = [row[name] or "" for name in names]
        pairs = [text or "" for pair in row["attributes"].items() for text in pair]
        return sum(len(text.encode()) for text in texts + pairs) + 8 * len(row["attributes"])

    assert np.diff(text_bytes(batch)).tolist() == [size(row) for row in rows[first : first + count]]


def test_one_set_of_types_is_compiled() -> None:
    """Sliced, empty and full batches, from Python or from the log, meet the same machine code."""
    bulk_out.warm_up()
    assert len(bulk_out._write_lines.signatures) == 1
