"""What a GELF message means, and how messages come out of datagrams, chunks and connections."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.decoders import decoder_of
from tailrace.ingest.gelf.decode import GELF, decode_gelf
from tailrace.ingest.gelf.frames import CHUNK_MAGIC, Chunks, GelfFramer, decode_gelf_frames
from tailrace.ingest.syslog.frames import Frames

LIMITS = IngestSettings()
NOW_US = 1_795_000_000_000_000

# The example of the specification (GELF 1.1).
EXAMPLE = (
    b'{"version": "1.1", "host": "example.org", "short_message": "A short message that helps you identify what is '
    b'going on", "full_message": "Backtrace here\\n\\nmore stuff", "timestamp": 1385053862.3072, "level": 1, '
    b'"_user_id": 9001, "_some_info": "foo", "_some_env_var": "bar"}'
)


def rows(decoded: Decoded) -> list[dict[str, Any]]:
    """What each event says, its attributes beside the others."""
    decoded.events.validate(full=True)
    found = []
    for row in decoded.events.to_pylist():
        attributes = dict(row.pop("attributes"))
        del row["observed_timestamp"]
        found.append({name: value for name, value in row.items() if value is not None} | attributes)
    return found


def decode(body: bytes) -> list[dict[str, Any]]:
    decoded = decode_gelf(body, limits=LIMITS, now_us=NOW_US)
    assert decoded.rejected == []
    return rows(decoded)


def frames(*messages: bytes) -> Frames:
    ends = np.cumsum([len(message) for message in messages])
    return Frames(b"".join(messages), ends - np.array([len(message) for message in messages]), ends)


def test_the_example_of_the_specification() -> None:
    """Its own fields are the event's, additional ones lose their underscore, and the format's version is left out."""
    (row,) = decode(EXAMPLE)
    assert row.pop("timestamp").timestamp() == 1385053862.3072
    assert row == {
        "level": "FATAL",
        "host": "example.org",
        "message": "A short message that helps you identify what is going on",
        "full_message": "Backtrace here\n\nmore stuff",
        "user_id": "9001",
        "some_info": "foo",
        "some_env_var": "bar",
    }


def test_additional_fields_tell_service_and_trace() -> None:
    """Where nothing else tells them; a name that would then stand twice stays as it was."""
    body = b'{"short_message":"m","_service":"pay","_trace_id":"t","_span_id":"s","line":1,"_line":2,"_x":3}'
    assert [{k: v for k, v in row.items() if k != "timestamp"} for row in decode(body)] == [
        {"message": "m", "service": "pay", "trace_id": "t", "span_id": "s", "line": "1", "_line": "2", "x": "3"}
    ]
    both = decode(b'{"service":"own","short_message":"m","_service":"other","__x":1,"_x":2,"x":3}')[0]
    assert both["service"] == "own"
    assert {name: both[name] for name in ("__x", "_x", "x")} == {"__x": "1", "_x": "2", "x": "3"}


def test_a_message_without_a_short_one_has_the_full_one() -> None:
    """So that what somebody searches in is never empty when something was said."""
    assert [row["message"] for row in decode(b'{"full_message":"f"}\n{"full_message":"f","short_message":"s"}')] == [
        "f",
        "s",
    ]


def test_messages_that_end_with_a_nul_may_have_line_feeds_in_them() -> None:
    """As over TCP: pretty-printed JSON is one message."""
    body = b'{\n "short_message": "one"\n}\0{"short_message":"two"}\0'
    assert [row["message"] for row in decode(body)] == ["one", "two"]


def test_what_is_not_json_is_rejected_and_the_others_are_kept() -> None:
    """By the message's number, with its raw bytes."""
    decoded = decode_gelf(
        b'{"short_message":"a"}\0nonsense\0[1]\0{"short_message":"b"}\0', limits=LIMITS, now_us=NOW_US
    )
    assert [row["message"] for row in rows(decoded)] == ["a", "b"]
    assert [(each.line, each.raw) for each in decoded.rejected] == [(2, b"nonsense"), (3, b"[1]")]


def test_a_dead_letter_can_be_replayed_when_it_is_mended() -> None:
    """Its content type names its decoder, for which an underscore is GELF's."""
    (row,) = rows(decoder_of(GELF)(b'{"short_message":"a","_b":1}', limits=LIMITS, now_us=NOW_US))
    assert (row["message"], row["b"]) == ("a", "1")


def test_a_datagram_may_be_compressed() -> None:
    """With gzip or zlib, told by the first bytes; what is damaged is rejected with what was received."""
    damaged = gzip.compress(EXAMPLE)[:-9]
    several = frames(EXAMPLE, gzip.compress(EXAMPLE), zlib.compress(EXAMPLE), zlib.compress(EXAMPLE, 0), damaged)
    decoded = decode_gelf_frames(several, limits=LIMITS, now_us=NOW_US)
    assert len({str(row) for row in rows(decoded)}) == 1
    assert decoded.events.num_rows == 4
    assert [(each.line, each.raw) for each in decoded.rejected] == [(5, damaged)]


def test_a_bomb_is_rejected_at_the_limit_of_one_event() -> None:
    """A datagram of 60 KB that grows to 60 MB costs no more than ingest.line_bytes_max."""
    bomb = zlib.compress(b'{"short_message":"' + bytes(60_000_000) + b'"}')
    assert len(bomb) < 65_000
    decoded = decode_gelf_frames(frames(bomb, EXAMPLE), limits=LIMITS, now_us=NOW_US)
    assert decoded.events.num_rows == 1
    assert "larger than 1,048,576 bytes after decompression (ingest.line_bytes_max)" in decoded.rejected[0].reason


def test_one_sender_cannot_spoil_the_message_of_another() -> None:
    """An open brace in one datagram does not swallow the next one."""
    decoded = decode_gelf_frames(
        frames(b'{"short_message":', EXAMPLE, b"[", EXAMPLE, b"}"), limits=LIMITS, now_us=NOW_US
    )
    assert decoded.events.num_rows == 2
    assert [each.line for each in decoded.rejected] == [1, 3, 5]


def test_a_datagram_of_blanks_is_rejected_too() -> None:
    """Every frame is told of, as an event or as rejected: by that, events without a host get their sender's."""
    decoded = decode_gelf_frames(frames(b"\t", EXAMPLE, b" \r\n", zlib.compress(b"")), limits=LIMITS, now_us=NOW_US)
    assert decoded.events.num_rows == 1
    assert [each.line for each in decoded.rejected] == [1, 3, 4]


# -- chunks


def chunked(message: bytes, count: int, name: bytes = b"12345678") -> list[bytes]:
    size = -(-len(message) // count)
    return [
        CHUNK_MAGIC + name + bytes([index, count]) + message[index * size : (index + 1) * size]
        for index in range(count)
    ]


def test_chunks_make_the_message_in_any_order_and_more_than_once() -> None:
    """128 of them at most; one that comes again changes nothing."""
    parts = chunked(EXAMPLE, 128)
    parts += parts[:5]
    random.Random(1).shuffle(parts)
    chunks = Chunks()
    found = [message for part in parts if (message := chunks.add(part, "a", 0.0)) is not None]
    assert found[0] == EXAMPLE
    assert len(found) == 1


def test_chunks_of_two_senders_never_make_one_message() -> None:
    """Though they chose the same id."""
    chunks = Chunks()
    first, second = chunked(EXAMPLE, 2)
    assert chunks.add(first, "192.0.2.1", 0.0) is None
    assert chunks.add(second, "192.0.2.2", 0.0) is None
    assert chunks.add(second, "192.0.2.1", 0.0) == EXAMPLE


def test_a_message_that_lacks_a_chunk_is_given_up_after_five_seconds_and_counted() -> None:
    """As the specification says; a late chunk does not bring it back."""
    chunks = Chunks()
    first, second = chunked(EXAMPLE, 2)
    chunks.add(first, "a", 0.0)
    assert chunks.add(second, "a", 5.1) is None
    assert chunks.dropped == 1


def test_chunks_that_never_end_are_held_up_to_a_bound() -> None:
    """The oldest messages are given up, each is counted, and what is still whole comes through."""
    chunks = Chunks()
    for number in range(5_000):
        first = chunked(b"x" * 120_000, 2, number.to_bytes(8, "big"))[0]
        assert chunks.add(first, "a", 0.001 * number) is None
    assert chunks.dropped > 4_700
    first, second = chunked(EXAMPLE, 2)
    chunks.add(first, "a", 5.0)
    assert chunks.add(second, "a", 5.0) == EXAMPLE


@pytest.mark.parametrize(
    "chunk",
    [CHUNK_MAGIC, CHUNK_MAGIC + b"12345678", CHUNK_MAGIC + b"12345678\x02\x02x", CHUNK_MAGIC + b"12345678\x00\x81x"],
)
def test_a_chunk_that_cannot_be_one_is_counted(chunk: bytes) -> None:
    """Too short, a number past the count, more than 128."""
    chunks = Chunks()
    assert chunks.add(chunk, "a", 0.0) is None
    assert chunks.dropped == 1


# -- connections


def read(parts: list[bytes], bytes_max: int = 200) -> list[bytes]:
    framer = GelfFramer(bytes_max)
    several = [framer.feed(part) for part in parts]
    several.append(framer.end()[0])
    return [
        each.data[a:b]
        for each in several
        if each is not None
        for a, b in zip(each.starts.tolist(), each.ends.tolist(), strict=True)
    ]


DOCUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=20), min_size=1, max_size=3)


@pytest.mark.slow
@given(
    st.lists(st.tuples(DOCUMENTS, st.booleans()), min_size=1, max_size=5),
    st.sampled_from([b"\0", b"\n", b"\0\n"]),
    st.integers(1, 40),
)
def test_however_a_connection_is_split_its_messages_are_the_same(
    documents: list[tuple[dict[str, str], bool]], end: bytes, size: int
) -> None:
    """With a NUL behind each, or a line feed, or both; with NULs, JSON over several lines too."""
    indented = orjson.OPT_INDENT_2 if end.startswith(b"\0") else 0
    messages = [orjson.dumps(document, option=indented if wide else 0) for document, wide in documents]
    stream = b"".join(message + end for message in messages)
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [orjson.loads(message) for message in read(parts, 10_000)] == [document for document, _ in documents]


def test_a_message_that_is_too_long_is_cut_and_the_next_one_is_whole() -> None:
    """One byte more than the bound is kept, by which it is known to be too long."""
    long = b'{"short_message":"' + b"x" * 300 + b'"}'
    for size in (7, 150, 10_000):
        stream = long + b"\0" + b'{"a":1}\0'
        parts = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert read(parts) == [long[:201], b'{"a":1}']


def test_blank_lines_and_a_long_message_do_not_hide_how_messages_end() -> None:
    """What follows them is read, whether it ends with line feeds or with NULs."""
    long = b'{"short_message":"' + b"x" * 300 + b'"}'
    for end in (b"\n", b"\0", b"\n\0"):
        for size in (7, 150, 10_000):
            stream = b"\r\n \n" + long + end + b'{"a":1}' + end + b'{"b":2}' + end
            parts = [stream[at : at + size] for at in range(0, len(stream), size)]
            found = [message.strip(b"\0\n") for message in read(parts)]
            assert found == [long[:201], b'{"a":1}', b'{"b":2}'], (end, size)


def test_the_last_message_may_lack_its_end() -> None:
    """A client that closes behind its message has said it."""
    assert read([b'{"a":1}\0{"b":2}']) == [b'{"a":1}', b'{"b":2}']


def test_mutated_messages_raise_nothing() -> None:
    """Good messages with bytes changed, plain and compressed, one by one and as a body."""
    chance = random.Random(7)
    for _ in range(300):
        raw = bytearray(chance.choice([EXAMPLE, zlib.compress(EXAMPLE), gzip.compress(EXAMPLE)]))
        for _ in range(chance.randrange(1, 8)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        decoded = decode_gelf_frames(frames(bytes(raw), EXAMPLE), limits=LIMITS, now_us=NOW_US)
        decoded.events.validate(full=True)
        assert decoded.events.num_rows + len(decoded.rejected) == 2
        decode_gelf(bytes(raw), limits=LIMITS, now_us=NOW_US).events.validate(full=True)
