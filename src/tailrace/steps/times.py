"""Texts that stand where a time should: read for all rows at once, the usual spelling by Arrow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.text.dates import Reference
from tailrace.ingest.text.stamps import StampReader
from tailrace.ingest.timestamps import parse_timestamp
from tailrace.model.batch import TIMESTAMP
from tailrace.steps.fields import Bools, Integers, numpy_bools

# What Arrow reads as `ingest.timestamps` does.
_ISO = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?"


def read_times(texts: pa.StringArray, *, now_us: int) -> tuple[Integers, Bools]:
    """Microseconds since 1970, and for which texts they are known.

    ISO 8601 and epochs as everywhere; else what the lines of log files have: `10/Oct/2000:13:55:36 -0700`,
    `Jul  1 09:00:55`. `now_us` tells the year where a text does not.
    """
    times_us = np.zeros(len(texts), np.int64)
    known = np.zeros(len(texts), bool)
    for zone, kind in (("(?:Z|[+-]\\d\\d:\\d\\d)$", TIMESTAMP), ("$", pa.timestamp("us"))):
        rows = np.flatnonzero(numpy_bools(pc.match_substring_regex(texts, _ISO + zone)))
        if len(rows):
            try:
                times_us[rows] = texts.take(pa.array(rows)).cast(kind).cast(pa.int64()).to_numpy()
            except pa.ArrowInvalid:
                continue  # one of them is a 30 February: each is looked at below
            known[rows] = True
    _read_others(texts, times_us, known, now_us)
    return times_us, known


def _read_others(texts: pa.StringArray, times_us: Integers, known: Bools, now_us: int) -> None:
    rows = np.flatnonzero(~known)
    if not len(rows):
        return
    encoded = texts.take(pa.array(rows)).dictionary_encode()
    words = encoded.dictionary.to_pylist()
    read = [parse_timestamp(word) for word in words]
    others = [number for number, time_us in enumerate(read) if time_us is None]
    if others:
        reader = StampReader()
        stamps = reader.read(pa.array([words[number] for number in others], pa.string()), Reference(now_us))
        for number, layout, time_us in zip(others, stamps.layout_of.tolist(), stamps.times_us.tolist(), strict=True):
            if layout >= 0 and reader.layouts[layout].words_before == 0:
                read[number] = time_us
    codes = encoded.indices.to_numpy()
    known[rows] = np.array([time_us is not None for time_us in read], bool)[codes]
    times_us[rows] = np.array([time_us or 0 for time_us in read], np.int64)[codes]
