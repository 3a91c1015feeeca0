"""The lines that container runtimes wrap around what a program writes, taken off all at once.

    docker  {"log":"hello\\n","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}      Docker's json-file
    cri     2016-10-06T00:17:09.669794202Z stdout F hello                                     containerd, CRI-O

Both cut a program's line that is longer than 16 KiB in several: in `docker` all but the last lack the `\\n`, in `cri`
they have the tag P instead of F. They are joined again, bytes before text, since a cut may go through a character.
The format of CRI: kubernetes/community, contributors/design-proposals/node/kubelet-cri-logging.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.client.shipper.multiline import GROUP_BYTES_MAX, Flags, Rows
from tailrace.ingest.timestamps import parse_timestamp

Wrapping = Literal["docker", "cri"]

_CRI_LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* (?:stdout|stderr) [PF][^ ]* ?")
_CRI_PARTS = r"(?s)^(?P<time>\d{4}-\d\d-\d\dT[\d:.+Z-]+) (?P<stream>stdout|stderr) (?P<tag>[PF])[^ ]* ?(?P<log>.*)$"
_DOCKER_LINE = re.compile(rb'\{"(?:log|stream|time|attrs)":.*"time":"\d{4}-\d\d-\d\dT[^"]*"[,}]')
_DOCKER_PARTS = (
    r'(?s)^\{"log":"(?P<log>(?:[^"\\]|\\.)*?)(?P<end>\\n)?"(?:,"stream":"(?P<stream>[a-z]*)")?(?:,"attrs":\{[^{}]*\})?'
    r',"time":"(?P<time>[\dT:.+Z-]*)"\}\r?$'
)
_SAMPLE_LINES = 64
_STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The program's lines, in the order of their first parts. One row a line:

    `lines` holds bytes without line end; `times_us` is when the runtime read the line, -1 where that is not told;
    `streams` is stdout, stderr or null; `first` and `last` are the numbers of the wrapped lines, from 0, at which it
    begins and ends; `whole` is False for a line whose last part is not there.
    """

    lines: pa.BinaryArray
    times_us: npt.NDArray[np.int64]
    streams: pa.StringArray
    first: Rows
    last: Rows
    whole: Flags

    def whole_lines(self) -> Unwrapped:
        """Those whose last part is there."""
        rows = pa.array(np.flatnonzero(self.whole))
        return Unwrapped(
            self.lines.take(rows),
            self.times_us[self.whole],
            self.streams.take(rows),
            self.first[self.whole],
            self.last[self.whole],
            self.whole[self.whole],
        )


def wrapping_of(sample: bytes) -> Wrapping | None:
    """How the lines are wrapped, when most of the first ones are."""
    lines = [line.rstrip(b"\r") for line in sample.split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]
    if lines and sum(_CRI_LINE.match(line) is not None for line in lines) * 2 > len(lines):
        return "cri"
    if lines and sum(line.endswith(b"}") and _DOCKER_LINE.match(line) is not None for line in lines) * 2 > len(lines):
        return "docker"
    return None


def unwrap(wrapped: pa.BinaryArray, wrapping: Wrapping) -> Unwrapped:
    """`wrapped`: one line each, without its end. A line that is not wrapped so is taken as the program's own."""
    logs, streams, times, partial = _cri(wrapped) if wrapping == "cri" else _docker(wrapped)
    return _join_partial(logs, streams, _times_us(times), partial)


def _cri(wrapped: pa.BinaryArray) -> tuple[pa.BinaryArray, pa.StringArray, pa.StringArray, Flags]:
    found = pc.extract_regex(wrapped, _CRI_PARTS)
    logs, streams, times, tags = (pc.struct_field(found, name) for name in ("log", "stream", "time", "tag"))
    partial = np.asarray(pc.fill_null(pc.equal(tags, b"P"), False))
    return pc.coalesce(logs, wrapped), streams.cast(pa.string()), times.cast(pa.string()), partial


def _docker(wrapped: pa.BinaryArray) -> tuple[pa.BinaryArray, pa.StringArray, pa.StringArray, Flags]:
    found = pc.extract_regex(wrapped, _DOCKER_PARTS)
    logs, streams, times, ends = (pc.struct_field(found, name) for name in ("log", "stream", "time", "end"))
    whole = np.asarray(pc.fill_null(pc.not_equal(ends, b""), True)).copy()
    streams, times = streams.cast(pa.string()), times.cast(pa.string())
    strange = np.asarray(pc.is_null(logs)).copy()
    if (escaped := np.asarray(pc.fill_null(pc.match_substring(logs, b"\\"), False))).any():
        texts = _unescaped(logs.filter(pa.array(escaped)).to_pylist())
        strange[escaped] = [text is None for text in texts]
        logs = pc.replace_with_mask(logs, pa.array(escaped), pa.array(texts, pa.binary()))
    if strange.any():
        lines = [_docker_line(line) for line in wrapped.filter(pa.array(strange)).to_pylist()]
        mask = pa.array(strange)
        logs = pc.replace_with_mask(logs, mask, pa.array([line.log for line in lines], pa.binary()))
        streams = pc.replace_with_mask(streams, mask, pa.array([line.stream for line in lines], pa.string()))
        times = pc.replace_with_mask(times, mask, pa.array([line.time for line in lines], pa.string()))
        whole[strange] = [line.whole for line in lines]
    # Docker ends a line at its line feed; one inside would not come from Docker, and must not become two rows.
    if pc.any(pc.match_substring(logs, b"\n")).as_py():
        logs = pc.replace_substring(logs, b"\n", b" ")
    return logs, streams, times, ~whole


def _unescaped(texts: list[bytes]) -> list[bytes | None]:
    """The texts of JSON strings; None where one is none."""
    try:
        return [text.encode() for text in orjson.loads(b'["' + b'","'.join(texts) + b'"]')]
    except (ValueError, AttributeError):
        return [_unescaped_text(text) for text in texts]


def _unescaped_text(text: bytes) -> bytes | None:
    try:
        return str(orjson.loads(b'"' + text + b'"')).encode()
    except ValueError:
        return None


class _DockerLine(NamedTuple):
    log: bytes
    stream: str | None = None
    time: str | None = None
    whole: bool = True


def _docker_line(raw: bytes) -> _DockerLine:
    """Of an object that is written in another way than Docker's; the line itself when it is none."""
    try:
        line = orjson.loads(raw)
    except ValueError:
        line = None
    if not isinstance(line, dict) or not isinstance(log := line.get("log"), str):
        return _DockerLine(raw)
    stream, time = line.get("stream"), line.get("time")
    return _DockerLine(
        log.removesuffix("\n").encode(),
        stream if isinstance(stream, str) else None,
        time if isinstance(time, str) else None,
        log.endswith("\n"),
    )


def _times_us(times: pa.StringArray) -> npt.NDArray[np.int64]:
    try:
        parsed = times.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        return np.asarray(parsed.fill_null(-1))
    except pa.ArrowInvalid:
        told = [None if time is None else parse_timestamp(time) for time in times.to_pylist()]
        return np.array([-1 if time_us is None else time_us for time_us in told], np.int64)


def _join_partial(
    logs: pa.BinaryArray, streams: pa.StringArray, times_us: npt.NDArray[np.int64], partial: Flags
) -> Unwrapped:
    rows = np.arange(len(logs))
    if not partial.any():
        return Unwrapped(logs, times_us, streams, rows, rows, np.ones(len(logs), bool))
    first = rows.copy()
    whole = ~partial
    sizes = np.asarray(pc.binary_length(logs)).astype(np.int64)
    codes = stream_codes(streams)
    for code in np.unique(codes):
        its = np.flatnonzero(codes == code)
        begins = np.concatenate(([True], ~partial[its[:-1]]))
        place = np.maximum.accumulate(np.where(begins, np.arange(len(its)), 0))
        # A program that never ends its line is told in several events.
        before = np.concatenate(([0], np.cumsum(sizes[its])))
        part = (before[:-1] - before[place]) // GROUP_BYTES_MAX
        begins |= np.diff(part, prepend=0) > 0
        place = np.maximum.accumulate(np.where(begins, np.arange(len(its)), 0))
        first[its] = its[place]
        # Cut for its size, a part is as whole as it will be.
        whole[its[:-1]] |= begins[1:]
        last_whole = whole[its]
        whole[its] = last_whole[np.append(np.flatnonzero(begins)[1:] - 1, len(its) - 1)][np.cumsum(begins) - 1]
    order = np.argsort(first, kind="stable")
    heads, starts = np.unique(first[order], return_index=True)
    offsets = pa.array(np.append(starts, len(logs)).astype(np.int32))
    lines = pc.binary_join(pa.ListArray.from_arrays(offsets, logs.take(pa.array(order))), b"")
    ends = order[np.append(starts[1:], len(logs)) - 1]
    return Unwrapped(lines, times_us[heads], streams.take(pa.array(heads)), heads, ends, whole[heads])


def stream_codes(streams: pa.StringArray) -> npt.NDArray[np.int64]:
    """0 for null, 1 for stdout, 2 for stderr."""
    return np.asarray(pc.fill_null(pc.index_in(streams, pa.array(_STREAMS)), -1)).astype(np.int64) + 1
