"""Steps that keep some events and leave out others: drop_events and sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.kernels.text_hash import Words, hash_texts
from tailrace.steps.fields import (
    Bools,
    Entries,
    Integers,
    attributes_of,
    numpy_bools,
    text_of,
    values_of,
    with_more_attributes,
)

SAMPLE_RATE = "sample_rate"
"""The attribute of a kept event that says for how many it stands."""


class DropEvents:
    """All that it is given."""

    def choose(self, events: pa.RecordBatch) -> tuple[pa.RecordBatch, Bools]:
        return events, np.zeros(events.num_rows, bool)


@dataclass(frozen=True, slots=True)
class Sample:
    """One event of N, told by a hash: of the trace's id, so that a trace is kept or left out as a whole, else of time
    and message. The same event is decided alike whenever and wherever it comes in; only one that has no time of its
    own is another when it comes again.
    """

    keep_one_of: int
    by: str | None
    rates: Mapping[str, int]

    def choose(self, events: pa.RecordBatch) -> tuple[pa.RecordBatch, Bools]:
        """The events, with the attribute `sample_rate` where N is more than 1; and which are kept.

        One that was sampled before stands for the product.
        """
        one_of = self._one_of(events)
        before = _sampled_before(events)
        # What was kept before has hashes that this many divides; the quotient says nothing of that.
        kept = _hashes(events) // before.astype(np.uint64) % one_of.astype(np.uint64) == 0
        stands_for = one_of * before
        rows = np.flatnonzero(one_of > 1)
        if len(rows):
            values = pa.array(stands_for[rows]).cast(pa.string())
            rates = Entries(rows, pa.repeat(SAMPLE_RATE, len(rows)), values)
            events = with_more_attributes(events, rates, overwrite=True)
        return events, kept

    def _one_of(self, events: pa.RecordBatch) -> Integers:
        rates = np.array([*self.rates.values(), self.keep_one_of], np.int64)
        if self.by is None:
            return np.full(events.num_rows, self.keep_one_of, np.int64)
        value_set = pa.array(list(self.rates), pa.string())
        chosen = pc.fill_null(pc.index_in(text_of(events, self.by), value_set), len(self.rates))
        one_of: Integers = rates[chosen.to_numpy()]
        return one_of


def _hashes(events: pa.RecordBatch) -> Words:
    times = events.column("timestamp").cast(pa.int64()).to_numpy().view(np.uint64)
    traces = events.column("trace_id")
    traced = numpy_bools(pc.not_equal(traces, ""))
    texts = pc.if_else(pa.array(traced), traces, events.column("message"))
    return hash_texts(texts, np.where(traced, np.uint64(0), times))


def _sampled_before(events: pa.RecordBatch) -> Integers:
    texts = values_of(attributes_of(events), SAMPLE_RATE, events.num_rows)
    is_count = pc.fill_null(pc.match_substring_regex(texts, r"\A[1-9][0-9]{0,8}\z"), False)
    counts: Integers = pc.if_else(is_count, texts, "1").cast(pa.int64()).to_numpy(zero_copy_only=False)
    return counts
