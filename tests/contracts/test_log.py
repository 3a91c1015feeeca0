"""What every log promises (`broker.port`), run on each adapter."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import pytest

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import Assignments, Log, LogLines, LogReader, LogRecord, Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import RetryLater, SlowDown
from tailrace.model.clock import system_clock_us

Place = Callable[[LogSettings], Log]
"""Opens the same log again, whatever was opened before. It has one partition."""

GROUPS = ("g", "a", "b")


def sqlite_place(request: pytest.FixtureRequest) -> Place:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda settings: SqliteLog(folder / "log.db", settings=settings, clock=system_clock_us)


def kafka_place(request: pytest.FixtureRequest) -> Place:
    url = request.getfixturevalue("kafka").url(f"contract-{uuid.uuid4().hex}")
    one_partition = KafkaSettings(partitions=1)
    return lambda settings: KafkaLog(url, kafka=one_partition, log=settings, groups=GROUPS, clock=system_clock_us)


PLACES = {"sqlite": sqlite_place, "kafka": kafka_place}

embedded_only = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what a log promises that sets its own bounds, and trims."""


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=[pytest.mark.slow, pytest.mark.xdist_group("log")])])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    opened: list[Log] = []
    open_place = PLACES[request.param](request)

    def open_log(settings: LogSettings) -> Log:
        opened.append(open_place(settings))
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


@pytest.fixture
def log(place: Place) -> Log:
    return place(LogSettings())


@pytest.fixture
def join(log: Log) -> Iterator[Callable[..., LogReader]]:
    """Makes readers, and closes them in the end."""
    readers: list[LogReader] = []

    def join_group(group: str = "g", assignments: Assignments | None = None) -> LogReader:
        readers.append(log.reader(group, assignments))
        return readers[-1]

    yield join_group
    for reader in readers:
        reader.close()


class Recorder:
    """Assignments that answer with `start`, and remember what they were told."""

    def __init__(self, start: Mapping[int, int] | None = None) -> None:
        self.start = start or {}
        self.committed: list[Mapping[int, int]] = []
        self.given_up: list[tuple[set[int], bool]] = []

    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        self.committed.append(dict(committed))
        return self.start

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        self.given_up.append((set(partitions), lost))


def record(text: str | bytes, rows: int = 1, **headers: str) -> Record:
    return Record("text/plain", text.encode() if isinstance(text, str) else text, rows, headers)


def append(log: Log, *records: Record) -> list[tuple[int, int]]:
    return log.append(records).result(timeout=30)


def records_of(items: list[LogRecord | LogLines]) -> list[LogRecord]:
    return [item for item in items if isinstance(item, LogRecord)]


def read(reader: LogReader, count: int) -> list[LogRecord]:
    """Poll until that many records came."""
    found: list[LogRecord] = []
    deadline_s = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline_s:
        found += records_of(reader.poll(bytes_max=1 << 20, timeout_s=0.1))
    return found


def payloads(items: list[LogRecord]) -> list[bytes]:
    return [item.record.payload for item in items]


Join = Callable[..., LogReader]


def test_a_record_comes_back_whole_and_with_the_place_its_future_named(log: Log, join: Join) -> None:
    """Content type, payload, rows and headers are what was appended."""
    sent = Record("application/x", bytes(range(256)), 7, {"schlüssel": 'ein "Wert"', "leer": ""})
    (place,) = append(log, sent)
    (found,) = read(join(), 1)
    assert (found.partition, found.offset) == place
    assert found.record == sent


def test_records_of_one_append_are_read_in_its_order(log: Log, join: Join) -> None:
    """The order of a partition is the order of its appends, and offsets rise."""
    for first in range(0, 30, 3):
        append(log, *(record(str(number)) for number in range(first, first + 3)))
    found = read(join(), 30)
    assert payloads(found) == [str(number).encode() for number in range(30)]
    offsets = [item.offset for item in found]
    assert offsets == sorted(set(offsets))


def test_an_empty_append_and_an_empty_payload_are_fine(log: Log, join: Join) -> None:
    """Nothing to append resolves to no place; a payload without bytes is a record."""
    assert append(log) == []
    append(log, record(b"", rows=0))
    assert payloads(read(join(), 1)) == [b""]


def test_what_was_acknowledged_is_there_after_closing_and_opening_again(place: Place) -> None:
    """Records, offsets and committed groups outlive the log object."""
    first = place(LogSettings())
    reader = first.reader("g")
    places = append(first, record("a"), record("b"))
    read(reader, 2)
    reader.commit({0: places[0][1] + 1})
    reader.close()
    first.close()
    second = place(LogSettings())
    recorder = Recorder()
    again = second.reader("g", recorder)
    assert payloads(read(again, 1)) == [b"b"]
    assert recorder.committed == [{0: places[0][1] + 1}]
    (later,) = append(second, record("c"))
    assert later[1] > places[1][1]
    again.close()


@embedded_only
def test_offsets_are_not_given_again_after_everything_was_read_and_the_log_reopened(place: Place) -> None:
    """An empty log remembers how far it had come."""
    given: list[int] = []
    for _ in range(4):
        log = place(LogSettings())
        reader = log.reader("g")
        given += [offset for _, offset in append(log, record("x"), record("y"))]
        reader.commit({0: given[-1] + 1})
        wait_until(lambda figures=log.figures: bool(figures().records == 0))  # type: ignore[misc]
        reader.close()
        log.close()
    assert given == sorted(set(given))


def test_groups_read_the_same_records_independently(log: Log, join: Join) -> None:
    """Each group has its own place; a member that joins later starts at its group's committed offset."""
    a, b = join("a"), join("b")
    (_, offset), _ = append(log, record("1"), record("2"))
    assert len(read(a, 2)) == len(read(b, 2)) == 2
    a.commit({0: offset + 1})
    a.close()
    b.close()
    assert payloads(read(join("a"), 1)) == [b"2"]
    assert payloads(read(join("b"), 2)) == [b"1", b"2"]


def test_a_member_is_told_what_was_committed_and_reads_from_where_it_answers(log: Log, join: Join) -> None:
    """Further on than the commit, or further back; the commit stays until the next one."""
    places = append(log, *(record(str(number)) for number in range(5)))
    committed: list[Mapping[int, int]] = []
    for start in (places[2][1], places[1][1]):
        recorder = Recorder({0: start})
        reader = join("g", recorder)
        (first, *_) = read(reader, 1)
        assert first.offset == start
        reader.commit({0: places[3][1]})
        reader.close()
        committed += recorder.committed
    assert committed == [{0: 0}, {0: places[3][1]}]


def test_a_member_that_only_kept_alive_misses_nothing(log: Log, join: Join) -> None:
    """What came while it had no room is read afterwards, in order."""
    reader = join()
    append(log, record("1"))
    assert payloads(read(reader, 1)) == [b"1"]
    append(log, *(record(bytes([number]) * 300_000) for number in range(10)))
    for _ in range(8):
        reader.keep_alive(0.05)
    assert payloads(read(reader, 10)) == [bytes([number]) * 300_000 for number in range(10)]


def test_a_poll_stays_within_its_bytes_but_gives_at_least_one_record(log: Log, join: Join) -> None:
    """A small bound gives few records; one that is larger than the bound comes alone."""
    append(log, *(record(b"x" * 1000) for _ in range(10)))
    reader = join()
    assert 1 <= len(reader.poll(bytes_max=3000, timeout_s=30)) <= 3
    assert len(reader.poll(bytes_max=1, timeout_s=30)) == 1


def test_a_poll_waits_for_an_append_and_returns_empty_after_its_time(log: Log, join: Join) -> None:
    """A record appended while a poll waits ends the wait."""
    reader = join()
    assert reader.poll(bytes_max=1, timeout_s=0.01) == []
    timer = threading.Timer(0.05, lambda: append(log, record("late")))
    timer.start()
    assert payloads(records_of(reader.poll(bytes_max=1, timeout_s=30))) == [b"late"]
    timer.join()


def test_the_figures_count_what_each_group_lacks(log: Log, join: Join) -> None:
    """Lag falls with commits, and by nothing else."""
    a, _ = join("a"), join("b")
    places = append(log, record("12", rows=2), record("123", rows=3))
    read(a, 2)
    a.commit({0: places[0][1] + 1})
    wait_until(lambda: log.figures().lag_records["a"] == 1)
    figures = log.figures()
    assert figures.lag_records["b"] == 2
    assert figures.records == 2


@embedded_only
def test_the_figures_of_the_embedded_log_count_rows_and_bytes(log: Log, join: Join) -> None:
    """It knows how many events a record holds."""
    a, _ = join("a"), join("b")
    places = append(log, record("12", rows=2), record("123", rows=3))
    assert dict(log.figures().lag_rows) == {"a": 5, "b": 5}
    a.commit({0: places[0][1] + 1})
    assert dict(log.figures().lag_rows) == {"a": 3, "b": 5}
    assert log.figures().bytes == 5


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.01)


@embedded_only
def test_only_what_every_group_has_committed_is_trimmed(log: Log, join: Join) -> None:
    """The slower group still gets its records."""
    fast, slow = join("fast"), join("slow")
    places = append(log, *(record(str(number)) for number in range(10)))
    read(slow, 5)
    fast.commit({0: places[-1][1] + 1})
    slow.commit({0: places[4][1] + 1})
    wait_until(lambda: log.figures().records == 5)
    slow.close()
    slow = join("slow")
    assert payloads(read(slow, 5)) == [b"5", b"6", b"7", b"8", b"9"]
    slow.commit({0: places[-1][1] + 1})
    wait_until(lambda: log.figures().records == 0)


@embedded_only
def test_a_backlog_at_its_bound_slows_down_and_takes_again_when_it_was_read(place: Place) -> None:
    """The bound is on payload that the slowest group has not committed."""
    log = place(LogSettings(backlog_bytes_max=10_000))
    reader = log.reader("g")
    places = append(log, *(record(b"x" * 1000) for _ in range(10)))
    with pytest.raises(SlowDown) as refused:
        log.append([record(b"x")])
    assert refused.value.retry_after_s >= 1
    reader.commit({0: places[-1][1] + 1})
    wait_until(lambda: log.figures().bytes == 0)
    append(log, record(b"x"))


def test_a_queue_at_its_bound_slows_down_at_once(place: Place) -> None:
    """Appends that are not durable yet are bounded; each future that was given still resolves."""
    log = place(LogSettings(append_queue_bytes_max=1 << 20))
    given, refused = [], 0
    for _ in range(400):
        try:
            given.append(log.append([record(b"x" * 200_000)]))
        except SlowDown:
            refused += 1
    assert refused > 0
    assert len({future.result(timeout=30)[0] for future in given}) == len(given)


def test_an_append_larger_than_the_queue_gets_in_alone(place: Place) -> None:
    """A bound never makes one append impossible for good."""
    log = place(LogSettings(append_queue_bytes_max=100))
    assert len(append(log, record(b"x" * 1000))) == 1


def test_a_closed_log_refuses_appends_and_has_finished_those_before(place: Place) -> None:
    """Close waits for what was accepted; a second close is harmless."""
    log = place(LogSettings())
    futures = [log.append([record(str(number))]) for number in range(50)]
    log.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(RetryLater):
        log.append([record("late")])
    log.close()
    reader = place(LogSettings()).reader("g")
    assert len(read(reader, 50)) == 50
    reader.close()


def test_closing_a_reader_ends_its_poll_in_another_thread(log: Log, join: Join) -> None:
    """A thread that waits in poll comes back with nothing."""
    reader = join()
    came: list[list[LogRecord | LogLines]] = []
    thread = threading.Thread(target=lambda: came.append(reader.poll(bytes_max=1, timeout_s=60)))
    thread.start()
    reader.close()
    thread.join(timeout=30)
    assert came == [[]]


def test_64_threads_append_at_once_and_each_future_names_the_place_of_its_own_payload(log: Log, join: Join) -> None:
    """No future is mixed up, nothing is lost, and nothing is doubled."""
    told: dict[int, bytes] = {}

    def run(thread: int) -> None:
        for number in range(20):
            payload = f"{thread}/{number}".encode()
            ((_, offset),) = append(log, record(payload))
            told[offset] = payload

    threads = [threading.Thread(target=run, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(join(), 64 * 20)
    assert {item.offset: item.record.payload for item in found} == told
    assert len(told) == 64 * 20
