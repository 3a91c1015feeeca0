"""Some thousand damaged inputs for every decoder; `python -m tests.fuzz` goes on to a million."""

from __future__ import annotations

import pytest

from tailrace.config import IngestSettings
from tailrace.ingest.decoded import Decoded
from tests.fuzz.decoders import targets
from tests.fuzz.run import LIMITS, NOW_US, fuzz

TARGETS = targets()
MIB = 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_not_damaged_is_events(name: str) -> None:
    """Of a body as it was made every event is there, and nothing is rejected: the fuzz begins with what is right."""
    target = TARGETS[name]
    for body in target.bodies:
        decoded = target.decode(body, limits=LIMITS, now_us=NOW_US)
        assert decoded.rejected == []
        assert decoded.events.num_rows >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_bodies_are_borne(name: str) -> None:
    """No exception but `BadInput`, no crash, valid events, reasons, and no growth."""
    target = TARGETS[name]
    outcome = fuzz(target.decode, target.bodies, inputs=1500, seed=7)
    assert outcome.failure == "", outcome.input
    assert outcome.events > 0
    assert outcome.growth_bytes < 64 * MIB


@pytest.mark.slow
def test_a_decoder_that_fails_is_found() -> None:
    """An exception is told with its input, and so is the death of the process."""

    def raises(body: bytes, /, *, limits: IngestSettings, now_us: int) -> Decoded:
        if b"\xff" in body:
            raise IndexError("beyond the end")
        return TARGETS["NDJSON"].decode(body, limits=limits, now_us=now_us)

    outcome = fuzz(raises, TARGETS["NDJSON"].bodies, inputs=2000, seed=1)
    assert outcome.failure == "IndexError: beyond the end"
    assert b"\xff" in outcome.input
