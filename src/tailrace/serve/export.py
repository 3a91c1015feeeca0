"""Every match as a stream of bytes, with the memory of a few batches.

Each format is a `Writer`: events in, bytes out. All but Parquet give the bytes of a batch at once; Parquet gathers
a row group first, since small ones make a file large and slow.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tailrace.model.batch import ARROW_STREAM, STORED_SCHEMA
from tailrace.serve.rendering import EVENT_FIELDS, Renderer
from tailrace.store.port import Order, Searchable, Selection

_ROW_GROUP_ROWS = 122_880
_ROW_GROUP_BYTES = 64 << 20


class Writer(Protocol):
    def start(self) -> bytes:
        """What stands before the first event."""
        ...

    def write(self, batch: pa.RecordBatch) -> bytes:
        """Batches of STORED_SCHEMA."""
        ...

    def finish(self) -> bytes:
        """What stands behind the last event."""
        ...


@dataclass(frozen=True, slots=True)
class Export:
    media_type: str
    suffix: str
    make: Callable[[Renderer], Writer]


def export(
    searchable: Searchable, selection: Selection, *, order: Order, limit: int | None, make: Callable[[], Writer]
) -> Generator[bytes, None, None]:
    """Chunks of the export. Holds a snapshot until it ends or is closed."""
    writer = make()
    left = limit
    with searchable.snapshot() as snapshot:
        batches = snapshot.stream(selection, order=order)
        first = next(batches, None)  # before any byte, so that a wrong query is an error and not a cut answer
        yield writer.start()
        batch = first
        while batch is not None:
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            if chunk := writer.write(batch):
                yield chunk
            batch = next(batches, None) if left != 0 else None
    yield writer.finish()


class _JsonLines:
    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def start(self) -> bytes:
        return b""

    def write(self, batch: pa.RecordBatch) -> bytes:
        return self._renderer.lines(batch)

    def finish(self) -> bytes:
        return b""


class _Csv:
    """RFC 4180 with a header line. A field that is absent is empty, a text that is empty is `""`."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def start(self) -> bytes:
        return ",".join(EVENT_FIELDS).encode() + b"\n"

    def write(self, batch: pa.RecordBatch) -> bytes:
        sink = io.BytesIO()
        options = pa.csv.WriteOptions(include_header=False)
        pa.csv.write_csv(self._renderer.flat(batch), sink, options)
        return sink.getvalue()

    def finish(self) -> bytes:
        return b""


class _ArrowStream:
    def __init__(self, _: Renderer) -> None:
        self._sink = _Chunks()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        self._writer = pa.ipc.new_stream(self._sink, STORED_SCHEMA, options=options)

    def start(self) -> bytes:
        return self._sink.take()

    def write(self, batch: pa.RecordBatch) -> bytes:
        self._writer.write_batch(batch)
        return self._sink.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class _Parquet:
    def __init__(self, _: Renderer) -> None:
        self._sink = _Chunks()
        self._writer = pa.parquet.ParquetWriter(self._sink, STORED_SCHEMA, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0

    def start(self) -> bytes:
        return self._sink.take()

    def write(self, batch: pa.RecordBatch) -> bytes:
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= _ROW_GROUP_ROWS or self._waiting_bytes >= _ROW_GROUP_BYTES:
            self._write_row_group()
        return self._sink.take()

    def finish(self) -> bytes:
        self._write_row_group()
        self._writer.close()
        return self._sink.take()

    def _write_row_group(self) -> None:
        if self._waiting_rows:
            table = pa.Table.from_batches(self._waiting)
            self._writer.write_table(table, row_group_size=self._waiting_rows)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0


class _Chunks(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


EXPORTS: dict[str, Export] = {
    "ndjson": Export("application/x-ndjson", "ndjson", _JsonLines),
    "csv": Export("text/csv; charset=utf-8", "csv", _Csv),
    "parquet": Export("application/vnd.apache.parquet", "parquet", _Parquet),
    "arrow": Export(ARROW_STREAM, "arrows", _ArrowStream),
}
