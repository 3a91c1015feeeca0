"""What every store promises (`store.port.Store`), run on each adapter."""

from __future__ import annotations

import base64
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import orjson
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deploy.local.search_node import SearchNode

from tailrace.config import ElasticsearchSettings, JsonlSettings, QuerySettings
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.elasticsearch.store import ElasticsearchStore
from tailrace.store.jsonl import JsonlStore
from tailrace.store.lake.lake import Lake
from tailrace.store.port import Store
from tests.store.elasticsearch.rig import Letters, documents_of
from tests.store.elasticsearch.search_rig import SERVERS
from tests.store.lake_places import EVERYWHERE, Where, new_lake

Identity = tuple[int, int, int]


def read_jsonl(folder: Path) -> list[tuple[Identity, str]]:
    """Identity and message of every line of every file."""
    lines = [orjson.loads(line) for path in folder.glob("logs*.txt") for line in path.read_bytes().splitlines()]
    return [(identity_of(line["id"]), line["message"]) for line in lines]


def identity_of(text: str) -> Identity:
    partition, offset, row = text.split("-")
    return int(partition), int(offset), int(row)


@dataclass(frozen=True)
class Jsonl:
    """Rotates at nearly every write, so that kills fall into rotations too."""

    folder: Path
    kills: int = 12
    kill_within_s: float = 0.2
    is_whole: ClassVar[bool] = True

    def open(self) -> Store:
        settings = JsonlSettings(rotate_bytes=1_000, keep_files=1000)
        return JsonlStore(self.folder, settings=settings, clock=system_clock_us)

    def read(self) -> list[tuple[Identity, str]]:
        return read_jsonl(self.folder)


@dataclass(frozen=True)
class LakeSomewhere:
    """In a folder, on S3, on HDFS; `kill_within_s` is some writes long."""

    where: Where
    kills: int
    kill_within_s: float
    is_whole: ClassVar[bool] = True

    def open(self) -> Store:
        place = self.where.open()
        return Lake(place, engine=Duck(QuerySettings()), clock=system_clock_us, metrics=Metrics())

    def read(self) -> list[tuple[Identity, str]]:
        """As any reader of Delta tables sees it."""
        url, options = self.where.url, self.where.storage_options
        if not DeltaTable.is_deltatable(url, options):
            return []
        identity = ("log_partition", "log_offset", "log_row")
        table = DeltaTable(url, storage_options=options).to_pyarrow_table(columns=[*identity, "message"])
        return [(tuple(row[name] for name in identity), row["message"]) for row in table.to_pylist()]


@dataclass(frozen=True)
class SearchServer:
    """On a real Elasticsearch or OpenSearch, in indices of its own. Progress follows the events, one by one."""

    url: str
    kills: int
    kill_within_s: float = 2.0
    is_whole: ClassVar[bool] = False

    def open(self) -> Store:
        return ElasticsearchStore(
            self.url,
            settings=ElasticsearchSettings(),
            clock=system_clock_us,
            metrics=Metrics(),
            dead_letters=Letters(),
        )

    def read(self) -> list[tuple[Identity, str]]:
        return [(identity_of(key), document["message"]) for key, document in documents_of(self.url)]


Adapter = Jsonl | LakeSomewhere | SearchServer


KILLS = {"elasticsearch": 5, "opensearch": 5}
"""Where that takes seconds each."""


def new_store(name: str, request: pytest.FixtureRequest, folder: Path) -> Adapter:
    """An adapter at a place where nothing is yet."""
    if name == "jsonl":
        return Jsonl(folder)
    if name in KILLS:
        server: SearchNode = request.getfixturevalue(name)
        return SearchServer(server.store_url(f"c{uuid4().hex[:12]}"), KILLS[name])
    kills, kill_within_s = {"local": (12, 0.2), "s3": (6, 0.4), "hdfs": (3, 4.0)}[name]
    return LakeSomewhere(new_lake(name, request, folder), kills, kill_within_s)


class Place:
    """One adapter at one place: opened again and again, and read from outside."""

    def __init__(self, name: str, request: pytest.FixtureRequest, folder: Path) -> None:
        self.name, self.folder, self._request = name, folder, request
        self.adapter = new_store(name, request, folder / "place")
        self.opened: list[Store] = []

    def open(self) -> Store:
        self.opened.append(self.adapter.open())
        return self.opened[-1]

    def held(self) -> dict[Identity, str]:
        rows = self.adapter.read()
        assert len(dict(rows)) == len(rows), "an event is there twice"
        return dict(rows)

    def as_arguments(self) -> list[str]:
        """For another process: this place, and one where it can warm up."""
        warm = new_store(self.name, self._request, self.folder / "warm")
        return [base64.b64encode(pickle.dumps(adapter)).decode() for adapter in (self.adapter, warm)]


@pytest.fixture(params=["jsonl", *EVERYWHERE, *SERVERS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = Place(request.param, request, tmp_path)
    yield place
    for store in place.opened:
        store.close()


def batch(partition: int, offset: int, rows: int = 3) -> pa.RecordBatch:
    """The events of one log record; the message names the identity."""
    events = [
        {
            "timestamp": 1_700_000_000_000_000 + offset,
            "observed_timestamp": 1_700_000_000_000_000,
            "message": f"event {partition} {offset} {row}",
        }
        for row in range(rows)
    ]
    return with_identity(batch_of_rows(events), partition, offset)


def events_of(*records: tuple[int, int]) -> dict[Identity, str]:
    return {(p, o, row): f"event {p} {o} {row}" for p, o in records for row in range(3)}


def test_a_new_store_has_reached_nothing(place: Place) -> None:
    """No progress, no events."""
    assert place.open().reached() == {}
    assert place.held() == {}


def test_events_and_progress_outlive_the_store_object(place: Place) -> None:
    """What was written is there when the store is opened again, and so is how far it came."""
    store = place.open()
    store.write([batch(0, 0), batch(0, 1), batch(1, 5)], {0: 2, 1: 6})
    assert store.reached() == {0: 2, 1: 6}
    store.close()
    assert place.open().reached() == {0: 2, 1: 6}
    assert place.held() == events_of((0, 0), (0, 1), (1, 5))


def test_a_replay_changes_nothing(place: Place) -> None:
    """The same write again, in the same and in a new store object, leaves each event once."""
    store = place.open()
    for _ in range(2):
        store.write([batch(0, 0), batch(0, 1)], {0: 2})
    store.close()
    place.open().write([batch(0, 0), batch(0, 1)], {0: 2})
    assert place.held() == events_of((0, 0), (0, 1))


def test_an_overlapping_replay_adds_only_what_is_new(place: Place) -> None:
    """A write that begins below the reached offset, in one batch or several, keeps what is above it."""
    store = place.open()
    store.write([batch(0, 0), batch(0, 1)], {0: 2})
    joined = pa.concat_batches([batch(0, 1), batch(0, 2)])
    store.write([batch(0, 0), joined, batch(1, 0), batch(0, 3)], {0: 4, 1: 1})
    assert place.held() == events_of((0, 0), (0, 1), (0, 2), (0, 3), (1, 0))
    assert store.reached() == {0: 4, 1: 1}


def test_one_partition_does_not_hold_back_another(place: Place) -> None:
    """Progress is kept for each partition by itself."""
    store = place.open()
    store.write([batch(0, 100)], {0: 101})
    store.write([batch(1, 0)], {1: 1})
    assert place.held() == events_of((0, 100), (1, 0))
    assert store.reached() == {0: 101, 1: 1}


def test_records_without_events_count_as_progress(place: Place) -> None:
    """`through` moves on even when there is nothing to write."""
    store = place.open()
    store.write([], {0: 7})
    assert store.reached() == {0: 7}
    store.close()
    assert place.open().reached() == {0: 7}


def test_progress_never_goes_back(place: Place) -> None:
    """A late replay with a lower `through` leaves it where it is."""
    store = place.open()
    store.write([batch(0, 5)], {0: 6})
    store.write([batch(0, 2)], {0: 3})
    assert store.reached() == {0: 6}
    assert place.held() == events_of((0, 5))


_WRITER = """
import base64, pickle, sys
from tests.contracts.test_store import batch
place, warm = (pickle.loads(base64.b64decode(argument)) for argument in sys.argv[1:])
# Once elsewhere, so that what is loaded or compiled at first use does not take up the time before the kill.
warm.open().write([batch(0, 0)], {0: 1})
store = place.open()
offset = store.reached().get(0, 0)
print("open", flush=True)
while True:
    # It begins one record too early, as a replay does.
    first = max(0, offset - 1)
    store.write([batch(0, o) for o in range(first, offset + 4)], {0: offset + 4})
    offset += 4
    print(offset, flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_any_instant_leaves_each_event_once(place: Place) -> None:
    """After every kill the store holds the events below its progress, which is not below what it told.

    A store whose writes are whole holds no other; one whose are not, some of the write that was cut off, each once,
    and the next writer completes it.
    """
    root = Path(__file__).parents[2]
    for seed in range(place.adapter.kills):
        command = [sys.executable, "-c", _WRITER, *place.as_arguments()]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(random.Random(seed).uniform(0, place.adapter.kill_within_s))
        child.send_signal(signal.SIGKILL)
        told = [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        child.wait()
        child.stdout.close()
        store = place.open()
        reached = store.reached().get(0, 0)
        store.close()
        assert reached >= (int(told[-1]) if told else 0)
        held = place.held()
        assert events_of(*((0, offset) for offset in range(reached))).items() <= held.items()
        ahead = 0 if place.adapter.is_whole else 4
        assert held.items() <= events_of(*((0, offset) for offset in range(reached + ahead))).items()
    assert reached > 0, "the kills came before there was anything to lose"
