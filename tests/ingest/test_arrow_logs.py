"""Arrow bodies: columns of any type, and streams that are not what they seem."""

from __future__ import annotations

import io
import random
import re
import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.arrow_logs import decode_arrow
from tailrace.model.batch import EVENT_SCHEMA, batch_of_rows, encode_batch

NOW_US = 1_743_156_000_000_000
LIMITS = IngestSettings()
MAP = pa.map_(pa.string(), pa.string())


def stream(*batches: pa.RecordBatch, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue()


def decode(body: bytes, limits: IngestSettings = LIMITS) -> pa.RecordBatch:
    decoded = decode_arrow(body, limits=limits, now_us=NOW_US)
    assert decoded.rejected == []
    decoded.events.validate(full=True)
    assert decoded.events.schema.equals(EVENT_SCHEMA)
    return decoded.events


def rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    found = decode(stream(pa.record_batch(columns))).to_pylist()
    return [{**row, "attributes": dict(row["attributes"])} for row in found]


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=10)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.integers(NOW_US - 10**12, NOW_US + 10**9),
            "observed_timestamp": st.just(NOW_US),
            "level": st.sampled_from([None, "INFO", "ERROR"]),
            "service": st.none() | TEXT,
            "host": st.none() | TEXT,
            "message": TEXT,
            "trace_id": st.none() | TEXT,
            "span_id": st.none() | TEXT,
            "attributes": st.dictionaries(TEXT, TEXT, max_size=4).map(lambda pairs: list(pairs.items())),
        }
    ),
    max_size=5,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_our_own_batches(events: list[dict[str, Any]]) -> None:
    """Batches of the event schema come out as they went in."""
    batch = batch_of_rows(events)
    assert decode(encode_batch(batch)).equals(batch)


def test_several_batches() -> None:
    """All batches of a stream are read, in order, and a stream without any is empty."""
    batches = [pa.record_batch({"message": [name]}) for name in "abc"]
    assert decode(stream(*batches)).column("message").to_pylist() == ["a", "b", "c"]
    assert decode(stream(batches[0].slice(0, 0))).num_rows == 0


def test_missing_columns() -> None:
    """What the sender leaves out is null, but for the time, which is ours, and the message, which is empty."""
    (row,) = rows({"service": ["pay"]})
    assert row["timestamp"] == row["observed_timestamp"]
    assert row["timestamp"].isoformat() == "2025-03-28T10:00:00+00:00"
    assert (row["message"], row["level"], row["service"], row["attributes"]) == ("", None, "pay", {})


def test_observed_timestamp_is_ours() -> None:
    """The sender's `observed_timestamp` is not believed."""
    (row,) = rows({"observed_timestamp": pa.array([5], pa.timestamp("us", "UTC"))})
    assert row["observed_timestamp"].isoformat() == "2025-03-28T10:00:00+00:00"


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int8(), pa.string()),
    ],
)
def test_texts_of_any_kind(kind: pa.DataType) -> None:
    """All of Arrow's types for text are texts; a null message is empty."""
    texts = pa.array(["é", None], pa.string()).cast(kind)
    assert [
        (row["message"], row["host"], row["attributes"])
        for row in rows({"message": texts, "host": texts, "x": texts})
    ] == [
        ("é", "é", {"x": "é"}),
        ("", None, {}),
    ]


def test_run_ends() -> None:
    """A run-end encoded column is read too."""
    column = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["p", "q"]))
    assert [row["service"] for row in rows({"service": column})] == ["p", "p", "q"]


@pytest.mark.parametrize(
    ("column", "microsecond"),
    [
        (pa.array([1_743_155_999], pa.timestamp("s")), 0),
        (pa.array([1_743_155_999_001], pa.timestamp("ms", "Europe/Berlin")), 1000),
        (pa.array([1_743_155_999_000_001], pa.timestamp("us", "UTC")), 1),
        (pa.array([1_743_155_999_000_001_999], pa.timestamp("ns")), 1),
        (pa.array([1_743_155_999_000]), 0),
        (pa.array([1_743_155_999.5]), 500_000),
        (pa.array(["2025-03-28T09:59:59,25Z"]), 250_000),
        (pa.array(["2025-03-28T11:59:59+02:00"]).dictionary_encode(), 0),
    ],
)
def test_times_of_any_kind(column: pa.Array, microsecond: int) -> None:
    """Times of any unit and zone, numbers and texts are read; a time without a zone is UTC."""
    (row,) = rows({"timestamp": column})
    assert row["timestamp"].replace(microsecond=0).isoformat() == "2025-03-28T09:59:59+00:00"
    assert row["timestamp"].microsecond == microsecond
    assert row["attributes"] == {}


def test_odd_times() -> None:
    """Odd times are kept as the arrival time, with the original and a mark; a null is just missing."""
    found = rows({"timestamp": ["2025-03-28T09:00:00Z", "1969-01-01", "2045-01-01", "soon", None]})
    assert [row["attributes"].get("timestamp_adjusted") for row in found] == [
        None,
        "too_far_past",
        "too_far_future",
        "unreadable",
        None,
    ]
    assert [row["attributes"].get("timestamp_original") for row in found] == [
        None,
        "1969-01-01",
        "2045-01-01",
        "soon",
        None,
    ]
    assert all(row["timestamp"] == row["observed_timestamp"] for row in found[1:])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_at_the_ends_of_64_bits(unit: str) -> None:
    """The largest and smallest numbers of any unit are odd times, and do not overflow."""
    found = rows({"timestamp": pa.array([-(1 << 63), (1 << 63) - 1], pa.timestamp(unit))})
    assert [row["attributes"]["timestamp_adjusted"] for row in found] == ["too_far_past", "too_far_future"]


def test_levels() -> None:
    """Levels are brought to ours; one that nobody knows stays, as an attribute."""
    found = rows({"level": ["warning", "INFO", None, "odd"]})
    assert [(row["level"], row["attributes"]) for row in found] == [
        ("WARN", {}),
        ("INFO", {}),
        (None, {}),
        (None, {"level": "odd"}),
    ]
    assert rows({"level": pa.array([50])})[0]["level"] == "ERROR"


def test_other_columns_become_attributes() -> None:
    """Other columns are attributes, as text: structs by dotted leaves, lists and maps as JSON, nulls left out."""
    columns = {
        "n": [1, None],
        "f": [1.5, 2.0],
        "t": [True, False],
        "s": [{"a": 1, "b": {"c": "x"}}, None],
        "l": [[1, None], []],
        "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "attributes.z": ["z", None],
        "attributes": pa.array([[("k", "v"), ("n", "old"), ("gone", None)], None], MAP),
    }
    assert [row["attributes"] for row in rows(columns)] == [
        {
            "k": "v",
            "n": "1",
            "f": "1.5",
            "t": "true",
            "s.a": "1",
            "s.b.c": "x",
            "l": "[1,null]",
            "m": '[["k",1]]',
            "z": "z",
        },
        {"f": "2", "t": "false", "l": "[]"},
    ]


def test_attributes_as_a_struct() -> None:
    """A column `attributes` that is a struct gives attributes of its fields' names."""
    assert rows({"attributes": [{"a": 1, "b": {"c": 2}}]})[0]["attributes"] == {"a": "1", "b.c": "2"}


def test_equal_keys() -> None:
    """Of equal keys of an event the last counts."""
    column = pa.array([[("k", "1"), ("k", "2"), ("l", "3")], [("k", "4")]], MAP)
    assert [row["attributes"] for row in rows({"attributes": column})] == [{"k": "2", "l": "3"}, {"k": "4"}]


def test_maps_that_are_slices() -> None:
    """A map whose entries start in the middle of its children is read right."""
    column = pa.array([[("a", "1")], [("b", "2")], None, [("c", "3")]], pa.map_(pa.large_string(), pa.large_string()))
    batch = pa.record_batch({"attributes": column, "x": ["p", "q", "r", "s"]}).slice(1)
    found = decode(stream(batch)).column("attributes").to_pylist()
    assert found == [[("b", "2"), ("x", "q")], [("x", "r")], [("c", "3"), ("x", "s")]]


@pytest.mark.parametrize(
    "body", [b"", b"abc", b"\0" * 64, b"ARROW1\0\0", stream(pa.record_batch({"message": ["a"]}))[:-20]]
)
def test_not_a_stream(body: bytes) -> None:
    """What is no stream, or half of one, is bad input."""
    with pytest.raises(BadInput):
        decode(body)


def test_invalid_utf8() -> None:
    """Bytes that claim to be text are checked before anything is done with them."""
    bad = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
    with pytest.raises(BadInput, match="UTF8"):
        decode(stream(pa.record_batch({"message": bad})))
    with pytest.raises(BadInput, match="UTF8"):
        decode(stream(pa.record_batch({"other": bad})))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_bomb(compression: str) -> None:
    """A stream whose buffers grow past the bound is refused before they are decompressed."""
    limits = IngestSettings(body_bytes_max=1 << 20)
    body = stream(pa.record_batch({"message": ["x" * (2 << 20)]}), compression=compression)
    assert len(body) < 20_000
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode(body, limits)


def test_lengths_that_lie() -> None:
    """A buffer that claims to be terabytes before compression is refused, and not allocated."""
    body = stream(pa.record_batch({"message": ["x" * 5000]}), compression="zstd")
    lying = body.replace((5000).to_bytes(8, "little"), (1 << 42).to_bytes(8, "little"))
    assert lying != body
    with pytest.raises(TooLarge):
        decode(lying)


def test_texts_that_share_their_bytes() -> None:
    """A dictionary, runs or views that name one long text a million times are refused, and not written out."""
    limits = IngestSettings(body_bytes_max=1 << 20)
    long_text = "x" * 10_000
    view = struct.pack("<i4sii", len(long_text), b"xxxx", 0, 0)
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int16()), pa.array([long_text]))
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([1000], pa.int32()), pa.array([long_text]))
    buffers = [None, pa.py_buffer(view * 1000), pa.py_buffer(long_text.encode())]
    views = pa.Array.from_buffers(pa.string_view(), 1000, buffers)
    assert views.to_pylist() == [long_text] * 1000
    for column in (dictionary, runs, views):
        with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
            decode(stream(pa.record_batch({"x": column})), limits)


def test_names_are_paid_for_by_each_event() -> None:
    """A long column name over many rows is refused before it is written out once an event."""
    limits = IngestSettings(body_bytes_max=1 << 20)
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode(stream(pa.record_batch({"x" * 10_000: pa.array([True] * 1000)})), limits)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[None] * (1 << 20)], pa.list_(pa.null())),
        pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        pa.array([["a"]], pa.list_(pa.string_view())),
    ],
)
def test_nested_values_that_would_be_many_objects(column: pa.Array) -> None:
    """Nested values that take no bytes, or share them, are refused before there is an object for each."""
    with pytest.raises(BadInput):
        decode(stream(pa.record_batch({"x": column})), IngestSettings(body_bytes_max=1 << 20))


def test_struct_of_too_many_fields() -> None:
    """The fields of structs count as fields."""
    column = pa.array([{f"f{i}": i for i in range(300)}])
    with pytest.raises(BadInput, match=r"ingest\.fields_max"):
        decode(stream(pa.record_batch({"x": column})))


def test_rows_without_bytes() -> None:
    """Rows that take no bytes at all cannot fill the memory."""
    batch = pa.record_batch({"x": pa.nulls(1 << 24)})
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode(stream(batch))


def test_too_many_fields() -> None:
    """The bound of fields holds for columns and for the entries of a map."""
    limits = IngestSettings(fields_max=3)
    with pytest.raises(BadInput, match=re.escape("ingest.fields_max")):
        decode(stream(pa.record_batch({f"c{i}": [1] for i in range(4)})), limits)
    entries = pa.array([[(str(i), "x") for i in range(4)]], MAP)
    with pytest.raises(BadInput, match=re.escape("ingest.fields_max")):
        decode(stream(pa.record_batch({"attributes": entries})), limits)


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_damaged_streams(compression: str | None) -> None:
    """Streams with random damage give valid events or bad input, and never end the process."""
    generator = random.Random(f"damage {compression}")
    columns = {
        "timestamp": pa.array([NOW_US, None, 5], pa.timestamp("us")),
        "level": ["warning", None, "huh"],
        "message": pa.array(["a", None, "c" * 50], pa.string_view()),
        "d": pa.array(["u", "v", None]).dictionary_encode(),
        "s": [{"a": 1, "b": {"c": [1, 2]}}, None, {"a": None, "b": None}],
        "attributes": pa.array([[("k", "v")], None, [("k", None)]], pa.map_(pa.large_string(), pa.string())),
        "r": pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["p", "q"])),
        "n": pa.nulls(3),
    }
    body = stream(pa.record_batch(columns), compression=compression)
    refused = 0
    for _ in range(300):
        damaged = bytearray(body)
        for _ in range(generator.randint(1, 3)):
            place = generator.randrange(len(damaged) - 8)
            if generator.random() < 0.5:
                damaged[place] = generator.randrange(256)
            else:
                number = generator.choice([-1, 0, 1 << 31, 1 << 40, (1 << 63) - 1])
                damaged[place : place + 8] = number.to_bytes(8, "little", signed=True)
        try:
            decode(bytes(damaged))
        except BadInput:
            refused += 1
    assert 0 < refused < 300


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_a_null_whose_view_points_nowhere(kind: pa.DataType) -> None:
    """Validation leaves out the views of nulls, and a cast ends the process over one of a negative size."""
    body = bytearray(stream(pa.record_batch({"message": pa.array(["a text outside of its view", None, "b"], kind)})))
    null_view = body.rindex(b"\x01\x00\x00\x00b" + bytes(11)) - 16
    body[null_view : null_view + 16] = struct.pack("<iiii", -65536, -1, 65535, 0)
    assert decode(bytes(body))["message"].to_pylist() == ["a text outside of its view", "", "b"]
