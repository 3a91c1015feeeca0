"""The ledger over a log in memory that the tests can hold up; the same on Kafka is in `test_ledger_kafka`."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.broker.port import Record
from tailrace.errors import NotFound, RetryLater, Stop
from tailrace.model.claim import request_claim
from tailrace.ops.metrics import Metrics
from tailrace.store import replica as replica_module
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.ledger import Ledger
from tests.store.operation_log import ListLog
from tests.store.test_dead_letters import ids, letters

Open = Callable[..., Ledger]


@pytest.fixture
def log() -> ListLog:
    return ListLog()


@pytest.fixture
def open_ledger(log: ListLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the ledger of a process, which has a file of that name."""
    monkeypatch.setattr(replica_module, "_WAIT_S", 0.3)
    monkeypatch.setattr(replica_module, "_CATCH_UP_S", 0.3)
    opened: list[Ledger] = []

    def make(name: str = "a", *, now_us: int = 0, metrics: Metrics | None = None, bytes_max: int = 1 << 20) -> Ledger:
        local = DeadLetters(tmp_path / f"{name}.db", bytes_max=bytes_max, window_s=60)
        opened.append(Ledger(log, local, clock=lambda: now_us, metrics=metrics or Metrics()))
        return opened[-1]

    yield make
    log.resume()
    for each in opened:
        each.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.002)


def test_what_one_process_keeps_all_have(open_ledger: Open) -> None:
    """A letter added in one is listed, read and dropped in another, and then gone in the first."""
    one, other = open_ledger("a"), open_ledger("b")
    one.add(letters(b"x", b"y"), [(0, 7, 0), (3, 7, 1)])
    assert ids(other.list(limit=9)) == ["3-7-1", "0-7-0"]
    assert other.get("0-7-0").raw == b"x"
    other.drop("0-7-0")
    one.claim([("letter/3-7-1", 1, 1)])
    assert ids(one.list(limit=9)) == ["3-7-1"]
    assert one.get("3-7-1").replayed_as == "1-1"
    assert (one.count(), other.figures().letters) == (1, 1)
    for call in (other.drop, other.get):
        with pytest.raises(NotFound):
            call("0-7-0")


def test_a_key_has_one_holder_among_all_processes(open_ledger: Open) -> None:
    """Four threads over two processes ask at once, each for a record of its own: for every key one is told yes."""
    ledgers = [open_ledger("a"), open_ledger("b")]
    answers: list[list[bool]] = []

    def ask(number: int) -> None:
        found = [ledgers[number % 2].claim([(f"k{key}", number, key)])[0] for key in range(20)]
        answers.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 20


def test_what_is_known_needs_no_operation(open_ledger: Open, log: ListLog) -> None:
    """Asking again, and adding what is there or was dropped, leave the log as it is."""
    ledger = open_ledger()
    ledger.add(letters(b"x", b"y"), [(0, 7, 0), (0, 7, 1)])
    ledger.drop("0-7-0")
    assert ledger.claim([("k", 0, 1), ("k", 0, 2)]) == [True, False]
    length = len(log.records)
    assert ledger.claim([("k", 0, 2), ("k", 0, 1)]) == [False, True]
    ledger.add(letters(b"x", b"y"), [(0, 7, 0), (0, 7, 1)])
    assert len(log.records) == length


def test_the_time_of_a_claim_is_that_of_its_operation(open_ledger: Open) -> None:
    """A process that applies it a year later forgets what the one that made it forgot, and nothing else."""
    hour_us = 3600 * 1_000_000
    one = open_ledger("a", now_us=0)
    assert one.claim([(request_claim("k", 0), 0, 1)]) == [True]
    late = open_ledger("late", now_us=9999 * hour_us)
    assert late.claim([(request_claim("k", 0), 0, 2)]) == [False]
    assert late.claim([(request_claim("k2", 0), 0, 3)]) == [True]
    assert one.claim([("meet", 0, 4)]) == [True]
    assert late.claim([("meet", 0, 4)]) == [True]
    # That claim was made at a time by which the old one may go: in both.
    assert one._local.answers([(request_claim("k", 0), 0, 2)]) is None
    assert late._local.answers([(request_claim("k", 0), 0, 2)]) is None


def test_a_log_that_is_away_is_told_in_bounded_time(open_ledger: Open, log: ListLog) -> None:
    """Appends that fail and operations that are not read raise `RetryLater`; both work again when it is back."""
    ledger = open_ledger()
    assert ledger.claim([("k", 0, 1)]) == [True]
    log.away = True
    for call in (
        lambda: ledger.claim([("k2", 0, 1)]),
        lambda: ledger.add(letters(b"x"), [(0, 7, 0)]),
        ledger.count,
    ):
        with pytest.raises(RetryLater, match="away"):
            call()
    assert ledger.claim([("k", 0, 1)]) == [True]
    log.resume()
    log.paused = True
    with pytest.raises(RetryLater, match="has not read operation 1 of their log"):
        ledger.claim([("k2", 0, 1)])
    with pytest.raises(RetryLater):
        ledger.list(limit=1)
    log.resume()
    assert ledger.claim([("k2", 0, 1), ("k2", 0, 2)]) == [True, False]
    assert ledger.count() == 0


def test_a_process_catches_up_before_it_answers(open_ledger: Open, log: ListLog) -> None:
    """What others have done while it was away is there with its first answer."""
    first = open_ledger("a")
    first.close()
    other = open_ledger("b")
    for offset in range(20):
        other.add(letters(b"x"), [(0, offset, 0)])
    assert open_ledger("a").count() == 20
    assert open_ledger("new").count() == 20


def test_what_was_appended_and_not_applied_is_applied_at_the_next_start(open_ledger: Open, log: ListLog) -> None:
    """Killed between the two, the process finds its own operation in the log, once."""
    ledger = open_ledger("a")
    assert ledger.count() == 0
    log.paused = True
    with pytest.raises(RetryLater):
        ledger.claim([("k", 0, 1)])
    ledger.close()
    log.resume()
    again = open_ledger("a")
    assert again.claim([("k", 0, 2), ("k", 0, 1)]) == [False, True]


def test_processes_of_a_machine_may_share_the_file(open_ledger: Open) -> None:
    """Both read the same operations, and each is applied once: what was pushed out is counted once."""
    one, other = (open_ledger("shared", bytes_max=10 * 135) for _ in range(2))
    for offset in range(30):
        (one, other)[offset % 2].add(letters(b"x", observed_us=offset), [(0, offset, 0)])
    for ledger in (one, other):
        ledger.claim([(f"all are here, {ledger}", 0, 0)])
    assert one.count() == other.count() == 10
    assert one.figures().pushed_out == 20


def test_what_cannot_be_decoded_is_left_out_and_counted(open_ledger: Open, log: ListLog) -> None:
    """By every process alike; what comes behind it is applied."""
    metrics = Metrics()
    ledger = open_ledger(metrics=metrics)
    log.append([Record("text/plain", b"hello", 0), Record("", b"", 0, {"operation": "claim"})])
    assert ledger.claim([("k", 0, 1)]) == [True]
    assert metrics.registry.get_sample_value("tailrace_ledger_skipped_total") == 2


def test_a_log_that_was_made_anew_stops(open_ledger: Open, log: ListLog) -> None:
    """The file is further than the log: what to do is said."""
    ledger = open_ledger("a")
    ledger.claim([("k", 0, 1)])
    ledger.close()
    log.records.clear()
    with pytest.raises(Stop, match="made anew; move the file away"):
        open_ledger("a").count()


def test_many_letters_go_in_several_operations(open_ledger: Open, log: ListLog) -> None:
    """Each small enough for any topic; a letter is never cut."""
    ledger = open_ledger(bytes_max=1 << 26)
    raws = [bytes([number]) * 300_000 for number in range(5)] + [b"z" * 2_000_000]
    ledger.add(letters(*raws), [(0, 1, row) for row in range(6)])
    assert len(log.records) == 6
    assert [ledger.get(f"0-1-{row}").raw for row in range(6)] == raws


operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 9)),
        st.tuples(st.just("drop"), st.integers(0, 3), st.integers(0, 9)),
        st.tuples(st.just("claim"), st.integers(0, 3), st.integers(0, 9)),
    ),
    max_size=25,
)


@pytest.mark.slow
@settings(max_examples=25)
@given(operations, st.integers(500, 2000))
def test_all_copies_end_alike(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[str, int, int]], bytes_max: int
) -> None:
    """Any operations from two processes: both files and a third, made later, hold the same, pushed out ones too."""
    folder, log = tmp_path_factory.mktemp("ledger"), ListLog()
    clock_us = iter(range(10**9, 10**12, 30_000_000))

    def opened(name: str) -> Ledger:
        local = DeadLetters(folder / f"{name}.db", bytes_max=bytes_max, window_s=60)
        return Ledger(log, local, clock=lambda: next(clock_us), metrics=Metrics())

    ledgers = [opened("a"), opened("b")]
    for number, (what, partition, offset) in enumerate(made):
        ledger = ledgers[number % 2]
        if what == "add":
            ledger.add(letters(b"x" * 200, observed_us=1 + number // 3), [(partition, offset, 0)])
        elif what == "claim":
            ledger.claim([(request_claim(f"k{partition}", number * 10_000_000), 0, offset)])
        else:
            with contextlib.suppress(NotFound):
                ledger.drop(f"{partition}-{offset}-0")
    ledgers.append(opened("late"))
    for ledger in ledgers:
        ledger.count()
        ledger.claim([("all are here", 0, 0)])
    states = []
    for name, ledger in zip(("a", "b", "late"), ledgers, strict=True):
        ledger._replica.catch_up()
        wait_until(partial(is_level, ledger, log))
        ledger.close()
        states.append(contents(folder / f"{name}.db"))
    assert states[0] == states[1] == states[2]


def is_level(ledger: Ledger, log: ListLog) -> bool:
    return ledger._local.applied() == len(log.records)


def contents(path: Path) -> list[object]:
    db = sqlite3.connect(path)
    try:
        return [
            db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            for table in ("letters", "dropped", "figures", "claims")
        ]
    finally:
        db.close()
