"""From the topic to the lake by Structured Streaming: each event once, whatever is killed.

    a micro-batch ──> executors write data files (`storing`) ──> the driver commits all of them in one Delta commit

The commit is the lake's own (`LakeTable.append`): it names the files and, as application transactions, how far each
partition has come. That progress is the only one. A start reads on from what the lake has reached, whoever wrote it,
so a worker goes on where Spark ended and Spark where a worker ended; both at once get in each other's way, and
nothing worse: a commit that is not based on the table's progress fails, and its batch is read again without what is
stored. Spark's own checkpoint says nothing that the table does not, and is made anew for each run.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from tailrace.config import Settings
from tailrace.errors import RetryLater, Stop, TailraceError
from tailrace.jobs.messages import COLUMNS
from tailrace.jobs.session import reason_of
from tailrace.jobs.storing import Plan, Report, pipeline_of, store_share
from tailrace.jobs.topic import look_at_topic, source_options
from tailrace.model.clock import Clock
from tailrace.process.claimed import Claim
from tailrace.store.lake.place_port import NotCommitted, Place
from tailrace.store.lake.table import LakeTable
from tailrace.store.port import Claims

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)

_TRIES = 6
_RETRY_FIRST_S = 0.5
_RETRY_MAX_S = 15.0
_CLAIMS_AT_ONCE = 10_000
# How soon a signal is noticed.
_LOOK_S = 1


@dataclass(frozen=True, slots=True)
class Streaming:
    """What is asked for. `trigger_s` None: what is in the topic now, then the end.

    `batch_bytes`: about so much of the topic is one micro-batch, and one commit. `source`: options of Spark's Kafka
    source.
    """

    lake_url: str
    trigger_s: float | None
    batch_bytes: int
    source: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Stored:
    """What a run has stored so far."""

    events: int = 0
    files: int = 0
    letters: int = 0
    commits: int = 0


def stream(
    spark: SparkSession,
    asked: Streaming,
    lake: Place,
    claims: Claims,
    *,
    settings: Settings,
    clock: Clock,
    stopping: threading.Event,
) -> Stored:
    """Until everything is stored, or until `stopping` is set. Answers what was stored in this run.

    Raises `Stop` and `RetryLater` when it cannot go on; what was not committed is not in the lake then, and the next
    run reads it again.
    """
    # Executors would tell it only after Spark has tried their tasks again and again.
    pipeline_of(settings)
    table = LakeTable(lake, clock=clock)
    topic = look_at_topic(settings.log.url, settings.kafka, table.state().reached)
    options = source_options(topic, settings.kafka, batch_bytes=asked.batch_bytes, extra=asked.source)
    sink = _Sink(asked, lake, table, claims, settings, clock, stopping)
    with tempfile.TemporaryDirectory(prefix="tailrace-spark-") as checkpoint:
        frame = spark.readStream.format("kafka").options(**options).load().select(*COLUMNS)
        writer = frame.writeStream.foreachBatch(sink.store).option("checkpointLocation", Path(checkpoint).as_uri())
        if asked.trigger_s is None:
            query = writer.trigger(availableNow=True).start()
        else:
            query = writer.trigger(processingTime=f"{asked.trigger_s:f} seconds").start()
        try:
            while not query.awaitTermination(_LOOK_S):
                if stopping.is_set():
                    query.stop()
        except PySparkException as error:
            if not stopping.is_set():
                raise (sink.error or RetryLater(f"{settings.log.url}: {reason_of(error)}")) from error
        finally:
            query.stop()
    return sink.stored


class _Sink:
    """What `foreachBatch` is given; called in one thread."""

    def __init__(
        self,
        asked: Streaming,
        lake: Place,
        table: LakeTable,
        claims: Claims,
        settings: Settings,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self.stored = Stored()
        self.error: TailraceError | None = None
        self._asked = asked
        self._lake = lake
        self._table = table
        self._claims = claims
        self._settings = settings
        self._clock = clock
        self._stopping = stopping

    def store(self, frame: DataFrame, _: int) -> None:
        """All of a micro-batch, in one commit. What fails is tried again as long as a broker takes to come back."""
        wait_s = _RETRY_FIRST_S
        for tries_left in reversed(range(_TRIES)):
            try:
                self._store(frame)
                return
            except Stop as error:
                self.error = error
                raise
            except (RetryLater, PySparkException) as error:
                reason = reason_of(error)
                self.error = RetryLater(reason)
                if not tries_left or self._stopping.is_set():
                    raise
                log.warning("%s; trying again in %.1f s", reason, wait_s)
                self._stopping.wait(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)

    def _store(self, frame: DataFrame) -> None:
        started_s = time.monotonic()
        state = self._table.state()
        plan = Plan(self._settings, self._asked.lake_url, state.reached, self._clock())
        report = _run(frame, plan)
        if report.claims:
            refused = self._refused(sorted(report.claims, key=lambda claim: claim[1:]))
            second = _run(frame, replace(plan, refused=refused))
            report.files += second.files
            report.letters += second.letters
        if not report.through:
            return
        self._check_time(time.monotonic() - started_s)
        try:
            self._table.append(report.files, report.through, based_on=state)
        except NotCommitted:
            for file in report.files:
                self._lake.discard(file.path)
            raise
        self._count(report)

    def _refused(self, asked: Sequence[Claim]) -> frozenset[Claim]:
        """The claims that another record, or another's row, has."""
        refused: set[Claim] = set()
        for start in range(0, len(asked), _CLAIMS_AT_ONCE):
            some = asked[start : start + _CLAIMS_AT_ONCE]
            answers = self._claims.claim(some)
            refused.update(claim for claim, is_held in zip(some, answers, strict=True) if not is_held)
        return frozenset(refused)

    def _check_time(self, taken_s: float) -> None:
        """A file that no commit names is deleted by any cleaner after a while: it must be named well before that."""
        if taken_s > self._settings.lake.vacuum_after_s / 2:
            raise Stop(
                f"a micro-batch took {taken_s:.0f} s, and the lake's vacuum deletes what is not committed after "
                f"{self._settings.lake.vacuum_after_s:.0f} s: lower --batch-bytes, or raise lake.vacuum_after_s"
            )

    def _count(self, report: Report) -> None:
        events = sum(file.rows or 0 for file in report.files)
        self.stored.events += events
        self.stored.files += len(report.files)
        self.stored.letters += report.letters
        self.stored.commits += 1
        log.info(
            "%d events in %d files, %d dead letters; reached %s",
            events,
            len(report.files),
            report.letters,
            report.through,
        )


def _run(frame: DataFrame, plan: Plan) -> Report:
    """One pass over the micro-batch, on the executors. Their files are durable, and named by nobody yet."""
    report = Report()
    answers = frame.mapInArrow(partial(store_share, plan), "report string").toArrow()
    for part in answers["report"].to_pylist():
        report.add(part)
    return report
