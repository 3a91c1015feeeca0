"""The ledger on a real Kafka: one answer for all processes, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy.local.kafka import Kafka

from tailrace.broker.kafka import KafkaLog
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import RetryLater
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.ledger import Ledger
from tests.store.test_dead_letters import ids, letters

ROOT = Path(__file__).parents[2]


@contextmanager
def ledger_on(url: str, file: Path) -> Iterator[Ledger]:
    log = KafkaLog(
        url, kafka=KafkaSettings(partitions=1), log=LogSettings(), groups=(), clock=system_clock_us, metrics=Metrics()
    )
    ledger = Ledger(log, DeadLetters(file, bytes_max=1 << 27), clock=system_clock_us, metrics=Metrics())
    try:
        yield ledger
    finally:
        ledger.close()
        log.close()


@pytest.fixture
def url(kafka: Kafka) -> str:
    return kafka.url(f"ledger-{uuid.uuid4().hex[:8]}.dead-letters")


def together(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_one_machine_keeps_all_have(url: str, tmp_path: Path) -> None:
    """Letters, claims and what was dropped, in two that run and in one that comes later."""
    with ledger_on(url, tmp_path / "a.db") as one, ledger_on(url, tmp_path / "b.db") as other:
        one.add(letters(b"x", b"y"), [(0, 7, 0), (3, 7, 1)])
        assert other.claim([("letter/0-7-0", 1, 5)]) == [True]
        assert one.claim([("letter/0-7-0", 1, 6)]) == [False]
        other.drop("3-7-1")
        with ledger_on(url, tmp_path / "c.db") as late:
            assert ids(late.list(limit=9)) == ["0-7-0"]
            assert late.get("0-7-0").replayed_as == "1-5"
            assert late.claim([("letter/0-7-0", 1, 6)]) == [False]


def test_of_many_that_ask_at_once_one_has_the_key(url: str, tmp_path: Path) -> None:
    """Four threads over two ledgers, for each of many keys."""
    answers: list[list[bool]] = []
    with ledger_on(url, tmp_path / "a.db") as one, ledger_on(url, tmp_path / "b.db") as other:

        def ask(number: int) -> None:
            ledger = (one, other)[number % 2]
            answers.append([ledger.claim([(f"k{key}", number, key)])[0] for key in range(25)])

        together(ask, 4)
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 25


CLAIMING = """
import os, sys
from pathlib import Path
from tests.store.test_ledger_kafka import ledger_on
with ledger_on(sys.argv[1], Path(sys.argv[2])) as ledger:
    if sys.argv[3] == "die":
        # Killed when its operation is durable in the log, and before it is applied here.
        take = ledger._replica._take
        def die(items):
            if any(item.record.headers["operation"] == "claim" for item in items):
                os.kill(os.getpid(), 9)
            take(items)
        ledger._replica._take = die
    for key in range(int(sys.argv[4])):
        print(key, ledger.claim([(f"k{key}", int(sys.argv[5]), key)])[0], flush=True)
"""


def process(url: str, file: Path, how: str, keys: int, partition: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CLAIMING, url, str(file), how, str(keys), str(partition)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_process_killed_between_append_and_apply_gets_its_claim_again(url: str, tmp_path: Path) -> None:
    """Its operation is in the log: the others refuse the key to everybody else, and give it to it when it is back."""
    with ledger_on(url, tmp_path / "a.db") as other:
        assert other.count() == 0
        child = process(url, tmp_path / "killed.db", "die", 1, 7)
        assert child.communicate(timeout=60)[0] == ""
        assert child.returncode == -signal.SIGKILL
        assert other.claim([("k0", 9, 9)]) == [False]
    again = process(url, tmp_path / "killed.db", "live", 1, 7)
    assert again.communicate(timeout=60)[0] == "0 True\n"


def test_processes_that_are_killed_never_disagree(url: str, tmp_path: Path) -> None:
    """Two processes claim the same keys, one is killed in the middle and started again: each key has one holder."""
    steady = process(url, tmp_path / "steady.db", "live", 300, 1)
    killed = process(url, tmp_path / "killed.db", "live", 300, 2)
    assert killed.stdout is not None
    told = [killed.stdout.readline() for _ in range(20)]
    os.kill(killed.pid, signal.SIGKILL)
    told += killed.communicate(timeout=60)[0].splitlines(keepends=True)
    again = process(url, tmp_path / "killed.db", "live", 300, 2)
    first, second = (each.communicate(timeout=60)[0].splitlines() for each in (steady, again))
    assert len(first) == len(second) == 300
    assert all((one.endswith("True")) != (other.endswith("True")) for one, other in zip(first, second, strict=True))
    whole = [line.rstrip("\n") for line in told if line.endswith("\n")]
    assert whole == second[: len(whole)]


def test_a_letter_that_is_too_large_for_a_message_is_kept_without_its_bytes(url: str, tmp_path: Path) -> None:
    """It holds nothing up, and says what happened to its bytes."""
    with ledger_on(url, tmp_path / "a.db") as ledger:
        raw = os.urandom(33 << 20)
        ledger.add(letters(raw, b"small"), [(0, 1, 0), (0, 1, 1)])
        assert ledger.claim([("after", 0, 0)]) == [True]
        large = ledger.get("0-1-0")
        assert large.raw == b""
        assert large.reason.startswith("not JSON (without its bytes: ")
        assert ledger.get("0-1-1").raw == b"small"


def test_a_broker_that_is_away_is_told_and_comes_back(own_kafka: Kafka, tmp_path: Path) -> None:
    """`RetryLater` in bounded time while it is killed; known answers go on; all is there when it is back."""
    with ledger_on(own_kafka.url("away.dead-letters"), tmp_path / "a.db") as ledger:
        assert ledger.claim([("k", 0, 1)]) == [True]
        own_kafka.kill()
        with pytest.raises(RetryLater):
            ledger.claim([("k2", 0, 1)])
        assert ledger.claim([("k", 0, 2), ("k", 0, 1)]) == [False, True]
        own_kafka.start()
        for _ in range(10):
            try:
                answer = ledger.claim([("k2", 0, 1), ("k2", 0, 2)])
                break
            except RetryLater:
                continue
        assert answer == [True, False]
