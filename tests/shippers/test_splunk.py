"""splunk-handler, configured as docs/ingest/splunk.md says, while the server is killed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server
from tests.shippers.rig import COUNT, events, killed_meanwhile, message, numbers, run

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "ingest" / "splunk.md"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data") as server:
        yield server


def test_splunk_handler(server: Server) -> None:
    """Every event arrives; what was sent when the server was killed is sent again, as one body without an id."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    script = f"""{found[1].replace("8001", str(server.port))}
import time
logging.getLogger().setLevel(logging.INFO)
for number in range({COUNT}):
    logging.info({message(7).removesuffix("7")!r} + str(number))
    if number % 100 == 0:
        time.sleep(0.02)
while handler.queue or handler.processing_payload:
    # At its end it would leave a body that it is still sending again to a thread that ends with it.
    time.sleep(0.1)
logging.shutdown()
"""
    with killed_meanwhile(server, down_s=0.2):
        run([sys.executable, "-c", script])
    found_numbers = numbers(server)
    assert sorted(found_numbers) == list(range(COUNT))
    # One body was on its way; it is at most half a megabyte.
    assert found_numbers.total() < COUNT * 1.4
    event = events(server, f'message:"event {COUNT - 1}"')[0]
    assert event["service"] == "checkout"
    assert event["attributes"] == {"index": "main", "sourcetype": "text"}
