"""The operations of the ledger, as bytes: pure, apart from the log and from the file they change.

An operation is a record of content type OPERATION. Its header `operation` names it; its payload is an Arrow IPC
stream with the columns below, none of them null, or nothing.

    add     DEAD_LETTER_SCHEMA and the identity, one row a letter
    claim   key, log_partition, log_offset, one row a claim, in order; header `at-us`: when it was asked
    drop    log_partition, log_offset, log_row, store: one row
    meet    no payload: changes nothing; whoever appended it knows, on reading it, that everything before it is here
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tailrace.model.batch import IDENTITY, STORED_SCHEMA, decode_batch, encode_batch
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA
from tailrace.store.dead_letters import Changes, Identity
from tailrace.store.operation import MEET, NAME, Meet, name_of

OPERATION = "application/vnd.tailrace.operation.arrow.stream"

_AT = "at-us"
_IDENTITY = pa.schema([STORED_SCHEMA.field(name) for name in IDENTITY])
_ADD = pa.schema([*DEAD_LETTER_SCHEMA, *_IDENTITY])
_CLAIM = pa.schema([pa.field("key", pa.string(), nullable=False), *list(_IDENTITY)[:2]])
_DROP = pa.schema([*_IDENTITY, pa.field("store", pa.string(), nullable=False)])
_TIME = re.compile(r"\d{1,16}")


@dataclass(frozen=True, slots=True)
class Add:
    letters: pa.RecordBatch
    identities: Sequence[tuple[int, int, int]]

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        identity = _arrays(self.identities, _IDENTITY)
        batch = pa.RecordBatch.from_arrays([*self.letters.columns, *identity], schema=_ADD)
        return {NAME: "add"}, encode_batch(batch)

    def apply(self, changes: Changes) -> None:
        changes.add(self.letters, self.identities)


@dataclass(frozen=True, slots=True)
class Claim:
    claims: Sequence[tuple[str, int, int]]
    at_us: int

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        batch = pa.RecordBatch.from_arrays(_arrays(self.claims, _CLAIM), schema=_CLAIM)
        return {NAME: "claim", _AT: str(self.at_us)}, encode_batch(batch)

    def apply(self, changes: Changes) -> None:
        changes.claim(self.claims, now_us=self.at_us)


@dataclass(frozen=True, slots=True)
class Drop:
    identity: Identity

    def encode(self) -> tuple[Mapping[str, str], bytes]:
        batch = pa.RecordBatch.from_arrays(_arrays([self.identity], _DROP), schema=_DROP)
        return {NAME: "drop"}, encode_batch(batch)

    def apply(self, changes: Changes) -> None:
        changes.drop(self.identity)


Operation = Add | Claim | Drop | Meet


def decode_operation(content_type: str, headers: Mapping[str, str], payload: bytes) -> Operation:
    """Raises `ValueError` with the reason when this is no operation."""
    name = name_of(content_type, headers, own_type=OPERATION, known=("add", "claim", "drop"))
    if name == MEET:
        return Meet()
    schema = {"add": _ADD, "claim": _CLAIM, "drop": _DROP}[name]
    try:
        batch = decode_batch(payload)
        batch.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"the payload of {name!r} cannot be read: {error}") from error
    if not batch.schema.equals(schema) or any(column.null_count for column in batch.columns):
        raise ValueError(f"the columns of {name!r} are not those of the format")
    columns = [column.to_pylist() for column in batch.columns]
    if name == "add":
        identities = list(zip(*columns[-3:], strict=True))
        return Add(batch.select(DEAD_LETTER_SCHEMA.names), identities)
    if name == "claim":
        at_us = headers.get(_AT, "")
        if not _TIME.fullmatch(at_us):
            raise ValueError(f"the time {at_us!r} of a claim is no number of microseconds")
        return Claim(list(zip(*columns, strict=True)), int(at_us))
    if batch.num_rows != 1:
        raise ValueError(f"{batch.num_rows} letters to drop at once")
    return Drop(Identity(*(column[0] for column in columns)))


def _arrays(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> list[pa.Array]:
    return [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
