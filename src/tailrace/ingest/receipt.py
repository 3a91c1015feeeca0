"""What the gateway answers."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.ingest.decoded import Rejected


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done with a body. Everything counted here is durable, the rejected lines as dead letters."""

    accepted: int
    rejected: list[Rejected]
