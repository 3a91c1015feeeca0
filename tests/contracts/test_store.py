"""What every store promises (`store.port.Store`), run on each adapter."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tailrace.config import JsonlSettings, QuerySettings
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.duck import Duck
from tailrace.store.jsonl import JsonlStore
from tailrace.store.lake.lake import Lake
from tailrace.store.port import Store

Identity = tuple[int, int, int]


def open_jsonl(folder: Path) -> Store:
    """Rotates at nearly every write, so that kills fall into rotations too."""
    return JsonlStore(folder, settings=JsonlSettings(rotate_bytes=1_000, keep_files=1000), clock=system_clock_us)


def read_jsonl(folder: Path) -> list[tuple[Identity, str]]:
    """Identity and message of every line of every file."""
    lines = [orjson.loads(line) for path in folder.glob("logs*.txt") for line in path.read_bytes().splitlines()]
    return [(identity_of(line["id"]), line["message"]) for line in lines]


def identity_of(text: str) -> Identity:
    partition, offset, row = text.split("-")
    return int(partition), int(offset), int(row)


def open_lake(folder: Path) -> Store:
    return Lake(folder, engine=Duck(QuerySettings()), clock=system_clock_us, metrics=Metrics())


def read_lake(folder: Path) -> list[tuple[Identity, str]]:
    """As any reader of Delta tables sees it."""
    if not DeltaTable.is_deltatable(str(folder)):
        return []
    names = ["log_partition", "log_offset", "log_row", "message"]
    found: list[tuple[Identity, str]] = []
    for uri in DeltaTable(str(folder)).file_uris():
        rows = pq.ParquetFile(uri).read(columns=names).to_pylist()
        found += [((row["log_partition"], row["log_offset"], row["log_row"]), row["message"]) for row in rows]
    return found


ADAPTERS: dict[str, tuple[Callable[[Path], Store], Callable[[Path], list[tuple[Identity, str]]]]] = {
    "jsonl": (open_jsonl, read_jsonl),
    "lake": (open_lake, read_lake),
}
"""How each is opened in a folder, and how what it holds is read without it."""


class Place:
    """One adapter in one folder: opened again and again, and read from outside."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.opened: list[Store] = []

    def open(self) -> Store:
        self.opened.append(ADAPTERS[self.name][0](self.folder))
        return self.opened[-1]

    def held(self) -> dict[Identity, str]:
        rows = ADAPTERS[self.name][1](self.folder)
        assert len(dict(rows)) == len(rows), "an event is there twice"
        return dict(rows)


@pytest.fixture(params=ADAPTERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = Place(request.param, tmp_path)
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
import sys
from pathlib import Path
from tests.contracts.test_store import ADAPTERS, batch
open_store = ADAPTERS[sys.argv[1]][0]
# Once elsewhere, so that what is loaded or compiled at first use does not take up the time before the kill.
open_store(Path(sys.argv[3])).write([batch(0, 0)], {0: 1})
store = open_store(Path(sys.argv[2]))
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
def test_kill_9_at_any_instant_leaves_each_event_once(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """After every kill the store holds exactly the events below its progress, which is not below what it told."""
    root = Path(__file__).parents[2]
    for seed in range(12):
        command = [sys.executable, "-c", _WRITER, place.name, str(place.folder), str(tmp_path_factory.mktemp("warm"))]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(random.Random(seed).uniform(0, 0.2))
        child.send_signal(signal.SIGKILL)
        told = [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        child.wait()
        child.stdout.close()
        store = place.open()
        reached = store.reached().get(0, 0)
        store.close()
        assert reached >= (int(told[-1]) if told else 0)
        assert place.held() == events_of(*((0, offset) for offset in range(reached)))
    assert reached > 12, "the kills came before there was anything to lose"
