"""Texts that stand where a time should: read for all rows at once, the usual spelling by Arrow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.ingest.text.dates import Reference, timestamps_us
from tailrace.ingest.text.layout import Layout
from tailrace.ingest.text.timestamps import KINDS
from tailrace.ingest.timestamps import parse_timestamp
from tailrace.model.batch import TIMESTAMP
from tailrace.steps.fields import Bools, Integers, numpy_bools

# What Arrow reads as `ingest.timestamps` does.
_ISO = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?"

# The kinds of log files, those of access logs and of syslog first. Without dates of numbers alone (`a`): their order
# would have to be learnt from the texts around, and an event must be read alike whatever comes with it. Epochs (`e`)
# are read already.
_FIRST = ("day-month-year", "month-day")
_LOG_FILE_TIMES = tuple(
    Layout(kind, words_before=0, indented=False).stamp_pattern
    for kind in sorted(KINDS, key=lambda kind: kind.name not in _FIRST)
    if not kind.groups & {"a", "e"}
)
_LIKE_A_TIME = r"\d[:.\d]\d"


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
    _read_log_file_times(words, read, now_us)
    codes = encoded.indices.to_numpy()
    known[rows] = np.array([time_us is not None for time_us in read], bool)[codes]
    times_us[rows] = np.array([time_us or 0 for time_us in read], np.int64)[codes]


def _read_log_file_times(words: list[str], read: list[int | None], now_us: int) -> None:
    """Fill what is None in `read`, where a word begins with a time of a log file."""
    places = np.array([place for place, time_us in enumerate(read) if time_us is None], np.int64)
    texts = pa.array([words[place] for place in places.tolist()], pa.string())
    unread = numpy_bools(pc.match_substring_regex(texts, _LIKE_A_TIME))
    for pattern in _LOG_FILE_TIMES:
        if not unread.any():
            break
        texts, places = texts.filter(pa.array(unread)), places[unread]
        found = pc.extract_regex(texts, pattern)
        unread = ~numpy_bools(found.is_valid())
        hits = np.flatnonzero(~unread)
        if not len(hits):
            continue
        times_us, real = timestamps_us(found.take(pa.array(hits)), Reference(now_us), "ymd")
        unread[hits[~real]] = True
        for place, time_us in zip(places[hits[real]].tolist(), times_us[real].tolist(), strict=True):
            read[place] = time_us
