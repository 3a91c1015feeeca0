"""What each step does to each event, for people who write a pipeline. An object an event: for samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from tailrace.model.batch import EVENT_SCHEMA, with_identity
from tailrace.query.leaves import COLUMN_FIELDS
from tailrace.steps.pipeline import Pipeline
from tailrace.steps.step import Route

Fields = Mapping[str, str]
"""An event's fields that are not null, attributes among them, as text."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one step did; `changed` has the text before and the one after. `stores` are those it is sent to alone."""

    step: str
    kind: str
    added: Fields = field(default_factory=dict)
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    removed: Fields = field(default_factory=dict)
    dropped: bool = False
    stores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traced:
    """One event; `after` is None when a step has dropped it. Steps that did nothing to it are not listed."""

    before: Fields
    changes: Sequence[Change]
    after: Fields | None


def trace(pipeline: Pipeline, events: pa.RecordBatch) -> list[Traced]:
    """The events (EVENT_SCHEMA) in their order. Drops are not counted as a pipeline at work counts them."""
    # The identity goes along with an event, and tells which one it was.
    batch = with_identity(events, 0, 0)
    before = _fields_by_row(batch)
    now = dict(before)
    changes: dict[int, list[Change]] = {row: [] for row in before}
    routed: set[int] = set()
    for step in pipeline.steps:
        if isinstance(step.work, Route):
            rows = batch.column("log_row").to_numpy()[step.chosen(batch)].tolist()
            for row in rows:
                if row not in routed:
                    stores = tuple(sorted(step.work.stores))
                    changes[row].append(Change(step.label, step.kind, stores=stores))
            routed.update(rows)
            continue
        batch = step.run(batch)
        after = _fields_by_row(batch)
        for row, fields in now.items():
            if row not in after:
                changes[row].append(Change(step.label, step.kind, dropped=True))
            elif after[row] != fields:
                changes[row].append(_difference(step.label, step.kind, fields, after[row]))
        now = after
    return [Traced(before[row], changes[row], now.get(row)) for row in before]


def _difference(step: str, kind: str, before: Fields, after: Fields) -> Change:
    return Change(
        step,
        kind,
        added={name: text for name, text in after.items() if name not in before},
        changed={
            name: (before[name], text) for name, text in after.items() if name in before and before[name] != text
        },
        removed={name: text for name, text in before.items() if name not in after},
    )


def _fields_by_row(batch: pa.RecordBatch) -> dict[int, Fields]:
    rows = batch.column("log_row").to_pylist()
    return dict(zip(rows, map(_fields, batch.select(EVENT_SCHEMA.names).to_pylist()), strict=True))


def _fields(event: dict[str, object]) -> Fields:
    fields: dict[str, str] = {}
    for name, value in event.items():
        if isinstance(value, datetime):
            fields[name] = value.isoformat().replace("+00:00", "Z")
        elif isinstance(value, list):
            for key, text in value:
                fields[f"attributes.{key}" if key in COLUMN_FIELDS else key] = text
        elif value is not None:
            fields[name] = str(value)
    return fields
