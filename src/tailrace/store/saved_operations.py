"""The operations on saved views, as bytes: pure, apart from the log and from the file they change.

An operation is a record of content type OPERATION. Its header `operation` names it; its payload is a JSON object with
the members below, or nothing. Times are microseconds since 1970.

    create   id, name, kind, state (an object), at_us
    change   the same
    remove   id
    meet     no payload: changes nothing; whoever appended it knows, on reading it, that everything before it is here
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.store.operation import MEET, NAME, Meet, name_of
from tailrace.store.saved_views import Changes, Content, SavedView

OPERATION = "application/vnd.tailrace.saved-view+json"

_TYPES: Mapping[str, type] = {"id": str, "name": str, "kind": str, "state": dict, "at_us": int}


@dataclass(frozen=True, slots=True)
class Create:
    id: str
    content: Content
    at_us: int

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        return {NAME: "create"}, _whole(self.id, self.content, self.at_us)

    def apply(self, changes: Changes) -> None:
        changes.put(SavedView(self.id, self.content, self.at_us, self.at_us))


@dataclass(frozen=True, slots=True)
class Change:
    id: str
    content: Content
    at_us: int

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        return {NAME: "change"}, _whole(self.id, self.content, self.at_us)

    def apply(self, changes: Changes) -> None:
        changes.change(self.id, self.content, at_us=self.at_us)


@dataclass(frozen=True, slots=True)
class Remove:
    id: str

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        return {NAME: "remove"}, orjson.dumps({"id": self.id})

    def apply(self, changes: Changes) -> None:
        changes.remove(self.id)


Operation = Create | Change | Remove | Meet


def decode_operation(content_type: str, headers: Mapping[str, str], payload: bytes) -> Operation:
    """Raises `ValueError` with the reason when this is no operation."""
    name = name_of(content_type, headers, own_type=OPERATION, known=("create", "change", "remove"))
    if name == MEET:
        return Meet()
    members = ("id",) if name == "remove" else tuple(_TYPES)
    told: Any = orjson.loads(payload)
    if not isinstance(told, dict) or any(not isinstance(told.get(member), _TYPES[member]) for member in members):
        raise ValueError(f"the members of {name!r} are not those of the format")
    if name == "remove":
        return Remove(told["id"])
    content = Content(told["name"], told["kind"], orjson.dumps(told["state"]).decode())
    return (Create if name == "create" else Change)(told["id"], content, told["at_us"])


def _whole(id: str, content: Content, at_us: int) -> bytes:
    state = orjson.Fragment(content.state)
    return orjson.dumps({"id": id, "name": content.name, "kind": content.kind, "state": state, "at_us": at_us})
