"""splunk-handler, configured as docs/ingest/splunk.md says, and what is answered as Splunk, Datadog and GELF do."""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
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


def test_the_answers(server: Server) -> None:
    """Success, acknowledgements, health and each error, in the words of Splunk, Datadog and GELF."""

    def post(path: str, body: bytes, **headers: str) -> tuple[int, object]:
        sent = {"authorization": "Splunk any", **{name.replace("_", "-"): text for name, text in headers.items()}}
        status, answer = server.request("POST", f"/services/collector{path}", body, sent)
        return status, orjson.loads(answer)

    assert post("", b'{"event":"event 0"}') == (200, {"text": "Success", "code": 0})
    zipped = gzip.compress(b'{"event":"event 1"}{"event":"event 2"}')
    channel = {"X_Splunk_Request_Channel": "0aeeac95-ac74-4aa9-b30d-6c4c0ac581ba"}
    assert post("/event/1.0", zipped, content_encoding="gzip", **channel) == (
        200,
        {"text": "Success", "code": 0, "ackId": 0},
    )
    assert post("/ack?channel=x", b'{"acks":[0]}') == (200, {"acks": {"0": True}})
    assert post("/ack", b"[]")[0] == 400
    assert post("/raw?host=h", b"event 3\nevent 4\n") == (200, {"text": "Success", "code": 0})
    assert post("", b"") == (400, {"text": "No data", "code": 5})
    assert post("", b'{"event":"event 5"}{"host":"h"}') == (
        400,
        {"text": "Event field is required", "code": 12, "invalid-event-number": 1},
    )
    status, told = post("", b"x", content_encoding="br")
    assert (status, orjson.loads(orjson.dumps(told))["code"]) == (415, 6)
    assert server.request("GET", "/services/collector/health/1.0")[1] == b'{"text":"HEC is healthy","code":17}'
    server.wait_stored()
    assert len(server.get_json("/api/dead-letters")["dead_letters"]) == 1

    # Datadog's and GELF's over HTTP, in the same server: it takes longer to start than to ask.
    logs = orjson.dumps([{"message": "event 6", "ddtags": "env:prod"}, 5])
    assert server.request("POST", "/api/v2/logs", logs, {"dd-api-key": "any"}) == (202, b"{}")
    status, refused = server.request("POST", "/api/v2/logs", b"5")
    assert (status, orjson.loads(refused)["errors"][0]["status"]) == (400, "400")
    gelf = b'{"version":"1.1","host":"h","short_message":"event 7","_region":"eu"}'
    assert server.request("POST", "/gelf", gelf) == (202, b"")
    assert server.request("POST", "/gelf", b"no json")[0] == 400
    assert numbers(server) == dict.fromkeys(range(8), 1)
    assert events(server, "env:prod")[0]["message"] == "event 6"
    assert events(server, "region:eu")[0]["message"] == "event 7"
