"""Events per minute, level and service of one file: a histogram drawn from these opens no row group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tailrace.store.token_index.format import UNPACKED_BYTES_MAX, DamagedIndex, level_bits, pack, unpack

MINUTE_US = 60_000_000

CELLS_MAX = 20_000
"""Past it no counts are kept: they would be as large as the events. Two hours of 6 levels and 25 services fit."""

SERVICE_BYTES_MAX = 1 << 20
"""Bytes of all services' names; past it no counts are kept either."""

COUNTS_SCHEMA = pa.schema(
    [
        pa.field("minute_us", pa.int64(), nullable=False),
        pa.field("level", pa.string()),
        pa.field("service", pa.string()),
        pa.field("count", pa.int64(), nullable=False),
    ]
)

Cell = tuple[int, str | None, str | None]


class Counts:
    """Gathers the counts of a file's batches."""

    def __init__(self) -> None:
        self._cells: dict[Cell, int] | None = {}

    def add(self, batch: pa.RecordBatch) -> int:
        """Count the batch's events; return the bits of the levels it holds."""
        levels, level_numbers = _numbered(batch.column("level"))
        present = np.bincount(level_numbers, minlength=len(levels)) > 0
        bits = level_bits(level for level, there in zip(levels, present, strict=True) if there)
        if self._cells is None or batch.num_rows == 0:
            return bits
        services, service_numbers = _numbered(batch.column("service"))
        if sum(len(service) for service in services if service is not None) > SERVICE_BYTES_MAX:
            self._cells = None
            return bits
        minutes = batch.column("timestamp").cast(pa.int64()).to_numpy(zero_copy_only=False) // MINUTE_US
        minute_values, minute_numbers = _distinct(minutes)
        codes = (minute_numbers * len(levels) + level_numbers) * len(services) + service_numbers
        found, amounts = _amounts(codes, len(minute_values) * len(levels) * len(services))
        if len(found) > CELLS_MAX:
            self._cells = None
            return bits
        for code, amount in zip(found.tolist(), amounts.tolist(), strict=True):
            rest, service = divmod(code, len(services))
            minute, level = divmod(rest, len(levels))
            cell = (int(minute_values[minute]), levels[level], services[service])
            self._cells[cell] = self._cells.get(cell, 0) + amount
        if len(self._cells) > CELLS_MAX:
            self._cells = None
        return bits

    def pack(self) -> bytes:
        """An Arrow IPC stream of COUNTS_SCHEMA, compressed as a whole; empty when no counts are kept."""
        if self._cells is None:
            return b""
        rows = [
            {"minute_us": minute * MINUTE_US, "level": level, "service": service, "count": amount}
            for (minute, level, service), amount in self._cells.items()
        ]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, COUNTS_SCHEMA) as writer:
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=COUNTS_SCHEMA))
        raw = sink.getvalue().to_pybytes()
        return pack(raw) if len(raw) <= UNPACKED_BYTES_MAX else b""


def unpack_counts(packed: bytes, place: str) -> pa.Table | None:
    if not packed:
        return None
    try:
        table = pa.ipc.open_stream(unpack(packed, place)).read_all()
    except pa.ArrowException as error:
        raise DamagedIndex(f"{place}: is not an Arrow stream ({error})") from error
    if table.schema != COUNTS_SCHEMA:
        raise DamagedIndex(f"{place}: has the columns {table.schema.names}")
    return table


def _numbered(column: pa.Array) -> tuple[list[str | None], npt.NDArray[np.int64]]:
    """The distinct values, with null as one of them, and each row's number among them."""
    encoded = column.dictionary_encode(null_encoding="encode")
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _distinct(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The possible values in order, and each row's number among them; cheap when they lie close together."""
    low, high = int(values.min()), int(values.max())
    if high - low < CELLS_MAX:
        return np.arange(low, high + 1), values - low
    found, numbers = np.unique(values, return_inverse=True)
    return found, numbers.astype(np.int64)


def _amounts(codes: npt.NDArray[np.int64], codes_max: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if codes_max <= 1 << 20:
        amounts = np.bincount(codes, minlength=codes_max)
        found = np.flatnonzero(amounts)
        return found, amounts[found]
    return np.unique(codes, return_counts=True)
