"""Cursors as clients see them: opaque text that names a place between two events for good.

Layout, big-endian, then base64url without padding: timestamp_us int64, partition int32, offset int64, row int32,
and the CRC-32 of those 24 bytes, so that a cut or mistyped cursor is told from a real one.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib

from tailrace.errors import BadInput
from tailrace.store.port import Cursor

_LAYOUT = struct.Struct(">qiqi")
_CHECKSUM = struct.Struct(">I")


def encode_cursor(cursor: Cursor) -> str:
    packed = _LAYOUT.pack(*cursor)
    checked = packed + _CHECKSUM.pack(zlib.crc32(packed))
    return base64.urlsafe_b64encode(checked).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """Raises `BadInput` for anything that `encode_cursor` did not write."""
    try:
        checked = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _damaged() from error
    packed, checksum = checked[: _LAYOUT.size], checked[_LAYOUT.size :]
    if len(packed) != _LAYOUT.size or checksum != _CHECKSUM.pack(zlib.crc32(packed)):
        raise _damaged()
    return Cursor(*_LAYOUT.unpack(packed))


def _damaged() -> BadInput:
    return BadInput("the cursor is damaged; use next_cursor of an answer as it stands, or leave it out to begin anew")
