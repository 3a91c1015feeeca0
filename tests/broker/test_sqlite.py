"""The embedded log: its file, its faults and its bounds."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailrace.broker import sqlite_writer
from tailrace.broker.port import DAMAGED, LogLines, LogRecord, Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.broker.sqlite_file import OFFSET_GAP
from tailrace.config import LogSettings
from tailrace.errors import RetryLater, Stop
from tailrace.model.clock import Clock, system_clock_us
from tailrace.ops.metrics import Metrics
from tests.read_from import ReadFrom


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[..., SqliteLog]]:
    opened: list[SqliteLog] = []

    def open_one(path: Path = tmp_path / "log.db", clock: Clock = system_clock_us, **settings: float) -> SqliteLog:
        opened.append(SqliteLog(path, settings=LogSettings.model_validate(settings), clock=clock))
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


Open = Callable[..., SqliteLog]


def append(log: SqliteLog, *payloads: bytes) -> list[int]:
    records = [Record("text/plain", payload, 1) for payload in payloads]
    return [offset for _, offset in log.append(records).result(timeout=30)]


def records_of(items: list[LogRecord | LogLines]) -> list[LogRecord]:
    """The embedded log has no other kind of item."""
    assert not any(isinstance(item, LogLines) for item in items)
    return [item for item in items if isinstance(item, LogRecord)]


def read_all(log: SqliteLog, group: str = "g") -> list[LogRecord]:
    reader = log.reader(group)
    found: list[LogRecord] = []
    while records := reader.poll(bytes_max=1 << 20, timeout_s=0):
        found += records_of(records)
    reader.close()
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.01)


# One process appends.


def test_a_second_appender_is_told_which_process_holds_the_log(open_log: Open, tmp_path: Path) -> None:
    """The Stop names the file and the process; after a close the log can be opened again."""
    log = open_log()
    with pytest.raises(Stop, match=f"log.db: process {os.getpid()} appends"):
        open_log()
    log.close()
    open_log()


# Kills and torn files.

_APPENDER = """
import sys, threading
from tailrace.broker.port import Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import LogSettings
from tailrace.model.clock import system_clock_us
log = SqliteLog(sys.argv[1], settings=LogSettings(), clock=system_clock_us)
def run(thread):
    for number in range(1_000_000):
        text = f"{thread}/{number}"
        ((_, offset),) = log.append([Record("text/plain", text.encode() * (1 + number % 500), 1)]).result()
        sys.stdout.write(f"{offset} {text}\\n"); sys.stdout.flush()
for thread in range(8):
    threading.Thread(target=run, args=(thread,)).start()
"""


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_at_any_instant(open_log: Open, tmp_path: Path) -> None:
    """Every offset a killed process has told is there with its payload, and no offset is given twice."""
    told: dict[int, str] = {}
    for seed in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", _APPENDER, str(tmp_path / "log.db")], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        time.sleep(random.Random(seed).uniform(0.01, 0.5))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        for line in lines[:-1]:  # the last may be cut
            number, text = line.split()
            assert int(number) not in told
            told[int(number)] = text
        log = open_log()
        found = {item.offset: item.record for item in read_all(log)}
        for offset, text in told.items():
            assert found[offset].payload.startswith(text.encode())
        log.close()
    assert len(told) > 100


def test_a_torn_wal_loses_only_its_tail_and_gives_no_lost_offset_again(open_log: Open, tmp_path: Path) -> None:
    """Wherever the WAL is cut, what is left is a prefix of what was appended, and the log takes new records."""
    log = open_log()
    payloads = [bytes([number]) * random.Random(number).randint(1, 90_000) for number in range(40)]
    offsets = [append(log, payload)[0] for payload in payloads]
    size_bytes = (tmp_path / "log.db-wal").stat().st_size
    kept: set[int] = set()
    for seed in range(12):
        copy = tmp_path / f"copy-{seed}" / "log.db"
        copy.parent.mkdir()
        shutil.copy(tmp_path / "log.db", copy)
        shutil.copy(tmp_path / "log.db-wal", f"{copy}-wal")
        os.truncate(f"{copy}-wal", random.Random(seed).randint(1, size_bytes))
        torn = open_log(path=copy)
        found = [item.record.payload for item in read_all(torn)]
        assert found == payloads[: len(found)]
        kept.add(len(found))
        (new,) = append(torn, b"new")
        assert new > offsets[-1]
        assert read_all(torn, "h")[-1].record.payload == b"new"
        torn.close()
    assert len(kept) > 3, "the cuts should have hit different places"


def test_records_lost_with_the_file_are_not_taken_for_old_ones(open_log: Open) -> None:
    """A reader whose stores have reached offsets that a new, empty log never gave lifts the log above them."""
    log = open_log()
    reader = log.reader("g", ReadFrom({0: 5000}))
    assert reader.poll(bytes_max=1, timeout_s=0) == []
    (offset,) = append(log, b"new")
    assert offset >= 5000
    assert [item.offset for item in records_of(reader.poll(bytes_max=1, timeout_s=5))] == [offset]


def test_offsets_go_on_by_one_after_a_clean_end(open_log: Open) -> None:
    """Only an unclean end skips offsets."""
    log = open_log()
    append(log, b"a")
    log.close()
    assert append(open_log(), b"b") == [1]


# Damage.


def damage(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_flipped_bit_is_said_by_offset_and_the_records_around_it_are_served(open_log: Open, tmp_path: Path) -> None:
    """The damaged record keeps its place and content type, and carries the reason in a header."""
    log = open_log()
    append(log, b"before" * 100, b"middle" * 20_000, b"after" * 100)
    log.close()
    path = tmp_path / "log.db"
    damage(path, path.read_bytes().index(b"middlemiddle") + 5000, b"\x00")
    before, middle, after = read_all(open_log())
    assert DAMAGED not in before.record.headers
    assert DAMAGED not in after.record.headers
    assert middle.record.headers[DAMAGED].startswith("log record 0-1: CRC-32 is ")
    assert middle.record.content_type == "text/plain"


def test_a_payload_whose_pages_are_lost_is_damaged_and_the_others_are_served(open_log: Open, tmp_path: Path) -> None:
    """A broken chain of pages costs one record, not the log."""
    log = open_log()
    append(log, b"before", b"m" * 200_000, b"after")
    log.close()
    path = tmp_path / "log.db"
    data = path.read_bytes()
    pages = [at for at in range(0, len(data), 32768) if data[at + 4 : at + 32768] == b"m" * 32764]
    damage(path, pages[1], b"\xff\xff\xff\x00")
    records = read_all(open_log())
    assert [item.record.payload for item in records[::2]] == [b"before", b"after"]
    assert DAMAGED in records[1].record.headers


@pytest.mark.parametrize("column", ["content_type", "headers", "rows", "payload"])
def test_every_column_of_a_record_is_under_its_checksum(open_log: Open, tmp_path: Path, column: str) -> None:
    """Whichever is altered, the reader says so."""
    log = open_log()
    append(log, b"payload")
    log.close()
    db = sqlite3.connect(tmp_path / "log.db")
    db.execute(f"UPDATE records SET {column} = CAST(x'32ff' AS {'BLOB' if column == 'payload' else 'TEXT'})")
    db.commit()
    db.close()
    (found,) = read_all(open_log())
    assert DAMAGED in found.record.headers


def test_a_file_that_is_no_log_stops_the_start(open_log: Open, tmp_path: Path) -> None:
    """The Stop names the file and what to do; the file is left as it was."""
    path = tmp_path / "log.db"
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(Stop, match=r"log\.db: the log file is damaged .*move it"):
        open_log()
    assert path.read_bytes() == b"this is not a database" * 1000


def test_a_database_of_something_else_stops_the_start(open_log: Open, tmp_path: Path) -> None:
    """Another program's tables are not touched."""
    db = sqlite3.connect(tmp_path / "log.db")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(Stop, match="not a log of format 1"):
        open_log()


# A disk that is full.


def test_a_write_that_fails_is_retried_later_and_the_log_goes_on(open_log: Open, tmp_path: Path) -> None:
    """While files cannot grow, appends fail with RetryLater and nothing of them is kept; then all works again."""
    log = open_log()
    append(log, b"first")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        future = log.append([Record("x", b"x" * (2 << 20), 1)])
        with pytest.raises(RetryLater, match=r"log\.db"):
            future.result(timeout=30)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    append(log, b"second")
    assert [item.record.payload for item in read_all(log)] == [b"first", b"second"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_and_recovers_when_there_is_room(open_log: Open, small_disk: Path) -> None:
    """What was acknowledged before stays; the next append after making room is taken."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (3 << 20))
    log = open_log(path=small_disk / "log.db")
    kept: list[bytes] = []

    def fill() -> None:
        for number in range(100):
            payload = bytes([number]) * 300_000
            append(log, payload)
            kept.append(payload)

    with pytest.raises(RetryLater, match="disk is full"):
        fill()
    with pytest.raises(RetryLater):
        append(log, b"y" * 300_000)
    ballast.unlink()
    append(log, b"after")
    assert [item.record.payload for item in read_all(log)] == [*kept, b"after"]


# The writer.


def test_the_writer_survives_any_exception_and_says_it(open_log: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A fault nobody thought of fails the appends of its commit, is logged, and the next ones go through."""
    faults = [ZeroDivisionError("a broken clock")]

    def clock() -> int:
        if faults:
            raise faults.pop()
        return 1

    log = open_log(clock=clock)
    with pytest.raises(RetryLater, match="a broken clock"):
        append(log, b"a")
    assert "a broken clock" in caplog.text
    append(log, b"b")
    assert [item.record.payload for item in read_all(log)] == [b"b"]


def test_records_are_kept_for_their_time_after_every_group_has_read_them(open_log: Open) -> None:
    """`keep_for_s` counts from the append; what is younger can still be replayed."""
    now_us = [0]
    log = open_log(clock=lambda: now_us[0], keep_for_s=60)
    reader = log.reader("g")
    append(log, b"old")
    now_us[0] = 30_000_000
    (offset,) = append(log, b"young")
    reader.commit({0: offset + 1})
    now_us[0] = 70_000_000
    wait_until(lambda: log.figures().records == 1)
    again = records_of(log.reader("g", ReadFrom({0: 0})).poll(bytes_max=9, timeout_s=5))
    assert [item.record.payload for item in again] == [b"young"]


def test_nothing_is_trimmed_before_the_first_group_has_joined(open_log: Open) -> None:
    """Without a reader nothing was read."""
    log = open_log()
    append(log, b"a")
    time.sleep(0.3)  # longer than the trimming interval
    assert [item.record.payload for item in read_all(log)] == [b"a"]


@pytest.mark.slow
def test_the_wal_and_the_file_stay_small_while_records_come_and_go(
    open_log: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints let the WAL begin anew, and pages that were freed are used again."""
    monkeypatch.setattr(sqlite_writer, "WAL_BYTES", 1 << 20)
    log = open_log()
    reader = log.reader("g")
    largest_bytes = 0
    for _ in range(200):
        (offset,) = append(log, os.urandom(200_000))
        reader.poll(bytes_max=1 << 20, timeout_s=5)
        reader.commit({0: offset + 1})
        largest_bytes = max(largest_bytes, (tmp_path / "log.db-wal").stat().st_size)
    assert largest_bytes < 40 << 20
    wait_until(lambda: log.figures().records == 0)
    reader.close()
    log.close()
    assert (tmp_path / "log.db").stat().st_size < 60 << 20
    assert not (tmp_path / "log.db-wal").exists()


def test_commits_are_measured(tmp_path: Path) -> None:
    """Each group commit counts in the metrics, with the records that shared it."""
    metrics = Metrics()
    log = SqliteLog(tmp_path / "log.db", settings=LogSettings(), clock=system_clock_us, metrics=metrics)
    append(log, b"a", b"b")
    log.close()
    assert metrics.registry.get_sample_value("tailrace_log_commit_records_sum") == 2
    assert metrics.registry.get_sample_value("tailrace_log_commit_seconds_count") == 1


def test_an_unclean_end_skips_more_offsets_than_a_wal_can_hold(open_log: Open, tmp_path: Path) -> None:
    """The gap is there in the offsets, and not in the figures."""
    log = open_log()
    append(log, b"a")
    copy = tmp_path / "copy" / "log.db"
    copy.parent.mkdir()
    shutil.copy(tmp_path / "log.db", copy)
    shutil.copy(tmp_path / "log.db-wal", f"{copy}-wal")
    again = open_log(path=copy)
    assert append(again, b"b") == [1 + OFFSET_GAP]
    again.reader("g").close()
    assert again.figures().lag_records == {"g": 2}


def test_a_group_that_is_not_kept_holds_nothing_back(open_log: Open) -> None:
    """A store that was taken out of the settings does not keep the log from being trimmed."""
    log = open_log()
    reader = log.reader("kept")
    log.reader("gone")
    (offset,) = append(log, b"a")
    reader.commit({0: offset + 1})
    log.keep_groups(["kept"])
    wait_until(lambda: log.figures().records == 0)
    assert set(log.figures().lag_records) == {"kept"}
