"""The loop of `tailrace send --follow`, with a server that is only a list."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tailrace.client.progress import TransferProgress
from tailrace.client.send_post import FOLLOW_PATIENCE, Poster, Receipt
from tailrace.client.send_stream import Tally
from tailrace.client.shipper.finding import Patterns
from tailrace.client.shipper.positions import Positions
from tailrace.client.shipper.reading import ShipReading
from tailrace.client.shipper.shipper import Following, Shipper
from tailrace.model.batch import decode_batch


def test_a_shipment_is_bounded_by_its_events_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many files with the shortest of lines: what is added to each would be more than a server takes at once."""
    for module in ("shipper", "followed"):
        monkeypatch.setattr(f"tailrace.client.shipper.{module}.PIECE_LINES_MAX", 100)
    for number in range(10):
        (tmp_path / f"{number}.log").write_text("x\n" * 300)
    rows: list[int] = []

    def post(self: Poster, body: bytes, content_type: str, *, key: str | None = None) -> Receipt:
        rows.append(decode_batch(body).num_rows)
        if sum(rows) == 3000:
            shipper.stop()
        return Receipt(rows[-1], 0, [])

    monkeypatch.setattr(Poster, "post", post)
    give_up = threading.Event()
    positions = Positions(tmp_path / "positions")
    with TransferProgress(None, quiet=True) as progress:
        shipper = Shipper(
            Following(Patterns((str(tmp_path / "*.log"),)), ShipReading(), 1.0, from_end=False),
            positions,
            poster=Poster("http://127.0.0.1:1", say=progress.say, stop=give_up, patience=FOLLOW_PATIENCE),
            give_up=give_up,
            progress=progress,
            tally=Tally(),
        )
        # Its seconds are short, or the last lines would be waited for.
        shipper.run(lambda: 100 * time.monotonic())
    assert max(rows) <= 200
    assert shipper.unsent_bytes == 0
    positions.close()
