"""The NDJSON kernel by itself: what it reads, what it leaves to others, and how it is compiled."""

from __future__ import annotations

import gc
import json
import re
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.ingest.json_logs import NAMES
from tailrace.ingest.timestamps import parse_timestamp
from tailrace.kernels import warm_up_module
from tailrace.kernels.key_bits import repeats_key
from tailrace.kernels.name_table import NAME_BYTES_MAX, find_name, name_table
from tailrace.kernels.ndjson.read import Bounds, Ending, Framing, Scanned, scan
from tailrace.kernels.ndjson.scan import scan_events
from tailrace.kernels.ndjson.values import (
    LEVEL_UNKNOWN,
    LEVEL_UNSURE,
    SCALE_ANY,
    SCALE_OTEL,
    SCALE_SYSLOG,
    UNSURE,
    is_utf8,
    level_index,
    number_end,
    timestamp_us,
)
from tailrace.kernels.simd import WIDTH, copy_bytes, line_end
from tailrace.model.batch import LEVELS as ALL_LEVELS
from tailrace.model.level import LEVEL_ALIASES, NumberScale, level_of
from tests.ingest.json_bodies import LEVELS, TIMES

NOW_US = 1_743_156_000_000_000
BOUNDS = Bounds(NOW_US, 0, 2 * NOW_US, 1 << 20, 256, 16)


def as_bytes(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(data, np.uint8)


def read(body: str, framing: Framing = Framing.LINES) -> Scanned:
    return scan(body.encode(), NAMES, BOUNDS, framing=framing)


@pytest.mark.parametrize(
    "event",
    [
        '{"timestamp":"2025-03-28T10:00:00.123Z","level":"INFO","service":"a","host":"b","message":"c","trace_id":"d"}',
        '{"time":1743156000123,"level":30,"pid":1,"hostname":"h","msg":"pino","extra":true,"none":null}',
        '{"event":"structlog","level":"warning","timestamp":"2025-03-28 10:00:00,5+02:00","logger":"x","n":-1.5e3}',
        '{ "message" : "with \\"escapes\\" and \\u00e9 \\ud83d\\ude00 and ünïcode" , "k" : "v" }',
        '{"log":{"level":"error","file":{"path":"/x"}},"message":"beats","host":{"name":"h"},"status":200}',
        '{"message":"a","attributes":{"user":"u","level":"odd"}}',
        '{"message":{"text":"a"},"tags":["x", {"y" : [1.50, null, true]}, [], {}]}',
        "{}",
    ],
)
def test_usual_events_stay_in_the_kernel(event: str) -> None:
    """What usual programs send never takes the plain-Python path."""
    scanned = read("\n".join([event] * 3))
    assert (scanned.events.num_rows, len(scanned.others)) == (3, 0)


@pytest.mark.parametrize(
    "event",
    [
        '{"a":["\\n"]}', '{"a":1,"a":2}', '{"a\\n":1}', '{"timestamp":"soon"}', '{"a":1}}', '{"a":01}',
        '{"a":"\x01"}', "{", "[]",
        '{"a":[1,]}', '{"a":[1}', '{"msg":"b","message":"a"}', '{"a":tru}', '{"a":1 "b":2}', '{"a":1,}',
        '{"level":" info"}',
    ],
)  # fmt: skip
def test_the_rest_is_left_to_others(event: str) -> None:
    """What the kernel is not sure of is left out, with its place and number, and its neighbours are not."""
    scanned = read(f"{{}}\n\n  {event} \r\n{{}}")
    assert scanned.events.num_rows == 2
    assert scanned.others.tolist() == [[6, 6 + len(event), 3, 1]]


@pytest.mark.parametrize(
    ("body", "framing", "ending", "end"),
    [
        ("{},{}]", Framing.ARRAY, Ending.COMPLETE, 6),
        ("{},{} ", Framing.ARRAY, Ending.UNCLOSED, 6),
        ("{}] x", Framing.ARRAY, Ending.GOES_ON, 4),
        ("{}{}\n{ }", Framing.VALUES, Ending.COMPLETE, 8),
        ("{}\n{}", Framing.LINES, Ending.COMPLETE, 5),
    ],
)
def test_endings(body: str, framing: Framing, ending: Ending, end: int) -> None:
    """Each framing says how the body ended, and where."""
    scanned = read(body, framing)
    assert (scanned.ending, scanned.end, len(scanned.others)) == (ending, end, 0)


@settings(deadline=None)
@given(st.text(max_size=100), st.integers(0, 40))
def test_texts_at_any_place(text: str, padding: int) -> None:
    """A text is copied whole wherever it lies against the vectors and the end of the body."""
    body = " " * padding + json.dumps({"message": text}, ensure_ascii=False)
    scanned = read(body)
    assert scanned.events.column("message").to_pylist() == [text]


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=60, unique=True), st.text(max_size=8))
def test_names_are_found(names: list[str], other: str) -> None:
    """Each name is found at its index, and another one is not."""
    encodable = [name for name in names if len(name.encode("utf-8", "replace")) <= NAME_BYTES_MAX and _is_text(name)]
    table = name_table(encodable)
    for index, name in enumerate(encodable):
        for data, start in ((name.encode(), 0), (b"x" * 9 + name.encode() + b"y" * 9, 9)):
            assert find_name(table, as_bytes(data), len(data), start, len(name.encode())) == index
    if other not in encodable and _is_text(other):
        assert find_name(table, as_bytes(other.encode() + b"_"), len(other.encode()), 0, len(other.encode())) == -1


def _is_text(text: str) -> bool:
    return text.encode("utf-8", "replace").decode() == text


def test_long_names() -> None:
    """Names that differ only in their middle are told apart; names that are too long are refused."""
    names = ["a" * 10 + letter + "a" * 13 for letter in "abc"]
    table = name_table(names)
    assert [find_name(table, as_bytes(name.encode()), 24, 0, 24) for name in names] == [0, 1, 2]
    with pytest.raises(ValueError, match="longer than 24"):
        name_table(["x" * 25])


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_utf8(data: bytes) -> None:
    """Bytes are taken for UTF-8 exactly when Python decodes them."""
    try:
        data.decode()
        expected = True
    except UnicodeDecodeError:
        expected = False
    assert is_utf8(as_bytes(data + b"\0"), 0, len(data)) == expected


@settings(deadline=None)
@given(st.text(alphabet="0123456789+-.eE", min_size=1, max_size=12))
def test_numbers(text: str) -> None:
    """A number ends where RFC 8259's grammar says."""
    match = re.match(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text)
    end = number_end(as_bytes(text.encode()), len(text), 0)
    # Where the grammar could stop earlier the kernel goes on and gives up: what follows is no JSON anyway.
    assert end == -1 or (match is not None and match.end() == end)
    if match is not None and match.end() == len(text):
        assert end == len(text)


ZONES = st.sampled_from(["", "Z", "+00:00", "+0530", "-11:45", "+14:00"])


@pytest.mark.slow
@settings(deadline=None)
@given(st.datetimes(), st.sampled_from("T "), st.sampled_from(".,"), st.integers(0, 9), ZONES)
def test_usual_times(moment: datetime, separator: str, point: str, digits: int, zone: str) -> None:
    """Any moment in the usual forms is read by the kernel, and as the plain reading has it."""
    fraction = point + f"{moment.microsecond * 1000:09d}"[:digits] if digits else ""
    text = moment.isoformat(sep=separator, timespec="seconds") + fraction + zone
    assert timestamp_us(as_bytes(text.encode()), 0, len(text)) == parse_timestamp(text)


@settings(deadline=None)
@given(st.integers(0, 8_999_999_999_999_999_999), st.text(alphabet="0123456789", max_size=9))
def test_numbers_as_times(whole: int, fraction: str) -> None:
    """Any number of seconds or their parts is read by the kernel, and as the plain reading has it."""
    text = f"{whole}.{fraction}" if fraction else str(whole)
    assert timestamp_us(as_bytes(text.encode()), 0, len(text)) == parse_timestamp(text)


@settings(deadline=None)
@given(
    st.one_of(TIMES, st.from_regex(r"[0-9]{1,4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+Z-]{0,20}", fullmatch=True), st.text())
)
def test_no_time_is_read_wrong(text: str) -> None:
    """Whatever the text, the kernel reads what the plain reading does, or leaves it."""
    data = text.encode(errors="replace")
    found = timestamp_us(as_bytes(data), 0, len(data))
    assert found in (UNSURE, parse_timestamp(data.decode()))


@settings(deadline=None)
@given(
    st.one_of(LEVELS, st.sampled_from(list(LEVEL_ALIASES)).map(str.title), st.integers(0, 120).map(str), st.text()),
    st.sampled_from([("any", SCALE_ANY), ("syslog", SCALE_SYSLOG), ("otel", SCALE_OTEL)]),
)
def test_levels(text: str, scale: tuple[NumberScale, int]) -> None:
    """Whatever the text and the scale, the kernel finds the level that the plain reading does, or leaves it."""
    data = text.encode(errors="replace")
    codes = np.array([ALL_LEVELS.index(level) for level in LEVEL_ALIASES.values()])
    upper = np.zeros(32, np.uint8)
    found = level_index(as_bytes(data), 0, len(data), scale[1], name_table(list(LEVEL_ALIASES)), codes, upper)
    expected = level_of(data.decode(), scale[0])
    assert found in (LEVEL_UNSURE, LEVEL_UNKNOWN if expected is None else ALL_LEVELS.index(expected))
    assert found != LEVEL_UNSURE or not data.isascii() or min(data) <= 0x20


@settings(deadline=None)
@given(st.binary(max_size=100), st.integers(0, 40))
def test_copy_and_line_end(data: bytes, place: int) -> None:
    """Bytes are copied, and line feeds found, at any place against the vectors."""
    target = np.zeros(len(data) + WIDTH, np.uint8)
    copy_bytes(target, 0, as_bytes(data), 0, len(data), len(data))
    assert target[: len(data)].tobytes() == data
    end = data.find(b"\n", place)
    if place <= len(data):
        assert line_end(as_bytes(data), place, len(data)) == (len(data) if end < 0 else end)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=3).filter(_is_text), max_size=6), max_size=4))
def test_repeated_keys(rows: list[list[str]]) -> None:
    """A row that has a key twice is found, and rows that share keys with others are not taken for one."""
    keys = pa.array([key for row in rows for key in row], pa.string())
    data = as_bytes("".join(key for row in rows for key in row).encode() + b"\0")
    key_offsets = np.cumsum([0] + [len(key.encode()) for row in rows for key in row], dtype=np.int32)
    row_offsets = np.cumsum([0] + [len(row) for row in rows], dtype=np.int32)
    assert len(keys) == row_offsets[-1]
    assert repeats_key(row_offsets, key_offsets, data) == any(len(set(row)) < len(row) for row in rows)


def test_warm_up_compiles_all() -> None:
    """After `warm_up` a body of any framing needs no compilation: each kernel has one signature, and it stays so."""
    warm_up_module("ndjson.read")
    compiled = len(scan_events.signatures)
    for framing in Framing:
        read('{"a":1}', framing)
    assert len(scan_events.signatures) == compiled == 1


@pytest.mark.slow
def test_buffers_are_given_back() -> None:
    """Decoding holds no memory once its batch is gone, though the kernel counts no references."""
    body = "\n".join(['{"message":"some text","key":"value"}'] * 1000)
    read(body)
    gc.collect()
    before = pa.total_allocated_bytes()
    for _ in range(5):
        scanned = read(body)
        events = scanned.events.slice(500, 10)
        del scanned
        assert events.column("message").to_pylist() == ["some text"] * 10
        del events
    gc.collect()
    assert pa.total_allocated_bytes() == before
