"""Compaction, retention, vacuum and checkpoints: fewer files, and never an event too few or too many."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import LakeSettings, RetentionSettings, Settings
from tailrace.errors import RetryLater
from tailrace.query.tree import Phrase
from tailrace.store.lake.check import check, info
from tailrace.store.lake.compaction import Compaction, compact, plan
from tailrace.store.lake.files import DAY_US, DataFile
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.maintenance import Maintenance
from tailrace.store.lake.place_port import index_path
from tailrace.store.lake.retention import retain
from tailrace.store.lake.vacuum import vacuum
from tailrace.store.port import Selection
from tests.store.lake_rig import (
    NOON_US,
    SECOND_US,
    FakeClock,
    event,
    fill,
    folder,
    messages,
    numbered,
    open_lake,
    stored,
)

HOUR_S = 3600
TODAY = "2025-03-15"


def on_disk(lake: Lake) -> set[str]:
    return {str(path.relative_to(folder(lake))) for path in folder(lake).glob("date=*/*")}


def files(lake: Lake) -> list[DataFile]:
    return list(lake.table.state().files.values())


def age(path: Path, clock: FakeClock, seconds: float) -> None:
    """As if the file had last been changed so long ago by the lake's clock."""
    changed_s = clock.now_us / 1_000_000 - seconds
    os.utime(path, (changed_s, changed_s))


def identities(lake: Lake) -> pa.Table:
    with lake.snapshot() as snapshot:
        found = snapshot.search(Selection(), order="asc", limit=1_000_000, after=None)
    return found.select(["log_partition", "log_offset", "log_row", "message"])


def test_compaction_keeps_every_event_and_its_identity(tmp_path: Path) -> None:
    """Nine files become one; what is reached, the counts and the index stay right, and nothing is new to others."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(9), rows=3, service="pay")
        before, reached = identities(lake), lake.reached()
        done = compact(lake, LakeSettings())
        assert (done.files_before, done.files_after, done.rows) == (9, 1, 27)
        assert identities(lake).equals(before)
        assert lake.reached() == reached
        assert check(lake).problems == []
        with lake.snapshot() as snapshot:
            assert snapshot.count(Selection(Phrase("service", "pay"))) == 27
        assert compact(lake, LakeSettings()) == Compaction()


def test_compaction_is_not_new_data_to_those_who_follow_the_table(tmp_path: Path) -> None:
    """Delta's `dataChange` is false in both directions: a stream reader is not given the rows again."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(2))
        compact(lake, LakeSettings(), everything=True)
        (newest,) = folder(lake).glob(f"_delta_log/{lake.table.state().version:020d}.json")
        actions = [line for line in newest.read_text().splitlines() if '"add"' in line or '"remove"' in line]
        assert len(actions) == 3
        assert all('"dataChange":false' in action for action in actions)


def a_file(number: int, rows: int, date: str = TODAY) -> DataFile:
    return DataFile(f"date={date}/part-{number}.parquet", date, rows * 25, rows, 0, 0, number, number)


@given(rows=st.lists(st.integers(1, 3000), max_size=60), everything=st.booleans(), is_over=st.booleans())
def test_a_plan_joins_each_file_once_and_within_the_target(rows: list[int], everything: bool, is_over: bool) -> None:
    """No file of more than half the target is touched, and no join makes a file beyond it."""
    settings = LakeSettings(compact_rows=1000, compact_bytes=1 << 30)
    found = [a_file(number, count) for number, count in enumerate(rows)]
    groups = plan(found, settings, today="2025-03-16" if is_over else TODAY, everything=everything)
    joined = [file for group in groups for file in group]
    assert len({file.path for file in joined}) == len(joined)
    assert all(2 * (file.rows or 0) <= 1000 for file in joined)
    assert all(len(group) > 1 and sum(file.rows or 0 for file in group) <= 1000 for group in groups)
    if everything or is_over:
        left = [file for file in found if 2 * (file.rows or 0) <= 1000 and file not in joined]
        assert len(left) <= len(groups) + 1


def test_a_day_of_small_flushes_is_written_a_few_times_only() -> None:
    """Rows are rewritten about once for each factor of eight, and few files are left at any time."""
    settings = LakeSettings()
    held: list[DataFile] = []
    written = flushed = 0
    for number in range(5000):
        held.append(a_file(number, 10))
        flushed += 10
        for group in plan(held, settings, today=TODAY):
            rows = sum(file.rows or 0 for file in group)
            written += rows
            held = [file for file in held if file not in group] + [a_file(number, rows)]
        assert len(held) < 8 * 7
    assert written < 6 * flushed


def test_files_of_different_days_are_not_joined(tmp_path: Path) -> None:
    """The day is what retention and other readers skip by."""
    with open_lake(tmp_path / "lake") as lake:
        for offset in range(4):
            fill(lake, range(offset, offset + 1), at_us=NOON_US + offset % 2 * DAY_US)
        compact(lake, LakeSettings(), everything=True)
        assert sorted(file.date for file in files(lake)) == [TODAY, "2025-03-16"]
        assert len(messages(lake)) == 4


def test_a_damaged_file_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """It is left where it is, and the rest is joined the next time."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(4))
        victim = files(lake)[0]
        (folder(lake) / victim.path).write_bytes(b"not Parquet")
        compact(lake, LakeSettings(), everything=True)
        compact(lake, LakeSettings(), everything=True)
        assert len(files(lake)) == 2
        assert victim.path in on_disk(lake)
        assert len(messages(lake)) == 3


def test_two_cleaners_do_not_replace_the_same_files(tmp_path: Path) -> None:
    """The one that is late changes nothing and leaves nothing behind."""
    with open_lake(tmp_path / "lake") as first, open_lake(tmp_path / "lake") as second:
        fill(first, range(3))
        late = second.table.state()
        old = list(late.files.values())
        compact(first, LakeSettings(), everything=True)
        assert not second.replace(old, [], is_same_data=True, based_on=late)
        assert second.table.state().files == first.table.state().files
        assert len(messages(second)) == 3


def test_events_go_by_their_age_since_arrival(tmp_path: Path) -> None:
    """Not before all events of their file may go, and whatever time they say of themselves."""
    clock = FakeClock()
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(2))
        lake.write(
            [stored([{"timestamp": 5, "observed_timestamp": NOON_US + HOUR_S * SECOND_US, "message": "late"}], 2)],
            {0: 3},
        )
        settings = RetentionSettings(age_s=HOUR_S)
        clock.now_us = NOON_US + (HOUR_S + 1) * SECOND_US
        assert retain(lake, settings).events_deleted == 1
        assert sorted(messages(lake)) == ["1-0", "late"]
        clock.now_us += HOUR_S * SECOND_US + 1
        assert retain(lake, settings).files_deleted == 2
        assert messages(lake) == []
        assert lake.reached() == {0: 3}


def test_services_have_ages_of_their_own(tmp_path: Path) -> None:
    """Shorter or longer than the general one; events without a service follow the general one."""
    clock = FakeClock()
    services: list[str | None] = ["debug", "audit", "web", None]
    rows = [event(str(service), service=service) for service in services]
    with open_lake(tmp_path / "lake", clock) as lake:
        lake.write([stored(rows, 0)], {0: 1})
        settings = RetentionSettings(age_s=10 * HOUR_S, services={"debug": HOUR_S, "audit": 100 * HOUR_S})
        expected: dict[float, list[str | None]] = {
            0.5: services,
            2: ["audit", "web", None],
            11: ["audit"],
            99: ["audit"],
            101: [],
        }
        for hours, left in expected.items():
            clock.now_us = NOON_US + round(hours * HOUR_S * SECOND_US)
            retain(lake, settings)
            assert messages(lake) == [str(service) for service in left], hours
            version = lake.table.state().version
            retain(lake, settings)
            assert lake.table.state().version == version
            assert check(lake).problems == []
        assert lake.metrics.registry.get_sample_value("tailrace_lake_events_deleted_total") == 4


def test_an_age_for_one_service_leaves_the_others_for_ever(tmp_path: Path) -> None:
    """No general age: nothing else is deleted, and files without that service are not written anew."""
    clock = FakeClock()
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(1), service="web")
        fill(lake, range(1, 2), service="debug")
        clock.now_us += 10 * 365 * DAY_US
        done = retain(lake, RetentionSettings(services={"debug": HOUR_S}))
        assert (done.files_deleted, done.files_rewritten, done.events_deleted) == (1, 0, 1)
        assert messages(lake) == ["0-0"]


def test_the_oldest_go_when_the_lake_is_too_large(tmp_path: Path) -> None:
    """As many files as it takes, and no more."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(5))
        sizes = info(lake)
        total = sizes.data_bytes + sizes.index_bytes
        assert retain(lake, RetentionSettings(bytes_max=total)).files_deleted == 0
        assert retain(lake, RetentionSettings(bytes_max=total * 3 // 5)).files_deleted == 2
        assert messages(lake) == ["2-0", "3-0", "4-0"]


def test_vacuum_waits_for_its_time_and_for_queries(tmp_path: Path) -> None:
    """A replaced file stays as long as a query of this process may read it, and for the time of any other."""
    clock = FakeClock()
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(3))
        replaced = on_disk(lake)
        for path in replaced:
            age(folder(lake) / path, clock, 10 * HOUR_S)
        with lake.snapshot() as running:
            compact(lake, LakeSettings(), everything=True)
            for path in replaced:
                changed_s = (folder(lake) / path).stat().st_mtime
                assert changed_s > NOON_US / 1_000_000, "the time counts from the replacement"
                age(folder(lake) / path, clock, HOUR_S - 1)
                age(folder(lake) / index_path(Path(path).name), clock, HOUR_S - 1)
            clock.now_us += 2 * SECOND_US
            assert vacuum(lake, after_s=HOUR_S).files == 0
            assert running.count(Selection(Phrase("message", "0"))) == 3
        assert vacuum(lake, after_s=HOUR_S + 60).files == 0
        assert vacuum(lake, after_s=HOUR_S).files == 6
        assert not replaced & on_disk(lake)
        assert len(messages(lake)) == 3
        assert check(lake).problems == []


def test_vacuum_takes_what_crashes_left(tmp_path: Path) -> None:
    """Data files and indexes of writes that were never committed; files of others get much longer."""
    clock = FakeClock()
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(1))
        kept = on_disk(lake)
        day = folder(lake) / f"date={TODAY}"
        orphan = day / f"part-{'0' * 32}.parquet"
        foreign = day / "part-00000-somebody.snappy.parquet"
        index = folder(lake) / index_path(orphan.name)
        for path in (orphan, foreign, index, index.with_suffix(".draft")):
            path.write_bytes(b"torn")
            age(path, clock, HOUR_S + 1)
        assert vacuum(lake, after_s=HOUR_S).files == 3
        assert on_disk(lake) == kept | {f"date={TODAY}/{foreign.name}"}
        age(foreign, clock, 8 * 86_400)
        vacuum(lake, after_s=HOUR_S)
        assert on_disk(lake) == kept


def test_a_checkpoint_keeps_files_and_progress_and_shortens_the_log(tmp_path: Path) -> None:
    """After it the table opens from the checkpoint, and the log before it is deleted once it is old."""
    clock = FakeClock()
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(5))
        compact(lake, LakeSettings(), everything=True)
        lake.write([numbered(5)], {0: 6, 2: 8})
        for path in (folder(lake) / "_delta_log").glob("*.json"):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        lake.table.checkpoint()
        assert info(lake).commits_in_log <= 1
        fill(lake, range(6, 7))
    with open_lake(tmp_path / "lake", clock) as lake:
        assert lake.reached() == {0: 7, 2: 8}
        assert len(messages(lake)) == 7
        assert check(lake).problems == []


def test_maintenance_does_what_is_due(tmp_path: Path) -> None:
    """Joins, deletes by age, and makes checkpoints, on its schedule and not before."""
    clock = FakeClock()
    settings = Settings(lake=LakeSettings(vacuum_after_s=61), retention=RetentionSettings(age_s=HOUR_S))
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(8))
        maintenance = Maintenance(lake, settings=settings, clock=clock)
        maintenance.run_once()
        assert len(files(lake)) == 1
        clock.now_us += 2 * HOUR_S * SECOND_US
        maintenance.run_once()
        assert messages(lake) == []


def test_maintenance_goes_on_after_a_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What failed is said, and the rest of the work is done."""
    clock = FakeClock()
    settings = Settings(retention=RetentionSettings(age_s=HOUR_S))
    with open_lake(tmp_path / "lake", clock) as lake:
        fill(lake, range(8))
        clock.now_us += 2 * HOUR_S * SECOND_US
        index_folder = folder(lake) / "_index"
        index_folder.rename(folder(lake) / "aside")
        index_folder.write_text("a file where the folder should be")
        Maintenance(lake, settings=settings, clock=clock).run_once()
        assert "compaction of the lake" in caplog.text
        assert messages(lake) == []


def test_maintenance_starts_and_stops(tmp_path: Path) -> None:
    """Its thread works on the schedule and ends when it is told."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(8))
        settings = Settings(lake=LakeSettings(compact_interval_s=0.01))
        maintenance = Maintenance(lake, settings=settings, clock=lake.clock)
        maintenance.start()
        waited = threading.Event()
        while len(files(lake)) > 1:
            waited.wait(0.01)
        maintenance.stop()
        assert len(messages(lake)) == 8


@pytest.mark.slow
def test_writing_joining_deleting_and_asking_at_once(tmp_path: Path) -> None:
    """Every view is consistent: it has the rows below what it says it reached, each once, and none else."""
    with open_lake(tmp_path / "lake") as lake:
        done = threading.Event()
        errors: list[BaseException] = []

        def guarded(work: object) -> None:
            try:
                while not done.is_set():
                    work()  # type: ignore[operator]
            except BaseException as error:
                errors.append(error)
                done.set()

        def tidy() -> None:
            compact(lake, LakeSettings(compact_rows=2000))
            retain(lake, RetentionSettings(services={"gone": 1}))
            vacuum(lake, after_s=HOUR_S)
            lake.table.checkpoint()

        def ask() -> None:
            with lake.snapshot() as snapshot:
                reached = snapshot.reached.get(0, 0)
                assert snapshot.count(Selection()) >= 20 * reached
                assert snapshot.count(Selection(Phrase("service", "stays"))) == 20 * reached
                found = snapshot.search(Selection(Phrase("service", "stays")), order="asc", limit=100_000, after=None)
                assert len(set(found["message"].to_pylist())) == found.num_rows == 20 * reached

        threads = [threading.Thread(target=guarded, args=(work,)) for work in (tidy, ask, ask)]
        for thread in threads:
            thread.start()
        for offset in range(150):
            rows = [event(f"{offset}-{row}", service="stays") for row in range(20)]
            gone = [event("x", service="gone", observed_timestamp=NOON_US - DAY_US)]
            # As the worker does: the cleaner may remove the folder of an old day just before a file is put there.
            while not done.is_set():
                with contextlib.suppress(RetryLater):
                    lake.write([stored([*rows, *gone], offset)], {0: offset + 1})
                    break
        done.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(files(lake)) < 60
        retain(lake, RetentionSettings(services={"gone": 1}))
        assert len(messages(lake)) == 150 * 20
        assert check(lake).problems == []


def test_a_vacuum_shorter_than_a_query_is_refused() -> None:
    """The settings say why."""
    with pytest.raises(ValueError, match=r"lake\.vacuum_after_s"):
        Settings(lake=LakeSettings(vacuum_after_s=30))


def test_a_full_disk_puts_compaction_off(tmp_path: Path) -> None:
    """Nothing is lost, and nothing left behind."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(3))
        before = on_disk(lake)
        index_folder = folder(lake) / "_index"
        index_folder.rename(folder(lake) / "aside")
        index_folder.write_text("a file where the folder should be")
        with pytest.raises(RetryLater):
            compact(lake, LakeSettings(), everything=True)
        assert on_disk(lake) == before
        assert len(messages(lake)) == 3
