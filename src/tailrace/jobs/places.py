"""The places of a job, opened from the settings, on the driver and on the executors alike."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.kafka_url import letters_url
from tailrace.config import Settings
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.lake.place import Place, open_place


@contextlib.contextmanager
def lake_place(lake_url: str, settings: Settings) -> Iterator[Place]:
    """The lake's place, with a cache of its own that goes when it is left: an executor reads a file once."""
    with (
        tempfile.TemporaryDirectory(prefix="tailrace-lake-") as cache,
        contextlib.closing(
            open_place(
                lake_url,
                storage_options=settings.lake.storage_options,
                cache=Path(cache),
                cache_bytes_max=settings.lake.cache_bytes_max,
            )
        ) as place,
    ):
        yield place


def has_table(place: Place) -> bool:
    """Whether a lake is there already. Raises `RetryLater` while the place is away, `Stop` when it refuses."""
    try:
        return DeltaTable.is_deltatable(place.table_uri, place.storage_options)
    except (OSError, DeltaError) as error:
        raise place.refusal(error) from error


def open_letters_log(settings: Settings) -> KafkaLog:
    """The topic of the dead letters. Raises `RetryLater` while Kafka is away."""
    return KafkaLog(
        letters_url(settings.log.url),
        kafka=settings.kafka.model_copy(update={"partitions": 1}),
        log=settings.log,
        groups=(),
        clock=system_clock_us,
        metrics=Metrics(),
    )
