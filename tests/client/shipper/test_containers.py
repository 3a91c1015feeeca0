from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.client.shipper.containers import unwrap, wrapping_of
from tailrace.client.shipper.multiline import GROUP_BYTES_MAX

TIME = "2016-10-06T00:17:09.669794202Z"
TIME_US = 1_475_713_029_669_794


def test_the_wrapping_is_known_by_the_lines() -> None:
    """Docker's and CRI's; a program's own lines, also JSON ones, are not taken for either."""
    assert wrapping_of(f"{TIME} stdout F hello\n{TIME} stderr P x\n".encode()) == "cri"
    assert wrapping_of(b'{"log":"hello\\n","stream":"stdout","time":"%s"}\n' % TIME.encode()) == "docker"
    assert wrapping_of(b'{"log":"hello","level":"info"}\n') is None
    assert wrapping_of(f"{TIME} INFO stdout F hello\n".encode()) is None
    assert wrapping_of(b"") is None


def test_lines_of_cri_are_taken_out_of_their_wrapping() -> None:
    """The time to the microsecond in whatever zone, the stream, more tags behind the first, an empty line."""
    wrapped = [
        f"{TIME} stdout F hello  there".encode(),
        b"2016-10-06T02:17:09.5+02:00 stderr F:x caf\xff",
        f"{TIME} stdout F ".encode(),
        f"{TIME} stdout F".encode(),
        b"not wrapped",
    ]
    inner = unwrap(pa.array(wrapped, pa.binary()), "cri")
    assert inner.lines.to_pylist() == [b"hello  there", b"caf\xff", b"", b"", b"not wrapped"]
    assert inner.times_us.tolist() == [TIME_US, 1_475_713_029_500_000, TIME_US, TIME_US, -1]
    assert inner.streams.to_pylist() == ["stdout", "stderr", "stdout", "stdout", None]
    assert inner.whole.all()


def test_lines_of_docker_are_taken_out_of_their_wrapping() -> None:
    """Escapes, other fields beside, and lines that are not such objects, which are kept as they are."""
    wrapped = [
        json.dumps({"log": "a\tü😀 \u0000\n", "stream": "stdout", "attrs": {"tag": "x"}, "time": TIME}).encode(),
        json.dumps({"log": "\n", "stream": "stderr", "time": TIME}).encode(),
    ]
    good = unwrap(pa.array(wrapped, pa.binary()), "docker")
    assert good.lines.to_pylist() == ["a\tü😀 \u0000".encode(), b""]
    assert good.times_us.tolist() == [TIME_US] * 2
    strange = [b"{", b"", b'{"log":7}', b'{"log":"\xff\\n"}', b'{"log":"x\\ny\\n","time":"never"}', b"[]"]
    mixed = unwrap(pa.array([*wrapped, *strange], pa.binary()), "docker")
    assert mixed.lines.to_pylist() == [*good.lines.to_pylist(), *strange[:4], b"x y", b"[]"]
    assert mixed.times_us.tolist()[2:] == [-1] * 6


def test_a_line_that_never_ends_is_told_in_parts() -> None:
    """A program that writes megabytes without a line feed does not fill the memory."""
    wrapped = [f"{TIME} stdout P {'x' * 16_384}".encode()] * 100
    inner = unwrap(pa.array(wrapped, pa.binary()), "cri")
    assert b"".join(inner.lines.to_pylist()) == b"x" * 1_638_400
    assert max(map(len, inner.lines.to_pylist())) <= GROUP_BYTES_MAX + 16_384
    assert inner.whole.tolist() == [True] * (len(inner.lines) - 1) + [False]


Part = tuple[str, bool, str]


def plain_join(parts: list[Part]) -> list[tuple[str, str, int, int, bool]]:
    """The oracle: part by part, one line under way for each stream."""
    lines: list[tuple[str, str, int, int, bool]] = []
    open_line: dict[str, int] = {}
    for number, (stream, partial, text) in enumerate(parts):
        at = open_line.pop(stream, None)
        if at is None:
            lines.append((stream, text, number, number, not partial))
            at = len(lines) - 1
        else:
            _, before, first, _, _ = lines[at]
            lines[at] = (stream, before + text, first, number, not partial)
        if partial:
            open_line[stream] = at
    return lines


_PARTS = st.lists(
    st.tuples(st.sampled_from(["stdout", "stderr"]), st.booleans(), st.text('ab c{}"\\nü', max_size=4)), min_size=1
)


@pytest.mark.slow
@given(_PARTS)
def test_parts_are_joined_as_when_read_one_by_one(parts: list[Part]) -> None:
    """Both wrappings against a plain loop: text, stream, first and last line, and whether the end is there."""
    cri = [f"{TIME} {stream} {'P' if partial else 'F'} {text}".encode() for stream, partial, text in parts]
    docker = [
        json.dumps({"log": text + ("" if partial else "\n"), "stream": stream, "time": TIME}).encode()
        for stream, partial, text in parts
    ]
    for inner in (unwrap(pa.array(cri), "cri"), unwrap(pa.array(docker), "docker")):
        texts = [line.decode() for line in inner.lines.to_pylist()]
        found = zip(inner.streams.to_pylist(), texts, inner.first, inner.last, inner.whole, strict=True)
        assert list(found) == plain_join(parts)


@pytest.mark.slow
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=20))
def test_any_bytes_come_out_as_they_are_where_they_are_no_wrapping(lines: list[bytes]) -> None:
    """Nothing raises, and no line is lost."""
    for wrapping in ("cri", "docker"):
        inner = unwrap(pa.array(lines, pa.binary()), wrapping)
        assert inner.lines.to_pylist() == lines
        assert np.array_equal(inner.first, np.arange(len(lines)))
