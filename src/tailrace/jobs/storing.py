"""What an executor does with its share of the topic: messages in, data files of the lake out.

    rows of the source ──items_of──> items ──decode, shape──> events ──write_file──> files nobody names yet
                                       │          └──> dead letters ──> their topic, before anything is reported
                                       └──> what has claims: left for the second pass, and reported

Nothing here commits. What a task that died has left behind is waste: files that the lake's vacuum deletes, and dead
letters that are known by their identity when they come again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from tailrace.broker.kafka import KafkaLog
from tailrace.broker.port import LogLines, LogRecord
from tailrace.config import Settings
from tailrace.jobs.letters import append_letters
from tailrace.jobs.messages import items_of
from tailrace.jobs.places import lake_place, open_letters_log
from tailrace.process.claimed import Claim, claim_of, is_for_store, row_claims_of
from tailrace.process.decode import decode
from tailrace.process.shaping import is_foreign, shaped
from tailrace.steps.pipeline import Pipeline, load_pipeline
from tailrace.store.lake.files import DataFile, date_of_day, split_by_day, write_file
from tailrace.store.lake.place import Place

REPORT = pa.schema([pa.field("report", pa.string())])
"""What a task answers: rows of JSON, the text of `Report.parts`."""

STORE = "lake"
"""The name by which a record says that it is for this store only."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One pass over one micro-batch, sent to every executor.

    Records of offsets below `reached` are stored already. Without `refused` the pass stores the records without
    claims, of their own or of their rows; with it the others, but for what has one of these claims: another has them.
    """

    settings: Settings
    lake_url: str
    reached: Mapping[int, int]
    now_us: int
    refused: Collection[Claim] | None = None


@dataclass(slots=True)
class Report:
    """What one or more tasks have done; `through` is the next offset of each partition after what they have read."""

    files: list[DataFile] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    through: dict[int, int] = field(default_factory=dict)
    letters: int = 0

    def parts(self) -> list[str]:
        """As JSON texts, each of a bounded size."""
        rest = {"through": list(self.through.items()), "letters": self.letters}
        files = [{"file": asdict(file)} for file in self.files]
        return [json.dumps(part) for part in (*files, *({"claim": claim} for claim in self.claims), rest)]

    def add(self, part: str) -> None:
        read = json.loads(part)
        if "file" in read:
            self.files.append(DataFile(**read["file"]))
        elif "claim" in read:
            claim, partition, offset = read["claim"]
            self.claims.append((claim, partition, offset))
        else:
            for partition, offset in read["through"]:
                self.reach(partition, offset)
            self.letters += read["letters"]

    def reach(self, partition: int, offset: int) -> None:
        self.through[partition] = max(offset, self.through.get(partition, 0))


def pipeline_of(settings: Settings) -> Pipeline | None:
    """The steps for records that other programs write. Raises `Stop` when they cannot be read on this machine."""
    if settings.pipeline is None:
        return None
    return load_pipeline(settings.pipeline, limits=settings.ingest, environment=os.environ)


def store_share(plan: Plan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Runs in an executor, once a task: for `mapInArrow`. Raises `RetryLater`; Spark then tries the task again."""
    with lake_place(plan.lake_url, plan.settings) as place, contextlib.closing(_Share(plan, place)) as share:
        for rows in batches:
            share.take(rows)
        share.flush()
        yield pa.RecordBatch.from_arrays([pa.array(share.report.parts(), pa.string())], schema=REPORT)


class _Share:
    def __init__(self, plan: Plan, place: Place) -> None:
        self.report = Report()
        self._plan = plan
        self._place = place
        self._pipeline = pipeline_of(plan.settings)
        self._letters_log: KafkaLog | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0

    def take(self, rows: pa.RecordBatch) -> None:
        lacking = _lacking(rows, self._plan.reached)
        # By the rows: a message without a value becomes no item, and has been read all the same.
        reached = (
            pa.table([lacking["partition"], lacking["offset"]], ["p", "o"]).group_by("p").aggregate([("o", "max")])
        )
        for partition, offset in zip(reached["p"].to_pylist(), reached["o_max"].to_pylist(), strict=True):
            self.report.reach(partition, offset + 1)
        for item in items_of(lacking):
            self._take(item)

    def flush(self) -> None:
        for day, of_day in split_by_day(self._pending).items():
            self.report.files.append(write_file(self._place, date_of_day(day), of_day))
        self._pending, self._pending_bytes = [], 0

    def close(self) -> None:
        if self._letters_log is not None:
            self._letters_log.close()

    def _take(self, item: LogRecord | LogLines) -> None:
        if not is_for_store(item, STORE):
            return
        claim, refused = claim_of(item), self._plan.refused
        if claim is not None and refused is not None and claim in refused:
            return
        decoded = decode(item, limits=self._plan.settings.ingest, now_us=self._plan.now_us)
        if self._pipeline is not None and is_foreign(item):
            decoded = shaped(decoded, store=STORE, shape=self._pipeline)
        events = decoded.events
        rows = row_claims_of(item, events)
        claims = [*([] if claim is None else [claim]), *([] if rows is None else rows.claims)]
        if refused is None and claims:
            self.report.claims += claims
            return
        if refused is not None and not claims:
            # The first pass has stored it.
            return
        if rows is not None:
            events = rows.held([each not in (refused or ()) for each in rows.claims])
        if decoded.letters is not None and decoded.letters.num_rows:
            self._keep(decoded.letters, decoded.identities)
        if events is None or not events.num_rows:
            return
        self._pending.append(events)
        self._pending_bytes += events.nbytes
        # A task holds as much as a worker may, and makes files of about that size.
        if self._pending_bytes >= self._plan.settings.worker.unstored_bytes_max:
            self.flush()

    def _keep(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        if self._letters_log is None:
            self._letters_log = open_letters_log(self._plan.settings)
        append_letters(self._letters_log, letters, identities)
        self.report.letters += letters.num_rows


def _lacking(rows: pa.RecordBatch, reached: Mapping[int, int]) -> pa.RecordBatch:
    partitions, offsets = rows["partition"].to_numpy(), rows["offset"].to_numpy()
    lacking = np.ones(rows.num_rows, np.bool_)
    for partition, offset in reached.items():
        lacking &= (partitions != partition) | (offsets >= offset)
    return rows if lacking.all() else rows.filter(pa.array(lacking))
