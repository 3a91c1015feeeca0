"""Pipelines from a few lines of TOML, and events from dictionaries, for the tests of all steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tailrace.config import IngestSettings
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.steps.pipeline import Pipeline, load_pipeline

LIMITS = IngestSettings()
ARRIVAL_US = 1_763_726_400_000_000
"""2025-11-21T12:00:00Z."""

Event = dict[str, Any]


class Dropped(dict[str, int]):
    """What a pipeline says it has dropped, by step."""

    def __call__(self, step: str, count: int) -> None:
        self[step] = self.get(step, 0) + count


def pipeline(
    folder: Path, toml: str, *, environment: Mapping[str, str] | None = None, dropped: Dropped | None = None
) -> Pipeline:
    file = folder / "pipeline.toml"
    file.write_text(toml)
    return load_pipeline(
        file,
        limits=LIMITS,
        environment=environment or {},
        stores=("lake", "jsonl"),
        dropped=Dropped() if dropped is None else dropped,
    )


def batch(events: Sequence[Event]) -> pa.RecordBatch:
    """STORED_SCHEMA. What an event lacks is absent; its time is the arrival's when it has none."""
    rows = [
        {
            "timestamp": ARRIVAL_US,
            "observed_timestamp": ARRIVAL_US,
            "message": "",
            **event,
            "attributes": list(event.get("attributes", {}).items()),
        }
        for event in events
    ]
    return with_identity(batch_of_rows(rows), 3, 7)


def events_of(shaped: pa.RecordBatch) -> list[Event]:
    """As `batch` takes them: without nulls and arrivals. Checks that the batch is a sound one."""
    shaped.validate(full=True)
    found = []
    for row in shaped.to_pylist():
        keys = [key for key, _ in row["attributes"]]
        assert len(set(keys)) == len(keys), keys
        event = {name: value for name, value in row.items() if value is not None and not name.startswith("log_")}
        event["attributes"] = dict(row["attributes"])
        del event["observed_timestamp"]
        event["timestamp"] = int(row["timestamp"].timestamp() * 1_000_000)
        if event["timestamp"] == ARRIVAL_US:
            del event["timestamp"]
        found.append(event)
    return found


def run(pipe: Pipeline, *events: Event) -> list[Event]:
    """The events that go on to all stores, or to any, in the order of `Pipeline.apply`."""
    return [event for shaped in pipe.apply(batch(events)) for event in events_of(shaped.events)]


def run_one(folder: Path, toml: str, event: Event) -> Event:
    (found,) = run(pipeline(folder, toml), event)
    return found
