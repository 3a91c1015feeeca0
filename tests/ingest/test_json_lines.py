"""Events written anew as JSON lines: their numbers, and what is rejected among them."""

from __future__ import annotations

import pytest

from tailrace.config import IngestSettings
from tailrace.errors import TooLarge
from tailrace.ingest import json_lines
from tailrace.ingest.decoded import Decoded
from tailrace.ingest.json_lines import JsonLines, check_told
from tailrace.ingest.json_logs import decode_json_lines

NOW_US = 1_763_000_100_000_000
LIMITS = IngestSettings()


@pytest.mark.parametrize("piece_bytes", [1, 1000, 1 << 20])
def test_what_is_rejected_costs_no_decoder_call(monkeypatch: pytest.MonkeyPatch, piece_bytes: int) -> None:
    """Good and bad ones in turn are decoded in pieces, and keep their numbers whatever the size of these."""
    calls = []

    def counted(lines: bytes, *, limits: IngestSettings, now_us: int) -> Decoded:
        calls.append(lines)
        return decode_json_lines(lines, limits=limits, now_us=now_us)

    monkeypatch.setattr(json_lines, "decode_json_lines", counted)
    monkeypatch.setattr(json_lines, "_PIECE_BYTES", piece_bytes)
    lines = JsonLines(LIMITS, NOW_US)
    for number in range(100):
        lines.add(b'{"message":"%d"}' % number if number % 10 else b"[]")
        lines.reject("no reason", b"%d" % number)
    found = lines.decoded()
    assert lines.number == 200
    assert found.events.column("message").to_pylist() == [str(number) for number in range(100) if number % 10]
    told = [(each.line, each.raw) for each in found.rejected if each.reason == "no reason"]
    assert told == [(2 * number + 2, b"%d" % number) for number in range(100)]
    assert [each.line for each in found.rejected] == sorted(each.line for each in found.rejected)
    assert [each.line for each in found.rejected if each.raw == b"[]"] == list(range(1, 200, 20))
    if piece_bytes > 1 << 16:
        assert len(calls) == 1


def test_what_is_told_of_all_events_is_bounded() -> None:
    """A small body of many events under a long text would be a huge one."""
    limits = IngestSettings(body_bytes_max=1000)
    check_told(40, 100, limits)
    with pytest.raises(TooLarge, match=r"ingest\.body_bytes_max"):
        check_told(40, 101, limits)
