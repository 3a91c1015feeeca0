"""What is deleted, and when."""

from __future__ import annotations

from typing import Any

import pytest

from tailrace.config import RetentionSettings
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.store.elasticsearch.documents import DAY_US
from tailrace.store.elasticsearch.indices import index_figures, list_indices
from tailrace.store.elasticsearch.maintenance import ElasticsearchMaintenance
from tailrace.store.elasticsearch.retention import Verdict, retain, verdict
from tailrace.store.elasticsearch.server import Server
from tests.store.elasticsearch.conftest import Rig
from tests.store.elasticsearch.rig import documents_of

DAY_S = 86_400
ALL = Verdict(frozenset(), others=True)
NONE = Verdict(frozenset(), others=False)


@pytest.mark.parametrize(
    ("settings", "now_us", "expected"),
    [
        (RetentionSettings(), 10**17, NONE),
        (RetentionSettings(age_s=DAY_S), 12 * DAY_US - 1, NONE),
        (RetentionSettings(age_s=DAY_S), 12 * DAY_US, ALL),
        (
            RetentionSettings(age_s=DAY_S, services={"a": 2 * DAY_S}),
            12 * DAY_US,
            Verdict(frozenset("a"), others=True),
        ),
        (RetentionSettings(age_s=DAY_S, services={"a": 2 * DAY_S}), 13 * DAY_US, ALL),
        (RetentionSettings(age_s=DAY_S, services={"a": 60}), 12 * DAY_US - 1, Verdict(frozenset("a"), others=False)),
        (RetentionSettings(services={"a": 60, "b": 2 * DAY_S}), 12 * DAY_US, Verdict(frozenset("a"), others=False)),
    ],
)
def test_a_day_is_judged_by_its_end(settings: RetentionSettings, now_us: int, expected: Verdict) -> None:
    """Day 10: never before the last of its events may go, and each service by its own age."""
    assert verdict(10, settings, now_us=now_us) == expected


FIRST_DAY = 20_000
SERVICES = ("audit", "debug", None, "web")


def fill(rig: Rig, days: int) -> Server:
    """One event of each service on each of these days; the identity's offset is the day."""
    store = rig.open()
    for day in range(days):
        at_us = (FIRST_DAY + day) * DAY_US
        rows = [
            {"timestamp": at_us, "observed_timestamp": at_us, "message": "", "service": name} for name in SERVICES
        ]
        store.write([with_identity(batch_of_rows(rows), 0, day)], {0: day + 1})
    return Server(rig.url)


def left(rig: Rig) -> dict[int, set[Any]]:
    """The services that still have events, by day."""
    found: dict[int, set[Any]] = {}
    for id, document in documents_of(rig.url):
        found.setdefault(int(id.split("-")[1]), set()).add(document.get("service"))
    return found


def test_whole_indices_go_by_age(rig: Rig) -> None:
    """By the day of arrival; others of a similar name stay, and nothing more goes the second time."""
    server = fill(rig, 4)
    for name in (f"{server.name}-2001.01.01-mine", f"{server.name}-app-default", f"other-{server.name}-2001.01.01"):
        server.create_index(name)
    settings = RetentionSettings(age_s=DAY_S)
    now_us = (FIRST_DAY + 3) * DAY_US
    assert retain(server, settings, now_us=now_us) == 8
    assert left(rig) == {2: set(SERVICES), 3: set(SERVICES)}
    assert retain(server, settings, now_us=now_us) == 0
    all_names = server.request("GET", f"/_cat/indices/*{server.name}*", parameters={"format": "json"})
    assert {row["index"] for row in all_names} == {
        *(index.name for index in list_indices(server)),
        f"{server.name}-2001.01.01-mine",
        f"{server.name}-app-default",
        f"other-{server.name}-2001.01.01",
        f"tailrace-{server.name}-progress",
    }
    server.close()


def test_services_have_ages_of_their_own(rig: Rig) -> None:
    """Longer or shorter than the others'; an event without a service is one of the others."""
    server = fill(rig, 4)
    settings = RetentionSettings(age_s=2 * DAY_S, services={"audit": 3 * DAY_S, "debug": DAY_S})
    assert retain(server, settings, now_us=(FIRST_DAY + 4) * DAY_US) == 8
    assert left(rig) == {1: {"audit"}, 2: {"audit", None, "web"}, 3: set(SERVICES)}
    server.close()


def test_the_oldest_go_past_the_size(rig: Rig) -> None:
    """Until the rest fits; the newest index stays whatever its size."""
    server = fill(rig, 3)
    size = int(index_figures(server)["bytes"])
    assert retain(server, RetentionSettings(bytes_max=size), now_us=0) == 0
    assert retain(server, RetentionSettings(bytes_max=size - 1), now_us=0) == 4
    assert set(left(rig)) == {1, 2}
    assert retain(server, RetentionSettings(bytes_max=1), now_us=0) == 4
    assert set(left(rig)) == {2}
    server.close()


def test_the_upkeep_applies_retention(rig: Rig) -> None:
    """By its own clock; a server that is away is no error, and stopping works before anything was due."""
    fill(rig, 2).close()
    settings = RetentionSettings(age_s=DAY_S)
    upkeep = ElasticsearchMaintenance(rig.url, settings=settings, clock=lambda: (FIRST_DAY + 2) * DAY_US)
    upkeep.start()
    upkeep.run_once()
    upkeep.stop()
    assert set(left(rig)) == {1}
    away = ElasticsearchMaintenance("elasticsearch://127.0.0.1:1", settings=settings, clock=lambda: 0)
    away.run_once()
