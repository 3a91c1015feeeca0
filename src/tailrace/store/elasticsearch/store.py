"""Events into daily indices of Elasticsearch or OpenSearch, each once.

    bulk requests (create by identity) ──> refresh of their indices ──> progress
                         └── refused documents ──> dead letters ──┘

Invariants
----------
* The `_id` of a document is its event's identity and its index the day of the event's arrival, and a document is only
  ever created: whoever writes it, however often, in whatever batches, it is there once.
* Progress is written last, when everything below it is durable and searchable or a dead letter, and never goes back.
* The server answers a request after its translog was fsynced on every copy (`index.translog.durability`, as it is
  unless somebody changes it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from tailrace.config import ElasticsearchSettings
from tailrace.errors import RetryLater, Stop
from tailrace.model.batch import STORED_SCHEMA, events_above, join_batches
from tailrace.model.clock import Clock
from tailrace.model.dead_letter import DEAD_LETTER_SCHEMA
from tailrace.ops.metrics import Metrics
from tailrace.store.elasticsearch.bulk import REQUESTS_AT_ONCE, BulkWriter, Refusal
from tailrace.store.elasticsearch.documents import as_sent, by_day, index_of, slices
from tailrace.store.elasticsearch.mapping import install_template
from tailrace.store.elasticsearch.progress import install_progress, read_progress, write_progress
from tailrace.store.elasticsearch.server import Refused, Server
from tailrace.store.port import DeadLetterBox

_NAME = "elasticsearch"

_PARTITION, _OFFSET, _ROW = (STORED_SCHEMA.get_field_index(name) for name in STORED_SCHEMA.names[-3:])


class ElasticsearchStore:
    """Implements `store.port.Store`. For one thread.

    Opening installs the index template; it raises `RetryLater` while the server is away and `Stop` when it is not one
    that Tailrace works with.
    """

    name = _NAME

    def __init__(
        self,
        url: str,
        *,
        settings: ElasticsearchSettings,
        clock: Clock,
        metrics: Metrics,
        dead_letters: DeadLetterBox,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._made: set[str] = set()
        self._server = Server(url)
        try:
            install_template(self._server, settings)
            install_progress(self._server, replicas=settings.replicas)
        except Refused as error:
            self._server.close()
            raise Stop(
                f"the index template cannot be installed: {error}; mend or remove what is in its way"
            ) from error
        except BaseException:
            self._server.close()
            raise
        self._bulk = BulkWriter(self._server, metrics=metrics, place=self.name)

    def reached(self) -> Mapping[int, int]:
        return read_progress(self._server)

    def write(self, batches: Sequence[pa.RecordBatch], through: Mapping[int, int]) -> None:
        # Asked anew each time: another writer may have gone on where this one believes to be.
        reached = self.reached()
        batch = join_batches([events_above(each, reached) for each in batches], STORED_SCHEMA)
        parts = list(self._parts(batch))
        indices = sorted({index for index, _ in parts})
        for index in indices:
            self._make(index)
        try:
            refused = self._bulk.write(parts)
        except RetryLater:
            # One may have been dropped; it is looked for again the next time.
            self._made.difference_update(indices)
            raise
        for index, part, refusals in refused:
            self._bury(index, part, refusals)
        self._show(indices)
        ahead = {partition: offset for partition, offset in through.items() if offset > reached.get(partition, 0)}
        write_progress(self._server, ahead)

    def close(self) -> None:
        self._bulk.close()
        self._server.close()

    def _parts(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        for day, rows in by_day(batch):
            for part in slices(rows, self._settings.bulk_bytes, at_once=REQUESTS_AT_ONCE):
                yield index_of(self._server.name, day), part

    def _make(self, index: str) -> None:
        """By itself and not by the first document: a server may forbid that, and its reason would be a document's."""
        if index not in self._made:
            self._server.create_index(index)
            self._made.add(index)

    def _show(self, indices: Sequence[str]) -> None:
        if not indices:
            return
        # Retention may have dropped one meanwhile.
        path = f"/{','.join(indices)}/_refresh"
        answer = self._server.request("POST", path, parameters={"ignore_unavailable": "true"})
        failures = answer["_shards"].get("failures", [])
        if answer["_shards"]["failed"]:
            raise RetryLater(f"{path}: {failures[:1]}")

    def _bury(self, index: str, part: pa.RecordBatch, refusals: Sequence[Refusal]) -> None:
        rows = [refusal.row for refusal in refusals]
        documents = as_sent(part, rows)
        letters = [
            {
                "observed_timestamp": self._clock(),
                "source": f"{self.name}: index {index}",
                "line": 0,
                "reason": refusal.reason,
                "content_type": "application/json",
                "raw": document,
            }
            for refusal, document in zip(refusals, documents, strict=True)
        ]
        identities = [
            (part[_PARTITION][row].as_py(), part[_OFFSET][row].as_py(), part[_ROW][row].as_py()) for row in rows
        ]
        self._dead_letters.add(pa.RecordBatch.from_pylist(letters, schema=DEAD_LETTER_SCHEMA), identities)
        self._metrics.dead_letters.inc(len(letters))
