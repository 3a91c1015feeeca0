"""The body of a Loki push as it is sent: which form it has, and what is around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from tailrace.config import IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.compression import decompress
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.loki.decode import LOKI_JSON, LOKI_PROTOBUF, decode_loki_json, decode_loki_protobuf

_ENCODINGS = ("", "identity", "snappy", "gzip", "deflate")

# A copy of up to 64 bytes takes three; nothing in a block grows more.
_SNAPPY_GROWTH_MAX = 22

_SNAPPY = pa.Codec("snappy")


def decoder_of_push(
    content_type: str, content_encoding: str, limits: IngestSettings
) -> tuple[Callable[[bytes, int], Decoded], str]:
    """How the body of a request with these headers is decoded (body, now in microseconds), and its content type.

    JSON is what says that it is; everything else is protobuf in a raw block of snappy, whether the encoding says so
    or not. Raises `BadInput` for another encoding, and the decoder what that of its form does.
    """
    is_json = content_type.partition(";")[0].strip().lower() == "application/json"
    encoding = content_encoding.strip().lower()
    if encoding not in _ENCODINGS:
        raise BadInput(f"content encoding {content_encoding!r} is not understood; send snappy, gzip, deflate or none")
    in_snappy = encoding == "snappy" or not is_json
    form: Any = decode_loki_json if is_json else decode_loki_protobuf

    def decode(body: bytes, now_us: int) -> Decoded:
        plain = decompress(body, "" if encoding == "snappy" else encoding, bytes_max=limits.body_bytes_max)
        if in_snappy:
            plain = unsnapped(plain, bytes_max=limits.body_bytes_max)
        decoded: Decoded = form(plain, limits=limits, now_us=now_us)
        return decoded

    return decode, LOKI_JSON if is_json else LOKI_PROTOBUF


def unsnapped(block: bytes, *, bytes_max: int) -> bytes:
    """Undo a raw block of snappy (google/snappy, `format_description.txt`): a length, then literals and copies.

    Raises `TooLarge` when the length is past `bytes_max`, `BadInput` for what is no such block; nothing is allocated
    before the length is known to be possible.
    """
    size, head = 0, 0
    while True:
        if head >= min(len(block), 5):
            raise BadInput("the body is not a block of snappy: its length is cut off")
        size |= (block[head] & 0x7F) << 7 * head
        head += 1
        if block[head - 1] < 0x80:
            break
    if size > bytes_max:
        raise TooLarge(
            f"the body is {size:,} bytes after decompression, more than {bytes_max:,} (ingest.body_bytes_max); "
            "send it in parts"
        )
    if size > _SNAPPY_GROWTH_MAX * (len(block) - head):
        raise BadInput(f"the body is not a block of snappy: {len(block):,} bytes cannot become {size:,}")
    try:
        plain: bytes = _SNAPPY.decompress(block, size, asbytes=True)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"the body is not a block of snappy: {error}") from error
    return plain
