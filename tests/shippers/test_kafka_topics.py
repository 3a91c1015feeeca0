"""Topics that other programs fill, in the configurations of docs/ingest/kafka.md: each event once, though the worker
is killed meanwhile."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.local.kafka import Kafka

from tests.ingest.otlp_requests import as_json, log_record, request
from tests.server import Server, free_port
from tests.shippers import rig

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "ingest" / "kafka.md").read_text()
(RSYSLOG,) = re.findall(r"^```\n(module.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(KCAT,) = re.findall(r"^```sh\n(kcat.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def topic() -> str:
    return f"t-{uuid.uuid4().hex}"


@pytest.fixture
def server(tmp_path: Path, kafka: Kafka, topic: str) -> Iterator[Server]:
    with Server(tmp_path / "data", "--set", f"log.url={kafka.url(topic)}") as running:
        yield running


def as_here(text: str, kafka: Kafka, topic: str) -> str:
    """A configuration of the page with the broker and the topic of the test."""
    changed = re.sub(r"\blogs\b", topic, text.replace("127.0.0.1:9092", kafka.address))
    assert kafka.address in changed
    assert topic in changed
    return changed


def kill_and_start(server: Server) -> None:
    """While it reads the topic."""
    server.kill()
    server.start()


def test_what_kcat_sends(server: Server, kafka: Kafka, topic: str, tmp_path: Path) -> None:
    """Documents, and OTLP in JSON and in protobuf, with and without a header, in one topic: each event once."""
    rig.program("kcat")
    third = rig.COUNT // 4
    records = [log_record(rig.message(number)) for number in range(rig.COUNT)]
    lines = [json.dumps({"msg": rig.message(number), "n": number}).encode() for number in range(third)]
    lines += [as_json(request(records[first : first + 100])) for first in range(third, 2 * third, 100)]
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    subprocess.run(["sh", "-c", as_here(KCAT, kafka, topic)], cwd=tmp_path, check=True, timeout=60)
    kill_and_start(server)
    for first, header in ((2 * third, ["-H", "content-type=application/x-protobuf"]), (3 * third, [])):
        file = tmp_path / f"request-{first}"
        file.write_bytes(request(records[first : first + third]).SerializeToString())
        command = ["kcat", "-P", "-b", kafka.address, "-t", topic, *header, str(file)]
        subprocess.run(command, check=True, timeout=60)
    rig.wait_for_count(server, rig.COUNT)
    assert rig.numbers(server) == dict.fromkeys(range(rig.COUNT), 1)


def test_what_rsyslog_sends(server: Server, kafka: Kafka, topic: str, tmp_path: Path) -> None:
    """Its Kafka module, with the template of the page: fields in their places, each event once."""
    port = free_port()
    config = f"""
global(workDirectory="{tmp_path}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{port}")
{as_here(RSYSLOG, kafka, topic)}
"""
    (tmp_path / "rsyslog.conf").write_text(config)
    command = [rig.program("rsyslogd"), "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")]
    shipper = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _send_syslog(port, [f"<28>Mar 28 10:00:00 web-1 cart[7]: {rig.message(n)}" for n in range(rig.COUNT)])
        rig.wait_for(lambda: len(rig.exported(server, "*")) > 0, what="the first event")
        kill_and_start(server)
        rig.wait_for_count(server, rig.COUNT)
    finally:
        shipper.send_signal(signal.SIGTERM)
        shipper.wait(30)
    assert rig.numbers(server) == dict.fromkeys(range(rig.COUNT), 1)
    event = rig.events(server)[0]
    assert (event["level"], event["service"], event["host"]) == ("WARN", "cart", "web-1")


def _send_syslog(port: int, lines: list[str]) -> None:
    until_s = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall("".join(f"{line}\n" for line in lines).encode())
            return
        except ConnectionRefusedError:
            assert time.monotonic() < until_s, "rsyslog did not listen"
            time.sleep(0.05)
