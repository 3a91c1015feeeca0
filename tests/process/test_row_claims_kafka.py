"""Documents with ids on a real Kafka: several gateways and workers, and a log that splits what is too large."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.local.kafka import Kafka

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import Record
from tailrace.config import IngestSettings, KafkaSettings, LogSettings, WorkerSettings
from tailrace.ingest.bulk.decode import decode_bulk
from tailrace.model.batch import ARROW_STREAM, encode_batch
from tailrace.model.claim import DOCUMENTS, ROW_CLAIMS
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.process.worker import Worker
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.ledger import Ledger
from tests.process.test_worker import FailingStore, wait_until

DOCUMENTS_EACH = 1500


@contextmanager
def topic(url: str, partitions: int, *groups: str) -> Iterator[KafkaLog]:
    log = KafkaLog(
        url,
        kafka=KafkaSettings(partitions=partitions),
        log=LogSettings(),
        groups=groups,
        clock=system_clock_us,
        metrics=Metrics(),
    )
    try:
        yield log
    finally:
        log.close()


def bulk_record(first: int, at_us: int) -> Record:
    """As a gateway makes it of a bulk request; the messages are so long that some records are split."""
    body = "".join(
        f'{{"create":{{"_index":"web","_id":"{number}"}}}}\n{{"message":"{number}","x":"{os.urandom(600).hex()}"}}\n'
        for number in range(first, first + DOCUMENTS_EACH)
    )
    events = decode_bulk(body.encode(), limits=IngestSettings(), now_us=at_us).events
    return Record(ARROW_STREAM, encode_batch(events), events.num_rows, {ROW_CLAIMS: DOCUMENTS})


def test_of_all_that_gateways_append_each_id_is_stored_once_by_every_store(kafka: Kafka, tmp_path: Path) -> None:
    """Requests that overlap, and come again to another gateway, into partitions that two workers share."""
    name = f"documents-{uuid.uuid4().hex[:8]}"
    now_us = system_clock_us()
    with ExitStack() as stack:
        gateways = [stack.enter_context(topic(kafka.url(name), 4, "one", "two")) for _ in range(2)]
        starts = (0, 500, 2000, 2000, 0, 3000)
        appended = [
            gateways[number % 2].append([bulk_record(first, now_us + number)]) for number, first in enumerate(starts)
        ]
        for each in appended:
            each.result(30)
        stores = [FailingStore(name=name) for name in ("one", "one", "two")]
        for number, store in enumerate(stores):
            metrics = Metrics()
            letters = stack.enter_context(topic(kafka.url(f"{name}.dead-letters"), 1))
            ledger = Ledger(letters, DeadLetters(tmp_path / f"{number}.db"), clock=system_clock_us, metrics=metrics)
            stack.callback(ledger.close)
            worker = Worker(
                store.name,
                stack.enter_context(topic(kafka.url(name), 4)),
                lambda _, store=store: store,  # type: ignore[misc]
                hot=None,
                dead_letters=None,
                claims=ledger,
                settings=WorkerSettings(flush_interval_s=0.05),
                limits=IngestSettings(),
                clock=system_clock_us,
                metrics=metrics,
            )
            worker.start()
            stack.callback(worker.stop)
        expected = Counter(str(number) for number in range(3000 + DOCUMENTS_EACH))
        wait_until(lambda: len(stores[2].messages) >= len(expected))
        wait_until(lambda: len(stores[0].messages) + len(stores[1].messages) >= len(expected))
    assert Counter(stores[2].messages) == expected
    assert Counter(stores[0].messages + stores[1].messages) == expected
