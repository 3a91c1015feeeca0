from __future__ import annotations

import numpy as np
import pytest

from tailrace.config import IngestSettings
from tailrace.ingest.text.columns import Format
from tailrace.ingest.text.formats import TextDecoder

WRITTEN_US = np.array([10, 20, 30, 40], np.int64)


@pytest.mark.parametrize("format", ["found", "plain", "rfc3164"])
def test_a_line_without_a_time_has_that_at_which_it_was_written(format: Format) -> None:
    """Where something beside the line tells it: not that of the line before, and not the arrival's."""
    decoder = TextDecoder(format, limits=IngestSettings())
    decoded = decoder.decode(b"a\nb\nc\nd\n", now_us=1_774_690_000_000_000, written_us=WRITTEN_US)
    assert decoded.events.column("timestamp").cast("int64").to_pylist() == WRITTEN_US.tolist()


def test_a_line_with_a_time_keeps_it_and_rejected_ones_take_theirs_along() -> None:
    """The times stay with their lines, in the second chunk too."""
    decoder = TextDecoder("found", limits=IngestSettings(line_bytes_max=40))
    chunk = b"a\n" + b"x" * 41 + b"\n2026-03-28 10:00:00 INFO b\nc\n"
    for _ in range(2):
        decoded = decoder.decode(chunk, now_us=1_774_690_000_000_000, written_us=WRITTEN_US)
        assert decoded.events.column("timestamp").cast("int64").to_pylist() == [10, 1_774_692_000_000_000, 40]
        assert len(decoded.rejected) == 1
