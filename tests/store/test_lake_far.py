"""The lake on S3 and on HDFS: it does what it does on local disk, through a cache of its own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deploy.local.s3 import S3
from pyarrow import fs

from tailrace.config import LakeSettings, QuerySettings, RetentionSettings, Settings
from tailrace.errors import QueryError, RetryLater, Stop
from tailrace.model.clock import Clock, system_clock_us
from tailrace.query.tree import Phrase, Regex
from tailrace.store.event_tables import EventTables
from tailrace.store.hot_memory import HotMemory
from tailrace.store.lake.check import check, info
from tailrace.store.lake.compaction import compact
from tailrace.store.lake.files import ROW_GROUP_ROWS
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.maintenance import Maintenance
from tailrace.store.lake.place import open_place
from tailrace.store.lake.retention import retain
from tailrace.store.lake.vacuum import mend_indexes, vacuum
from tailrace.store.port import Selection
from tailrace.store.sandbox.run import SqlRun
from tests.store.lake_places import FAR, Where, new_lake, on_s3
from tests.store.lake_rig import (
    NOON_US,
    SECOND_US,
    FakeClock,
    event,
    fill,
    messages,
    numbered,
    open_lake,
    stored,
)

# Each needs a server, S3 or HDFS.
pytestmark = pytest.mark.slow

HOUR_US = 3600 * SECOND_US


@pytest.fixture(params=FAR)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    return new_lake(request.param, request, tmp_path)


on_s3_only = pytest.mark.parametrize("where", ["s3"], indirect=True)
"""For what is the cache's and not the store's; on HDFS each file that is written takes half a second."""


@contextlib.contextmanager
def opened(where: Where, clock: Clock | None = None) -> Iterator[Lake]:
    with open_lake(where.open(), clock) as lake:
        yield lake


def cached(where: Where) -> list[Path]:
    return sorted(Path(where.cache).glob("*/files/*"))


def at(hours: float) -> Clock:
    """The time of day, so many hours from now."""
    return lambda: system_clock_us() + round(hours * HOUR_US)


def test_a_lake_is_kept_looked_after_and_read_from_another_machine(where: Where, tmp_path: Path) -> None:
    """Writes, queries, joins, deletes, checkpoints: after each another machine sees the same events."""
    other = where.elsewhere(tmp_path / "other")
    with opened(where, at(-3)) as lake:
        fill(lake, range(6), rows=2, service="pay")
        lake.write([numbered(6, service="debug")], {0: 7, 3: 9})
        expected = [f"{offset}-{row}" for offset in range(6) for row in range(2)] + ["6-0"]
        with opened(other) as reader:
            assert reader.reached() == {0: 7, 3: 9}
            assert messages(reader) == expected
            assert check(reader).problems == []
        assert compact(lake, LakeSettings(), everything=True).files_before == 7
        assert retain(lake, RetentionSettings(services={"debug": 1})).events_deleted == 1
        lake.table.checkpoint()
        found = info(lake)
        assert (found.files, found.rows, found.path) == (1, 12, where.url)
        assert found.index_bytes > 0
    with opened(where, at(1)) as lake:
        assert vacuum(lake, after_s=6 * 3600).files == 0, "removed three hours ago, by the commits"
        assert vacuum(lake, after_s=3600).files == 2 * 8
        assert vacuum(lake, after_s=3600).files == 0
        with opened(other) as reader:
            assert messages(reader) == expected[:-1]
            assert check(reader).problems == []
            with reader.snapshot() as view:
                assert view.count(Selection(Phrase("service", "pay"))) == 12
            fill(reader, range(7, 8))
        assert lake.reached() == {0: 8, 3: 9}
        assert messages(lake) == [*expected[:-1], "7-0"]


def test_an_old_file_that_was_just_replaced_stays(where: Where) -> None:
    """The time counts from the commit that removed it: a query of another process may be reading it."""
    with opened(where) as lake:
        fill(lake, range(2))
    with opened(where, at(5)) as lake:
        compact(lake, LakeSettings(), everything=True)
    with opened(where, at(6)) as lake:
        assert vacuum(lake, after_s=2 * 3600).files == 0


@on_s3_only
def test_what_another_process_commits_is_seen_soon(where: Where, tmp_path: Path) -> None:
    """Not at once, as each look takes a request; one's own writes are, and progress that is asked for."""
    with opened(where) as writer, opened(where.elsewhere(tmp_path / "other")) as reader:
        fill(writer, range(1))
        assert messages(writer) == ["0-0"]
        while messages(reader) != ["0-0"]:
            time.sleep(0.02)
        fill(writer, range(1, 2))
        assert reader.reached() == {0: 2}
        assert messages(reader) == ["0-0", "1-0"]


@on_s3_only
def test_what_was_just_written_is_not_fetched(where: Where) -> None:
    """The newest files are in the writer's cache, and are there after a restart too."""
    with opened(where) as lake:
        fill(lake, range(2))
        names = {path.name for path in cached(where)}
        assert len(names) == 4
        for path in cached(where):
            os.utime(path, (1, 1))
        assert messages(lake) == ["0-0", "1-0"]
    with opened(where) as lake:
        assert messages(lake) == ["0-0", "1-0"]
        assert {path.name for path in cached(where)} == names
        assert {path.stat().st_mtime for path in cached(where)} == {1.0}


@on_s3_only
def test_a_lake_larger_than_the_cache_is_read_piece_by_piece(where: Where, tmp_path: Path) -> None:
    """Streams, searches and checks fetch what they need next; what needs all at once says which setting is small."""
    rows = 4
    with opened(where) as lake:
        for offset in range(rows):
            at_us = NOON_US + offset * 3600 * SECOND_US
            lake.write([numbered(offset, ROW_GROUP_ROWS // 8, at_us=at_us, attributes={"a": "b"})], {0: offset + 1})
        size_bytes = info(lake).data_bytes
    small = where.elsewhere(tmp_path / "small", cache_bytes_max=size_bytes // 2)
    with opened(small) as lake:
        assert check(lake).problems == []
        with lake.snapshot() as view:
            newest = view.search(Selection(), order="desc", limit=1, after=None)
            assert newest["log_offset"].to_pylist() == [rows - 1]
            assert view.count(Selection(Regex("message", "^[0-9]-7$"))) == rows
            assert {figure.name: figure.count for figure in view.fields(Selection())}["a"] == info(lake).rows
            assert [figure.count for figure in view.values(Selection(), field="a", limit=1)] == [info(lake).rows]
            by = view.histogram(Selection(), interval_us=1000, by="a")
            assert sum(bucket.count for bucket in by) == info(lake).rows
            with pytest.raises(QueryError, match=r"lake\.cache_bytes_max"), view.paths():
                pass
        held = sum(path.stat().st_size for path in cached(small))
        assert 0 < held <= size_bytes // 2


@on_s3_only
def test_a_damaged_copy_is_fetched_again(where: Where) -> None:
    """Nothing is wrong with the lake, and nothing is left out or counted as damaged."""
    with opened(where) as lake:
        fill(lake, range(3))
    for path in cached(where):
        path.write_bytes(b"what a power cut leaves")
    with opened(where) as lake:
        assert messages(lake) == ["0-0", "1-0", "2-0"]
        assert lake.metrics.registry.get_sample_value("tailrace_lake_damaged_files") == 0


def test_a_file_that_is_gone_is_said_and_the_rest_is_served(
    where: Where, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on local disk; an index that is gone is made anew."""
    with opened(where) as lake:
        fill(lake, range(3), service="pay")
        files = sorted(lake.table.state().files.values(), key=lambda file: file.first_us)
        lake.place.delete(files[1].path)
        lake.place.delete(f"_index/{files[0].name}.idx")
    with opened(where.elsewhere(tmp_path / "other")) as lake:
        assert messages(lake) == ["0-0", "2-0"]
        assert f"{where.url}/{files[1].path}" in caplog.text
        with lake.snapshot() as view:
            assert view.count(Selection(Phrase("message", "0"))) == 2
            with view.paths() as paths:
                assert len(paths) == 2
        assert mend_indexes(lake) == 1
        assert mend_indexes(lake) == 0


def test_sql_reads_a_far_lake_and_the_hot_events_beside_it(where: Where, tmp_path: Path) -> None:
    """The process of the statement sees local copies, and has no key to the store."""
    with opened(where) as writer:
        fill(writer, range(3), service="pay")
    with opened(where.elsewhere(tmp_path / "other")) as lake:
        hot = HotMemory(1 << 20, engine=lake.engine, clock=lake.clock)
        hot.put([numbered(2, service="pay"), numbered(3, service="auth")])
        with (
            EventTables(hot, lake).tables() as tables,
            SqlRun(tables, QuerySettings()) as run,
        ):
            run.start("SELECT service, count(*) AS n FROM logs GROUP BY ALL ORDER BY service")
            found = [row for batch in run for row in batch.to_pylist()]
        assert found == [{"service": "auth", "n": 1}, {"service": "pay", "n": 3}]


@on_s3_only
def test_upkeep_is_one_process_s_at_a_time(where: Where, tmp_path: Path) -> None:
    """The others wait until it has not renewed its turn for long."""
    clock = FakeClock()
    with opened(where, clock) as first, opened(where.elsewhere(tmp_path / "other"), clock) as second:
        fill(first, range(8))
        settings = Settings(lake=LakeSettings(compact_interval_s=0.01))
        assert first.place.take_turn(clock())
        idle = Maintenance(second, settings=settings, clock=clock)
        idle.start()
        clock.now_us += 200 * SECOND_US
        assert first.place.take_turn(clock())
        clock.now_us += 200 * SECOND_US
        time.sleep(0.3)
        assert len(first.table.state().files) == 8
        clock.now_us += 200 * SECOND_US
        while len(second.table.state().files) > 1:
            time.sleep(0.02)
        idle.stop()
        assert not first.place.take_turn(clock())


def test_settings_of_the_environment_are_taken(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_* as any program knows them, with no option of ours."""
    where = on_s3(s3, tmp_path / "cache")
    for name, value in where.storage_options.items():
        monkeypatch.setenv(name, value)
    with open_lake(open_place(where.url, cache=tmp_path / "cache")) as lake:
        fill(lake, range(1))
        assert messages(lake) == ["0-0"]


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("s3://lakes/x", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ("s3://lakes/x", {"AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId"),
        ("s3://nosuchbucket/x", {}, "NoSuchBucket"),
        ("s3://lakes/x", {"AWS_ALLOW_HTTP": "false"}, "URL scheme is not allowed"),
    ],
)
def test_what_only_a_person_can_mend_stops_at_the_start(
    s3: S3, tmp_path: Path, url: str, options: dict[str, str], reason: str
) -> None:
    """In one line, with the URL and the store's own reason."""
    s3.make_bucket("lakes")
    with (
        pytest.raises(Stop, match=reason) as stopped,
        opened(Where(url, str(tmp_path), {**s3.storage_options, **options})),
    ):
        pass
    assert str(stopped.value).startswith(f"{url}: ")
    assert "\n" not in str(stopped.value)
    assert "\x1b" not in str(stopped.value)


@pytest.mark.parametrize(
    "url", ["s3://", "s3://bucket", "nothing://bucket/path", "file://folder/lake", "s3://bucket/"]
)
def test_what_is_no_place_is_refused(tmp_path: Path, url: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(Stop, match="://"):
        open_place(url, cache=tmp_path)


def test_a_store_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    """It may be starting itself."""
    options = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "x"}
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "max_retries": "0"}
    for where in (
        Where("s3://lakes/x", str(tmp_path), {**options, **keys}),
        Where("hdfs://127.0.0.1:9/x", str(tmp_path)),
    ):
        with pytest.raises(RetryLater, match=where.url), opened(where):
            pass


@pytest.mark.parametrize("during", ["before", "data", "commit"])
def test_a_server_that_is_killed_in_the_middle_of_a_write(
    own_s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    """The write is told to come again, and each event is there once when it has."""
    where = on_s3(own_s3, tmp_path / "cache")
    batches = [numbered(2, rows=3), numbered(3, rows=3)]
    with opened(where) as lake:
        fill(lake, range(2), rows=3)
        with monkeypatch.context() as patch:
            if during == "before":
                own_s3.kill()
            elif during == "data":
                patch.setattr(lake.place, "publish", before(lambda *_, **__: own_s3.kill(), lake.place.publish))
            else:
                patch.setattr(lake.table, "append", before(lambda *_, **__: own_s3.kill(), lake.table.append))
            with pytest.raises(RetryLater):
                lake.write(batches, {0: 4})
        own_s3.start()
        while lake.reached() != {0: 4}:
            with contextlib.suppress(RetryLater):
                lake.write(batches, {0: 4})
        expected = [f"{offset}-{row}" for offset in range(4) for row in range(3)]
        assert messages(lake) == expected
        with opened(where.elsewhere(tmp_path / "other")) as reader:
            assert messages(reader) == expected
            assert check(reader).problems == []


def test_a_commit_whose_answer_is_lost_keeps_its_files(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have happened, or still arrive: what it names is the cleaner's after its time, not deleted at once."""
    where = on_s3(s3, tmp_path / "cache")

    def reset(*_: object, **__: object) -> None:
        raise OSError("the connection was reset")

    with opened(where) as lake:
        fill(lake, range(1))
        with monkeypatch.context() as patch:
            patch.setattr(DeltaTable, "create_write_transaction", before(DeltaTable.create_write_transaction, reset))
            with pytest.raises(RetryLater, match="reset"):
                lake.write([numbered(1)], {0: 2})
        lake.write([numbered(1)], {0: 2})
        assert messages(lake) == ["0-0", "1-0"]
        assert check(lake).problems == []
        with monkeypatch.context() as patch:
            patch.setattr(DeltaTable, "create_write_transaction", reset)
            with pytest.raises(RetryLater, match="reset"):
                lake.write([numbered(2)], {0: 3})
        waste = {entry.path for entry in lake.place.entries()} - set(lake.table.state().files)
        assert sum(path.startswith("date=") for path in waste) == 1
        assert vacuum(lake, after_s=3600).files == 0
    with opened(where, at(2)) as lake:
        assert vacuum(lake, after_s=3600).files == 2
        assert messages(lake) == ["0-0", "1-0"]


def before(first: Callable[..., object], then: Callable[..., object]) -> Callable[..., object]:
    """Both, one after the other, with the same arguments."""

    def both(*arguments: object, **named: object) -> object:
        first(*arguments, **named)
        return then(*arguments, **named)

    return both


@on_s3_only
def test_no_row_is_lost_to_row_groups_that_are_left_out(where: Where, tmp_path: Path) -> None:
    """A file of several row groups, its footer read from afar: only what can match is read, all of it is found."""
    rows = [
        event("needle" if row % ROW_GROUP_ROWS == 5 and row > ROW_GROUP_ROWS else f"hay {row % 100}")
        for row in range(3 * ROW_GROUP_ROWS)
    ]
    with opened(where) as lake:
        lake.write([stored(rows, 0)], {0: 1})
    with opened(where.elsewhere(tmp_path / "other")) as lake, lake.snapshot() as view:
        assert not cached(where.elsewhere(tmp_path / "other"))
        assert view.count(Selection(Phrase("message", "absent"))) == 0
        assert [path.suffix for path in cached(where.elsewhere(tmp_path / "other"))] == [".idx"], (
            "no data was fetched"
        )
        found = view.search(Selection(Phrase("message", "needle")), order="asc", limit=9, after=None)
        assert found["log_row"].to_pylist() == [ROW_GROUP_ROWS + 5, 2 * ROW_GROUP_ROWS + 5]


def test_the_bucket_holds_nothing_but_the_table(s3: S3, tmp_path: Path) -> None:
    """Data, indexes, the table's log: what other Delta readers expect, beside what they pass over."""
    where = on_s3(s3, tmp_path / "cache")
    with opened(where) as lake:
        fill(lake, range(1))
    found = s3.filesystem().get_file_info(fs.FileSelector(where.url.removeprefix("s3://"), recursive=True))
    folders = {info.path.split("/lake/")[1].split("/")[0] for info in found}
    assert folders == {"_delta_log", "_index", "date=2025-03-15"}
