"""How large an Arrow stream grows when it is read, found out before a byte of it is decompressed.

Buffers of a record batch may be compressed; each then starts with its length before compression. Reading a hostile
stream would allocate whatever it says there. The lengths are looked up here in the messages' metadata, which are
flatbuffers (Arrow's `format/Message.fbs`); a table is a position whose vtable says where its fields are.
"""

from __future__ import annotations

import struct

import pyarrow as pa

from tailrace.errors import BadInput, TooLarge

# Message.fbs: the fields of the tables by their ids, and the header's types.
_MESSAGE_HEADER_TYPE, _MESSAGE_HEADER = 1, 2
_DICTIONARY_DATA = 1
_BATCH_LENGTH, _BATCH_BUFFERS, _BATCH_COMPRESSION = 0, 2, 3
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3

_BUFFER = struct.Struct("<qq")
_NOT_COMPRESSED = -1

# A row of our own schema takes more than that, however little it says.
_ROW_BYTES_MIN = 8


def check_stream(body: bytes, *, bytes_max: int) -> None:
    """Raises `TooLarge` when the stream's buffers would take more than `bytes_max`, or its rows could not fit.

    Raises `pa.ArrowInvalid` or `BadInput` when the messages are damaged.
    """
    total = rows = 0
    for message in pa.ipc.MessageReader.open_stream(pa.BufferReader(body)):
        try:
            size, length = _batch_figures(message.metadata.to_pybytes(), message.body)
        except struct.error as error:
            raise BadInput("the body is not an Arrow stream: the metadata of a message is cut off") from error
        total += size
        rows += length
        if total > bytes_max or rows > bytes_max // _ROW_BYTES_MIN:
            raise TooLarge(
                f"the Arrow stream grows past {bytes_max:,} bytes when it is read (ingest.body_bytes_max); "
                "send it in parts"
            )


def _batch_figures(metadata: bytes, body: pa.Buffer | None) -> tuple[int, int]:
    """The bytes of all buffers, decompressed, and the rows. (0, 0) for messages that are no batches."""
    message = _root(metadata)
    kind = _scalar(metadata, message, _MESSAGE_HEADER_TYPE, "<B")
    batch = _table(metadata, message, _MESSAGE_HEADER)
    if kind == _DICTIONARY_BATCH and batch:
        batch = _table(metadata, batch, _DICTIONARY_DATA)
    elif kind != _RECORD_BATCH:
        return 0, 0
    if not batch:
        return 0, 0
    length = _scalar(metadata, batch, _BATCH_LENGTH, "<q")
    compressed = _field(metadata, batch, _BATCH_COMPRESSION) != 0
    vector = _table(metadata, batch, _BATCH_BUFFERS)
    if length < 0:
        raise BadInput("the body is not an Arrow stream: a batch has a negative length")
    if not vector:
        return 0, length
    total = 0
    (count,) = struct.unpack_from("<I", metadata, vector)
    for index in range(count):
        offset, size = _BUFFER.unpack_from(metadata, vector + 4 + index * _BUFFER.size)
        if compressed and size > 0:
            if body is None or offset < 0 or offset + 8 > body.size:
                raise BadInput("the body is not an Arrow stream: a buffer lies outside of its message")
            (whole,) = struct.unpack_from("<q", body, offset)
            size = size if whole == _NOT_COMPRESSED else whole
        if size < 0:
            raise BadInput("the body is not an Arrow stream: a buffer has a negative length")
        total += size
    return total, length


def _root(metadata: bytes) -> int:
    return int(struct.unpack_from("<I", metadata, 0)[0])


def _field(metadata: bytes, table: int, field: int) -> int:
    """The position of a table's field, or 0 when it is left out."""
    (back,) = struct.unpack_from("<i", metadata, table)
    vtable = table - back
    if vtable < 0:
        raise struct.error("vtable outside of the metadata")
    (size,) = struct.unpack_from("<H", metadata, vtable)
    slot = 4 + 2 * field
    if slot + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, vtable + slot)
    return table + offset if offset else 0


def _scalar(metadata: bytes, table: int, field: int, kind: str) -> int:
    position = _field(metadata, table, field)
    return int(struct.unpack_from(kind, metadata, position)[0]) if position else 0


def _table(metadata: bytes, table: int, field: int) -> int:
    """The position of the table or vector that a field points at, or 0."""
    position = _field(metadata, table, field)
    return position + int(struct.unpack_from("<I", metadata, position)[0]) if position else 0
