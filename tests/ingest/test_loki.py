"""Loki's push, in JSON and in protobuf: against a plain reading, with what is wrong, and at its bounds."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.loki.body import decoder_of_push, unsnapped
from tailrace.ingest.loki.decode import decode_loki_json, decode_loki_protobuf
from tailrace.kernels.loki.rows import distinct_texts
from tailrace.model.batch import EVENT_SCHEMA
from tests.ingest.loki_bodies import (
    LIMITS,
    NOW_NS,
    NOW_US,
    TIGHT,
    Stream,
    json_of,
    json_push,
    level_of_line,
    message,
    protobuf_of,
    protobuf_push,
    read_plainly,
    timestamp,
)

LABELS = b'{"app":"web"}'

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet='ab"\\/\n\t\0é語😀 ={}:[]', max_size=60),
    st.sampled_from(
        [
            "GET / 200", "level=warn msg=x", 'a=1 msg="level=error" lvl="debug"', '{"a":{"level":"error"},"b":1}',
            '{"level": 50}', '{"level":1.5,"Severity":"fatal"}', "[error] it broke", "an error: no", "INFO ready",
            "no information here", "Warning: x", '{"level":"odd"} }', "level=odd ERROR", "x" * 150 + " ERROR",
            "INFORMATIONAL", "éERROR x WARN", "ERROR_CODE 7", 'log.level="info" x', '{"level', "=", "\\", '{"}', "",
            'time=1 level=info msg="a \\" level=error"', "panic: oh", "level=", "level=trace\tx", '{"level":30}',
        ]
    ),
)  # fmt: skip
NAMES = st.sampled_from(
    ["app", "level", "trace_id", "traceID", "host", "instance", "job", "user", "service_name", "detected_level",
     "severity_number", "PRIORITY", "span_id", "a", "b_metadata", "b", "_loki_stream", "hostname", ""]
)  # fmt: skip
VALUES = st.one_of(TEXTS, st.sampled_from(["error", "3", "17", "50", "warn", " info ", "odd", ""]))
TIMES = st.one_of(
    st.integers(NOW_NS - 10**12, NOW_NS).map(str),
    st.sampled_from([NOW_NS, 0, -1, 1.5, 1.7e18, True, None]),
    st.sampled_from(
        ["0", "1", "-1", str(NOW_NS + 10**15), "2025-11-21T12:00:00.123456789Z", "2025-11-21T12:00:00+01:00", "soon",
         "", "9999999999999999999", "1.5", "2025-02-30T00:00:00Z", "2025-11-21T12:00:60Z", "1e9", str(NOW_US), " 1",
         "2025-11-21T12:00:00,5Z", "2025-11-21 12:00:00", "1763726400.25", "2025-11-21T12:00:00.Z", "1" * 30]
    ),
)  # fmt: skip


@st.composite
def json_entries(draw: Callable[..., Any]) -> bytes:
    """An entry in JSON, of either form, mostly right."""
    # In place of a mark come bytes that JSON does not allow, and Loki's reader does: control characters, no UTF-8.
    mark = draw(st.sampled_from([""] * 9 + ["§"]))
    time, line = draw(TIMES), draw(TEXTS) + mark
    metadata = draw(
        st.one_of(
            st.none(),
            st.dictionaries(NAMES, st.one_of(VALUES, st.integers(), st.booleans(), st.none()), max_size=4),
            st.sampled_from([[], "x", {"a": {}}, {"a": [1]}, {f"b{mark}": f"c{mark}"}]),
        )
    )
    form = draw(st.integers(0, 9))
    value: Any = [time, line]
    if form == 0:
        value = draw(
            st.sampled_from([[], [time], [time, 5], [time, line, {}, 1], 7, None, {}, "x", [5, line], [None, "x"]])
        )
    elif form < 4:
        value = {draw(st.sampled_from(["ts", "timestamp"])): time, "line": line, "more": [{"x": 1}]}
        if metadata is not None:
            value["structuredMetadata"] = metadata
    elif metadata is not None:
        value.append(metadata)
    raw = json.dumps(
        value, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([(",", ":"), (" , ", " : ")]))
    )
    encoded = raw.encode()
    return encoded.replace("§".encode(), draw(st.sampled_from([b"\n", b"\xff", b"\xe8\xaa", b"\x01"])))


json_labels = st.one_of(
    st.dictionaries(NAMES, st.one_of(VALUES, st.integers(), st.booleans()), max_size=4).map(
        lambda labels: json.dumps(labels).encode()
    ),
    st.sampled_from(
        [LABELS, b'{"a.b":"c"}', b'"{app=\\"web\\", level=\\"err\\\\\\"or\\"}"', b'"{}"', b"{}", b"7", b'{"a":{}}',
         b'"{app=`x`,}"', b'"{a=\\"1\\",a=\\"2\\"}"', b'"{a}"', b'{"a":"\xff\xc3"}', b'{"a":1.50}']
    ),
)  # fmt: skip
json_streams = st.lists(st.builds(Stream, json_labels, st.lists(json_entries(), max_size=4)), max_size=4)


@st.composite
def protobuf_entries(draw: Callable[..., Any]) -> bytes:
    """An entry in protobuf, mostly right; its fields in any order."""
    texts = st.one_of(TEXTS.map(lambda text: text.encode(errors="replace")), st.binary(max_size=40))
    parts = [
        message(1, draw(st.one_of(
            st.builds(timestamp, st.integers(NOW_US // 10**6 - 10**6, NOW_US // 10**6), st.integers(0, 10**9 - 1)),
            st.builds(timestamp, st.sampled_from([0, 1, -1, 1 << 62, 253_402_300_800]), st.integers(-1, 10**9)),
        ))),
        message(2, draw(texts)),
    ]  # fmt: skip
    for name, value in draw(st.lists(st.tuples(NAMES.map(str.encode), texts), max_size=4)):
        parts.append(message(3, message(1, name) + message(2, value)))
    parts += draw(
        st.lists(
            st.sampled_from(
                [message(9, b"unknown"), b"\x20\x07", b"\x25abcd", b"\x21abcdefgh", b"\x10\x01", b"\x1a\x00", b"\x13",
                 b"\xff" * 11, b"\x12\x7fcut off", message(2, b"a second line"), message(1, b"\x08\x05"), b"\x00\x00",
                 message(1, b"\x0a\x00"), message(3, b"\x08\x01"), message(4, message(1, b"parsed"))]
            ),
            max_size=1,
        )
    )  # fmt: skip
    return b"".join(draw(st.permutations(parts)))


protobuf_labels = st.sampled_from(
    [
        b'{app="web"}',
        b'{level="error", host="h"}',
        b"{}",
        b"",
        b"{a",
        b'{a="\xff"}',
        b'{a="x\\ny", b=`c`}',
        b'{a="C:\\dir"}',
    ]
)
protobuf_streams = st.lists(st.builds(Stream, protobuf_labels, st.lists(protobuf_entries(), max_size=4)), max_size=4)


def checked(decoded: Decoded) -> Decoded:
    decoded.events.validate(full=True)
    assert decoded.events.schema.equals(EVENT_SCHEMA)
    return decoded


def rows_of(decoded: Decoded) -> list[dict[str, Any]]:
    """The rows, with times as microseconds; every name of an attribute stands once."""
    events = decoded.events
    times = np.asarray(events["timestamp"].cast(pa.int64())).tolist()
    rows = []
    for time, row in zip(times, events.drop_columns(["timestamp", "observed_timestamp"]).to_pylist(), strict=True):
        assert len(dict(row["attributes"])) == len(row["attributes"])
        rows.append({"timestamp": time, **row, "attributes": dict(row["attributes"])})
    return rows


def decode_json(body: bytes, limits: IngestSettings = LIMITS) -> Decoded:
    return checked(decode_loki_json(body, limits=limits, now_us=NOW_US))


def decode_protobuf(body: bytes, limits: IngestSettings = LIMITS) -> Decoded:
    return checked(decode_loki_protobuf(body, limits=limits, now_us=NOW_US))


@pytest.mark.slow
@settings(deadline=None, max_examples=120)
@given(json_streams, st.sampled_from([LIMITS, TIGHT]), st.sampled_from(["", " ", "\n\t"]))
def test_json_means_what_the_plain_reading_says(streams: list[Stream], limits: IngestSettings, blank: str) -> None:
    """Random pushes in JSON: rows, order, columns, attributes, and what is rejected with which reason."""
    decoded = decode_json(json_push(streams, blank=blank), limits)
    rows, rejected = read_plainly(streams, limits, is_json=True)
    assert rows_of(decoded) == rows
    assert [(each.line, each.reason) for each in decoded.rejected] == [each[:2] for each in rejected]


@pytest.mark.slow
@settings(deadline=None, max_examples=120)
@given(protobuf_streams, st.sampled_from([LIMITS, TIGHT]))
def test_protobuf_means_what_the_plain_reading_says(streams: list[Stream], limits: IngestSettings) -> None:
    """Random pushes in protobuf, likewise, with the raw bytes of what is rejected."""
    decoded = decode_protobuf(protobuf_push(streams), limits)
    rows, rejected = read_plainly(streams, limits, is_json=False)
    assert rows_of(decoded) == rows
    assert [(each.line, each.reason, each.raw) for each in decoded.rejected] == rejected


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=st.sampled_from('{}"\\:=[] \nlevlsrityERO50_.é,'), max_size=60))
@example('{"level":"x" level":error "}')
@example('msg="set level=error now" level=info')
@example('msg="a \\" level=error b" x=1 lvl=warn')
def test_level_of_any_line(line: str) -> None:
    """Whatever a line is made of, its level is what the plain reading finds."""
    decoded = decode_json(json_push([Stream(LABELS, [json_of(NOW_NS, line)])]))
    assert decoded.events["level"].to_pylist() == [level_of_line(line)]


GOOD_JSON = json_push(
    [
        Stream(
            LABELS, [json_of(NOW_NS, 'a "quoted" line\n', {"trace_id": "1f", "app": "x"}), json_of(NOW_NS, "ERROR b")]
        ),
        Stream(b'"{app=\\"api\\",env=\\"e\\\\n\\"}"', [b'{"ts":"2025-11-21T12:00:00Z","line":"level=info c"}']),
    ]
)
GOOD_PROTOBUF = protobuf_push(
    [
        Stream(
            b'{app="web"}', [protobuf_of(NOW_NS, b"a line", [(b"trace_id", b"1f")]), protobuf_of(NOW_NS, b"\xff b")]
        ),
        Stream(b'{env="e"}', [protobuf_of(NOW_NS, b'{"level":"error"}')]),
    ]
)
mutations = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 3), st.binary(min_size=1, max_size=3)), max_size=4)


def mutated(body: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, kind, piece in changes:
        place %= len(body) + 1
        if kind == 0:
            body = body[:place] + piece + body[place:]
        elif kind == 1:
            body = body[:place] + piece + body[place + len(piece) :]
        elif kind == 2:
            body = body[:place] + body[place + len(piece) :]
        else:
            body = body[:place]
    return body


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(st.booleans(), mutations)
def test_damaged_bodies_are_refused_or_read_in_part(is_json: bool, changes: list[tuple[int, int, bytes]]) -> None:
    """Good bodies with bytes put in, changed and cut off: nothing but `BadInput`, and valid batches."""
    body = mutated(GOOD_JSON if is_json else GOOD_PROTOBUF, changes)
    try:
        decoded = (decode_json if is_json else decode_protobuf)(body)
    except BadInput:
        return
    assert decoded.events.num_rows <= 4 + 3 * len(changes)
    for each in decoded.rejected:
        assert each.reason
        assert each.line >= 1


@pytest.mark.parametrize("end", range(1, len(GOOD_JSON), 7))
def test_what_stands_before_a_cut_is_kept(end: int) -> None:
    """However much of a body arrives, its whole entries are events, and the rest is one dead letter."""
    if not GOOD_JSON[:end].lstrip().startswith(b'{"streams":[{'):
        with pytest.raises(BadInput):
            decode_json(GOOD_JSON[:end])
        return
    decoded = decode_json(GOOD_JSON[:end])
    whole = [row["message"] for row in rows_of(decode_json(GOOD_JSON))]
    assert [row["message"] for row in rows_of(decoded)] == whole[: decoded.events.num_rows]
    assert "cut off" in decoded.rejected[-1].reason
    assert GOOD_JSON[:end].endswith(decoded.rejected[-1].raw)


def test_labels_metadata_and_level_become_columns() -> None:
    """What the page of the documentation says: each label an attribute, all as one, and columns of their own."""
    labels = b'{"namespace":"shop","container":"cart","node_name":"n1","zone":"quote \\" and \\\\"}'
    body = json_push([Stream(labels, [json_of(NOW_NS + 999, "level=warn slow", {"traceID": "1f", "zone": "m"})])])
    (row,) = rows_of(decode_json(body))
    assert row == {
        "timestamp": NOW_US,
        "level": "WARN",
        "service": "cart",
        "host": "n1",
        "message": "level=warn slow",
        "trace_id": "1f",
        "span_id": None,
        "attributes": {
            "namespace": "shop",
            "container": "cart",
            "node_name": "n1",
            "zone": 'quote " and \\',
            "_loki_stream": r'{container="cart", namespace="shop", node_name="n1", zone="quote \" and \\"}',
            "traceID": "1f",
            "zone_metadata": "m",
        },
    }


def test_what_a_column_says_as_it_is_is_no_attribute_besides() -> None:
    """Labels and ids of a column's own name and text are there only; others, and a name that is a label's, stay."""
    labels = b'{"host": "h", "level": "warn", "app": "a"}'
    metadata = {"trace_id": "1f", "traceId": "2f", "spanId": "3", "host": "other"}
    (row,) = rows_of(decode_json(json_push([Stream(labels, [json_of(NOW_NS, "x", metadata)])])))
    assert (row["host"], row["level"], row["trace_id"], row["span_id"]) == ("h", "WARN", "1f", "3")
    assert row["attributes"] == {
        "level": "warn",
        "app": "a",
        "_loki_stream": '{app="a", host="h", level="warn"}',
        "traceId": "2f",
        "spanId": "3",
        "host_metadata": "other",
    }


def test_a_rejected_entry_can_be_mended_and_replayed() -> None:
    """Its raw bytes are a push with the stream's labels: with the time put right they are the event."""
    body = json_push([Stream(LABELS, [json_of("soon", "late"), json_of(NOW_NS, "kept")])])
    decoded = decode_json(body)
    assert [row["message"] for row in rows_of(decoded)] == ["kept"]
    (rejected,) = decoded.rejected
    mended = decode_json(rejected.raw.replace(b"soon", str(NOW_NS).encode()))
    assert [(row["message"], row["service"]) for row in rows_of(mended)] == [("late", "web")]
    broken = protobuf_of(NOW_NS, b"late")[:-1]
    (rejected,) = decode_protobuf(protobuf_push([Stream(b'{app="web"}', [broken])])).rejected
    mended = decode_protobuf(protobuf_push([Stream(b'{app="web"}', [broken + b"e"])]))
    assert [(row["message"], row["service"]) for row in rows_of(mended)] == [("late", "web")]
    assert rejected.raw == protobuf_push([Stream(b'{app="web"}', [broken])])


def test_what_stands_behind_an_error_in_a_stream_of_protobuf() -> None:
    """The stream's entries before it and the next stream are kept; the rest of the stream is one dead letter."""
    broken = message(1, message(1, b'{a="b"}') + message(2, protobuf_of(NOW_NS, b"one")) + b"\x13\x37rest")
    decoded = decode_protobuf(broken + protobuf_push([Stream(b'{c="d"}', [protobuf_of(NOW_NS, b"two")])]))
    assert [row["message"] for row in rows_of(decoded)] == ["one", "two"]
    (rejected,) = decoded.rejected
    assert (rejected.raw, rejected.line) == (b"\x13\x37rest", 2)


@pytest.mark.parametrize("body", [b"", b"[]", b"hello", b"7", b'{"streams"', b"null"])
def test_what_is_no_push_is_refused_as_a_whole(body: bytes) -> None:
    """Nothing of it could be replayed, so nothing is kept."""
    with pytest.raises(BadInput, match="byte"):
        decode_json(body)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"streams":[]}', b'{"streams":[{"stream":{"a":"b"},"values":[]}],"x":[1]}']
)
def test_an_empty_push_is_none(body: bytes) -> None:
    """No entries is nothing to complain about; neither is an empty body of protobuf."""
    assert decode_json(body).events.num_rows == 0
    assert decode_json(body).rejected == []
    assert decode_protobuf(b"").events.num_rows == 0


def test_what_is_no_stream_is_told() -> None:
    """An element that is no object, or has no array where its entries should be, is not passed over in silence."""
    streams = [b"7", b'{"stream":{"a":"b"},"values":{}}', b'{"stream":{"a":"b"},"values":null}', b'{"stream":{}}']
    decoded = decode_json(b'{"streams":[' + b",".join(streams) + b"]}")
    assert [each.reason for each in decoded.rejected] == ["the stream is not an object with an array of entries"] * 2


def test_too_many_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each different stream costs Python, so their number is bounded; the same one as often as one likes is one."""
    monkeypatch.setattr("tailrace.ingest.loki.decode.STREAMS_MAX", 100)
    entry = json_of(NOW_NS, "x")
    body = json_push([Stream(b'{"a":"%d"}' % (number % 100), [entry]) for number in range(300)])
    assert [row["attributes"]["a"] for row in rows_of(decode_json(body))] == [str(n % 100) for n in range(300)]
    body = json_push([Stream(b'{"a":"%d"}' % number, [entry]) for number in range(101)])
    with pytest.raises(TooLarge, match="streams"):
        decode_json(body)


@pytest.mark.parametrize("is_json", [True, False])
def test_limits_hold_for_each_entry(is_json: bool) -> None:
    """An entry of just the bytes and fields that are allowed is kept, one with one more is named with the setting."""

    def entry(line_bytes: int, fields: int) -> bytes:
        pairs = {f"k{number}": "" for number in range(fields)}
        if is_json:
            return json_of(NOW_NS, "x" * line_bytes, pairs)
        return protobuf_of(NOW_NS, b"x" * line_bytes, [(name.encode(), b"") for name in pairs])

    fixed = len(entry(100, 0)) - 100
    limits = IngestSettings(line_bytes_max=fixed + 100, fields_max=3)
    entries = [entry(100, 0), entry(101, 0), entry(0, 3), entry(0, 4)]
    decode, push = (decode_json, json_push) if is_json else (decode_protobuf, protobuf_push)
    decoded = decode(push([Stream(LABELS if is_json else b'{app="web"}', entries)]), limits)
    assert [len(row["message"]) for row in rows_of(decoded)] == [100, 0]
    assert ["line_bytes_max" in each.reason for each in decoded.rejected] == [True, False]
    assert ["fields_max" in each.reason for each in decoded.rejected] == [False, True]


def test_streams_are_told_apart_in_a_crowded_table() -> None:
    """Who makes labels of one hash crowds the table; streams then may be numbered twice, and are never mixed up."""
    texts = b"abcabca"
    spans = np.array([[place, place + 1] for place in range(len(texts))], np.int32)
    for slots in (2, 64):
        numbers, firsts = np.empty(len(spans), np.int32), np.empty(len(spans), np.int32)
        read_only = np.frombuffer(texts, np.uint8)
        count = distinct_texts(read_only, spans, np.zeros(slots, np.int32), numbers, firsts)
        assert bytes(texts[firsts[number]] for number in numbers) == texts
        assert count == (3 if slots == 64 else 4)
    assert distinct_texts(read_only, spans, np.zeros(64, np.int32), numbers, firsts[:2]) == -1


def test_deep_nesting_costs_nothing() -> None:
    """A million brackets where a value is passed over, and where an entry should be."""
    deep = b"[" * 1_000_000 + b"]" * 1_000_000
    stream = b'{"stream":{"a":"b"},"values":[' + deep + b"," + json_of(NOW_NS, "x") + b"]}"
    decoded = decode_json(b'{"x":' + deep + b',"streams":[' + stream + b"]}")
    assert decoded.events.num_rows == 1
    assert len(decoded.rejected) == 1


def test_long_labels_at_many_entries_are_refused() -> None:
    """A body that would grow by its labels to more than a few times the bound is refused before it does."""
    limits = IngestSettings(body_bytes_max=1 << 20)
    body = json_push([Stream(json.dumps({"a": "x" * 100_000}).encode(), [json_of(NOW_NS, "x")] * 1000)])
    with pytest.raises(TooLarge, match="body_bytes_max"):
        decode_json(body, limits)


@pytest.mark.slow
@pytest.mark.parametrize("is_json", [True, False])
def test_many_bad_entries_become_one_dead_letter(is_json: bool) -> None:
    """The first ten thousand are told one by one, the rest are one letter: a push of them, and of nothing good."""
    bad, good = (b"7", json_of(NOW_NS, "kept")) if is_json else (b"\xff", protobuf_of(NOW_NS, b"kept"))
    labels = [LABELS, b'{"b":"c"}', b"{}"] if is_json else [b'{app="web"}', b'{b="c"}', b"{}"]
    streams = [
        Stream(labels[0], [bad] * 15_000 + [good, bad, bad, good, bad]),
        Stream(labels[1], [bad] * 10),
        Stream(labels[2], [good]),
        Stream(labels[2], [good, good]),
        Stream(labels[1], [good, bad]),
    ]
    decode, push = (decode_json, json_push) if is_json else (decode_protobuf, protobuf_push)
    decoded = decode(push(streams))
    assert decoded.events.num_rows == 3
    assert len(decoded.rejected) == 10_001
    assert decoded.rejected[-1].reason.startswith("5,016 more")
    again = decode(decoded.rejected[-1].raw)
    assert again.events.num_rows == 0
    assert len(again.rejected) == 5_016


def test_snappy_is_bounded_before_it_is_undone() -> None:
    """A block's length is believed only if it is allowed, and if so few bytes could become so many."""
    block = pa.Codec("snappy").compress(b"x" * 100_000, asbytes=True)
    assert unsnapped(block, bytes_max=100_000) == b"x" * 100_000
    with pytest.raises(TooLarge, match="body_bytes_max"):
        unsnapped(block, bytes_max=99_999)
    with pytest.raises(BadInput, match="cannot become"):
        unsnapped(b"\xff\xff\xff\x0f" + b"x" * 100, bytes_max=1 << 30)
    for broken in (b"", b"\xff", b"\xff" * 6, block[:-1], b"\x05" + b"\xff" * 30, b"\x00\x00"):
        with pytest.raises(BadInput):
            unsnapped(broken, bytes_max=1 << 20)


@settings(deadline=None, max_examples=100)
@given(mutations)
def test_damaged_snappy_is_refused(changes: list[tuple[int, int, bytes]]) -> None:
    """Damaged blocks are `BadInput`, or decode to something."""
    decode, _ = decoder_of_push("application/x-protobuf", "", LIMITS)
    body = mutated(pa.Codec("snappy").compress(GOOD_PROTOBUF * 5, asbytes=True), changes)
    try:
        checked(decode(body, NOW_US))
    except BadInput:
        return


def test_which_form_a_body_has() -> None:
    """JSON is what says so; all else is protobuf in snappy. Encodings are gzip, deflate, snappy or none."""
    snappy = pa.Codec("snappy").compress(GOOD_PROTOBUF, asbytes=True)
    for content_type, encoding, body in (
        ("application/json", "", GOOD_JSON),
        ("application/json; charset=utf-8", "gzip", gzip.compress(GOOD_JSON)),
        ("application/json", "deflate", zlib.compress(GOOD_JSON)),
        ("application/json", "snappy", pa.Codec("snappy").compress(GOOD_JSON, asbytes=True)),
        ("application/x-protobuf", "", snappy),
        ("application/x-protobuf", "snappy", snappy),
        ("", "gzip", gzip.compress(snappy)),
    ):
        decode, _ = decoder_of_push(content_type, encoding, LIMITS)
        assert decode(body, NOW_US).events.num_rows == 3
    with pytest.raises(BadInput, match="br"):
        decoder_of_push("application/json", "br", LIMITS)
