"""Several processes that write and tidy one lake at once: each event is there once, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tailrace.config import LakeSettings
from tailrace.store.lake.check import check
from tailrace.store.lake.compaction import compact
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.place_port import NotCommitted
from tailrace.store.port import Selection
from tests.store.lake_places import EVERYWHERE, FAR, Where, new_lake
from tests.store.lake_rig import event, open_lake, stored

Identity = tuple[int, int, int]

_ROWS = 2


@pytest.fixture(params=EVERYWHERE)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    return new_lake(request.param, request, tmp_path)


def is_slow(where: Where) -> bool:
    """Each file and each commit of HDFS takes half a second."""
    return where.url.startswith("hdfs")


def write(lake: Lake, partition: int, offsets: range) -> None:
    """As a worker that believes the partition is its own."""
    records = [
        stored([event(f"{partition} {offset} {row}") for row in range(_ROWS)], offset, partition)
        for offset in offsets
    ]
    lake.write(records, {partition: offsets.stop})


def held(lake: Lake) -> list[Identity]:
    with lake.snapshot() as view:
        found = view.search(Selection(), order="asc", limit=1_000_000, after=None)
    return sorted(zip(*(found[name].to_pylist() for name in ("log_partition", "log_offset", "log_row")), strict=True))


def expected(ends: dict[int, int]) -> list[Identity]:
    return [(p, offset, row) for p, end in sorted(ends.items()) for offset in range(end) for row in range(_ROWS)]


_WORKER = """
import sys
from tailrace.errors import RetryLater
from tests.store.lake_places import from_argument
from tests.store.lake_rig import open_lake
from tests.store.test_lake_writers import write

where, partition, step, end = from_argument(sys.argv[1]), *map(int, sys.argv[2:])
with open_lake(where.open()) as lake:
    print("ready", flush=True)
    sys.stdin.readline()
    position = 0
    while position < end:
        through = min(position + step, end)
        try:
            write(lake, partition, range(position, through))
            position = through
        except RetryLater:
            pass
"""

_CLEANER = """
import sys
from tailrace.config import LakeSettings
from tailrace.errors import RetryLater
from tailrace.store.lake.compaction import compact
from tests.store.lake_places import from_argument
from tests.store.lake_rig import open_lake

with open_lake(from_argument(sys.argv[1]).open()) as lake:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        try:
            compact(lake, LakeSettings(), everything=True)
        except RetryLater:
            pass
"""


def run_together(commands: Sequence[Sequence[str]]) -> None:
    """Start all, let them begin at the same moment, and wait for their good end."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for command in commands
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        assert [child.wait(timeout=120) for child in children] == [0] * len(children)
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("where", FAR, indirect=True)
def test_writers_and_cleaners_at_once(where: Where) -> None:
    """Four processes of ten appends each (on HDFS of three), and two that join all they see: each event once."""
    with open_lake(where.open()):
        pass
    appends, rounds = (3, 2) if is_slow(where) else (10, 10)
    run_together(
        [
            *((_WORKER, where.as_argument(), str(partition), "1", str(appends)) for partition in range(4)),
            *((_CLEANER, where.as_argument(), str(rounds)) for _ in range(2)),
        ]
    )
    ends = dict.fromkeys(range(4), appends)
    with open_lake(where.open()) as lake:
        assert lake.reached() == ends
        assert held(lake) == expected(ends)
        compact(lake, LakeSettings(), everything=True)
        assert held(lake) == expected(ends)
        assert check(lake).problems == []


@pytest.mark.slow
def test_two_processes_that_both_believe_they_own_a_partition(where: Where) -> None:
    """In different batchings, at the same time, and beside a third with a partition of its own: each event once."""
    with open_lake(where.open()):
        pass
    end = 12 if is_slow(where) else 60
    run_together(
        [
            (_WORKER, where.as_argument(), "3", "2", str(end)),
            (_WORKER, where.as_argument(), "3", "5", str(end)),
            (_WORKER, where.as_argument(), "1", "6", str(end)),
        ]
    )
    with open_lake(where.open()) as lake:
        assert lake.reached() == {1: end, 3: end}
        assert held(lake) == expected({1: end, 3: end})
        assert check(lake).problems == []


def test_a_worker_that_wakes_up_changes_nothing(where: Where, tmp_path: Path) -> None:
    """It was presumed dead; its partition was read on by another, in other batches. What it still had is left out."""
    with open_lake(where.open()) as zombie, open_lake(where.elsewhere(tmp_path / "other").open()) as successor:
        write(zombie, 3, range(4))
        seen = zombie.table.state()
        write(successor, 3, range(3, 6))
        with pytest.raises(NotCommitted, match="another process"):
            zombie.table.append([], {3: 5}, based_on=seen)
        for offsets in (range(4, 5), range(2, 9), range(7, 8), range(8, 10)):
            write(zombie, 3, offsets)
        write(successor, 3, range(6, 12))
        assert successor.reached() == {3: 12}
        assert held(successor) == expected({3: 12})
        assert check(successor).problems == []


def test_a_commit_that_another_overtakes_leaves_no_file(where: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store itself says, after all looks, that another was quicker: the write comes again, and its waste goes."""
    with open_lake(where.open()) as lake, open_lake(where.open()) as quicker:
        write(lake, 0, range(1))
        take_in = lake.table._take_in

        def too_late() -> None:
            take_in()
            with monkeypatch.context() as patch:
                patch.setattr(lake.table, "_take_in", take_in)
                write(quicker, 0, range(1, 3))

        monkeypatch.setattr(lake.table, "_take_in", too_late)
        with pytest.raises(NotCommitted, match=r"[Cc]oncurrent"):
            write(lake, 0, range(1, 2))
        monkeypatch.undo()
        files = {entry.path for entry in lake.place.entries() if entry.path.startswith("date=")}
        assert lake.reached() == {0: 3}
        assert files == set(lake.table.state().files)
        write(lake, 0, range(1, 4))
        assert held(lake) == expected({0: 4})
