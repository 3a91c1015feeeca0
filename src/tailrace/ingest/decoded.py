"""What every decoder returns: the good events as one batch, the bad ones with their place and reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from tailrace.config import IngestSettings


@dataclass(frozen=True, slots=True)
class Rejected:
    """An input line that is not an event. `line` is 1-based; in an array it is the element's number."""

    line: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """`events` has EVENT_SCHEMA, rows in the order of the input."""

    events: pa.RecordBatch
    rejected: list[Rejected] = field(default_factory=list)


class Decode(Protocol):
    """One format: the bytes of a body to its events.

    Raises `BadInput`, and nothing else, when the body as a whole is wrong.
    """

    def __call__(self, body: bytes, /, *, limits: IngestSettings, now_us: int) -> Decoded: ...
