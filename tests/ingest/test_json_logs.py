"""JSON bodies: framing, limits, order, and the kernel's path against the plain one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest import json_logs
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.json_logs import decode_json
from tailrace.model.batch import EVENT_SCHEMA
from tests.ingest.json_bodies import (
    EVENTS,
    FLAT_EVENTS,
    LIMITS,
    NOW_US,
    TIGHT,
    assert_same,
    lines,
    read_lines,
    render,
)

ANY_LIMITS = st.sampled_from([LIMITS, TIGHT])


def decode(body: bytes, limits: IngestSettings = LIMITS) -> Decoded:
    decoded = decode_json(body, limits=limits, now_us=NOW_US)
    decoded.events.validate(full=True)
    assert decoded.events.schema.equals(EVENT_SCHEMA)
    return decoded


def messages(decoded: Decoded) -> list[str]:
    return list(decoded.events.column("message").to_pylist())


def row(event: str) -> dict[str, Any]:
    decoded = decode(event.encode())
    assert decoded.rejected == []
    (found,) = decoded.events.to_pylist()
    return {**found, "attributes": dict(found["attributes"])}


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(lines(), ANY_LIMITS, st.sampled_from([b"\n", b"\r\n", b"\n\n \t\n"]), st.booleans())
def test_lines_mean_the_same_on_both_paths(
    good: list[bytes], limits: IngestSettings, ending: bytes, has_mark: bool
) -> None:
    """Random events, one a line, come out as from the plain reading of each line: rows, order, rejected lines."""
    body = (b"\xef\xbb\xbf" if has_mark else b"") + ending.join(good)
    assert_same(decode(body, limits), read_lines(body, limits))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(EVENTS, max_size=5), ANY_LIMITS, st.data())
def test_array_means_the_same_as_lines(events: list[Any], limits: IngestSettings, data: Any) -> None:
    """The elements of an array are the events that its lines would be; the numbers are those of the elements."""
    texts = [render(event, data.draw) for event in events]
    blank = data.draw(st.sampled_from(["", " ", "\n", "\r\n\t"]))
    array = f"{blank}[{blank}{f'{blank},{blank}'.join(texts)}{blank}]{blank}"
    assert_same(decode(array.encode(), limits), read_lines("\n".join(texts).encode(), limits))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(EVENTS, min_size=1, max_size=4), st.data())
def test_pretty_printed_values(events: list[Any], data: Any) -> None:
    """Objects over several lines each, one after the other, are the events that their one-line forms are."""
    blanks = st.sampled_from(["\n", "\n  ", "\r\n\t"])
    texts = [render(event, data.draw, blanks=blanks) for event in events]
    expected = read_lines("\n".join(text.replace("\n", " ").replace("\r", " ") for text in texts).encode())
    assert_same(decode("\n".join(texts).encode()), expected)


MUTATION = st.tuples(
    st.sampled_from(["delete", "insert", "replace", "cut"]),
    st.floats(0, 1),
    st.sampled_from(b'{}[]",:\\\n \0\x7f\xff\xc3\xed'),
)


def mutated(body: bytes, mutations: list[tuple[str, float, int]]) -> bytes:
    for kind, place, byte in mutations:
        at = int(place * len(body))
        if kind == "cut":
            body = body[:at]
        else:
            body = body[:at] + (b"" if kind == "delete" else bytes([byte])) + body[at + (kind != "insert") :]
    return body


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(lines(FLAT_EVENTS), st.lists(MUTATION, min_size=1, max_size=3), ANY_LIMITS)
def test_no_good_line_is_lost_to_bad_ones(
    good: list[bytes], mutations: list[tuple[str, float, int]], limits: IngestSettings
) -> None:
    """Behind a good first line, a damaged body keeps exactly the lines that are still good; nothing raises."""
    body = b"{}\n" + mutated(b"\n".join(good), mutations)
    assert_same(decode(body, limits), read_lines(body, limits))


@settings(deadline=None, max_examples=60)
@given(lines(), st.lists(MUTATION, min_size=1, max_size=3), st.sampled_from([b"\n", b","]))
def test_any_damaged_body_is_decoded(
    good: list[bytes], mutations: list[tuple[str, float, int]], comma: bytes
) -> None:
    """Whatever happens to a body of lines or an array, it gives valid events and rejected lines with reasons."""
    body = comma.join(good)
    decoded = decode(mutated(b"[" + body + b"]" if comma == b"," else body, mutations))
    assert all(item.line > 0 and item.reason for item in decoded.rejected)


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"[1][2][3]")
@example(b"x}}}}}")
@example(b"{{{{\n}}}}")
def test_any_bytes(body: bytes) -> None:
    """No bytes raise."""
    decode(body)


@pytest.mark.parametrize("body", [b"", b" ", b"\n\r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"[]", b" [ \n ] "])
def test_nothing(body: bytes) -> None:
    """An empty body has no events and no rejected lines."""
    decoded = decode(body)
    assert (decoded.events.num_rows, decoded.rejected) == (0, [])


def test_rejected_lines_by_number_and_column() -> None:
    """A bad line says its number, its reason with the column, and its bytes; blank lines count."""
    decoded = decode(b'{"message":"a"}\n\n{"message":"b",}\n[1]\n"text"\n{"message":"c\xff"}\n{"message":"d"}')
    assert messages(decoded) == ["a", "d"]
    assert [(item.line, item.raw) for item in decoded.rejected] == [
        (3, b'{"message":"b",}'),
        (4, b"[1]"),
        (5, b'"text"'),
        (6, b'{"message":"c\xff"}'),
    ]
    reasons = [item.reason for item in decoded.rejected]
    assert "column 16" in reasons[0]
    assert "an array is not an event" in reasons[1]
    assert "a string is not an event" in reasons[2]
    assert "invalid UTF-8 at byte 14" in reasons[3]


def test_order_with_slow_events_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of the kernel's path and of the plain one stay in the order they were sent."""
    events = [{"message": str(i), **({"list": ["\n"]} if i % 3 == 0 else {})} for i in range(50)]
    monkeypatch.setattr(json_logs, "_SLOW_ROWS", 4)
    body = "\n".join(map(json.dumps, events)).encode()
    assert messages(decode(body)) == [str(i) for i in range(50)]


def test_element_that_is_no_object() -> None:
    """In an array, an element that is no event is rejected by its number, and the others stay."""
    decoded = decode(b'[{"message":"a"}, 7, {"message":"b"}, [{"x":1}], null]')
    assert messages(decoded) == ["a", "b"]
    assert [(item.line, item.raw) for item in decoded.rejected] == [(2, b"7"), (4, b'[{"x":1}]'), (5, b"null")]


@pytest.mark.parametrize(
    ("body", "line", "raw"),
    [
        (b'[{"message":"a"}, {"message":"b"}, {"c":], {"message":"d"}]', 3, b'{"c":], {"message":"d"}]'),
        (b'[{"message":"a"}, {"message":"b"} {"message":"c"}]', 3, b'{"message":"c"}]'),
        (b'[{"message":"a"},]', 2, b"]"),
        (b'[{"message":"a"}, {"message":"b', 2, b'{"message":"b'),
        (b'[{"message":"a"}', 2, b""),
        (b'[{"message":"a"}] more', 2, b"more"),
        (b'[{"message":"a"}}, {"message":"b"}]', 2, b'}, {"message":"b"}]'),
        (b'[{"message":"a","k":[1]}}, {"message":"b"}]', 2, b'}, {"message":"b"}]'),
    ],
)
def test_error_in_an_array(body: bytes, line: int, raw: bytes) -> None:
    """The elements before an error in an array's syntax are kept; the rest is rejected as one, with its place."""
    decoded = decode(body)
    assert messages(decoded) == ["a", "b"][: line - 1]
    (item,) = decoded.rejected
    assert (item.line, item.raw) == (line, raw)
    assert "byte" in item.reason or "closing bracket" in item.reason


def test_lines_behind_a_bad_line_that_looks_like_an_array() -> None:
    """Lines are not lost because the first one starts with a bracket."""
    decoded = decode(b'[{"message":"a"}\n{"message":"b"}\n{"message":"c"}\n{"message":"d"}')
    assert messages(decoded) == ["b", "c", "d"]
    assert [item.line for item in decoded.rejected] == [1]


def test_lines_behind_a_bad_first_line() -> None:
    """Lines are not lost because the first one could be the start of a pretty-printed object."""
    decoded = decode(b'{"message":\n{"message":"b"}\n{"message":"c"}')
    assert messages(decoded) == ["b", "c"]
    assert [item.line for item in decoded.rejected] == [1]


@pytest.mark.parametrize("first", [b'{"message":', b"x", b'{"a":"', b'{"a":' + b"[" * 2000])
def test_many_lines_behind_a_bad_first_line(first: bytes) -> None:
    """Nor are they when all of the body together would be past the limit of one event, or too deep to be parsed."""
    decoded = decode(first + b"\n" + b"\n".join([b'{"message":"b"}'] * 30), TIGHT)
    assert messages(decoded) == ["b"] * 30
    assert [item.line for item in decoded.rejected] == [1]


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ('{"message":"' + "x" * 300 + '"}', "ingest.line_bytes_max"),
        ("{" + ",".join(f'"k{i}":1' for i in range(9)) + "}", "ingest.fields_max"),
        ('{"a":[{"b":1,"c":2,"d":3,"e":4},{"b":1,"c":2,"d":3,"e":4}]}', "ingest.fields_max"),
        ('{"a":{"b":{"c":{"d":1}}}}', "ingest.nesting_max"),
        ('{"a":[[[1]]]}', "ingest.nesting_max"),
        ('{"a":' + "[" * 140 + "]" * 140 + "}", "ingest.nesting_max"),
    ],
)
def test_limits(event: str, name: str) -> None:
    """An event past a limit is rejected by the setting's name; its neighbours stay."""
    decoded = decode(f'{{"message":"a"}}\n{event}\n{{"message":"b"}}'.encode(), TIGHT)
    assert messages(decoded) == ["a", "b"]
    (item,) = decoded.rejected
    assert item.line == 2
    assert name in item.reason


def test_at_the_limits() -> None:
    """An event at all limits is accepted."""
    event = '{"a":{"b":{"c":1}},"d":1,"e":1,"f":1,"g":1,"message":""}'
    filled = event.replace('""', '"' + "x" * (300 - len(event)) + '"')
    assert decode(filled.encode(), TIGHT).rejected == []


def test_joined_keys_do_not_explode() -> None:
    """Nested keys that would grow an event beyond reason are rejected: a small body cannot fill the memory."""
    inner = ",".join(f'"{i}":1' for i in range(200))
    decoded = decode(f'{{"{"k" * 1500}":{{{inner}}}}}\n{{"message":"a"}}'.encode())
    assert messages(decoded) == ["a"]
    assert "nested keys" in decoded.rejected[0].reason


def test_too_deep_for_the_parser() -> None:
    """A hundred thousand brackets are a rejected line, and no crash."""
    decoded = decode(b"{}\n" + b'{"a":' + b"[" * 100_000)
    assert "ingest.nesting_max" in decoded.rejected[0].reason


@pytest.mark.parametrize("body", [b"{}\n" + b"\n".join([b"[1]"] * 10), b"[{}," + b",".join([b"[1]"] * 10) + b"]"])
def test_many_bad_lines(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """Past a bound, bad lines and elements are gathered into one, with all of their bytes."""
    monkeypatch.setattr(json_logs, "REJECTED_MAX", 3)
    decoded = decode(body)
    assert decoded.events.num_rows == 1
    assert [item.line for item in decoded.rejected] == [2, 3, 4, 5]
    assert decoded.rejected[-1].raw == b"\n".join([b"[1]"] * 7)
    assert "7 more, from number 5 on" in decoded.rejected[-1].reason


def test_body_past_what_offsets_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body beyond 32-bit offsets is refused whole, by the setting's name."""
    monkeypatch.setattr(json_logs, "BODY_BYTES_MAX", 10)
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decode(b'{"message":"abc"}')


def test_a_plain_document() -> None:
    """A flat document with a time without a zone and a `source` is read as it stands."""
    found = row(
        '{"timestamp":"2025-03-28T10:00:00","level":"ERROR","message":"Something failed","source":"auth-service"}'
    )
    assert found["timestamp"].isoformat() == "2025-03-28T10:00:00+00:00"
    assert (found["level"], found["service"], found["message"]) == ("ERROR", "auth-service", "Something failed")
    assert found["attributes"] == {}


@pytest.mark.parametrize(
    ("event", "column", "expected"),
    [
        ('{"message":{"a": [1, "x"], "b":null}}', "message", '{"a":[1,"x"],"b":null}'),
        ('{"message":250}', "message", "250"),
        ('{"message":[1, 2]}', "message", "[1,2]"),
        ('{"msg":false}', "message", "false"),
        ('{"message":null}', "message", ""),
        ("{}", "message", ""),
        ('{"service":{"name":"pay","version":2}}', "service", "pay"),
        ('{"host":7}', "host", "7"),
        ('{"level":["x"]}', "level", None),
        ('{"message":"a\\u0000b"}', "message", "a\0b"),
        ('{"message":"\\ud83d\\ude00 \\ud83d \\u00e9"}', "message", "😀 \ufffd é"),
    ],
)
def test_any_type_of_a_field(event: str, column: str, expected: str | None) -> None:
    """No event is refused for the type of a field: what is no text becomes its JSON text."""
    assert row(event)[column] == expected


def test_attributes_keep_what_was_written() -> None:
    """Numbers keep their digits, nested keys are joined, arrays are JSON text, nulls are left out."""
    found = row(
        '{"a":250,"b":1.50,"c":18446744073709551616,"d":-1e-7,"e":true,"f":null,"g":{"h":{"i":"x"},"j":{}},"k":[ ],'
        '"l":[{"m" : 1.0}, "é\\n"],"attributes":{"n":1,"o":{"p":2}},"q.r":"s","f":null}'
    )
    assert found["attributes"] == {
        "a": "250",
        "b": "1.50",
        "c": "18446744073709551616",
        "d": "-1e-7",
        "e": "true",
        "g.h.i": "x",
        "k": "[]",
        "l": '[{"m":1.0},"é\\n"]',
        "n": "1",
        "o.p": "2",
        "q.r": "s",
    }


def test_equal_keys() -> None:
    """Of equal keys, written dotted or nested, the last counts."""
    assert row('{"a":{"b":1},"a.b":2,"message":"x","message":"y"}')["attributes"] == {"a.b": "2"}
    assert row('{"message":"x","message":"y"}')["message"] == "y"


def test_loguru() -> None:
    """What loguru writes with `serialize=True` is read: time, level and message are nested under `record`."""
    found = row(
        '{"text":"…","record":{"exception":null,"extra":{},"level":{"icon":"x","name":"WARNING","no":30},'
        '"line":7,"message":"disk is full","name":"app","time":{"repr":"2025-03-28 10:00:00+00:00",'
        '"timestamp":1743156000.5}}}'
    )
    assert (found["level"], found["message"]) == ("WARN", "disk is full")
    assert found["timestamp"].isoformat() == "2025-03-28T10:00:00.500000+00:00"


@pytest.mark.parametrize(
    ("value", "adjusted"),
    [
        ('"1970-01-01T00:00:00Z"', "too_far_past"),
        ('"2045-01-01 00:00:00"', "too_far_future"),
        ('"10 o\'clock"', "unreadable"),
        ("0", "too_far_past"),
        ('["x"]', "unreadable"),
        ("true", "unreadable"),
    ],
)
def test_odd_timestamp(value: str, adjusted: str) -> None:
    """An event with an odd timestamp is kept under its arrival time, with the original and a mark."""
    found = row(f'{{"timestamp":{value},"message":"a"}}')
    assert found["timestamp"] == found["observed_timestamp"]
    original = json.loads(value) if value.startswith('"') else value
    assert found["attributes"] == {"timestamp_original": original, "timestamp_adjusted": adjusted}


def test_missing_timestamp() -> None:
    """An event without a timestamp has its arrival time, and no mark."""
    found = row('{"message":"a"}')
    assert found["timestamp"] == found["observed_timestamp"]
    assert found["attributes"] == {}


def test_observed_timestamp_is_ours() -> None:
    """A client's `observed_timestamp` is an attribute like any other."""
    found = row('{"observed_timestamp":"2000-01-01T00:00:00Z"}')
    assert found["observed_timestamp"].isoformat() == "2025-03-28T10:00:00+00:00"
    assert found["attributes"] == {"observed_timestamp": "2000-01-01T00:00:00Z"}
