"""Structured Streaming into the lake, beside the worker of a single machine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deploy.local.kafka import Kafka
from deploy.local.s3 import S3

from tailrace.config import LakeSettings, Settings
from tailrace.jobs.places import lake_place
from tailrace.model.clock import system_clock_us
from tailrace.store.ledger import Ledger
from tailrace.store.port import Claims
from tests.jobs.rig import Topic, events_in, letters_of, lines, reached, wait_until, work_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tailrace.jobs.stream import Stored

pytestmark = pytest.mark.slow


@pytest.fixture
def topic(kafka: Kafka) -> Topic:
    return Topic(kafka)


def store_by_spark(
    spark: SparkSession, settings: Settings, lake_url: str, claims: Claims, *, batch_bytes: int = 1 << 30
) -> Stored:
    from tailrace.jobs.stream import Streaming, stream

    with lake_place(lake_url, settings) as place:
        return stream(
            spark,
            Streaming(lake_url, trigger_s=None, batch_bytes=batch_bytes),
            place,
            claims,
            settings=settings,
            clock=system_clock_us,
            stopping=threading.Event(),
        )


def test_the_same_rows_as_the_worker(spark: SparkSession, topic: Topic, tmp_path: Path) -> None:
    """Of both encodings, of what was said twice, and of what is bad: rows, identities, letters and progress."""
    settings = topic.settings(tmp_path)
    topic.fill(lines(2000))
    by_spark, by_worker = (f"file://{tmp_path}/{name}" for name in ("by-spark", "by-worker"))
    with letters_of(settings, tmp_path / "letters.db") as letters:
        stored = store_by_spark(spark, settings, by_spark, letters, batch_bytes=250_000)
        assert stored.commits > 1, "a topic of more than one micro-batch"
        assert letters.count() == topic.bad == stored.letters
        work_until(settings, by_worker, letters, lambda lake: dict(lake.reached()) == topic.ends)
        assert letters.count() == topic.bad, "the worker's letters are the same ones"
    ours = events_in(by_spark, settings)
    assert len(ours) == stored.events == topic.events
    assert ours == events_in(by_worker, settings)
    assert reached(by_spark, settings) == topic.ends
    read = spark.read.format("delta").load(by_spark).select("log_partition", "log_offset", "log_row").toArrow()
    assert sorted(zip(*(column.to_pylist() for column in read.columns), strict=True)) == sorted(ours), (
        "Delta's own reader"
    )


def test_each_goes_on_where_the_other_ended(spark: SparkSession, topic: Topic, tmp_path: Path) -> None:
    """Spark, the worker, Spark again, on one lake: every event once, and nothing read twice."""
    settings = topic.settings(tmp_path)
    lake_url = f"file://{tmp_path}/lake"
    with letters_of(settings, tmp_path / "letters.db") as letters:
        topic.fill(lines(400))
        first = store_by_spark(spark, settings, lake_url, letters)
        assert first.events == topic.events == len(events_in(lake_url, settings))
        topic.fill(lines(400))
        work_until(settings, lake_url, letters, lambda lake: dict(lake.reached()) == topic.ends)
        assert len(events_in(lake_url, settings)) == topic.events
        before = topic.events
        topic.fill(lines(400))
        last = store_by_spark(spark, settings, lake_url, letters)
        assert last.events == topic.events - before
        assert store_by_spark(spark, settings, lake_url, letters).events == 0, "there is nothing left"
    assert len(events_in(lake_url, settings)) == topic.events
    assert reached(lake_url, settings) == topic.ends


def test_a_running_stream_stores_what_comes_until_it_is_told_to_end(
    spark: SparkSession, topic: Topic, s3: S3, tmp_path: Path
) -> None:
    """On an object store, in a lake that did not exist."""
    from tailrace.jobs.stream import Streaming, stream

    lake_url = f"{s3.make_bucket('spark')}/stream"
    settings = topic.settings(tmp_path).model_copy(update={"lake": LakeSettings(storage_options=s3.storage_options)})
    stopping = threading.Event()
    asked = Streaming(lake_url, trigger_s=0.1, batch_bytes=1 << 30)
    with (
        letters_of(settings, tmp_path / "letters.db") as letters,
        lake_place(lake_url, settings) as place,
        ThreadPoolExecutor(1) as beside,
    ):
        running = beside.submit(
            stream, spark, asked, place, letters, settings=settings, clock=system_clock_us, stopping=stopping
        )
        try:
            for _ in range(2):
                topic.fill(lines(200))
                wait_until(lambda: running.done() or reached(lake_url, settings) == topic.ends)
        finally:
            stopping.set()
        assert running.result().events == topic.events
    assert len(events_in(lake_url, settings)) == topic.events


class Overtaken:
    """Claims that let a worker store everything, the moment they are first asked: between reading and the commit."""

    def __init__(self, letters: Ledger, overtake: threading.Thread) -> None:
        self._letters = letters
        self._overtake = overtake
        self.asked = 0

    def claim(self, claims: Sequence[tuple[str, int, int]]) -> list[bool]:
        if not self.asked:
            self._overtake.start()
            self._overtake.join()
        self.asked += 1
        return self._letters.claim(claims)


def test_two_that_store_the_same_partitions_store_each_event_once(
    spark: SparkSession, topic: Topic, tmp_path: Path
) -> None:
    """The worker commits while a micro-batch is under way: Spark's commit fails, and it finds nothing left to do."""
    settings = topic.settings(tmp_path)
    lake_url = f"file://{tmp_path}/lake"
    topic.fill(lines(400))
    with letters_of(settings, tmp_path / "letters.db") as letters:

        def store_by_worker() -> None:
            work_until(settings, lake_url, letters, lambda lake: dict(lake.reached()) == topic.ends)

        claims = Overtaken(letters, threading.Thread(target=store_by_worker))
        stored = store_by_spark(spark, settings, lake_url, claims)
    assert claims.asked == 1, "the second try found no record that is not stored"
    assert stored.events == 0
    assert len(events_in(lake_url, settings)) == topic.events
    files = list((tmp_path / "lake").glob("date=*/*.parquet"))
    assert len(files) == len(_named(lake_url, settings)), "what was not committed is gone"


def _named(lake_url: str, settings: Settings) -> Sequence[str]:
    from tailrace.store.lake.table import LakeTable

    with lake_place(lake_url, settings) as place:
        return list(LakeTable(place, clock=system_clock_us).state().files)
