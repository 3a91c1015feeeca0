"""A pipeline for events that other programs put into a topic: the worker runs the steps that no gateway has run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tailrace.broker.port import LogLines, LogRecord, Record
from tailrace.broker.sqlite import SqliteLog
from tailrace.config import IngestSettings, LogSettings, WorkerSettings
from tailrace.errors import TooLarge
from tailrace.ingest.shape import Shaped
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, encode_batch
from tailrace.model.clock import system_clock_us
from tailrace.model.dead_letter import DEAD_LETTERS
from tailrace.ops.metrics import Metrics
from tailrace.process.decode import Decoded, decode
from tailrace.process.shaping import is_foreign, shaped
from tailrace.process.worker import Worker
from tailrace.store.dead_letters import DeadLetters
from tests.process.test_worker import FailingStore, wait_until
from tests.steps.rig import LIMITS, batch, pipeline

ROUTES = """
[[step]]
kind = "redact"
detect = ["card"]
[[step]]
kind = "route"
where = "level:ERROR"
stores = ["lake"]
[[step]]
kind = "drop_events"
where = "message:5"
"""
CARD = "4111111111111111"


def test_what_goes_on_to_a_store(tmp_path: Path) -> None:
    """What was routed elsewhere or dropped is left out; the others keep their identity and their order."""
    pipe = pipeline(tmp_path, ROUTES)
    events = batch([{"message": str(n), "level": "ERROR" if n % 3 == 0 else "INFO"} for n in range(8)])
    rows = {}
    for store in ("lake", "jsonl"):
        going = shaped(Decoded(events), store=store, shape=pipe).events
        rows[store] = going.column("log_row").to_pylist() if going is not None else None
    assert rows == {"lake": [0, 1, 2, 3, 4, 6, 7], "jsonl": [1, 2, 4, 7]}
    assert shaped(Decoded(events.slice(0, 1)), store="jsonl", shape=pipe) == Decoded()


def test_letters_of_other_programs_are_redacted(tmp_path: Path) -> None:
    """A document that is no event keeps its identity, and loses its card number."""
    item = LogRecord(2, 9, Record("application/json", f'{{"pan": {CARD}'.encode(), 0))
    found = shaped(decode(item, limits=LIMITS, now_us=1), store="lake", shape=pipeline(tmp_path, ROUTES))
    assert found.letters is not None
    assert found.letters.column("raw").to_pylist() == [b'{"pan": [card]']
    assert found.identities == [(2, 9, 0)]


def test_many_documents_of_a_topic(tmp_path: Path) -> None:
    """One that is dropped leaves a gap in the offsets, and moves none of the others."""
    payload = f'{{"message": "a {CARD}"}}\n{{"message": "5"}}\n{{"message": "b", "level": "error"}}'.encode()
    lines = decode(LogLines(1, np.array([7, 8, 10]), payload), limits=LIMITS, now_us=1)
    pipe = pipeline(tmp_path, ROUTES)
    found = {store: shaped(lines, store=store, shape=pipe).events for store in ("lake", "jsonl")}
    assert found["lake"] is not None
    assert found["lake"].column("message").to_pylist() == ["a [card]", "b"]
    assert found["lake"].column("log_offset").to_pylist() == [7, 10]
    assert found["jsonl"] is not None
    assert found["jsonl"].column("log_offset").to_pylist() == [7]


def test_who_has_appended_a_record() -> None:
    """Ours say how many events they hold, or that they hold dead letters; so steps run once on each event.

    A header `rows` beside something else is not ours: it must not go around what is to be redacted.
    """
    ours = Record(ARROW_STREAM, b"", 3)
    letters = Record(DEAD_LETTERS, b"", 0)
    theirs = Record("application/json", b"{}", 0, {"traceparent": "x"})
    counted = Record("application/json", b"{}", 5)
    records = (ours, letters, theirs, counted)
    assert [is_foreign(LogRecord(0, 0, record)) for record in records] == [False, False, True, True]
    assert is_foreign(LogLines(0, np.array([1]), b"{}"))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    opened = SqliteLog(tmp_path / "log.db", settings=LogSettings(), clock=system_clock_us)
    yield opened
    opened.close()


def test_a_worker_shapes_what_others_have_appended(tmp_path: Path, log: SqliteLog) -> None:
    """Records of a gateway come as they are, having been shaped; documents of others are shaped, letters too."""
    rows = [{"timestamp": 1, "observed_timestamp": 1, "message": "shaped before, 5"}]
    log.append(
        [
            Record(ARROW_STREAM, encode_batch(batch_of_rows(rows)), 1),
            Record(
                "application/json", f'{{"message": "theirs {CARD}"}}\n{{"message": "5"}}\n{{"cut {CARD}'.encode(), 0
            ),
            Record("application/json", b'{"message": "5"}', 0),
            Record("application/json", b'{"message": "6"}', 0),
        ]
    ).result()
    store, letters = FailingStore(name="lake"), DeadLetters(tmp_path / "dead_letters.db")
    worker = Worker(
        "lake",
        log,
        lambda _: store,
        hot=None,
        dead_letters=letters,
        claims=letters,
        settings=WorkerSettings(flush_interval_s=0.05),
        limits=IngestSettings(),
        clock=system_clock_us,
        metrics=Metrics(),
        shape=pipeline(tmp_path, ROUTES),
    )
    worker.start()
    try:
        # What was dropped is done as well: the store's progress passes it.
        wait_until(lambda: sum(store.progress.values()) >= 4)
    finally:
        worker.stop()
    assert store.messages == ["shaped before, 5", "theirs [card]", "6"]
    (letter,) = letters.list(limit=10)
    assert (letter.raw, letter.line) == (b'{"cut [card]', 3)
    letters.close()


class _Growing:
    """A pipeline that bears no more than two events at once."""

    def apply(self, events: pa.RecordBatch) -> Sequence[Shaped]:
        if events.num_rows > 2:
            raise TooLarge("too much")
        return [Shaped(events)]

    def redact_letters(self, letters: pa.RecordBatch) -> pa.RecordBatch:
        return letters


def test_events_that_steps_make_too_large_go_on_in_parts() -> None:
    """The bound is that of a request; what is in the log already is not lost to it."""
    events = batch([{"message": str(row)} for row in range(7)])
    found = shaped(Decoded(events), store="lake", shape=_Growing()).events
    assert found is not None
    assert found.equals(events)
