"""Build a token index: from the row groups of a Parquet file, one by one, to the bytes of its sidecar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tailrace.kernels.tokens.cut import Words
from tailrace.kernels.tokens.filter import PROBES_MAX, collect_distinct, drain, fill_filter, filter_shape
from tailrace.store.token_index.counts import Counts
from tailrace.store.token_index.format import Group, pack_index
from tailrace.store.token_index.patterns import find_candidates, find_patterns
from tailrace.store.token_index.text import Scratch, cut_group


def build_index(groups: Iterable[pa.RecordBatch]) -> bytes:
    """The token index of a file whose row groups are these batches, in order; they are read one at a time.

    The batches have EVENT_SCHEMA or STORED_SCHEMA, and may be slices. Needs scratch memory of about five times the
    text of the largest group when its tokens are words, twenty times when they are single letters.
    """
    scratch = Scratch()
    counts = Counts()
    built = []
    for batch in groups:
        levels = counts.add(batch)
        cut = cut_group(batch, scratch)
        found = find_candidates(cut, batch.num_rows, scratch)
        filter_ = build_filter(found.rare, found.hashes, scratch)
        tokens, parts = find_patterns(found, batch.num_rows, scratch)
        built.append(Group(batch.num_rows, levels, *filter_, tokens, parts))
    return pack_index(built, counts.pack())


class Filter(NamedTuple):
    """Attempt -1: none could be built, so anything passes, and `places` is empty."""

    attempt: int
    segment_size: int
    segments: int
    places: bytes


def build_filter(rare: Words, frequent: Words, scratch: Scratch) -> Filter:
    """The filter of the distinct hashes in both."""
    hashes_max = len(rare) + len(frequent)
    bits = max(1, int(2 * hashes_max - 1).bit_length())
    table = scratch.take("table", (1 << bits) + PROBES_MAX, np.uint64)
    shift = 64 - bits
    if collect_distinct(frequent, table, shift) and collect_distinct(rare, table, shift):
        keys = scratch.take("keys", hashes_max, np.uint64)
        keys = keys[: drain(table, keys)]
    else:
        table[:] = 0
        keys = np.unique(np.concatenate([frequent, rare]))
    shape = filter_shape(len(keys))
    places = np.zeros(shape.size, np.uint8)
    attempt = fill_filter(
        keys,
        shape.segment_size,
        shape.segments,
        scratch.take("counts", shape.size, np.uint8),
        scratch.take("sums", shape.size, np.uint64),
        scratch.take("queue", shape.size, np.int64),
        scratch.take("order", 2 * len(keys), np.uint64),
        places,
    )
    return Filter(attempt, shape.segment_size, shape.segments, places.tobytes() if attempt >= 0 else b"")
