"""Events between the log and a store: what was read and is not stored yet. Pure bookkeeping, no I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(slots=True)
class Pending:
    """Batches of STORED_SCHEMA, each of one partition, and the progress that they complete.

    `since_s` is the monotonic time at which the first was read; `quiet` says that the log had nothing more.
    """

    batches: list[tuple[int, pa.RecordBatch]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    through: dict[int, int] = field(default_factory=dict)
    since_s: float = 0.0
    quiet: bool = False

    def add(self, partition: int, batch: pa.RecordBatch | None, through: int, now_s: float) -> None:
        """`through` is the next offset of the partition after this record, which may hold no event."""
        if not self.through:
            self.since_s = now_s
        self.through[partition] = through
        self.quiet = False
        if batch is not None and batch.num_rows:
            self.batches.append((partition, batch))
            self.rows += batch.num_rows
            self.bytes += batch.nbytes

    def without(self, partitions: Collection[int]) -> Pending:
        """The same but for these partitions."""
        kept = [(partition, batch) for partition, batch in self.batches if partition not in partitions]
        return Pending(
            kept,
            sum(batch.num_rows for _, batch in kept),
            sum(batch.nbytes for _, batch in kept),
            {partition: offset for partition, offset in self.through.items() if partition not in partitions},
            self.since_s,
            self.quiet,
        )
