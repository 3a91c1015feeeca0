"""What is done to events between their decoder and the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Shaped:
    """Events for the named stores; None: for all."""

    events: pa.RecordBatch
    stores: frozenset[str] | None = None


class Shape(Protocol):
    """Pure, and shared between threads."""

    def apply(self, events: pa.RecordBatch) -> Sequence[Shaped]:
        """EVENT_SCHEMA or STORED_SCHEMA in, the same out. Events that are dropped are counted; none is made."""
        ...

    def redact_letters(self, letters: pa.RecordBatch) -> pa.RecordBatch:
        """Dead letters (DEAD_LETTER_SCHEMA) without what must not be stored, in their bytes and their reasons."""
        ...


class Unshaped:
    """Implements `Shape`: events go on as they are."""

    def apply(self, events: pa.RecordBatch) -> Sequence[Shaped]:
        return [Shaped(events)]

    def redact_letters(self, letters: pa.RecordBatch) -> pa.RecordBatch:
        return letters
