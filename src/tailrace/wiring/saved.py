"""Where what people save is kept."""

from __future__ import annotations

from tailrace.broker.kafka_url import saved_url
from tailrace.serve.places import Views
from tailrace.store.saved_ledger import SavedLedger
from tailrace.store.saved_views import SavedViews
from tailrace.wiring.log import is_shared, open_kafka
from tailrace.wiring.opening import Opening

# For ever, since a process that starts on an empty folder has them from here alone. People make these records, one
# at a time, so that years of them are some megabytes.
_FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1"}


def open_saved(opening: Opening) -> Views:
    """A file beside an embedded log, a topic beside that of a shared one. Raises `Stop`."""
    settings = opening.settings
    views = opening.opened(SavedViews(opening.data / "saved_views.db", clock=opening.clock))
    if not is_shared(settings.log):
        return views
    one_partition = settings.kafka.model_copy(update={"partitions": 1})
    topic = opening.opened(open_kafka(opening, saved_url(settings.log.url), one_partition, (), _FOR_EVER))
    return opening.opened(
        opening.patiently(
            "saved views", lambda: SavedLedger(topic, views, clock=opening.clock, metrics=opening.metrics)
        )
    )
