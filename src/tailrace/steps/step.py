"""One step at work: for which events it is, and what it does to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.query.tree import All, Node
from tailrace.steps.condition import matching
from tailrace.steps.fields import Bools


@runtime_checkable
class Shaping(Protocol):
    def apply(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The same events, in their order, with other fields."""
        ...


@runtime_checkable
class Choosing(Protocol):
    def choose(self, events: pa.RecordBatch) -> tuple[pa.RecordBatch, Bools]:
        """The same events, in their order, and which of them go on."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """To these stores alone."""

    stores: frozenset[str]


Work = Shaping | Choosing | Route


@dataclass(frozen=True, slots=True)
class Step:
    """`label` names it in metrics and messages."""

    label: str
    kind: str
    where: Node
    work: Work

    def run(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """What goes on, in its order. For a route, see `chosen`."""
        if isinstance(self.where, All) and events.num_rows:
            return self._worked(events)[0]
        chosen = self.chosen(events)
        if not chosen.any():
            return events
        if chosen.all():
            return self._worked(events)[0]
        mask = pa.array(chosen)
        done, kept = self._worked(events.filter(mask))
        others = events.filter(pc.invert(mask))
        places = np.concatenate([np.flatnonzero(chosen)[kept], np.flatnonzero(~chosen)])
        return pa.concat_batches([done, others]).take(pa.array(np.argsort(places)))

    def chosen(self, events: pa.RecordBatch) -> Bools:
        """The events that the step is for. Relative times count back from the arrival."""
        arrivals = events.column("observed_timestamp").cast(pa.int64()).to_numpy()
        return matching(self.where, events, now_us=int(arrivals.max(initial=0)))

    def _worked(self, events: pa.RecordBatch) -> tuple[pa.RecordBatch, Bools]:
        if isinstance(self.work, Choosing):
            events, kept = self.work.choose(events)
            return (events, kept) if kept.all() else (events.filter(pa.array(kept)), kept)
        assert isinstance(self.work, Shaping), "a route has no events to work on"
        return self.work.apply(events), np.ones(events.num_rows, bool)
