"""What the operations of every replica have in common, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NAME = "operation"
"""Header of a record: which operation it is."""

MEET = "meet"


@dataclass(frozen=True, slots=True)
class Meet:
    """Changes nothing; whoever appended it knows, on reading it, that everything before it is here."""

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        return {NAME: MEET}, b""

    def apply(self, changes: object) -> None:
        pass


def name_of(content_type: str, headers: Mapping[str, str], *, own_type: str, known: tuple[str, ...]) -> str:
    """Raises `ValueError` when the record is no operation of that type, or none of those that are known."""
    name = headers.get(NAME)
    if content_type != own_type or name is None or name not in (*known, MEET):
        raise ValueError(f"a record of content type {content_type!r} and operation {name!r}")
    return name
