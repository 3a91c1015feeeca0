"""The pipeline that the settings name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tailrace.config import Settings
from tailrace.ops.metrics import Metrics
from tailrace.wiring.stores import targets

if TYPE_CHECKING:
    from tailrace.steps.pipeline import Pipeline


def open_pipeline(settings: Settings, metrics: Metrics) -> Pipeline | None:
    """None: events stay as they are sent. Raises `Stop` with every place of the file that is wrong."""
    if settings.pipeline is None:
        return None
    # Imported here: a server without a pipeline starts without the time that its settings' models take.
    from tailrace.steps.pipeline import load_pipeline

    def dropped(step: str, count: int) -> None:
        metrics.pipeline_events_dropped.labels(step).inc(count)

    return load_pipeline(
        settings.pipeline,
        limits=settings.ingest,
        environment=os.environ,
        stores=[target.kind for target in targets(settings)],
        dropped=dropped,
    )
