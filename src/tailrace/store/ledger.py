"""Dead letters and claims that many processes share, each with a copy of its own (`store.replica`).

    add, claim, drop ──operation──> every process's SQLite file ──> answers

All have the same letters, and the same answer to who was first. `claim` and `drop` answer when their own operation
was applied here, hence every one before it. What is decided in a copy stays decided, so a claim that the copy can
answer needs no operation. All processes must have the same `dead_letters.bytes_max` and
`ingest.idempotency_window_s`: they decide what goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tailrace.errors import RetryLater, TooLarge
from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.claims import Answers
from tailrace.store.dead_letters import Changes, DeadLetter, DeadLetterFigures, DeadLetters, parse_id
from tailrace.store.ledger_operations import OPERATION, Add, Claim, Drop, decode_operation
from tailrace.store.operation import Meet
from tailrace.store.replica import OperationLog, Replica

# Well below the smallest limit that is usual for a message (1 MB), since one letter may pass it.
_ADD_BYTES_MAX = 512 << 10
# A few hundred kilobytes even when every key is as long as it may be.
_CLAIMS_MAX = 500


class Ledger:
    """Does what `DeadLetters` does, for many processes.

    `add` is durable when it is in the log, and seen a moment later.
    `local` is this process's copy; it is closed with the ledger, the log is not. Several processes of one machine may
    share the file. What needs the whole state (`list`, `get`, `drop`, `count`) raises `RetryLater` until this
    process has caught up after its start. Raises `Stop` when the file follows another log than this one.
    """

    def __init__(self, from_log: OperationLog, local: DeadLetters, *, clock: Clock, metrics: Metrics) -> None:
        self._local = local
        self._clock = clock
        self._replica: Replica[Changes] = Replica(
            "dead letters",
            from_log,
            local,
            content_type=OPERATION,
            decode=decode_operation,
            meet=Meet(),
            metrics=metrics,
        )

    def add(self, letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> None:
        rows = self._local.lacks(letters, identities)
        lacking = letters.take(pa.array(rows, pa.int64()))
        parts = list(_parts(lacking, [identities[row] for row in rows]))
        replica = self._replica
        for part, appended in [(part, replica.append(part)) for part in parts]:
            try:
                replica.offset_of(appended)
            except TooLarge as error:
                # One letter, of a record that is as large as a message may be. Its bytes are in the log of events.
                bare = Add(_without_bytes(part.letters, str(error)), part.identities)
                replica.offset_of(replica.append(bare))

    def claim(self, claims: Sequence[tuple[str, int, int]]) -> Answers:
        known = self._local.answers(claims)
        if known is None:
            replica = self._replica
            waiting = [
                replica.append(Claim(claims[start : start + _CLAIMS_MAX], self._clock()))
                for start in range(0, len(claims), _CLAIMS_MAX)
            ]
            replica.wait_applied(max(replica.offset_of(each) for each in waiting))
            known = self._local.answers(claims)
            if known is None:
                raise RetryLater("the claims were forgotten while they were made; are the machines' clocks right?")
        return known

    def newest_documents(self, limit: int) -> Sequence[bytes]:
        """As `DeadLetters` has it, of those that are known here."""
        return self._local.newest_documents(limit)

    def drop(self, id: str) -> None:
        self.get(id)
        self._replica.run(Drop(parse_id(id)))

    def list(self, *, limit: int, before: str | None = None) -> Sequence[DeadLetter]:
        self._replica.catch_up()
        return self._local.list(limit=limit, before=before)

    def get(self, id: str) -> DeadLetter:
        self._replica.catch_up()
        return self._local.get(id)

    def count(self) -> int:
        self._replica.catch_up()
        return self._local.count()

    def figures(self) -> DeadLetterFigures:
        return self._local.figures()

    def close(self) -> None:
        self._replica.close()


def _without_bytes(letters: pa.RecordBatch, why: str) -> pa.RecordBatch:
    rows = [
        {**row, "raw": b"", "reason": f"{row['reason']} (without its bytes: {why})"} for row in letters.to_pylist()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=letters.schema)


def _parts(letters: pa.RecordBatch, identities: Sequence[tuple[int, int, int]]) -> Iterator[Add]:
    """The same letters in operations of a bounded size; a letter is never cut."""
    sizes = pc.binary_length(letters["raw"]).to_pylist()
    start = size_bytes = 0
    for row, raw_bytes in enumerate(sizes):
        if row > start and size_bytes + raw_bytes > _ADD_BYTES_MAX:
            yield Add(letters.slice(start, row - start), identities[start:row])
            start, size_bytes = row, 0
        size_bytes += raw_bytes
    if len(sizes) > start:
        yield Add(letters.slice(start), identities[start:])
