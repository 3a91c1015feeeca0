"""What the tests of Spark's jobs share: a topic with everything in it, a worker on it, and what a lake holds."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from deploy.local.kafka import Kafka

from tailrace.broker.kafka import KafkaLog
from tailrace.config import LogSettings, QuerySettings, Settings, WorkerSettings
from tailrace.jobs.places import lake_place, open_letters_log
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, encode_batch
from tailrace.model.claim import CLAIM
from tailrace.model.clock import system_clock_us
from tailrace.ops.metrics import Metrics
from tailrace.process.worker import Worker
from tailrace.store.dead_letters import DeadLetters
from tailrace.store.duck import Duck
from tailrace.store.lake.files import read_groups
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.table import LakeTable
from tailrace.store.ledger import Ledger
from tests.loghub import LOGHUB, loghub_file

PARTITIONS = 2
FIRST_US = 1_742_040_000_000_000
"""2025-03-15T12:00:00Z."""

Row = dict[str, Any]
Identity = tuple[int, int, int]


def lines(count: int) -> list[str]:
    """Real ones where they are on this machine."""
    if LOGHUB.is_dir():
        return loghub_file("Zookeeper").read_text().splitlines()[:count]
    return [f"request {number} took {number % 97} ms" for number in range(count)]


class Topic:
    """A topic of its own on a shared broker. `fill` puts there `events`, and `bad` documents, up to `ends`."""

    def __init__(self, kafka: Kafka) -> None:
        self.name = f"spark-{uuid.uuid4().hex[:8]}"
        self.url = kafka.url(self.name)
        admin = AdminClient({"bootstrap.servers": kafka.address, "log_level": 0})
        new = NewTopic(self.name, PARTITIONS, 1, config={"max.message.bytes": str(32 << 20)})
        admin.create_topics([new])[self.name].result()
        self._producer = Producer(
            {"bootstrap.servers": kafka.address, "message.max.bytes": 32 << 20, "linger.ms": 5, "log_level": 0}
        )
        self._fills = 0
        self.ends = dict.fromkeys(range(PARTITIONS), 0)
        self.bad = 0
        self.events = 0

    def fill(self, texts: list[str]) -> None:
        """Each line is an event once: in documents, in Arrow batches, twice under one claim, and amid what is bad."""
        self._fills += 1
        for number, text in enumerate(texts):
            partition = number % PARTITIONS
            if number % 40 < 30:
                self._document(partition, number, text)
            elif number % 40 == 30:
                self._batch(partition, texts[number : number + 10], number)
            if number % 200 == 35:
                self._put(partition, b'{"message": not json')
                self.bad += 1
            if number % 200 == 36:
                self._put(partition, None)
        assert self._producer.flush(30) == 0

    def settings(self, data: Path) -> Settings:
        return Settings(data=data, log=LogSettings(url=self.url), worker=WorkerSettings(flush_interval_s=0.2))

    def _document(self, partition: int, number: int, text: str) -> None:
        event = {
            "timestamp": _time(number),
            "message": text,
            "level": "WARN",
            "service": "json",
            "request": {"n": number},
        }
        self._put(partition, json.dumps(event).encode())
        self.events += 1

    def _batch(self, partition: int, texts: list[str], number: int) -> None:
        rows = [
            {
                "timestamp": FIRST_US + (number + row) * 1000,
                "observed_timestamp": FIRST_US + row * 3_600_000_000,
                "message": text,
                "service": "arrow",
                "attributes": {"row": str(row)},
            }
            for row, text in enumerate(texts)
        ]
        headers: dict[str, str | bytes | None] = {
            "content-type": ARROW_STREAM,
            "rows": str(len(rows)),
            CLAIM: f"key/1/{self._fills}-{number}",
        }
        if number % 80 == 30:
            self._put(partition, encode_batch(batch_of_rows(rows)), headers)
        else:
            del headers[CLAIM]
        self._put(partition, encode_batch(batch_of_rows(rows)), headers)
        self.events += len(rows)

    def _put(self, partition: int, value: bytes | None, headers: dict[str, str | bytes | None] | None = None) -> None:
        self._producer.produce(self.name, value, partition=partition, headers=headers)
        self._producer.poll(0)
        self.ends[partition] += 1


def _time(number: int) -> str:
    return f"2025-03-15T12:{number // 60 % 60:02d}:{number % 60:02d}.{number % 1000:03d}Z"


@contextlib.contextmanager
def letters_of(settings: Settings, file: Path) -> Iterator[Ledger]:
    """The dead letters and claims of the topic, as every process of the platform has them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    log = open_letters_log(settings)
    ledger = Ledger(log, DeadLetters(file), clock=system_clock_us, metrics=Metrics())
    try:
        yield ledger
    finally:
        ledger.close()
        log.close()


def work_until(settings: Settings, lake_url: str, letters: Ledger, is_done: Callable[[Lake], bool]) -> None:
    """A single-node worker on the topic, until the lake is as it should be."""
    log = KafkaLog(
        settings.log.url,
        kafka=settings.kafka,
        log=settings.log,
        groups=("lake",),
        clock=system_clock_us,
        metrics=Metrics(),
    )
    duck = Duck(QuerySettings(), temp_directory=settings.data / "temporary")
    with contextlib.closing(log), contextlib.closing(duck), lake_place(lake_url, settings) as place:
        lake = Lake(place, engine=duck, clock=system_clock_us, metrics=Metrics())
        worker = Worker(
            "lake",
            log,
            lambda _: lake,
            hot=None,
            dead_letters=letters,
            claims=letters,
            settings=settings.worker,
            limits=settings.ingest,
            clock=system_clock_us,
            metrics=Metrics(),
        )
        worker.start()
        try:
            wait_until(lambda: is_done(lake))
        finally:
            worker.stop()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {timeout_s:g} s"
        time.sleep(0.05)


def reached(lake_url: str, settings: Settings) -> dict[int, int]:
    with lake_place(lake_url, settings) as place:
        return dict(LakeTable(place, clock=system_clock_us).state().reached)


def events_in(lake_url: str, settings: Settings) -> dict[Identity, Row]:
    """Every event by its identity; fails when one is there twice. Without the time of arrival of what had none."""
    found: dict[Identity, Row] = {}
    with lake_place(lake_url, settings) as place:
        files = LakeTable(place, clock=system_clock_us).state().files.values()
        for file in files:
            with place.held({file.path: file.size_bytes}):
                rows = [row for group in read_groups(place.local(file.path)) for row in group.to_pylist()]
            assert len(rows) == file.rows
            for row in rows:
                identity = (row.pop("log_partition"), row.pop("log_offset"), row.pop("log_row"))
                assert identity not in found, f"{identity} is there twice"
                if row["service"] == "json":
                    del row["observed_timestamp"]
                found[identity] = row
    return found
