"""How the bytes of a syslog connection become messages, however they come."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.ingest.syslog.frames import Framer, Frames, join_frames

BYTES_MAX = 40


def cut(frames: Frames | None) -> list[bytes]:
    if frames is None:
        return []
    return [frames.data[a:b] for a, b in zip(frames.starts.tolist(), frames.ends.tolist(), strict=True)]


def read(parts: list[bytes], bytes_max: int = BYTES_MAX) -> tuple[list[bytes], bytes]:
    """All messages of a connection that ends behind the last part, and what was cut off."""
    framer = Framer(bytes_max)
    messages: list[bytes] = []
    for part in parts:
        messages += cut(framer.feed(part))
        assert framer.begun_bytes <= bytes_max + 12, "more is held than a message and its count"
    last, rest = framer.end()
    return messages + cut(last), rest


def plain_read(body: bytes, bytes_max: int = BYTES_MAX) -> tuple[list[bytes], bytes]:
    """The same in plain Python, one message after the other."""
    messages: list[bytes] = []
    rest = b""
    while body:
        counted = re.match(rb"([1-9]\d{0,9}) (?=<)", body)
        if counted is not None:
            size = int(counted[1])
            whole = body[counted.end() :]
            if len(whole) < size:
                # A message that is too long is known to be so before its end.
                if len(whole) <= bytes_max:
                    rest = body
                else:
                    messages.append(whole[: bytes_max + 1])
                break
            message, body = whole[:size].rstrip(b"\n\0"), whole[size:]
        else:
            message, _, body = re.match(rb"([^\n\0]*)([\n\0]?)(.*)", body, re.DOTALL).groups()  # type: ignore[union-attr]
        message = message[:-1] if message.endswith(b"\r") else message
        if message:
            messages.append(message[: bytes_max + 1])
    return messages, rest


def test_a_counted_message_may_hold_line_feeds() -> None:
    """The count says where it ends, and not what is in it."""
    assert read([b"14 <1>two\nlines!!5 <1>ab"])[0] == [b"<1>two\nlines!!", b"<1>ab"]


def test_the_line_feed_that_rsyslog_counts_is_left_out() -> None:
    """rsyslog's count includes a line feed behind the message."""
    assert read([b"6 <1>ab\n6 <1>cd\n"])[0] == [b"<1>ab", b"<1>cd"]


def test_line_feeds_and_nuls_end_messages_too_and_each_may_be_framed_in_its_own_way() -> None:
    """As senders that change their mind within a connection do."""
    assert read([b"<1>a\n5 <1>bc<1>d\x00<1>e\r\n"])[0] == [b"<1>a", b"<1>bc", b"<1>d", b"<1>e"]


def test_a_line_that_starts_with_digits_is_a_line() -> None:
    """Only a number, a blank and the `<` of a priority are a count: a time at the beginning is none."""
    lines = [b"2026-11-21 no priority", b"404 not found", b"0 <1>x", b"29: %SYS-5-A: b"]
    assert read([b"\n".join(lines) + b"\n"], 100)[0] == lines


def test_the_last_line_may_lack_its_end_and_a_counted_message_may_not() -> None:
    """What a connection leaves: the line is a message, of the counted one it is known that a part is missing."""
    assert read([b"<1>a\n<1>last"]) == ([b"<1>a", b"<1>last"], b"")
    assert read([b"20 <1>cut"]) == ([], b"20 <1>cut")


def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() -> None:
    """One byte more than the bound is kept, by which it is known to be too long; the rest is passed over."""
    long = b"<1>" + b"x" * 500
    for parts in ([long + b"\n<1>next\n"], [long[:30], long[30:300], long[300:], b"more\n<1>next\n"]):
        assert read(parts)[0] == [long[: BYTES_MAX + 1], b"<1>next"]


def test_a_counted_message_that_is_too_long_is_passed_over_by_its_count() -> None:
    """What is in it is no message, however much it looks like one."""
    inside = b"<1>" + b"x\n<2>y\n" * 50
    stream = b"%d %s" % (len(inside), inside) + b"<1>next\n"
    for size in (1, 7, 64, len(stream)):
        parts = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert read(parts)[0] == [inside[: BYTES_MAX + 1], b"<1>next"]


def test_frames_joined_are_the_same_messages() -> None:
    """Messages of several connections are read as one piece."""
    several = [Framer(99).feed(b"<1>a\n<1>b\n"), Framer(99).feed(b"5 <1>cd")]
    assert cut(join_frames([frames for frames in several if frames])) == [b"<1>a", b"<1>b", b"<1>cd"]


PIECES = st.one_of(
    st.sampled_from([b"\n", b"\0", b"\r\n", b" ", b"<", b"<1>", b"12 ", b"9 <1>", b"30 <1>", b"99 <1>", b"7", b"0"]),
    st.binary(max_size=60),
    st.integers(0, 60).map(lambda size: b"%d <1>%s" % (size + 3, b"m" * size)),
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(1, 50), min_size=1, max_size=20))
@example(b"\n9999999999 <1>" + b"x" * 50, [3])
@example(b"1", [1])
@example(b"12345678901 <x\n", [1])
def test_however_the_bytes_are_split_the_messages_are_those_of_the_twin(body: bytes, sizes: list[int]) -> None:
    """The kernel and the state between two reads agree with a reader of the whole in plain Python."""
    parts: list[bytes] = []
    at = 0
    while at < len(body):
        size = sizes[len(parts) % len(sizes)]
        parts.append(body[at : at + size])
        at += size
    assert read(parts) == plain_read(body)
