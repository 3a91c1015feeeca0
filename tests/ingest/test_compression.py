"""Content encodings."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import BadInput, TooLarge, UnsupportedMedia
from tailrace.ingest.compression import decompress


def _raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def _streamed_zstd(data: bytes) -> bytes:
    """Without the content's size in the frame, as shippers write it."""
    stream = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return stream.compress(data) + stream.flush()


ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("zstd", zstandard.compress),
    ("zstd", _streamed_zstd),
    ("deflate", zlib.compress),
    ("deflate", _raw_deflate),
    ("identity", bytes),
]
COMPRESSED = ENCODERS[:-1]


@settings(deadline=None)
@given(st.binary(max_size=5000), st.sampled_from(ENCODERS))
def test_round_trip(data: bytes, encoder: tuple[str, Callable[[bytes], bytes]]) -> None:
    """What was compressed comes back as it was, at a bound of exactly its size."""
    name, encode = encoder
    body = encode(data)
    assert decompress(body, name, bytes_max=max(len(data), len(body))) == data


@pytest.mark.parametrize("encoding", [None, "", "identity", " Identity , "])
def test_no_encoding(encoding: str | None) -> None:
    """A body without an encoding is itself."""
    assert decompress(b"abc", encoding, bytes_max=3) == b"abc"


def test_list_of_encodings() -> None:
    """Encodings of a list are undone from the last to the first."""
    body = zstandard.compress(gzip.compress(b"abc"))
    assert decompress(body, "GZIP, identity, zstd", bytes_max=100) == b"abc"


def test_members_and_frames() -> None:
    """All members of a gzip body and all frames of a zstd body are read."""
    assert decompress(gzip.compress(b"ab") + gzip.compress(b"c"), "gzip", bytes_max=100) == b"abc"
    assert decompress(zstandard.compress(b"ab") + zstandard.compress(b"c"), "zstd", bytes_max=100) == b"abc"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "encode"), COMPRESSED)
def test_bomb(name: str, encode: Callable[[bytes], bytes]) -> None:
    """A body that grows past the bound is refused by the setting's name, without being held in memory whole."""
    body = encode(bytes(60 << 20))
    tracemalloc.start()
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        decompress(body, name, bytes_max=4 << 20)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 16 << 20


def test_bomb_in_an_inner_layer() -> None:
    """The bound holds for each layer, not for the last alone."""
    body = gzip.compress(gzip.compress(bytes(50 << 20)) + bytes(20 << 20))
    with pytest.raises(TooLarge):
        decompress(body, "gzip, gzip", bytes_max=10 << 20)


def test_plain_body_past_the_bound() -> None:
    """The bound holds for plain bodies too."""
    with pytest.raises(TooLarge):
        decompress(b"abcd", None, bytes_max=3)


@pytest.mark.parametrize(("name", "encode"), COMPRESSED)
def test_truncated(name: str, encode: Callable[[bytes], bytes]) -> None:
    """A body cut off anywhere is bad input, never a shorter body."""
    body = encode(b"The quick brown fox jumps over the lazy dog. " * 20)
    for size in range(1, len(body)):
        with pytest.raises(BadInput):
            decompress(body[:size], name, bytes_max=10_000)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200), st.sampled_from(["gzip", "zstd", "deflate"]))
def test_garbage(data: bytes, name: str) -> None:
    """Bytes that are no such stream are bad input or, by chance, some text; nothing else is raised."""
    try:
        decompress(data, name, bytes_max=1 << 20)
    except BadInput:
        return


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_text_behind_the_stream(name: str) -> None:
    """What follows the compressed stream is not left out in silence."""
    body = gzip.compress(b"a") if name == "gzip" else zlib.compress(b"a")
    with pytest.raises(BadInput):
        decompress(body + b"more text here", name, bytes_max=1000)


@pytest.mark.parametrize("encoding", ["br", "gzip, br", "gzip,gzip,gzip,gzip"])
def test_unsupported(encoding: str) -> None:
    """Other encodings, and more layers than anyone uses, are refused by name."""
    with pytest.raises(UnsupportedMedia, match=encoding):
        decompress(b"abc", encoding, bytes_max=100)
