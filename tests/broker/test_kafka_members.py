"""Members of a group share the partitions, and take over from those who leave, die or sleep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.local.kafka import Kafka

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.kafka_reader import GroupReader
from tailrace.broker.port import LogRecord
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import RetryLater
from tailrace.model.clock import system_clock_us
from tests.contracts.test_log import append, record

PARTITIONS = 4
TIMEOUT_S = 60
ROOT = Path(__file__).parents[2]


@pytest.fixture
def log(kafka: Kafka) -> Iterator[KafkaLog]:
    settings = KafkaSettings(partitions=PARTITIONS)
    url = kafka.url(f"members-{uuid.uuid4().hex}")
    opened = KafkaLog(url, kafka=settings, log=LogSettings(), groups=("g",), clock=system_clock_us)
    yield opened
    opened.close()


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.02)


class Member:
    """Reads in a thread of its own, and commits only what it is asked for when partitions are taken away."""

    def __init__(self, log: KafkaLog) -> None:
        self.partitions: set[int] = set()
        self.committed: dict[int, int] = {}
        self.read: list[tuple[int, int]] = []
        self.lost: set[int] = set()
        self.errors: list[Exception] = []
        self._through: dict[int, int] = {}
        self._stopping = False
        self.reader: GroupReader = log.reader("g", self)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
        self.partitions |= committed.keys()
        self.committed.update(committed)
        return {}

    def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
        self.partitions -= set(partitions)
        if lost:
            self.lost |= set(partitions)
        else:
            self.reader.commit({p: self._through[p] for p in partitions if p in self._through})

    def _run(self) -> None:
        try:
            while not self._stopping:
                for item in self.reader.poll(bytes_max=1 << 20, timeout_s=0.05):
                    assert isinstance(item, LogRecord)
                    self.read.append((item.partition, item.offset))
                    self._through[item.partition] = item.offset + 1
            self.reader.close()
        except Exception as error:
            self.errors.append(error)

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(TIMEOUT_S)
        assert self.errors == []


@contextmanager
def process_member(kafka: Kafka, log: KafkaLog) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A member in another process, and what it said so far."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.broker.kafka_member", kafka.url(log._topic.name)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    said: list[str] = []
    assert child.stdout is not None
    lines = child.stdout
    thread = threading.Thread(target=lambda: said.extend(line.rstrip() for line in lines))
    # Not at once: `extend` over a generator adds line by line as they come.
    thread.start()
    try:
        yield child, said
    finally:
        child.kill()
        child.wait()
        thread.join()


def test_members_share_the_partitions_and_hand_them_over(log: KafkaLog) -> None:
    """What a member read it commits before another one may read on: every record is read once."""
    places = [append(log, record(str(i)))[0] for i in range(4 * PARTITIONS)]
    one = Member(log)
    until(lambda: len(one.read) == len(places))
    two = Member(log)
    until(lambda: len(one.partitions) == len(two.partitions) == PARTITIONS // 2)
    assert one.partitions.isdisjoint(two.partitions)
    assert all(two.committed[partition] == 4 for partition in two.partitions)
    places += [append(log, record(str(i)))[0] for i in range(4 * PARTITIONS)]
    until(lambda: len(one.read) + len(two.read) == len(places))
    two.stop()
    until(lambda: len(one.partitions) == PARTITIONS)
    places += [append(log, record(str(i)))[0] for i in range(4 * PARTITIONS)]
    until(lambda: len(one.read) + len(two.read) == len(places))
    assert sorted(one.read + two.read) == sorted(places)
    one.stop()
    assert one.lost == two.lost == set()


def test_others_take_over_from_a_member_that_died_and_from_one_that_sleeps(kafka: Kafka, log: KafkaLog) -> None:
    """They read on from what was committed. The one that wakes up is told that its partitions are lost."""
    with process_member(kafka, log) as (dies, died_saying), process_member(kafka, log) as (sleeps, slept_saying):
        one = Member(log)
        until(lambda: 0 < len(one.partitions) < PARTITIONS - 1)
        for number in range(4 * PARTITIONS):
            append(log, record(str(number)))
        until(
            lambda: committed(died_saying).keys() | committed(slept_saying).keys() | one.partitions == set(range(4))
        )
        until(
            lambda: sum(committed(died_saying).values()) + sum(committed(slept_saying).values()) + len(one.read) == 16
        )
        theirs = {**committed(died_saying), **committed(slept_saying)}
        dies.kill()
        sleeps.send_signal(signal.SIGSTOP)
        until(lambda: len(one.partitions) == PARTITIONS)
        assert {partition: one.committed[partition] for partition in theirs} == theirs
        os.kill(sleeps.pid, signal.SIGCONT)
        until(lambda: any(line.startswith("lost") for line in slept_saying))
        one.stop()
        assert one.lost == set()


def committed(said: list[str]) -> dict[int, int]:
    words = [line.split() for line in list(said)]
    return {int(word[1]): int(word[2]) for word in words if word[0] == "committed"}


def test_a_commit_of_what_another_member_reads_is_left_out(log: KafkaLog) -> None:
    """A broker would take it, and set the new reader's own commit back."""
    places = [append(log, record(str(i)))[0] for i in range(PARTITIONS)]
    one = Member(log)
    until(lambda: len(one.read) == len(places))
    one.reader.commit(dict.fromkeys(range(PARTITIONS), 1))
    two = Member(log)
    until(lambda: len(two.partitions) == PARTITIONS // 2)
    one.reader.commit(dict.fromkeys(range(PARTITIONS), 0))
    until(lambda: log.figures().lag_records == {"g": PARTITIONS // 2})
    two.stop()
    one.stop()


def test_an_error_of_the_assignments_comes_out_of_poll_and_is_tried_again(log: KafkaLog) -> None:
    """A store that is away when partitions come delays their reading, and loses none."""
    append(log, record("x"))

    class Away:
        def __init__(self) -> None:
            self.times = 0

        def assigned(self, committed: Mapping[int, int]) -> Mapping[int, int]:
            self.times += 1
            if self.times < 3:
                raise RetryLater("the store is away")
            return {}

        def revoked(self, partitions: Collection[int], *, lost: bool) -> None:
            raise RetryLater("the store is away again")

    reader = log.reader("g", Away())
    refused = 0
    found: list[object] = []
    until_s = time.monotonic() + TIMEOUT_S
    while not found and time.monotonic() < until_s:
        try:
            found += reader.poll(bytes_max=1, timeout_s=0.1)
        except RetryLater:
            refused += 1
    assert (len(found), refused) == (1, 2)
    with pytest.raises(RetryLater, match="away again"):
        reader.close()
    reader.close()
