"""When the lake's files were removed, as the table's log says."""

from __future__ import annotations

from pathlib import Path

from tailrace.config import LakeSettings
from tailrace.model.clock import system_clock_us
from tailrace.store.lake.compaction import compact
from tailrace.store.lake.tombstones import read_tombstones
from tests.store.lake_rig import SECOND_US, FakeClock, fill, folder, open_lake


def test_tombstones_are_those_of_the_log_and_its_checkpoints(tmp_path: Path) -> None:
    """Before a checkpoint, in one, and after it; a time ahead of everybody's clock too."""
    # delta-rs leaves tombstones of more than a week, by the time of day, out of its checkpoints.
    now_us = system_clock_us()
    ahead_us = 4_000_000_000_000_000
    clock = FakeClock()
    with open_lake(tmp_path / "lake", clock) as lake:
        expected: dict[str, int] = {}
        for offset, removed_us in ((0, now_us), (3, ahead_us), (6, now_us + SECOND_US)):
            clock.now_us = removed_us
            fill(lake, range(offset, offset + 3))
            expected |= dict.fromkeys(lake.table.state().files, removed_us // 1000)
            compact(lake, LakeSettings(), everything=True)
            assert read_tombstones(lake.place.log_names(), lake.place.read_log) == expected
            if offset == 3:
                lake.table.checkpoint()
                for path in sorted((folder(lake) / "_delta_log").glob("*[0-9].json"))[:-1]:
                    path.unlink()
                assert read_tombstones(lake.place.log_names(), lake.place.read_log) == expected
        young = {path for path, removed_ms in expected.items() if removed_ms * 1000 > now_us}
        assert lake.table.removed_since(now_us + 1) == young
        assert young < expected.keys()


def test_an_older_checkpoint_is_taken_while_a_newer_one_is_being_written() -> None:
    """Of one in several parts all must be there."""
    read: list[str] = []
    number = "{:020d}".format
    commit = b'{"remove":{"path":"date%3D1/a","deletionTimestamp":5}}\n{"add":{"path":"b"}}'
    names = [f"{number(8)}.checkpoint.{1:010d}.{2:010d}.parquet", f"{number(9)}.json", "_last_checkpoint", "x.crc"]

    def content(name: str) -> bytes:
        read.append(name)
        return commit

    assert read_tombstones(names, content) == {"date=1/a": 5}
    assert read == [f"{number(9)}.json"]
