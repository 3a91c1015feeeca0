"""A member of a group that says where it wants to read on, and remembers what it was told."""

from __future__ import annotations

from collections.abc import Collection, Mapping


class ReadFrom:
    """Implements `broker.port.Assignments`."""

    def __init__(self, offsets: Mapping[int, int] | None = None) -> None:
        self.offsets = dict(offsets or {})
        self.committed: dict[int, int] = {}
        self.given_back: list[tuple[set[int], bool]] = []

    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        self.committed.update(committed)
        return {partition: offset for partition, offset in self.offsets.items() if partition in committed}

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        self.given_back.append((set(partitions), lost))
