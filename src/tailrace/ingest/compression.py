"""Content encodings: a body as it was before its sender compressed it, with a bound on how large it may grow."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pyarrow as pa

from tailrace.errors import BadInput, TooLarge, UnsupportedMedia

# Output is taken in pieces, so that a small body of 64 MB bound does not claim 64 MB.
_PIECE_BYTES = 1 << 20

# Nobody compresses more than twice; each further layer of a hostile body would cost the whole bound again.
_LAYERS_MAX = 3


def decompress(body: bytes, encoding: str | None, *, bytes_max: int) -> bytes:
    """Undo a Content-Encoding (RFC 9110, 8.4): `identity`, `gzip`, `zstd`, `deflate`, or a comma list of these.

    A list names the encodings in the order they were applied. `gzip` may have several members and `zstd` several
    frames. `deflate` is the zlib format (RFC 1950) or, as some clients send it, a raw stream (RFC 1951). An empty
    body is empty in every encoding.

    No more than `bytes_max` and one piece is ever allocated. Raises `TooLarge` when the body grows past
    `bytes_max`, at any layer, `UnsupportedMedia` for another encoding, and `BadInput` for damaged or truncated data.
    """
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    layers = [name for name in names if name not in ("", "identity")]
    unknown = [name for name in layers if name not in _DECODERS]
    if unknown or len(layers) > _LAYERS_MAX:
        raise UnsupportedMedia(
            f"content encoding {encoding!r} is not understood; send gzip, zstd, deflate or identity"
            if unknown
            else f"content encoding {encoding!r} has more than {_LAYERS_MAX} layers; compress the body once"
        )
    _check_size(len(body), bytes_max)
    for name in reversed(layers):
        if body:
            body = _DECODERS[name](body, bytes_max)
    return body


def _check_size(size_bytes: int, bytes_max: int) -> None:
    if size_bytes > bytes_max:
        raise TooLarge(
            f"the body is larger than {bytes_max:,} bytes after decompression (ingest.body_bytes_max); "
            "send it in parts"
        )


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    return _read_stream(body, "gzip", bytes_max)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    return _read_stream(body, "zstd", bytes_max)


def _read_stream(body: bytes, codec: str, bytes_max: int) -> bytes:
    """Arrow's streams read on across members and frames, and tell a truncated one from a complete one."""
    pieces: list[bytes] = []
    size = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while piece := stream.read(_PIECE_BYTES):
                size += len(piece)
                _check_size(size, bytes_max)
                pieces.append(piece)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"the body is not complete {codec} data: {error}") from error
    return b"".join(pieces)


def _inflate(body: bytes, bytes_max: int) -> bytes:
    try:
        return _inflate_as(body, bytes_max, zlib.MAX_WBITS)
    except TooLarge:
        raise
    except BadInput:
        return _inflate_as(body, bytes_max, -zlib.MAX_WBITS)


def _inflate_as(body: bytes, bytes_max: int, wbits: int) -> bytes:
    stream = zlib.decompressobj(wbits)
    pieces: list[bytes] = []
    size = 0
    try:
        while not stream.eof:
            piece = stream.decompress(body, _PIECE_BYTES)
            body = stream.unconsumed_tail
            if not piece and not body and not stream.eof:
                raise BadInput("the body is not complete deflate data: it ends too early")
            size += len(piece)
            _check_size(size, bytes_max)
            pieces.append(piece)
    except zlib.error as error:
        raise BadInput(f"the body is not deflate data: {error}") from error
    if stream.unused_data:
        raise BadInput(f"the body goes on for {len(stream.unused_data)} bytes after its deflate data")
    return b"".join(pieces)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
    "deflate": _inflate,
}
