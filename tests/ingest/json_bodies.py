"""Random JSON events and bodies for the tests of the JSON decoder, and a plain reading of bodies of lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import BadInput
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.fields import ALIASES
from tailrace.ingest.json_logs import batch_of_slow_rows
from tailrace.ingest.json_slow import Row, decode_event

NOW_US = 1_743_156_000_000_000
LIMITS = IngestSettings()
TIGHT = IngestSettings(line_bytes_max=300, fields_max=8, nesting_max=3, timestamp_past_max_s=10 * 365 * 86400)


@dataclass(frozen=True)
class Literal:
    """JSON text that is put in as it is."""

    text: str


class Object(list[tuple[str, Any]]):
    """An object's members, equal keys allowed."""


BLANKS = st.sampled_from(["", "", "", "", " ", "\t", "  ", "\r"])
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet=st.characters(), max_size=80),
    st.text(alphabet='ab"\\/\n\t\r\0é語😀\ud800\udc00', max_size=40),
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: moment.isoformat(sep=" ").replace(".", ",") + "+02:00"),
    st.sampled_from(
        [
            "2025-03-28T10:00:00Z", "2025-03-28 10:00:00,123", "2025-03-28T10:00:00.123456789+0530", "2025-03-28",
            "2025-02-29T10:00:00Z", "2024-02-29T23:59:59.9-11:30", "2025-03-28T24:00:00Z", "2025-03-28T10:00:60Z",
            "2025-13-28T10:00:00Z", "2025-03-28T10:00:00.1234567890Z", "2025-03-28T10:00", "2025-03-28T10:00:00 UTC",
            "1743156000", "1743156000.123456789", "1743156000123", "1743156000123456", "1743156000123456789",
            "99999999999", "100000000000", "99999999999999", "100000000000000", "9999999999999999999", "-5", "1.7e9",
            "", "soon", "2025-03-28T10:00:00+2", "2025-03-28T10:00:00+25:00", "0001-01-01T00:00:00Z", "1743156000.",
        ]
    ),
)  # fmt: skip
LEVELS = st.sampled_from(
    [
        "INFO", "warn", "Error", "CRITICAL", "informational", " info ", "", "odd", "3", "30", "007", "7", "17", "24",
        "99", "verbose", "a level of more than sixteen bytes", "ıNFO", "60", "61", "emerg", "1e1", "3\n",
    ]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(
        ["0", "-0", "250", "1.50", "18446744073709551616", "1e400", "-1.5E+10", "1743156000", "1743156000.123"]
    ),
).map(Literal)
SCALARS = st.one_of(
    TEXTS, TEXTS, TIMES, LEVELS, NUMBERS, st.sampled_from([Literal("true"), Literal("false"), Literal("null")])
)
KEYS = st.one_of(
    st.sampled_from([alias.name for alias in ALIASES]),
    st.sampled_from(
        ["timestamp", "level", "message", "service", "host", "status", "time", "log", "record", "a", "b"]
    ),
    st.sampled_from(["attributes", "attributes.a", "attributes.level", "attributes.", "a.b", "", "name", "user_id"]),
    TEXTS,
)


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(KEYS, values), max_size=6).map(Object)


VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda values: st.one_of(_objects(values), st.lists(values, max_size=3)), max_leaves=6
)
EVENTS = st.lists(st.tuples(KEYS, st.one_of(SCALARS, SCALARS, VALUES)), max_size=10).map(Object)
FLAT_EVENTS = st.lists(st.tuples(KEYS, SCALARS), max_size=10).map(Object)


def render(value: Any, draw: Any, *, blanks: st.SearchStrategy[str] = BLANKS) -> str:
    """JSON text of a value, with blanks here and there, and escapes or not."""

    def blank() -> str:
        return str(draw(blanks))

    if isinstance(value, Literal):
        return value.text
    if isinstance(value, str):
        plain = json.dumps(value, ensure_ascii=False)
        return json.dumps(value) if draw(st.booleans()) or not _encodes(plain) else plain
    if isinstance(value, Object):
        members = [
            f"{blank()}{render(key, draw)}{blank()}:{blank()}{render(item, draw, blanks=blanks)}{blank()}"
            for key, item in value
        ]
        return "{" + (",".join(members) or blank()) + "}"
    return "[" + ",".join(blank() + render(item, draw, blanks=blanks) + blank() for item in value) + "]"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@st.composite
def lines(draw: Any, events: st.SearchStrategy[Any] = EVENTS) -> list[bytes]:
    """Good lines, as bytes."""
    return [render(event, draw).encode() for event in draw(st.lists(events, max_size=6))]


def read_lines(body: bytes, limits: IngestSettings = LIMITS) -> Decoded:
    """What a body of lines means, line by line in plain Python."""
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        raw = line.strip(b" \t\r")
        if not raw:
            continue
        try:
            rows.append(decode_event(raw, limits=limits, now_us=NOW_US))
        except BadInput as error:
            rejected.append(Rejected(number, str(error), raw))
    return Decoded(batch_of_slow_rows(rows, NOW_US), rejected)


def assert_same(actual: Decoded, expected: Decoded) -> None:
    actual.events.validate(full=True)
    assert actual.events.schema.equals(expected.events.schema)
    assert actual.events.to_pylist() == expected.events.to_pylist()
    assert actual.rejected == expected.rejected
