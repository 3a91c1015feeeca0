"""Fluent's forward protocol, from bytes: what real loggers sent, what anybody may send, and what must not hurt."""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded, Rejected
from tailrace.ingest.forward.decode import Chunk, chunk_of, decode_forward
from tailrace.ingest.forward.entries import TAG_BYTES_MAX
from tailrace.ingest.forward.framing import Framer, units_of
from tailrace.ingest.forward.slow import slow_line
from tailrace.ingest.json_lines import JsonLines
from tailrace.ingest.json_logs import decode_json_lines
from tailrace.kernels.msgpack.walk import BROKEN, skip_values

NOW_US = 1_763_000_100_000_000
LIMITS = IngestSettings()

# What @fluent-org/logger 1.0 (ack, milliseconds) and fluent-logger 0.11 for Python sent for two events each.
MESSAGES = bytes.fromhex(
    "94a66170702e6a73d70069153ec00754d4c083a76d657373616765ab736179206576656e742030a16ecb3fe0000000000000a16d81a16b93"
    "01c0c381a56368756e6bb849796b2b366c6850336a4c56317764734b526e2b4f513d3d94a66170702e6a73d70069153ec00754d4c083a76d"
    "657373616765ab736179206576656e742031a16ecb3ff8000000000000a16d81a16b9301c0c381a56368756e6bb85441504c683258302b4e"
    "5751387753507558436476413d3d"
)
FORWARD = bytes.fromhex(
    "93a66170702e6a739292d70069153ec00754d4c083a76d657373616765ab736179206576656e742030a16ecb3fe0000000000000a16d81a1"
    "6b9301c0c392d70069153ec00754d4c083a76d657373616765ab736179206576656e742031a16ecb3ff8000000000000a16d81a16b9301c0"
    "c382a473697a6502a56368756e6bb8346d55435350622f426c6157676774614742396737673d3d"
)
PACKED = bytes.fromhex(
    "93a66170702e6a73c46892d70069153ec00754d4c083a76d657373616765ab736179206576656e742030a16ecb3fe0000000000000a16d81"
    "a16b9301c0c392d70069153ec00754d4c083a76d657373616765ab736179206576656e742031a16ecb3ff8000000000000a16d81a16b9301"
    "c0c382a473697a6502a56368756e6bb86c5143453958364a39477a73534579346843774566773d3d"
)
COMPRESSED = bytes.fromhex(
    "93a66170702e6a73c4501f8b08000000000000039b749d2153d4ee007bc89503cdcb73538b8b13d353571727562aa496a5e69528182ccc3b"
    "6dff80010c16e6362ecc9ecc78e0f024fc7a0c417a7ea0e901001a5381ab6800000083a473697a6502a56368756e6bb84956796e344b5042"
    "36387863546a56514d4a45516d773d3daa636f6d70726573736564a4677a6970"
)
PYTHON = bytes.fromhex(
    "93aa6170702e666f6c6c6f77d70069153ec00ee6b28082a76d657373616765ab736179206576656e742030a16ecb3fe000000000000093aa"
    "6170702e666f6c6c6f77d70069153ec00ee6b28082a76d657373616765ab736179206576656e742031a16ecb3ff8000000000000"
)


def event_time(seconds: int, nanoseconds: int = 0) -> msgpack.ExtType:
    return msgpack.ExtType(0, seconds.to_bytes(4, "big") + nanoseconds.to_bytes(4, "big"))


def decoded(body: bytes, limits: IngestSettings = LIMITS) -> Decoded:
    return decode_forward(body, limits=limits, now_us=NOW_US)


def rows(body: bytes) -> list[dict[str, Any]]:
    found = decoded(body)
    assert found.rejected == []
    events: list[dict[str, Any]] = found.events.to_pylist()
    return events


def only(record: Any, *, time: Any = 1_763_000_000, tag: Any = "t") -> dict[str, Any]:
    (row,) = rows(msgpack.packb([tag, [[time, record]]]))
    return {**row, "attributes": dict(row["attributes"])}


@pytest.mark.parametrize(
    "body", [MESSAGES, FORWARD, PACKED, COMPRESSED], ids=["message", "forward", "packed", "compressed"]
)
def test_each_mode_of_the_npm_logger_means_the_same(body: bytes) -> None:
    """Two events sent in four modes are the same two events, to the nanosecond that was sent."""
    first, second = rows(body)
    assert [first["message"], second["message"]] == ["say event 0", "say event 1"]
    assert first["timestamp"].timestamp() == 1_763_000_000.123
    assert dict(first["attributes"]) == {"n": "0.5", "m.k": "[1,null,true]", "tag": "app.js"}


def test_the_python_logger_sends_messages_without_ids() -> None:
    """Nobody waits for an acknowledgement of them, and they are appended together."""
    first, _ = rows(PYTHON)
    assert (first["message"], dict(first["attributes"])) == ("say event 0", {"n": "0.5", "tag": "app.follow"})
    framed = Framer(1 << 20).feed(PYTHON + MESSAGES + PYTHON)
    assert [unit.chunk and unit.chunk.id for unit in units_of(framed.messages)] == [
        None,
        b"Iyk+6lhP3jLV1wdsKRn+OQ==",
        b"TAPLh2X0+NWQ8wSPuXCdvA==",
        None,
    ]


@pytest.mark.parametrize("compressed", ["gzip", "zstd", "text"])
def test_compressed_entries(compressed: str) -> None:
    """gzip, in several members too, and zstd; what grows past the limit is rejected and holds nothing back."""
    entry = msgpack.packb([1, {"log": "x" * 1000}])
    packed = {
        "gzip": gzip.compress(entry) + gzip.compress(entry),
        "zstd": pa.compress(entry * 2, "zstd", asbytes=True),
        "text": entry * 2,
    }[compressed]
    message = msgpack.packb(["t", packed, {"compressed": compressed}])
    assert len(rows(message)) == 2
    bomb = msgpack.packb(["t", gzip.compress(bytes(3 << 20)), {"compressed": "gzip"}])
    small = IngestSettings(body_bytes_max=1 << 20)
    found = decode_forward(bomb + message, limits=small, now_us=NOW_US)
    assert found.events.num_rows == 2
    assert "ingest.body_bytes_max" in found.rejected[0].reason


def test_fluent_bits_metadata_and_groups() -> None:
    """`[[time, metadata], record]`: metadata become attributes; the marks of a group are no events."""
    entries = [
        [[event_time(0xFFFFFFFF), {}], {"resource": {}}],
        [[event_time(1_763_000_000, 5000), {"otlp": {"severity_number": 9}}], {"log": "in a group"}],
        [[event_time(0xFFFFFFFE), {}], {}],
        [[event_time(1_763_000_000), {}], {"log": "without"}],
    ]
    first, second = rows(msgpack.packb(["kube", entries]))
    assert dict(first["attributes"]) == {"metadata.otlp.severity_number": "9", "tag": "kube"}
    assert first["timestamp"].microsecond == 5
    assert dict(second["attributes"]) == {"tag": "kube"}


def test_fields_of_containers() -> None:
    """Names of Docker and Kubernetes stay attributes; `source: stdout` is no service, and another `source` is."""
    event = only(
        {"container_name": "/web", "source": "stderr", "log": "it broke", "kubernetes": {"pod_name": "web-1"}}
    )
    assert (event["message"], event["service"]) == ("it broke", None)
    assert event["attributes"] == {
        "container_name": "/web",
        "source": "stderr",
        "kubernetes.pod_name": "web-1",
        "tag": "t",
    }
    assert only({"source": "checkout", "log": "x"})["service"] == "checkout"


def test_the_entrys_time_and_tag_win() -> None:
    """A record's own `timestamp`, `time` and `tag` stay attributes."""
    event = only({"timestamp": "2001-01-01T00:00:00Z", "time": 5, "tag": "mine", "msg": "x"}, tag="theirs")
    assert event["timestamp"].timestamp() == 1_763_000_000
    assert event["attributes"] == {
        "timestamp": "2001-01-01T00:00:00Z",
        "time": "5",
        "tag": "mine",
        "forward_tag": "theirs",
    }


@pytest.mark.parametrize(
    ("time", "marks"),
    [
        (0, {"timestamp_adjusted": "too_far_past", "timestamp_original": "0"}),
        (None, {}),
        ("soon", {"timestamp_adjusted": "unreadable", "timestamp_original": "soon"}),
        (event_time(1_763_000_000, 2_000_000_000), {}),
        (1_763_000_000.5, {}),
        (1_763_000_000_500, {}),
    ],
)
def test_times_of_other_kinds(time: Any, marks: dict[str, str]) -> None:
    """No time refuses an event; an absurd one is the arrival's, with marks."""
    event = only({"message": "x"}, time=time)
    attributes = {key: text for key, text in event["attributes"].items() if key.startswith("timestamp_")}
    assert attributes == marks or time is None
    assert abs(event["timestamp"].timestamp() - NOW_US / 1e6) < 101


def test_text_that_is_not_utf8_is_kept() -> None:
    """Bytes that are wrong become U+FFFD; binary data and keys that are no text are taken as text."""
    event = only(
        {b"message": b"caf\xe9", "raw": b"ok", 5: 6, "x": msgpack.ExtType(7, b"\x00\xff"), "nan": float("nan")}
    )
    assert event["message"] == "caf\ufffd"
    assert event["attributes"] == {"raw": "ok", "5": "6", "x": "ext:7:00ff", "nan": "nan", "tag": "t"}


def test_good_entries_of_a_bad_message_are_kept() -> None:
    """Bad ones have their numbers, the reason and their JSON; a replay of it is a native event."""
    entries: list[Any] = [[1_763_000_000, {"m": "0", "message": "good 0"}]]
    entries += [
        5,
        [1, "no map"],
        [1_763_000_000, {str(i): i for i in range(300)}],
        [1_763_000_000, {"log": "good 1"}],
    ]
    found = decoded(msgpack.packb(["t", b"".join(map(msgpack.packb, entries)) + b"\x92\xc1\x80"]))
    assert found.events.column("message").to_pylist() == ["good 0", "good 1"]
    assert [(each.line, each.reason.split(";")[0]) for each in found.rejected] == [
        (2, "not an entry: send [time, record]"),
        (3, "a string is not an event"),
        (4, "more than 256 fields (ingest.fields_max)"),
        (6, "not MessagePack at byte 1670 of the entries"),
    ]
    assert found.rejected[2].raw.startswith(b'{"timestamp":1763000000,"0":0,')


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (["t"], "not a message"),
        (["t", 5], "a tag and a time, and no record"),
        ([5, [[1, {}]]], "the tag is not text"),
        (["x" * (TAG_BYTES_MAX + 1), [[1, {}]]], "at most 1,024 are taken"),
        (["t", b"", {"compressed": "lzma"}], "'lzma' are not understood"),
        (["t", b"metrics", {"fluent_signal": 1}], "logs alone are taken"),
        (["t", b"no gzip", {"compressed": "gzip"}], "not complete gzip data"),
        (["t", 1, {"message": "x" * (1 << 20)}], "ingest.line_bytes_max"),
    ],
)
def test_messages_that_are_wrong_as_a_whole(message: Any, reason: str) -> None:
    """Each is one rejected entry with its reason, and the message behind it is read."""
    found = decoded(msgpack.packb(message) + PYTHON)
    assert found.events.num_rows == 2
    assert [reason in each.reason for each in found.rejected] == [True]


def test_nesting() -> None:
    """As deep as events may be nested, and one deeper is rejected for that; so is a thousand."""
    for depth in (LIMITS.nesting_max, LIMITS.nesting_max + 1, 1000, 3000):
        packed = msgpack.packb(["t", 1])[:-1].replace(b"\x92", b"\x93") + b"\x01" + b"\x81\xa1k" * depth + b"\x01"
        found = decoded(packed)
        assert found.events.num_rows == (depth <= LIMITS.nesting_max), depth
        assert len(found.rejected) == (depth > LIMITS.nesting_max), depth


@pytest.mark.slow
def test_a_small_message_of_many_events_is_bounded() -> None:
    """Entries of three bytes under a long tag may not grow to gigabytes; what was read before the bound is kept."""
    limits = IngestSettings(body_bytes_max=2 << 20)
    message = msgpack.packb(["x" * TAG_BYTES_MAX, b"\x92\x01\x80" * 300_000])
    found = decode_forward(message, limits=limits, now_us=NOW_US)
    assert 0 < found.events.num_rows < 20_000
    assert "send smaller chunks" in found.rejected[-1].reason


@pytest.mark.slow
def test_more_entries_than_a_piece() -> None:
    """Pieces of the kernel join without a gap, with slow and fast entries among each other."""
    entries = [[1_763_000_000, {"message": f"event {i}", "x": 0.5 * i if i % 3 else b"\xff"}] for i in range(60_000)]
    found = decoded(msgpack.packb(["t", b"".join(map(msgpack.packb, entries))]))
    assert found.events.column("message").to_pylist() == [f"event {i}" for i in range(60_000)]
    singles = b"".join(msgpack.packb(["t", *entry]) for entry in entries)
    assert decoded(singles).events.equals(found.events)


def test_bodies_come_in_any_parts() -> None:
    """Whole messages are found wherever the bytes are cut; what is held is what has come of the last one."""
    body = MESSAGES + FORWARD + PYTHON + COMPRESSED + PACKED
    expected = Framer(1 << 20).feed(body).messages
    assert b"".join(expected) == body
    assert len(expected) == 7
    shuffled = random.Random(5)
    for _ in range(200):
        framer, found, place = Framer(1 << 20), [], 0
        while place < len(body):
            count = shuffled.choice([1, 3, 17, 200])
            framed = framer.feed(body[place : place + count])
            assert framed.broken is None
            found += framed.messages
            place += count
        assert (found, framer.held_bytes) == (expected, 0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "does not speak"),
        (b"\x16\x03\x01\x02", "does not speak"),
        (b"\x93\xa1t\xc1", "not MessagePack"),
        (b"\x93\xa1t\xdb\xff\xff\xff\xff" + bytes(2000), "ingest.body_bytes_max"),
        (b"\x92\xa1t\xdd\xff\xff\xff\xff" + bytes(2000), "ingest.body_bytes_max"),
    ],
)
def test_what_is_no_message_ends_the_framing(body: bytes, reason: str) -> None:
    """Messages before it are kept; the rest and the reason are told."""
    framed = Framer(1000).feed(PYTHON + body)
    assert len(framed.messages) == 2
    assert reason in (framed.broken or "")
    assert framed.rest == body


def chunk(*message: Any) -> Chunk:
    found = chunk_of(msgpack.packb(message))
    assert found is not None
    return found


def test_ids_of_chunks() -> None:
    """Found behind every kind of message; what is no text is no id."""
    assert chunk("t", 1, {}, {"chunk": "a"}).id == b"a"
    assert chunk("t", [], {"size": 0, "chunk": "b"}).id == b"b"
    assert chunk("t", b"", {"chunk": b"\xff"}).id == b"\xff"
    without: list[Any] = [["t", 1, {"chunk": "c"}], ["t", [], {"chunk": 5}], ["t", []], ["t", [], None], 5]
    for message in [*without, ["t" * 99, 1, {}]]:
        assert chunk_of(msgpack.packb(message)) is None, message


def test_one_id_may_be_that_of_several_chunks() -> None:
    """Fluent Bit's are digests of the entries, whatever their tag, and of nothing at all where each is a message."""
    one = {"chunk": "cf83e1357eefb8bdf1542850d66d8007"}
    assert chunk("a", [[1, {"log": "x"}]], one) != chunk("b", [[1, {"log": "x"}]], one)
    assert chunk("a", 1, {"log": "x"}, one) != chunk("a", 1, {"log": "y"}, one)
    assert chunk("a", 1, {"log": "x"}, one) != chunk("a", 2, {"log": "x"}, one)
    # Sent again, perhaps compressed anew, it is the same.
    assert chunk("a", b"packed", {**one, "size": 1}) == chunk("a", b"once more", one)
    assert chunk("a", 1, {"log": "x"}, one) == chunk("a", 1, {"log": "x"}, {**one, "size": 1})


def test_messages_of_an_entry_each_are_decoded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder of JSON lines is called for all of them: a call costs as much as some hundred events."""
    calls: list[int] = []
    add_lines = JsonLines.add_lines

    def counted(self: JsonLines, lines: bytes, count: int, rejected: Sequence[Rejected] = ()) -> None:
        calls.append(count)
        add_lines(self, lines, count, rejected)

    monkeypatch.setattr(JsonLines, "add_lines", counted)
    good, bad = [msgpack.packb(["t", [[1_763_000_000, {"log": "x"}]]]), msgpack.packb(["t"])]
    found = decoded((good * 50 + bad) * 2 + PYTHON)
    assert calls == [104]
    assert found.events.num_rows == 102
    assert [each.line for each in found.rejected] == [51, 102]


NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False)
TEXTS = st.text(max_size=40) | st.sampled_from(["timestamp", "tag", "level", "message", "log", "warn", '\x1f"\\é\n'])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.binary(max_size=8).map(lambda raw: b"\xfe" + raw),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(TEXTS, VALUES, max_size=8)
TIMES = st.integers(0, 1 << 33) | st.builds(event_time, st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 31))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TIMES, RECORDS, st.none() | RECORDS), min_size=1, max_size=5), TEXTS)
def test_the_kernel_says_what_plain_python_says(entries: list[tuple[Any, Any, Any]], tag: str) -> None:
    """Every entry means the same by the kernel, in messages and in packs, and by its plain-Python twin."""
    packed = [
        msgpack.packb([time if metadata is None else [time, metadata], record]) for time, record, metadata in entries
    ]
    lines = [slow_line(entry, tag.encode(), depth_max=LIMITS.nesting_max + 1) for entry in packed]
    expected = decode_json_lines(b"\n".join(lines) + b"\n", limits=LIMITS, now_us=NOW_US)
    found = decoded(msgpack.packb([tag, b"".join(packed)]))
    assert found.events.to_pylist() == expected.events.to_pylist()
    assert [(each.line, each.reason) for each in found.rejected] == [
        (each.line, each.reason) for each in expected.rejected
    ]
    singles = [msgpack.packb([tag, time, record]) for time, record, metadata in entries if metadata is None]
    if len(singles) == len(entries):
        assert decoded(b"".join(singles)).events.equals(found.events)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_values_end_where_the_library_says(value: Any) -> None:
    """The walk over a value ends at its end, and knows of every prefix that it goes on."""
    packed = msgpack.packb(value)
    d = np.frombuffer(packed + b"\x00", np.uint8)
    assert skip_values(d, 0, len(d), 1) == (len(packed), 0)
    for end in range(len(packed)):
        place, pending = skip_values(d, 0, end, 1)
        assert pending > 0
        assert skip_values(d, place, len(packed), pending) == (len(packed), 0)
    assert skip_values(np.frombuffer(b"\x92\x01\xc1", np.uint8), 0, 3, 1) == (2, BROKEN)


@pytest.mark.slow
def test_damaged_messages_never_raise() -> None:
    """Bytes of good messages changed, cut and repeated by chance: every outcome is events and rejected entries."""
    shuffled = random.Random(7)
    bodies = [MESSAGES, FORWARD, PACKED, COMPRESSED, PYTHON]
    for _ in range(1_500):
        body = bytearray(b"".join(shuffled.choices(bodies, k=2)))
        for _ in range(shuffled.randrange(1, 6)):
            body[shuffled.randrange(len(body))] = shuffled.choice((shuffled.randrange(256), 0xDD, 0xDF, 0xC1, 0x93))
        cut = shuffled.randrange(len(body))
        damaged = bytes(body[cut:] if shuffled.random() < 0.2 else body[: len(body) - cut // 4])
        found = decoded(damaged)
        found.events.validate(full=True)
        framed = Framer(1 << 20).feed(damaged)
        for message in framed.messages:
            chunk_of(message)
