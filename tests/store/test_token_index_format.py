"""The token index's bytes: read by hand, and damaged in every way."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.batch import batch_of_rows
from tailrace.query.tokens import Level, Token
from tailrace.store.token_index.format import GROUP, HEADER, HEADER_BYTES, Group, Part, pack_index
from tailrace.store.token_index.index import DamagedIndex, TokenIndex, build_index
from tests.store.test_token_index import templated

FILE = build_index([batch_of_rows(templated(40)), batch_of_rows(templated(90))])


def use(payload: bytes) -> None:
    """Everything a query does."""
    index = TokenIndex(payload)
    index.candidates(Token("payment"))
    index.candidates(Level("ERROR"))
    index.count_exact(("payment", "declined"))
    index.rows_exact(0, ("payment", "web1"))
    _ = index.counts


def resealed(payload: bytes) -> bytes:
    """The checksums of header and directory made right again."""
    header = list(HEADER.unpack_from(payload))
    header[-1] = zlib.crc32(payload[HEADER_BYTES : HEADER_BYTES + header[3] * GROUP.itemsize])
    packed = HEADER.pack(*header)
    return packed + struct.pack("<I", zlib.crc32(packed)) + payload[HEADER_BYTES:]


def test_header_and_directory_lie_where_the_document_says() -> None:
    """Magic, version, sizes and checksums are at their places."""
    magic, version, _, groups, size = struct.unpack_from("<8sHHIQ", FILE)
    assert (magic, version, groups, size) == (b"TRTOKENS", 1, 2, len(FILE))
    assert (HEADER_BYTES, GROUP.itemsize) == (48, 64)
    assert struct.unpack_from("<I", FILE, 44)[0] == zlib.crc32(FILE[:44])
    assert struct.unpack_from("<I", FILE, 40)[0] == zlib.crc32(FILE[48 : 48 + 2 * 64])
    assert struct.unpack_from("<IB", FILE, 48) == (40, 0b0111111)
    assert struct.unpack_from("<IB", FILE, 48 + 64) == (90, 0b0111111)


def test_an_index_written_by_hand_is_read() -> None:
    """Patterns, packed bits and the two planes of more than 256 patterns mean what the document says."""
    numbers = np.arange(300, dtype=np.uint16)
    planes = (numbers & 255).astype(np.uint8).tobytes() + (numbers >> 8).astype(np.uint8).tobytes()
    holds = np.packbits([numbers % 2 == 0, numbers >= 290], axis=1, bitorder="little")
    wide = Part(np.ones(300, np.uint32), holds, planes)
    single = Part(np.array([300], np.uint32), np.packbits([[0], [1]], axis=1, bitorder="little"), b"")
    any_filter = (300, 1 << 4, -1, 0, 0, b"")
    index = TokenIndex(pack_index([Group(*any_filter, (b"even", b"late"), (wide,))], b""))
    assert index.count_exact(("even",)) == [150]
    assert index.count_exact(("even", "late")) == [5]
    assert index.count_exact(("other",)) == [None]
    found = index.rows_exact(0, ("even", "late"))
    assert found is not None
    assert found.tolist() == [290, 292, 294, 296, 298]
    assert index.levels == [frozenset({"ERROR"})]
    assert index.candidates(Level("INFO")).tolist() == [False]
    assert index.counts is None
    everywhere = TokenIndex(pack_index([Group(*any_filter, (b"even", b"late"), (wide, single))], b""))
    assert everywhere.count_exact(("even", "late")) == [150]


def test_every_flipped_bit_is_found() -> None:
    """`verify` finds each flipped bit of the file, and a query either answers or says what is damaged."""
    random = np.random.default_rng(5)
    for place in range(len(FILE)):
        damaged = bytearray(FILE)
        damaged[place] ^= 1 << int(random.integers(8))
        with pytest.raises(DamagedIndex):
            TokenIndex(bytes(damaged)).verify()
        with contextlib.suppress(DamagedIndex):
            use(bytes(damaged))


@settings(deadline=None)
@given(st.integers(0, len(FILE) - 1))
def test_a_truncated_file_is_refused(size: int) -> None:
    """A file that was cut anywhere is not opened."""
    with pytest.raises(DamagedIndex):
        TokenIndex(FILE[:size])


@settings(deadline=None)
@given(st.data())
def test_a_directory_of_wrong_figures_harms_nothing(data: st.DataObject) -> None:
    """Even with right checksums, wrong figures in the directory are refused or answered, never followed outside."""
    damaged = bytearray(FILE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(16, HEADER_BYTES + 2 * GROUP.itemsize - 1))
        damaged[place] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    with contextlib.suppress(DamagedIndex):
        use(resealed(bytes(damaged)))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_other_files_are_refused(payload: bytes) -> None:
    """Any bytes that are no token index are refused with a reason."""
    with pytest.raises(DamagedIndex):
        TokenIndex(payload)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    """The message says which file, what is wrong, and what to do."""
    path = tmp_path / "part.tokens"
    path.write_bytes(FILE[:-1])
    with pytest.raises(DamagedIndex, match=rf"part\.tokens: has {len(FILE) - 1} of its {len(FILE)} bytes; build"):
        TokenIndex.open(path)
    path.write_bytes(b"")
    with pytest.raises(DamagedIndex, match=r"part\.tokens: the file is empty"):
        TokenIndex.open(path)
    other_version = bytearray(FILE)
    other_version[8] = 9
    with pytest.raises(DamagedIndex, match="is of version 9, this program reads 1"):
        TokenIndex(resealed(bytes(other_version)))
