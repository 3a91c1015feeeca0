"""The bytes of a token index file; docs/formats/token-index.md describes them. Pure: bytes in, bytes out."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import zstandard

from tailrace.errors import Stop
from tailrace.model.batch import LEVELS

MAGIC = b"TRTOKENS"
VERSION = 1

HEADER = struct.Struct("<8sHHIQQIII")
"""magic, version, 0, row groups, file bytes, counts offset, counts bytes, counts CRC, directory CRC.

A CRC-32 of these bytes follows them, and then the directory. `counts bytes` of 0: no counts were kept.
"""

HEADER_BYTES = HEADER.size + 4

SECTIONS = ("filter", "patterns", "numbers")

GROUP = np.dtype(
    [
        ("rows", "<u4"),
        ("levels", "u1"),
        ("attempt", "i1"),
        ("reserved", "<u2"),
        ("segment_size", "<u4"),
        ("segments", "<u4"),
        *(
            (f"{section}_{field}", kind)
            for section in SECTIONS
            for field, kind in (("offset", "<u8"), ("bytes", "<u4"), ("crc", "<u4"))
        ),
    ]
)
"""One row group's entry of the directory."""

LEVEL_NULL = 1 << 6
LEVEL_OTHER = 1 << 7

UNPACKED_BYTES_MAX = 64 << 20
"""What a compressed section may unpack to: a directory of 1,024 tokens by 1,024 patterns in six parts is 1 MB."""


class DamagedIndex(Stop):
    """A token index whose bytes are not the ones that were written. The message names the file and the place.

    The events are not in it: the lake reads the row groups without it, or builds it again from the Parquet file.
    """


@dataclass(frozen=True, slots=True)
class Part:
    """Patterns over one or more columns: `rows[p]` rows show pattern p, which holds token t where `holds[t, p]`.

    `holds` is packed, `ceil(patterns / 8)` bytes a token. `numbers` gives each row's pattern: one byte each, or,
    for more than 256 patterns, all low bytes and then all high bytes; none for a single pattern.
    """

    rows: npt.NDArray[np.uint32]
    holds: npt.NDArray[np.uint8]
    numbers: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """What is kept of one row group."""

    rows: int
    levels: int
    attempt: int
    segment_size: int
    segments: int
    filter: bytes
    tokens: tuple[bytes, ...]
    parts: tuple[Part, ...]


def pack_patterns(group: Group) -> bytes:
    """The tokens' texts, each between zero bytes, and for each part its figures; compressed."""
    text = b"\0" + b"".join(token + b"\0" for token in group.tokens)
    pieces = [struct.pack("<III", len(group.tokens), len(group.parts), len(text)), text]
    for part in group.parts:
        pieces += [struct.pack("<I", len(part.rows)), part.rows.astype("<u4").tobytes(), part.holds.tobytes()]
    return zstandard.ZstdCompressor(level=3).compress(b"".join(pieces))


@dataclass(frozen=True, slots=True)
class Patterns:
    """`pack_patterns` read back. The parts' numbers are elsewhere, so `numbers` of each part is empty."""

    text: bytes
    parts: tuple[Part, ...]

    def token_number(self, token: bytes) -> int | None:
        place = self.text.find(b"\0" + token + b"\0")
        return None if place < 0 else self.text.count(b"\0", 0, place)


def unpack_patterns(packed: bytes, rows_of_group: int, place: str) -> Patterns:
    raw = unpack(packed, place)
    try:
        tokens, parts, text_bytes = struct.unpack_from("<III", raw)
        at = 12 + text_bytes
        found = []
        for _ in range(parts):
            (patterns,) = struct.unpack_from("<I", raw, at)
            rows = np.frombuffer(raw, "<u4", patterns, at + 4)
            at += 4 + 4 * patterns
            width = (patterns + 7) // 8
            holds = np.frombuffer(raw, np.uint8, tokens * width, at).reshape(tokens, width)
            at += tokens * width
            if int(rows.sum()) != rows_of_group:
                raise DamagedIndex(f"{place}: counts {int(rows.sum())} rows of {rows_of_group}")
            found.append(Part(rows, holds, b""))
    except (struct.error, ValueError) as error:
        raise DamagedIndex(f"{place}: the directory of frequent tokens is cut short ({error})") from error
    return Patterns(raw[12 : 12 + text_bytes], tuple(found))


def pack(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(raw)


def unpack(packed: bytes, place: str) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=UNPACKED_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise DamagedIndex(f"{place}: cannot be unpacked ({error})") from error


def pack_index(groups: list[Group], counts: bytes) -> bytes:
    """The whole file. `counts`: the packed counts, or empty."""
    directory = np.zeros(len(groups), GROUP)
    at = HEADER_BYTES + directory.nbytes
    pieces: list[bytes] = []

    def place(section: bytes) -> int:
        nonlocal at
        pieces.append(section)
        at += len(section)
        return at - len(section)

    for entry, group in zip(directory, groups, strict=True):
        entry["rows"], entry["levels"], entry["attempt"] = group.rows, group.levels, group.attempt
        entry["segment_size"], entry["segments"] = group.segment_size, group.segments
    # Sections of a kind lie together: a query touches all filters, and little else.
    contents = (
        [group.filter for group in groups],
        [pack_patterns(group) for group in groups],
        [pack_numbers(group.parts) for group in groups],
    )
    for section, packed in zip(SECTIONS, contents, strict=True):
        for entry, content in zip(directory, packed, strict=True):
            entry[f"{section}_offset"] = place(content)
            entry[f"{section}_bytes"], entry[f"{section}_crc"] = len(content), zlib.crc32(content)
    counts_offset = place(counts)
    header = HEADER.pack(
        MAGIC,
        VERSION,
        0,
        len(groups),
        at,
        counts_offset,
        len(counts),
        zlib.crc32(counts),
        zlib.crc32(directory.tobytes()),
    )
    return b"".join([header, struct.pack("<I", zlib.crc32(header)), directory.tobytes(), *pieces])


def pack_numbers(parts: tuple[Part, ...]) -> bytes:
    """Each part's row numbers compressed by itself, after the lengths of all."""
    packed = [pack(part.numbers) if part.numbers else b"" for part in parts]
    return struct.pack(f"<{len(packed)}I", *map(len, packed)) + b"".join(packed)


def unpack_numbers(packed: bytes, patterns: Patterns, rows: int, place: str) -> list[npt.NDArray[np.int64] | None]:
    """For each part the pattern of each row, or None where all rows show its only pattern."""
    parts = patterns.parts
    try:
        sizes = struct.unpack_from(f"<{len(parts)}I", packed)
    except struct.error as error:
        raise DamagedIndex(f"{place}: cut short ({error})") from error
    found: list[npt.NDArray[np.int64] | None] = []
    at = 4 * len(parts)
    for part, size in zip(parts, sizes, strict=True):
        if size == 0:
            numbers = None
        else:
            planes = np.frombuffer(unpack(packed[at : at + size], place), np.uint8)
            if len(planes) != rows * (1 if len(part.rows) <= 256 else 2):
                raise DamagedIndex(f"{place}: {len(planes)} bytes for {rows} rows")
            numbers = planes[:rows].astype(np.int64)
            if len(planes) > rows:
                numbers |= planes[rows:].astype(np.int64) << 8
            if rows and int(numbers.max()) >= len(part.rows):
                raise DamagedIndex(f"{place}: a row shows pattern {int(numbers.max())} of {len(part.rows)}")
        found.append(numbers)
        at += size
    return found


def read_directory(buffer: memoryview, name: str) -> tuple[npt.NDArray[np.void], tuple[int, int, int]]:
    """The entries of the row groups, and offset, bytes and CRC of the counts. Every offset lies within the file."""
    if len(buffer) < HEADER_BYTES:
        raise DamagedIndex(f"{name}: {len(buffer)} bytes are too few for a token index")
    header = bytes(buffer[: HEADER.size])
    magic, version, _, groups, size, counts_offset, counts_bytes, counts_crc, directory_crc = HEADER.unpack(header)
    if magic != MAGIC:
        raise DamagedIndex(f"{name}: is no token index, it starts with {magic!r}")
    if int.from_bytes(buffer[HEADER.size : HEADER_BYTES], "little") != zlib.crc32(header):
        raise DamagedIndex(f"{name}: the header does not have its checksum; build the index again")
    if version != VERSION:
        raise DamagedIndex(f"{name}: is of version {version}, this program reads {VERSION}; build the index again")
    if size != len(buffer):
        raise DamagedIndex(f"{name}: has {len(buffer)} of its {size} bytes; build the index again")
    raw = bytes(buffer[HEADER_BYTES : HEADER_BYTES + groups * GROUP.itemsize])
    if zlib.crc32(raw) != directory_crc:
        raise DamagedIndex(f"{name}: the directory does not have its checksum; build the index again")
    directory = np.frombuffer(raw, GROUP)
    places = [(directory[f"{section}_offset"], directory[f"{section}_bytes"]) for section in SECTIONS]
    places.append((np.array([counts_offset], np.uint64), np.array([counts_bytes], np.uint32)))
    if any(np.any(offset > size) or np.any(offset + length > size) for offset, length in places):
        raise DamagedIndex(f"{name}: a section lies beyond the end of the file; build the index again")
    segment_size = directory["segment_size"].astype(np.int64)
    filter_bytes = np.where(directory["attempt"] < 0, 0, (directory["segments"] + np.int64(2)) * segment_size)
    if np.any(filter_bytes != directory["filter_bytes"]) or np.any(segment_size & (segment_size - 1)):
        raise DamagedIndex(f"{name}: the shape of a filter does not fit its size; build the index again")
    return directory, (counts_offset, counts_bytes, counts_crc)


def level_bits(names: Iterable[str | None]) -> int:
    """Bit i: a row of level LEVELS[i]; LEVEL_NULL: one without; LEVEL_OTHER: one of a level that is none of these."""
    bits = 0
    for name in names:
        if name is None:
            bits |= LEVEL_NULL
        else:
            bits |= 1 << LEVELS.index(name) if name in LEVELS else LEVEL_OTHER
    return bits


def levels_of_bits(bits: int) -> frozenset[str | None]:
    known = {level for number, level in enumerate(LEVELS) if bits >> number & 1}
    return frozenset(known | {None}) if bits & LEVEL_NULL else frozenset(known)
