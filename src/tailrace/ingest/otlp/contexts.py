"""The resources and scopes of an OTLP request: what its records have in common, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tailrace.config import MIB, IngestSettings
from tailrace.errors import BadInput, TooLarge
from tailrace.ingest.otlp.events import Context, LogRecord
from tailrace.kernels.otlp.read import Blocks

EXPANDED_BYTES_MAX = 512 * MIB
"""What all copies of resources and scopes may take, and all rows: two bytes may be a record, and each has the
attributes of its resource, so that a body of a megabyte could else become a terabyte."""

CONTEXTS_MAX = 100_000
"""Different scopes of different resources in one request. Each takes some hundred bytes as Python objects, and twenty
in a body."""

# As Python objects they take ten times as much as in their array.
_GROUPS_AT_ONCE = 4096


class Form(Protocol):
    """What the two encodings differ in; the modules `wire` and `documents` implement it.

    All that read raise `BadInput`, past a limit too.
    """

    def read_resource(self, raw: bytes, /, *, limits: IngestSettings) -> Context: ...

    def read_scope(self, raw: bytes, resource: Context, /, *, limits: IngestSettings) -> Context:
        """With all that the resource gives its records."""
        ...

    def read_record(self, raw: bytes, /, *, limits: IngestSettings) -> LogRecord: ...

    def request_of(self, resource: bytes, scopes: Sequence[tuple[bytes, Sequence[bytes]]], /) -> bytes:
        """A request of one resource: its scopes, each with its records. Requests behind one another are one."""
        ...


@dataclass(frozen=True, slots=True)
class _Resource:
    """`fault`: why no record of it can be an event."""

    raw: bytes
    context: Context
    fault: str | None


class Contexts:
    """Numbered in the order they come; of equal ones there is one."""

    def __init__(self, body: bytes, form: Form, limits: IngestSettings) -> None:
        self._body = body
        self._form = form
        self._limits = limits
        self._resources: list[_Resource] = []
        # Of each context, from here on.
        self._resource_of: list[int] = []
        self._scopes: list[bytes] = []
        self._faults: list[str | None] = []
        self._fields: list[int] = []
        self.services: list[str | None] = []
        self.hosts: list[str | None] = []
        self.column_bytes: list[int] = []
        """What service and host take in each row."""
        self._first = [0]
        self._keys = bytearray()
        self._values = bytearray()
        self._key_offsets = [0]
        self._value_offsets = [0]

    def collect(self, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Read the context of each group, which has a record at least; returns their numbers.

        Raises `TooLarge` when there are more than CONTEXTS_MAX, or their attributes alone are too much.
        """
        resources: dict[bytes, int] = {}
        contexts: dict[tuple[int, bytes], int] = {}
        places = np.empty(len(groups), np.int64)
        # All scopes of one resource point to the same bytes, which may be many: they are copied and compared once.
        span, resource = (-1, -1), -1
        for first in range(0, len(groups), _GROUPS_AT_ONCE):
            some = groups[first : first + _GROUPS_AT_ONCE].tolist()
            for i, (start, end, scope_start, scope_end) in enumerate(some, first):
                if (start, end) != span:
                    span = start, end
                    raw = self._body[start:end]
                    resource = resources.setdefault(raw, len(resources))
                    if resource == len(self._resources):
                        self._add_resource(raw)
                scope = self._body[scope_start:scope_end]
                place = contexts.setdefault((resource, scope), len(contexts))
                if place == len(self._scopes):
                    self._add(resource, scope)
                places[i] = place
        return places

    def blocks(self) -> Blocks:
        return Blocks(
            np.array([fault is not None for fault in self._faults], np.bool_),
            np.array(self._first, np.int64),
            np.array(self._fields, np.int64),
            np.frombuffer(bytes(self._keys), np.uint8),
            np.frombuffer(bytes(self._values), np.uint8),
            np.array(self._key_offsets, np.int64),
            np.array(self._value_offsets, np.int64),
        )

    def context(self, place: int) -> Context:
        """Raises `BadInput` when no record of it can be an event."""
        fault = self._faults[place]
        if fault is not None:
            raise BadInput(fault)
        resource = self._resources[self._resource_of[place]].context
        return self._form.read_scope(self._scopes[place], resource, limits=self._limits)

    def resource_of(self, place: int) -> bytes:
        """The resource as it was sent."""
        return self._resources[self._resource_of[place]].raw

    def scope_of(self, place: int) -> bytes:
        """The scope as it was sent."""
        return self._scopes[place]

    def _add_resource(self, raw: bytes) -> None:
        try:
            found = _Resource(raw, self._form.read_resource(raw, limits=self._limits), None)
        except BadInput as error:
            found = _Resource(raw, Context(), _fault(error))
        self._resources.append(found)

    def _add(self, resource: int, scope: bytes) -> None:
        found = self._resources[resource]
        context, fault = Context(), found.fault
        if fault is None:
            try:
                context = self._form.read_scope(scope, found.context, limits=self._limits)
            except BadInput as error:
                fault = _fault(error)
        self._resource_of.append(resource)
        self._scopes.append(scope)
        self._faults.append(fault)
        self._fields.append(context.fields)
        self.services.append(context.service)
        self.hosts.append(context.host)
        self.column_bytes.append(len((context.service or "").encode()) + len((context.host or "").encode()))
        for key, value in context.attributes.items():
            self._keys += key.encode()
            self._values += value.encode()
            self._key_offsets.append(len(self._keys))
            self._value_offsets.append(len(self._values))
        self._first.append(len(self._key_offsets) - 1)
        if len(self._scopes) > CONTEXTS_MAX:
            raise TooLarge(f"more than {CONTEXTS_MAX:,} resources and scopes in one request; send them in several")
        check_expanded(len(self._keys) + len(self._values))


def check_expanded(size_bytes: int) -> None:
    if size_bytes > EXPANDED_BYTES_MAX:
        raise TooLarge(
            f"the records with the attributes of their resources take more than {EXPANDED_BYTES_MAX:,} bytes; "
            "send them in several requests"
        )


def _fault(error: BadInput) -> str:
    return f"its resource or scope: {error}"
