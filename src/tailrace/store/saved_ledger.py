"""Saved views that many processes share, each with a copy of its own (`store.replica`)."""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.model.clock import Clock
from tailrace.ops.metrics import Metrics
from tailrace.store.operation import Meet
from tailrace.store.replica import OperationLog, Replica
from tailrace.store.saved_operations import OPERATION, Change, Create, Remove, decode_operation
from tailrace.store.saved_views import Changes, Content, SavedView, SavedViews


class SavedLedger:
    """Does what `SavedViews` does, for many processes.

    A change is durable and seen in this process on return, and in the others a moment later. `local` is this
    process's copy; it is closed with the ledger, the log is not. Raises `RetryLater` until this process has caught up
    after its start and while the log is away, and `Stop` when the file follows another log than this one.
    """

    def __init__(self, from_log: OperationLog, local: SavedViews, *, clock: Clock, metrics: Metrics) -> None:
        self._local = local
        self._clock = clock
        self._replica: Replica[Changes] = Replica(
            "saved views",
            from_log,
            local,
            content_type=OPERATION,
            decode=decode_operation,
            meet=Meet(),
            metrics=metrics,
        )

    def list(self) -> Sequence[SavedView]:
        self._replica.catch_up()
        return self._local.list()

    def get(self, id: str) -> SavedView:
        self._replica.catch_up()
        return self._local.get(id)

    def create(self, content: Content) -> SavedView:
        self._replica.catch_up()
        draft = self._local.draft(content)
        self._replica.run(Create(draft.id, content, draft.created_us))
        return self._local.get(draft.id)

    def change(self, id: str, content: Content) -> SavedView:
        self.get(id)
        self._local.check_room(content, new=False)
        self._replica.run(Change(id, content, self._clock()))
        return self._local.get(id)

    def remove(self, id: str) -> None:
        self.get(id)
        self._replica.run(Remove(id))

    def close(self) -> None:
        self._replica.close()
