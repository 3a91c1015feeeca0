"""How long a body may take."""

from __future__ import annotations

import itertools

from tailrace.serve.receiving import patience_s

KIB, MIB = 1 << 10, 1 << 20


def test_patience_with_a_body() -> None:
    """A modem is let finish a body of its size; whoever has sent much may not hold it for hours."""
    assert patience_s(0) == 30
    for size_bytes in (64 * KIB, 256 * KIB, MIB):
        assert patience_s(size_bytes) > size_bytes / (5 * KIB)
    assert patience_s(64 * MIB) < 600
    sizes = range(0, 4 * MIB, 1000)
    assert all(patience_s(less) < patience_s(more) for less, more in itertools.pairwise(sizes))
