"""OpenTelemetry's own exporters, in the configurations of docs/ingest/otlp.md, against a server that is killed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from tests.ingest.otlp_requests import log_record, request
from tests.server import Server, free_port
from tests.shippers import rig

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "ingest" / "otlp.md").read_text()
PYTHON, PYTHON_GRPC = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(JAVASCRIPT,) = re.findall(r"^```js\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

BATCH = 512
"""What the SDKs send at once."""

# The queue of the SDK drops what does not fit: a program that must not lose anything flushes.
PYTHON_SENDS = f"""
for number in range({rig.COUNT}):
    logger.warning("a line of some length that says that this is event %d", number, extra={{"number": number}})
    if number % 500 == 499:
        provider.force_flush(120_000)
provider.shutdown()
"""
JAVASCRIPT_SENDS = f"""
import {{ setGlobalErrorHandler }} from "@opentelemetry/core";
setGlobalErrorHandler((error) => console.log("gave up", error));
for (let number = 0; number < {rig.COUNT}; number++) {{
  logger.emit({{ severityNumber: 13, severityText: "WARN", body: `a line that says that this is event ${{number}}`,
                attributes: {{ number }} }});
  if (number % 500 === 499) await provider.forceFlush();
}}
await provider.shutdown();
"""


class Ports:
    def __init__(self) -> None:
        self.http, self.grpc = free_port(), free_port()

    def in_text(self, text: str) -> str:
        assert "localhost:431" in text
        return text.replace("localhost:4318", f"127.0.0.1:{self.http}").replace(
            "localhost:4317", f"127.0.0.1:{self.grpc}"
        )


@pytest.fixture
def ports() -> Ports:
    return Ports()


@pytest.fixture
def server(tmp_path: Path, ports: Ports) -> Iterator[Server]:
    settings = [f'listeners.http=["127.0.0.1:{ports.http}"]', f"listeners.otlp_grpc=127.0.0.1:{ports.grpc}"]
    with Server(tmp_path / "data", *(word for each in settings for word in ("--set", each))) as running:
        yield running


def assert_all_arrived(server: Server, said: str) -> None:
    """At least once each, as OTLP has it; twice at most what was on its way when the server died.

    An exporter that finds no server for too long gives up a batch, and says so: that one may be missing.
    """
    numbers = rig.numbers(server)
    gave_up = len(re.findall("Failed to export|gave up", said))
    assert gave_up <= 1, said
    assert rig.COUNT - len(numbers) <= BATCH * gave_up
    assert sum(numbers.values()) - len(numbers) <= BATCH
    assert max(numbers.values()) <= 2


@pytest.mark.parametrize("configuration", ["http", "grpc"])
def test_the_exporters_of_python(server: Server, ports: Ports, configuration: str) -> None:
    """HTTP with protobuf, and gRPC: all arrives, though the server is killed meanwhile."""
    text = PYTHON
    if configuration == "grpc":
        # The page says that it is another exporter: it stands in for the one before it.
        lines = [line for line in PYTHON.splitlines() if "OTLPLogExporter" not in line]
        at = next(i for i, line in enumerate(lines) if line.startswith("provider.add"))
        text = "\n".join([*lines[:at], PYTHON_GRPC, *lines[at:]])
    with rig.killed_meanwhile(server):
        sent = rig.run([sys.executable, "-W", "ignore", "-c", ports.in_text(text) + PYTHON_SENDS])
    assert_all_arrived(server, sent.stderr)
    (event,) = rig.events(server, "number:7")
    assert (event["level"], event["service"]) == ("WARN", "checkout")
    attributes = event["attributes"]
    assert isinstance(attributes, dict)
    assert attributes["resource.telemetry.sdk.language"] == "python"


def test_the_exporter_of_javascript(server: Server, ports: Ports) -> None:
    """HTTP with JSON."""
    with rig.killed_meanwhile(server):
        sent = rig.run_node(ports.in_text(JAVASCRIPT) + JAVASCRIPT_SENDS)
    assert_all_arrived(server, sent.stdout)
    (event,) = rig.events(server, "number:7")
    assert (event["level"], event["attributes"]["scope.name"]) == ("WARN", "cart")  # type: ignore[index]


def test_the_generated_client_of_grpc(server: Server, ports: Ports) -> None:
    """Empty and good requests, gzip, partial success, refusals with their details, other services."""
    good = request([log_record("event 0")])
    partial = request([log_record("event 1"), log_record("x" * (1 << 20) + "x")])
    with grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel:
        export = LogsServiceStub(channel).Export  # type: ignore[no-untyped-call]
        assert export(ExportLogsServiceRequest()) == ExportLogsServiceResponse()
        assert export(good, compression=grpc.Compression.Gzip) == ExportLogsServiceResponse()
        told = export(partial).partial_success
        assert told.rejected_log_records == 1
        assert "ingest.line_bytes_max" in told.error_message
        raw = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        with pytest.raises(grpc.RpcError) as refused:
            raw(b"\x0a\x05")
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(b"")
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        bomb = request([log_record("0" * (1 << 24))])
        with pytest.raises(grpc.RpcError) as refused:
            export(bomb, compression=grpc.Compression.Gzip)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rig.numbers(server) == {0: 1, 1: 1}
