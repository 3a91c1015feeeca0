"""The worker between a real log and a real hot store; only the stores are doubles, because they have to fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from tailrace.broker.port import Assignments, Log, LogFigures, LogLines, LogRecord, Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, LogSettings, WorkerSettings
from tailrace.errors import RetryLater
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, encode_batch
from tailrace.model.claim import CLAIM, DOCUMENTS, ONLY_STORE, ROW_CLAIMS, STORES
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.process.worker import Worker
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import Selection
from tests.read_from import ReadFrom


class FailingStore:
    """A store in memory that is idempotent as the port asks, and fails as often as it is told."""

    def __init__(self, failures: Sequence[Exception] = (), name: str = "failing") -> None:
        self.name = name
        self.failures = list(failures)
        self.messages: list[str] = []
        self.progress: dict[int, int] = {}
        self.calls = 0
        self.offered: list[str] = []

    def reached(self) -> Mapping[int, int]:
        return dict(self.progress)

    def write(self, batches: Sequence[pa.RecordBatch], through: Mapping[int, int]) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        for batch in batches:
            self.offered += batch["message"].to_pylist()
            partition = batch["log_partition"][0].as_py()
            if batch["log_offset"][0].as_py() >= self.progress.get(partition, 0):
                self.messages += batch["message"].to_pylist()
        for partition, offset in through.items():
            self.progress[partition] = max(offset, self.progress.get(partition, 0))

    def close(self) -> None: ...


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db", settings=LogSettings(), clock=system_clock_us)
    yield opened
    opened.close()


@pytest.fixture
def dead_letters(tmp_path: Path) -> Iterator[DeadLetters]:
    opened = DeadLetters(tmp_path / "dead_letters.db")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def no_rig_left() -> Iterator[None]:
    yield
    for rig in list(Rig.running):
        rig.stop()


def append(log: SqliteLog, *messages: str, headers: Mapping[str, str] | None = None) -> None:
    rows = [{"timestamp": 1, "observed_timestamp": 1, "message": message} for message in messages]
    record = Record(ARROW_STREAM, encode_batch(batch_of_rows(rows)), len(rows), headers or {})
    log.append([record]).result()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.005)


class Rig:
    """Workers at work, one a store; those that a failed test leaves behind are stopped by `no_rig_left`."""

    running: ClassVar[list[Rig]] = []

    def __init__(
        self,
        log: Log,
        dead_letters: DeadLetters,
        *stores: FailingStore,
        unstored_bytes_max: int = 1 << 26,
        openings: Sequence[Exception] = (),
    ) -> None:
        self.hot = HotMemory(1 << 26)
        failures = list(openings)

        def opened(store: FailingStore) -> FailingStore:
            if failures:
                raise failures.pop(0)
            return store

        self.workers = [
            Worker(
                store.name,
                log,
                lambda _, store=store: opened(store),  # type: ignore[misc]
                hot=self.hot if store is stores[0] else None,
                dead_letters=dead_letters if store is stores[0] else None,
                claims=dead_letters,
                settings=WorkerSettings(flush_interval_s=0.05, unstored_bytes_max=unstored_bytes_max),
                limits=IngestSettings(),
                clock=system_clock_us,
                metrics=Metrics(),
            )
            for store in stores
        ]
        for worker in self.workers:
            worker.start()
        self.running.append(self)

    def problems(self) -> list[str]:
        return [problem for worker in self.workers for problem in worker.problems()]

    def hot_messages(self) -> list[str]:
        with self.hot.snapshot() as snapshot:
            found = snapshot.search(Selection(), order="asc", limit=10_000, after=None)
            return [str(message) for message in found["message"].to_pylist()]

    def stop(self) -> None:
        self.running.remove(self)
        for worker in self.workers:
            worker.stop()
        self.hot.close()


def committed(log: SqliteLog, group: str = "failing") -> int:
    told = ReadFrom()
    reader = log.reader(group, told)
    reader.poll(bytes_max=1, timeout_s=0)
    reader.close()
    return told.committed[0]


def test_events_reach_hot_and_every_store_and_then_the_offset(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """Order of the log kept, and each store's committed offset is behind the last record at the end."""
    first, second = FailingStore(), FailingStore(name="other")
    rig = Rig(log, dead_letters, first, second)
    append(log, "a", "b")
    append(log, "c")
    wait_until(lambda: second.messages == first.messages == ["a", "b", "c"])
    wait_until(lambda: rig.hot_messages() == [])  # the store answers for them from now on
    rig.stop()
    assert committed(log) == first.progress[0]
    assert committed(log, "other") == second.progress[0]


def test_a_store_that_is_down_delays_and_loses_nothing(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """It is tried again until it works; meanwhile the events are visible and the problem is named."""
    store = FailingStore([RetryLater("the disk is away")] * 2 + [RuntimeError("a bug")])
    rig = Rig(log, dead_letters, store)
    append(log, "a")
    wait_until(lambda: rig.hot_messages() == ["a"])
    wait_until(lambda: rig.problems() == ["failing: the disk is away"])
    wait_until(lambda: store.messages == ["a"])
    wait_until(lambda: rig.problems() == [])
    rig.stop()


def test_a_store_that_is_down_delays_only_itself(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """The other one has the events meanwhile; when it is back it catches up alone."""
    fine, broken = FailingStore(), FailingStore([RetryLater("away")] * 1000, name="broken")
    rig = Rig(log, dead_letters, fine, broken)
    append(log, "a")
    append(log, "b")
    wait_until(lambda: fine.messages == ["a", "b"] and broken.calls > 0)
    wait_until(lambda: committed(log) == fine.progress[0])
    assert broken.messages == []
    broken.failures.clear()
    wait_until(lambda: broken.messages == ["a", "b"])
    rig.stop()


def test_a_store_that_is_away_at_the_start_is_waited_for(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """It is opened as soon as it can be, and nothing was read before."""
    append(log, "a")
    store = FailingStore()
    rig = Rig(log, dead_letters, store, openings=[RetryLater("no connection")] * 2)
    wait_until(lambda: rig.problems() == ["failing: no connection"])
    wait_until(lambda: store.messages == ["a"])
    rig.stop()


def test_nothing_is_committed_that_the_store_lacks(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """Stopped while the store is down, the offset stays, and the next worker reads the events again."""
    broken = FailingStore([RetryLater("away")] * 1000)
    rig = Rig(log, dead_letters, broken)
    append(log, "a")
    wait_until(lambda: broken.calls > 0)
    rig.stop()
    assert committed(log) == 0
    broken.failures.clear()
    rig = Rig(log, dead_letters, broken)
    wait_until(lambda: broken.messages == ["a"])
    rig.stop()
    assert committed(log) == broken.progress[0]


def test_what_the_store_has_is_not_read_again(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """After a crash between the write and the commit the store's own progress counts."""
    append(log, "a")
    append(log, "b")
    store = FailingStore()
    [first, _] = log_offsets(log)
    store.progress = {0: first + 1}
    rig = Rig(log, dead_letters, store)
    wait_until(lambda: store.messages == ["b"])
    rig.stop()
    assert store.offered == ["b"]


def log_offsets(log: SqliteLog) -> list[int]:
    reader = log.reader("look")
    try:
        items = reader.poll(bytes_max=1 << 20, timeout_s=1)
        return [item.offset for item in items if isinstance(item, LogRecord)]
    finally:
        reader.close()


def test_a_record_that_is_not_an_event_becomes_a_dead_letter_and_holds_nothing_up(
    log: SqliteLog, dead_letters: DeadLetters
) -> None:
    """The events behind it get on."""
    store = FailingStore()
    rig = Rig(log, dead_letters, store)
    log.append([Record("text/x-unknown", b"what is this", 0)]).result()
    append(log, "a")
    wait_until(lambda: store.messages == ["a"])
    rig.stop()
    [letter] = dead_letters.list(limit=10)
    assert letter.raw == b"what is this"
    assert "text/x-unknown" in letter.reason


def test_what_is_in_the_log_twice_under_one_key_is_stored_once_in_every_store(
    log: SqliteLog, dead_letters: DeadLetters
) -> None:
    """The first record that claims the key is stored, the second is left out, in whatever order stores come to it."""
    first, second = FailingStore(), FailingStore(name="other")
    rig = Rig(log, dead_letters, first, second)
    append(log, "once", headers={CLAIM: "key/k"})
    append(log, "once", headers={CLAIM: "key/k"})
    append(log, "after")
    wait_until(lambda: "after" in first.messages and "after" in second.messages)
    rig.stop()
    assert first.messages == second.messages == ["once", "after"]


def test_what_one_store_alone_lacks_is_stored_there_alone(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """The replay of what a store had refused: the others have it already."""
    first, second = FailingStore(), FailingStore(name="other")
    rig = Rig(log, dead_letters, first, second)
    append(log, "mended", headers={ONLY_STORE: "other", CLAIM: "letter/0-1-0-other"})
    append(log, "after")
    wait_until(lambda: "after" in first.messages and "after" in second.messages)
    rig.stop()
    assert first.messages == ["after"]
    assert second.messages == ["mended", "after"]


def test_the_backlog_stays_in_the_log_while_a_store_is_away(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """The bound stops the reader; when the store is back everything arrives, in order and once."""
    store = FailingStore([RetryLater("away")] * 4)
    rig = Rig(log, dead_letters, store, unstored_bytes_max=200_000)
    sent = [f"{number} {'x' * 1000}" for number in range(2000)]
    for start in range(0, len(sent), 20):
        append(log, *sent[start : start + 20])
    wait_until(lambda: len(store.messages) == len(sent))
    rig.stop()
    assert store.messages == sent


class TwoPartitions:
    """A log of records that are there already, whose partitions the test gives and takes away."""

    def __init__(self, records: Sequence[LogRecord]) -> None:
        self.records = list(records)
        self.positions: dict[int, int] = {}
        self.commits: dict[int, int] = {}
        self.orders: list[Callable[[Assignments], None]] = []
        self.assignments: Assignments | None = None

    def give(self, *partitions: int) -> None:
        def order(told: Assignments) -> None:
            start = {partition: self.commits.get(partition, 0) for partition in partitions}
            self.positions |= {**start, **told.assigned(start)}

        self.orders.append(order)

    def take(self, *partitions: int, lost: bool = False) -> None:
        def order(told: Assignments) -> None:
            told.revoked(partitions, lost=lost)
            for partition in partitions:
                del self.positions[partition]

        self.orders.append(order)

    def reader(self, group: str, assignments: Assignments | None = None) -> TwoPartitions:
        self.assignments = assignments
        return self

    def poll(self, *, bytes_max: int, timeout_s: float) -> list[LogRecord | LogLines]:
        self.keep_alive(0.001)
        for record in self.records:
            if record.offset == self.positions.get(record.partition):
                self.positions[record.partition] += 1
                return [record]
        return []

    def keep_alive(self, timeout_s: float) -> None:
        time.sleep(timeout_s)
        if self.orders and self.assignments is not None:
            self.orders.pop(0)(self.assignments)

    def commit(self, offsets: Mapping[int, int]) -> None:
        assert offsets.keys() <= self.positions.keys(), "a partition of somebody else was committed"
        self.commits |= offsets

    def append(self, records: Sequence[Record]) -> Future[list[tuple[int, int]]]:
        raise NotImplementedError

    def figures(self) -> LogFigures:
        raise NotImplementedError

    def close(self) -> None: ...


def numbered(partition: int, count: int) -> list[LogRecord]:
    def record(offset: int) -> Record:
        rows = [{"timestamp": 1, "observed_timestamp": 1, "message": f"{partition}-{offset}"}]
        return Record(ARROW_STREAM, encode_batch(batch_of_rows(rows)), 1)

    return [LogRecord(partition, offset, record(offset)) for offset in range(count)]


def test_a_partition_that_is_taken_away_is_stored_and_committed_first(dead_letters: DeadLetters) -> None:
    """So that the next worker begins where this one ended."""
    log = TwoPartitions([*numbered(0, 5), *numbered(1, 5)])
    store = FailingStore()
    log.give(0, 1)
    rig = Rig(log, dead_letters, store)
    wait_until(lambda: log.positions == {0: 5, 1: 5})
    log.take(1)
    wait_until(lambda: log.positions == {0: 5})
    assert log.commits[1] == store.progress[1] == 5
    rig.stop()
    assert sorted(store.messages) == sorted(f"{partition}-{offset}" for partition in (0, 1) for offset in range(5))


def test_what_was_read_of_a_lost_partition_is_left_to_its_new_owner(dead_letters: DeadLetters) -> None:
    """A worker that was thought dead drops it, commits nothing of it, and keeps what is its own."""
    log = TwoPartitions([*numbered(0, 5), *numbered(1, 5)])
    store = FailingStore([RetryLater("away")] * 3)
    log.give(0, 1)
    rig = Rig(log, dead_letters, store)
    wait_until(lambda: store.calls > 0 and log.positions == {0: 5, 1: 5})
    store.progress[1] = 5  # another worker has written them
    log.take(1, lost=True)
    wait_until(lambda: log.commits.get(0) == 5)
    rig.stop()
    assert 1 not in log.commits
    assert store.messages == [f"0-{offset}" for offset in range(5)]


def test_a_partition_that_comes_back_is_read_from_where_the_store_is(dead_letters: DeadLetters) -> None:
    """What another worker has stored meanwhile is not read again."""
    log = TwoPartitions(numbered(0, 9))
    store = FailingStore()
    log.give(0)
    rig = Rig(log, dead_letters, store)
    wait_until(lambda: log.positions == {0: 9})
    log.take(0, lost=True)
    wait_until(lambda: log.positions == {})
    store.progress[0] = 7
    store.messages.clear()
    log.give(0)
    wait_until(lambda: log.commits.get(0) == 9 or store.progress[0] == 9)
    rig.stop()
    assert store.messages in (["0-7", "0-8"], [])


def append_documents(log: SqliteLog, *documents: tuple[str | None, str], at_us: int = 1) -> None:
    """Events as the gateway appends those of a bulk request: an id or none, and the message."""
    rows = [
        {
            "timestamp": 1,
            "observed_timestamp": at_us,
            "message": message,
            "attributes": {"_index": "web"} if id is None else {"_index": "web", "_id": id},
        }
        for id, message in documents
    ]
    record = Record(ARROW_STREAM, encode_batch(batch_of_rows(rows)), len(rows), {ROW_CLAIMS: DOCUMENTS})
    log.append([record]).result()


def test_a_document_that_is_in_the_log_twice_is_stored_once(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """By every store the same one, the first, also when they read it again; one without an id is stored each time."""
    first, second, third = FailingStore(), FailingStore(name="other"), FailingStore(name="third")
    log.reader("third", ReadFrom()).close()  # from here on the log keeps what it has not read
    append_documents(log, ("1", "a"), (None, "b"), ("2", "c"))
    append_documents(log, ("2", "c again"), (None, "b"), ("3", "d"), ("3", "d again"))
    rig = Rig(log, dead_letters, first, second)
    append_documents(log, ("1", "a once more"), at_us=2)
    append(log, "end")
    expected = ["a", "b", "c", "b", "d", "end"]
    wait_until(lambda: first.messages == second.messages == expected)
    rig.stop()
    # Days later, after all claims were made.
    rig = Rig(log, dead_letters, third)
    wait_until(lambda: third.messages == expected)
    rig.stop()


def test_an_id_may_be_used_again_after_the_window(log: SqliteLog, tmp_path: Path) -> None:
    """As a request's key may: what is remembered for ever would grow for ever."""
    claims = DeadLetters(tmp_path / "claims.db", window_s=60)
    store = FailingStore()
    rig = Rig(log, claims, store)
    for seconds in (0, 30, 61):
        append_documents(log, ("1", f"at {seconds}"), at_us=seconds * 1_000_000)
    append(log, "end")
    wait_until(lambda: store.messages[-1:] == ["end"])
    assert store.messages == ["at 0", "at 61", "end"]
    rig.stop()
    claims.close()


def test_an_event_that_was_routed_is_stored_where_it_belongs(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """A record that names stores is left out by all others."""
    first, second = FailingStore(), FailingStore(name="other")
    rig = Rig(log, dead_letters, first, second)
    append(log, "both")
    append(log, "one", headers={STORES: "other"})
    append(log, "both, named", headers={STORES: "failing,other"})
    wait_until(lambda: second.messages == ["both", "one", "both, named"])
    wait_until(lambda: first.messages == ["both", "both, named"])
    rig.stop()
