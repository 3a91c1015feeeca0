"""Retention: what is deleted by age, by service and by size.

An index goes whole when all its events may go, judged by the end of its day: never before their time. Where some
services have an age of their own, the events that go are deleted one by one, which takes the server far longer. Past
`bytes_max` the oldest indices go whole; the newest one stays, for it is being written to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tailrace.config import RetentionSettings
from tailrace.store.elasticsearch.documents import DAY_US
from tailrace.store.elasticsearch.indices import DailyIndex, drop_index, list_indices
from tailrace.store.elasticsearch.server import Server

log = logging.getLogger(__name__)

# Documents deleted by one request: done well within its time limit.
_DELETED_AT_ONCE = 20_000

Query = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which events of an index go: those of the services in `services`, or of all but those when `others`."""

    services: frozenset[str]
    others: bool

    def spares_all(self) -> bool:
        return not self.others and not self.services

    def spares_none(self) -> bool:
        return self.others and not self.services

    def query(self) -> Query:
        """The events that go; one without a service is one of the others."""
        listed = {"terms": {"service": sorted(self.services)}}
        return {"bool": {"must_not": [listed]}} if self.others else listed


def verdict(day: int, settings: RetentionSettings, *, now_us: int) -> Verdict:
    """What the ages say of the index of a day. Pure."""
    last_us = (day + 1) * DAY_US

    def is_over(age_s: float | None) -> bool:
        return age_s is not None and last_us <= now_us - round(age_s * 1_000_000)

    over = frozenset(service for service, age_s in settings.services.items() if is_over(age_s))
    if is_over(settings.age_s):
        return Verdict(frozenset(settings.services) - over, others=True)
    return Verdict(over, others=False)


def retain(
    server: Server, settings: RetentionSettings, *, now_us: int, is_stopping: Callable[[], bool] = lambda: False
) -> int:
    """Delete what the settings do not keep; returns how many documents. Ends early when `is_stopping` says so.

    Raises `RetryLater`.
    """
    deleted = 0
    kept: list[DailyIndex] = []
    for index in list_indices(server):
        if is_stopping():
            return deleted
        judged = verdict(index.day, settings, now_us=now_us)
        if judged.spares_none():
            deleted += _drop(server, index, "all its events are past their age")
            continue
        kept.append(index)
        if not judged.spares_all():
            deleted += _delete(server, index, judged.query(), is_stopping)
    return deleted + _drop_beyond(server, kept, settings.bytes_max)


def _delete(server: Server, index: DailyIndex, query: Query, is_stopping: Callable[[], bool]) -> int:
    deleted = 0
    while not is_stopping():
        answer = server.request(
            "POST",
            f"/{index.name}/_delete_by_query",
            {"query": query, "max_docs": _DELETED_AT_ONCE},
            # Ignored are an index that was dropped meanwhile, and documents that another worker has just deleted.
            parameters={"conflicts": "proceed", "refresh": "true", "ignore_unavailable": "true"},
        )
        if not answer["deleted"]:
            break
        deleted += answer["deleted"]
    if deleted:
        log.info("%s: %d of its events deleted: they are past the age of their service", index.name, deleted)
    return deleted


def _drop_beyond(server: Server, indices: list[DailyIndex], bytes_max: int | None) -> int:
    """Drop the oldest until the rest fits; returns how many documents."""
    if bytes_max is None:
        return 0
    deleted = 0
    excess = sum(index.bytes for index in indices) - bytes_max
    for index in indices[:-1]:
        if excess <= 0:
            break
        deleted += _drop(server, index, "the indices are larger than retention.bytes_max")
        excess -= index.bytes
    return deleted


def _drop(server: Server, index: DailyIndex, why: str) -> int:
    drop_index(server, index.name)
    log.info("%s: dropped with its %d events: %s", index.name, index.documents, why)
    return index.documents
