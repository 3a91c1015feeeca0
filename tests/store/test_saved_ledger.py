"""The saved views of many processes, over a log in memory that the tests can hold up; and once on a real Kafka."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from deploy.local.kafka import Kafka

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.kafka_url import saved_url
from tailrace.broker.port import Record
from tailrace.config import KafkaSettings, LogSettings
from tailrace.errors import NotFound, RetryLater
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.store import replica as replica_module
from tailrace.store.operation import Meet
from tailrace.store.replica import OperationLog
from tailrace.store.saved_ledger import SavedLedger
from tailrace.store.saved_operations import OPERATION, Change, Create, Remove, decode_operation
from tailrace.store.saved_views import Content, SavedView, SavedViews
from tests.store.operation_log import ListLog

CONTENT = Content("Failed payments", "search", '{"q":"level:ERROR"}')
OTHER = Content("Slow", "sql", '{"query":"SELECT 1"}')

Open = Callable[..., SavedLedger]


@pytest.fixture
def log() -> ListLog:
    return ListLog()


@pytest.fixture
def open_ledger(log: ListLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the views of a process, which has a file of that name."""
    monkeypatch.setattr(replica_module, "_WAIT_S", 0.3)
    monkeypatch.setattr(replica_module, "_CATCH_UP_S", 0.3)
    opened: list[SavedLedger] = []

    def make(name: str, from_log: OperationLog | None = None) -> SavedLedger:
        local = SavedViews(tmp_path / f"{name}.db", clock=system_clock_us)
        opened.append(SavedLedger(from_log or log, local, clock=system_clock_us, metrics=Metrics()))
        return opened[-1]

    yield make
    log.resume()
    for each in opened:
        each.close()


def seen(ledger: SavedLedger, id: str, content: Content) -> SavedView:
    """Once the process has it."""
    deadline = time.monotonic() + 20
    while True:
        with suppress(NotFound):
            if (view := ledger.get(id)).content == content:
                return view
        assert time.monotonic() < deadline, "it did not come within 20 s"
        time.sleep(0.005)


def test_what_one_process_saves_all_have(open_ledger: Open) -> None:
    """A view is read, changed and removed in another process, and one that starts later has the same."""
    one, other = open_ledger("a"), open_ledger("b")
    view = one.create(CONTENT)
    assert one.get(view.id) == view
    assert seen(other, view.id, CONTENT) == view
    changed = other.change(view.id, OTHER)
    assert seen(one, view.id, OTHER) == changed
    kept = one.create(CONTENT)
    seen(other, kept.id, CONTENT)
    other.remove(view.id)
    late = open_ledger("late")
    assert list(late.list()) == [kept]
    with pytest.raises(NotFound):
        late.change(view.id, CONTENT)


def test_a_process_goes_on_where_it_was(open_ledger: Open, log: ListLog) -> None:
    """After a start anew it has what it had, and what came meanwhile; nothing is applied twice."""
    one = open_ledger("a")
    first = one.create(CONTENT)
    one.close()
    other = open_ledger("b")
    other.change(first.id, OTHER)
    second = other.create(CONTENT)
    again = open_ledger("a")
    assert {view.id: view.content for view in again.list()} == {first.id: OTHER, second.id: CONTENT}


def test_while_the_log_is_away_views_are_read_and_not_changed(open_ledger: Open, log: ListLog) -> None:
    """A change is refused for a while rather than kept in one process alone; reading goes on."""
    one = open_ledger("a")
    view = one.create(CONTENT)
    log.away = True
    for change in (lambda: one.create(OTHER), lambda: one.change(view.id, OTHER), lambda: one.remove(view.id)):
        with pytest.raises(RetryLater, match="away"):
            change()
    assert one.get(view.id) == view
    with pytest.raises(RetryLater):
        open_ledger("new").list()
    log.resume()
    assert one.change(view.id, OTHER).content == OTHER


def test_all_copies_end_alike(open_ledger: Open) -> None:
    """Whatever two processes do to the same views, in whatever order, both and a late one end alike."""
    choose = random.Random(7)
    ledgers = [open_ledger("a"), open_ledger("b")]
    ids: list[str] = []
    for number in range(60):
        ledger = choose.choice(ledgers)
        content = Content(f"n{number}", "search", orjson.dumps({"n": number}).decode())
        what = choose.choice(["create", "change", "change", "remove"])
        if what == "create" or not ids:
            ids.append(ledger.create(content).id)
            continue
        with suppress(NotFound):
            if what == "change":
                ledger.change(choose.choice(ids), content)
            else:
                ledger.remove(choose.choice(ids))
    ledgers.append(open_ledger("late"))
    last = ledgers[0].create(CONTENT)
    for ledger in ledgers:
        seen(ledger, last.id, CONTENT)
    states = [ledger.list() for ledger in ledgers]
    assert states[0] == states[1] == states[2]
    assert len(states[0]) > 1


@pytest.mark.parametrize("operation", [Create("i", CONTENT, 5), Change("i", OTHER, 6), Remove("i"), Meet()])
def test_an_operation_is_read_as_it_was_written(operation: Create | Change | Remove | Meet) -> None:
    """Encoding and decoding are each other's inverse."""
    headers, payload = operation.encode()
    assert decode_operation(OPERATION, headers, payload) == operation


@pytest.mark.parametrize(
    ("content_type", "headers", "payload"),
    [
        ("text/plain", {"operation": "meet"}, b""),
        (OPERATION, {}, b""),
        (OPERATION, {"operation": "explode"}, b"{}"),
        (OPERATION, {"operation": "remove"}, b"{"),
        (OPERATION, {"operation": "remove"}, b"[]"),
        (OPERATION, {"operation": "create"}, b'{"id": "i"}'),
        (OPERATION, {"operation": "change"}, b'{"id":"i","name":"n","kind":"sql","state":"x","at_us":1}'),
    ],
)
def test_what_is_no_operation_is_left_out(
    open_ledger: Open, log: ListLog, content_type: str, headers: dict[str, str], payload: bytes
) -> None:
    """A stranger's record in the topic is skipped by every process; what comes behind it is applied."""
    one = open_ledger("a")
    log.append([Record(content_type, payload, 0, headers)])
    view = one.create(CONTENT)
    assert list(one.list()) == [view]


@pytest.mark.slow
def test_views_are_shared_over_kafka(open_ledger: Open, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real topic: saved in one process, there in another, and in one that starts on an empty folder."""
    monkeypatch.setattr(replica_module, "_WAIT_S", 10.0)
    monkeypatch.setattr(replica_module, "_CATCH_UP_S", 10.0)
    url = saved_url(kafka.url(f"saved-{uuid.uuid4().hex[:8]}"))
    settings = KafkaSettings(partitions=1)
    logs = [
        KafkaLog(url, kafka=settings, log=LogSettings(), groups=(), clock=system_clock_us, metrics=Metrics())
        for _ in range(3)
    ]
    try:
        one, other = open_ledger("a", logs[0]), open_ledger("b", logs[1])
        view = one.create(CONTENT)
        seen(other, view.id, CONTENT)
        other.change(view.id, OTHER)
        assert [each.content for each in open_ledger("empty", logs[2]).list()] == [OTHER]
    finally:
        for log in logs:
            log.close()
