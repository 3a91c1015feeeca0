"""Bytes to lines: nothing is lost, nothing is changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config import IngestSettings
from tailrace.ingest.text.formats import TextDecoder
from tailrace.ingest.text.lines import FALLBACK_ENCODING, split_lines
from tailrace.model.batch import EVENT_SCHEMA

NOW_US = int(datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp() * 1_000_000)

LINE = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=30).map(str.encode),
    st.sampled_from(
        [b"2020-01-31 10:00:00 ERROR x", b"<34>Oct 11 22:14:15 h su: x", b"a=b level=info msg=\xff", b"{}"]
    ),
).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))


@pytest.mark.slow
@given(st.lists(LINE, max_size=20), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_the_bytes_of_every_line_can_be_had_again(lines: list[bytes], end: bytes, ended: bool) -> None:
    """Any bytes, with either line end, the last line with or without its end: the messages give them back."""
    blob = end.join(lines) + (end if ended and lines else b"")
    events = TextDecoder("found", limits=IngestSettings()).decode(blob, now_us=NOW_US).events
    back = []
    for event in events.to_pylist():
        encoding = dict(event["attributes"]).get("encoding", "utf-8")
        back.append(event["message"].encode(encoding))
    expected = lines if ended else lines[:-1] + ([lines[-1]] if lines and lines[-1] else [])
    assert back == expected
    events.validate(full=True)
    assert events.schema == EVENT_SCHEMA


@settings(max_examples=40)
@given(st.lists(LINE, max_size=12), st.data())
def test_chunks_give_what_the_whole_gives(lines: list[bytes], data: st.DataObject) -> None:
    """Wherever a stream is cut, between two lines, the same messages come out."""
    cut = data.draw(st.integers(0, len(lines)))
    decoder = TextDecoder("found", limits=IngestSettings())
    pieces = [b"".join(line + b"\n" for line in part) for part in (lines[:cut], lines[cut:])]
    messages = [
        text for piece in pieces for text in decoder.decode(piece, now_us=NOW_US).events["message"].to_pylist()
    ]
    whole = split_lines(b"".join(pieces), line_bytes_max=1 << 20)
    assert messages == whole.texts.to_pylist()


def test_a_line_that_is_too_long_is_rejected_with_its_place_and_its_bytes() -> None:
    """The lines around it are kept, and the number is the one in the stream, chunks before counted."""
    decoder = TextDecoder(limits=IngestSettings(line_bytes_max=30))
    decoder.decode(b"one\ntwo\n", now_us=NOW_US)
    decoded = decoder.decode(b"three\n" + b"x" * 31 + b"\nfive\n", now_us=NOW_US)
    assert decoded.events["message"].to_pylist() == ["three", "five"]
    (rejected,) = decoded.rejected
    assert (rejected.line, rejected.raw) == (4, b"x" * 31)
    assert "ingest.line_bytes_max" in rejected.reason


def test_only_the_lines_that_are_not_utf8_are_marked() -> None:
    """Their characters are those of the fallback encoding; their neighbours' are untouched."""
    lines = split_lines("grün\n".encode() + b"gr\xfcn\n" + b"plain\n", line_bytes_max=100)
    assert lines.texts.to_pylist() == ["grün", "grün", "plain"]
    assert lines.fallback.tolist() == [False, True, False]
    assert lines.texts[1].as_py().encode(FALLBACK_ENCODING) == b"gr\xfcn"
