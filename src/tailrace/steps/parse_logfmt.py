"""logfmt, `key=value key="a value"`, of all texts at once: RE2 marks the pairs, the texts are cut at the marks."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tailrace.config import IngestSettings
from tailrace.steps.fields import NO_ENTRIES, Bools, Entries, first_of_equal_keys, numpy_bools

_PAIR = r"([^\s=\"]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\"]*))"

# Noncharacters (Unicode, 23.7), meant for marks within a program. A text that holds one is not read.
_EDGE, _CUT = "\U0010fffe", "\U0010ffff"

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class LogfmtReader:
    """The first of equal keys counts. A text with more than `ingest.fields_max` pairs is not read."""

    def read(self, texts: pa.StringArray, limits: IngestSettings) -> tuple[Entries, Bools]:
        marked = pc.match_substring_regex(texts, f"[{_EDGE}{_CUT}]")
        plain = pc.if_else(pc.fill_null(marked, True), "", texts)
        pieces = pc.split_pattern(
            pc.replace_substring_regex(plain, _PAIR, rf"{_EDGE}\1{_CUT}\2{_CUT}\3{_EDGE}"), _EDGE
        )
        offsets = pieces.offsets.to_numpy().astype(np.int64)
        counts = (np.diff(offsets) - 1) // 2
        matched = (counts > 0) & (counts <= limits.fields_max)
        # What is between two pairs, and before the first, is every other piece.
        row_of = np.repeat(np.arange(len(texts)), np.diff(offsets))
        inside = ((np.arange(len(row_of)) - (offsets[:-1] - offsets[0])[row_of]) % 2 == 1) & matched[row_of]
        pairs = pieces.flatten().filter(pa.array(inside))
        if not len(pairs):
            return NO_ENTRIES, matched
        parts = pc.split_pattern(pairs, _CUT).flatten()
        keys, quoted, bare = (parts.take(pa.array(np.arange(part, len(parts), 3))) for part in range(3))
        values = pc.binary_join_element_wise(_unescaped(quoted), bare, "")
        return first_of_equal_keys(Entries(row_of[inside], keys, values)), matched


def _unescaped(quoted: pa.StringArray) -> pa.StringArray:
    escaped = numpy_bools(pc.match_substring(quoted, "\\"))
    if not escaped.any():
        return quoted
    mask = pa.array(escaped)
    written = [_ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text)
               for text in quoted.filter(mask).to_pylist()]  # fmt: skip
    return pc.replace_with_mask(quoted, mask, pa.array(written, pa.string()))
