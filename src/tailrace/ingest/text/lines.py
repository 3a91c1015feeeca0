"""Bytes to lines: one Arrow string a line, byte for byte, without its line end (LF or CR LF)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.decoded import Rejected

FALLBACK_ENCODING = "latin-1"
"""Maps each of the 256 bytes to one character and back, so the bytes of a line that is not UTF-8 can be had again:
`message.encode("latin-1")`."""

_LF, _CR, _ASCII_MAX = 10, 13, 127


@dataclass(frozen=True, slots=True)
class Lines:
    """`texts` holds all lines but the rejected; `fallback` is True where a line is not UTF-8."""

    texts: pa.StringArray
    fallback: np.ndarray
    rejected: list[Rejected]


def split_lines(blob: bytes, *, line_bytes_max: int, first_line: int = 1) -> Lines:
    """Cut at LF; the last line may lack its end. Lines longer than `line_bytes_max` bytes are rejected.

    `first_line` is the number of the first line in its file, for the rejected ones.
    """
    data = np.frombuffer(blob, np.uint8)
    ends = np.flatnonzero(data == _LF)
    if len(data) and data[-1] != _LF:
        ends = np.append(ends, len(data))
    starts = np.zeros(len(ends), np.int64)
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts
    carriage = np.flatnonzero((lengths > 0) & (data[np.maximum(ends, 1) - 1] == _CR)) if len(ends) else ends
    lengths[carriage] -= 1

    inside = np.ones(len(data), bool)
    inside[ends[ends < len(data)]] = False
    inside[ends[carriage] - 1] = False
    text = data[inside]
    offsets = np.zeros(len(ends) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])

    binary = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    binary, rejected = _reject_long(binary, lengths, line_bytes_max, first_line)
    texts, fallback = _to_text(binary)
    return Lines(texts, fallback, rejected)


def _reject_long(
    binary: pa.BinaryArray, lengths: np.ndarray, line_bytes_max: int, first_line: int
) -> tuple[pa.BinaryArray, list[Rejected]]:
    too_long = lengths > line_bytes_max
    if not too_long.any():
        return binary, []
    rejected = [
        Rejected(
            first_line + int(row),
            f"the line has {int(lengths[row]):,} bytes, more than {line_bytes_max:,} (ingest.line_bytes_max)",
            binary[row].as_py(),
        )
        for row in np.flatnonzero(too_long)
    ]
    return binary.filter(pa.array(~too_long)), rejected


def _to_text(binary: pa.BinaryArray) -> tuple[pa.StringArray, np.ndarray]:
    fallback = np.zeros(len(binary), bool)
    texts = binary.view(pa.string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        replacements = []
        for row, raw in _lines_beyond_ascii(binary):
            try:
                raw.decode()
            except UnicodeDecodeError:
                fallback[row] = True
                replacements.append(raw.decode(FALLBACK_ENCODING).encode())
        mended = pc.replace_with_mask(binary, pa.array(fallback), pa.array(replacements, pa.binary()))
        texts = mended.view(pa.string())
    return texts, fallback


def _lines_beyond_ascii(binary: pa.BinaryArray) -> list[tuple[int, bytes]]:
    offsets = np.frombuffer(binary.buffers()[1], np.int32)[binary.offset : binary.offset + len(binary) + 1]
    data = np.frombuffer(binary.buffers()[2], np.uint8)
    counts = np.zeros(len(data) + 1, np.int64)
    np.cumsum(data > _ASCII_MAX, out=counts[1:])
    rows = np.flatnonzero(counts[offsets[1:]] > counts[offsets[:-1]])
    return [(int(row), binary[int(row)].as_py()) for row in rows]
