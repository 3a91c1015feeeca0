"""The worker between a real log and a real hot store; only the stores are doubles, because they have to fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from tailrace.broker.port import Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import LakeSettings, LogSettings
from tailrace.errors import RetryLater
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, encode_batch
from tailrace.model.clock import system_clock_us
from tailrace.model.dead_letter import REPLAYS
from tailrace.ops.metrics import Metrics
from tailrace.process.worker import Worker
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.hot_memory import HotMemory
from tailrace.store.port import Selection

GROUP = "worker"


class FailingStore:
    """A store in memory that is idempotent as the port asks, and fails as often as it is told."""

    name = "failing"

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.failures = list(failures)
        self.messages: list[str] = []
        self.progress: dict[int, int] = {}
        self.calls = 0

    def reached(self) -> Mapping[int, int]:
        return dict(self.progress)

    def write(self, batches: Sequence[pa.RecordBatch], through: Mapping[int, int]) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        for batch in batches:
            if batch["log_offset"][0].as_py() >= self.progress.get(0, 0):
                self.messages += batch["message"].to_pylist()
        self.progress.update(through)

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
    """A worker at work; one that a failed test leaves behind is stopped by the fixture `no_rig_left`."""

    running: ClassVar[list[Rig]] = []

    def __init__(
        self, log: SqliteLog, dead_letters: DeadLetters, *stores: FailingStore, hot_bytes: int = 1 << 26
    ) -> None:
        self.hot = HotMemory(hot_bytes)
        self.reader = log.reader(GROUP)
        self.worker = Worker(
            self.reader,
            hot=self.hot,
            stores=stores,
            dead_letters=dead_letters,
            settings=LakeSettings(flush_interval_s=0.05),
            clock=system_clock_us,
            metrics=Metrics(),
        )
        self.worker.start()
        self.running.append(self)

    def hot_messages(self) -> list[str]:
        with self.hot.snapshot() as snapshot:
            found = snapshot.search(Selection(), order="asc", limit=10_000, after=None)
            return [str(message) for message in found["message"].to_pylist()]

    def stop(self) -> None:
        self.running.remove(self)
        self.worker.stop()
        self.reader.close()
        self.hot.close()


def committed(log: SqliteLog) -> int:
    reader = log.reader(GROUP)
    try:
        return reader.committed().get(0, 0)
    finally:
        reader.close()


def test_events_reach_hot_and_every_store_and_then_the_offset(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """Order of the log kept, and the committed offset is behind the last record at the end."""
    first, second = FailingStore(), FailingStore()
    rig = Rig(log, dead_letters, first, second)
    append(log, "a", "b")
    append(log, "c")
    wait_until(lambda: second.messages == ["a", "b", "c"])
    wait_until(lambda: rig.hot_messages() == [])  # the stores answer for them from now on
    rig.stop()
    assert first.messages == ["a", "b", "c"]
    assert committed(log) == first.progress[0]


def test_a_store_that_is_down_delays_and_loses_nothing(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """It is tried again until it works; meanwhile the events are visible and the problem is named."""
    store = FailingStore([RetryLater("the disk is away")] * 2 + [RuntimeError("a bug")])
    rig = Rig(log, dead_letters, store)
    append(log, "a")
    wait_until(lambda: rig.hot_messages() == ["a"])
    wait_until(lambda: rig.worker.problems() == ["failing: the disk is away"])
    wait_until(lambda: store.messages == ["a"])
    wait_until(lambda: rig.worker.problems() == [])
    rig.stop()


def test_nothing_is_committed_that_a_store_lacks(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """Stopped while a store is down, the offset stays, and the next worker reads the events again."""
    fine, broken = FailingStore(), FailingStore([RetryLater("away")] * 1000)
    rig = Rig(log, dead_letters, fine, broken)
    append(log, "a")
    wait_until(lambda: broken.calls > 0)
    rig.stop()
    assert committed(log) == 0
    broken.failures.clear()
    rig = Rig(log, dead_letters, fine, broken)
    wait_until(lambda: broken.messages == ["a"])
    rig.stop()
    assert fine.messages == ["a"]
    assert committed(log) == broken.progress[0]


def test_what_every_store_has_is_not_read_again(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """After a crash between the write and the commit the stores' own progress counts."""
    append(log, "a")
    append(log, "b")
    store = FailingStore()
    [first, _] = log_offsets(log)
    store.progress = {0: first + 1}
    rig = Rig(log, dead_letters, store)
    wait_until(lambda: store.messages == ["b"])
    rig.stop()


def log_offsets(log: SqliteLog) -> list[int]:
    reader = log.reader("look")
    try:
        return [item.offset for item in reader.poll(bytes_max=1 << 20, timeout_s=1)]
    finally:
        reader.close()


def test_a_record_that_is_not_an_event_becomes_a_dead_letter_and_holds_nothing_up(
    log: SqliteLog, dead_letters: DeadLetters
) -> None:
    """The events behind it get on."""
    store = FailingStore()
    rig = Rig(log, dead_letters, store)
    log.append([Record("text/plain", b"what is this", 0)]).result()
    append(log, "a")
    wait_until(lambda: store.messages == ["a"])
    rig.stop()
    [letter] = dead_letters.list(limit=10)
    assert letter.raw == b"what is this"
    assert "text/plain" in letter.reason


def test_a_dead_letter_that_is_replayed_twice_is_stored_once(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """Two records that replay the same letter: the second one's events are left out."""
    store = FailingStore()
    rig = Rig(log, dead_letters, store)
    log.append([Record("text/plain", b"broken", 0)]).result()
    wait_until(lambda: len(dead_letters.list(limit=10)) == 1)
    [letter] = dead_letters.list(limit=10)
    append(log, "mended", headers={REPLAYS: letter.id})
    append(log, "mended", headers={REPLAYS: letter.id})
    append(log, "after")
    wait_until(lambda: "after" in store.messages)
    rig.stop()
    assert store.messages == ["mended", "after"]


def test_the_backlog_stays_in_the_log_while_a_store_is_away(log: SqliteLog, dead_letters: DeadLetters) -> None:
    """The hot store's bound stops the reader; when the store is back everything arrives, in order and once."""
    store = FailingStore([RetryLater("away")] * 4)
    rig = Rig(log, dead_letters, store, hot_bytes=200_000)
    sent = [f"{number} {'x' * 1000}" for number in range(2000)]
    for start in range(0, len(sent), 20):
        append(log, *sent[start : start + 20])
    wait_until(lambda: len(store.messages) == len(sent))
    rig.stop()
    assert store.messages == sent
