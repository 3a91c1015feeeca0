"""The examples of docs/sdk.md, run as they stand with the real libraries."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tailrace.handler import TailraceHandler
from tests.client.log_server import LogServer, log_server

PAGE = Path(__file__).parents[2] / "docs" / "sdk.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
URL = "http://127.0.0.1:8001"

pytestmark = pytest.mark.slow  # a process for each example, with its libraries


@pytest.fixture
def server() -> Iterator[LogServer]:
    with log_server() as running:
        yield running


def example(word: str) -> str:
    (found,) = (text for text in EXAMPLES if word in text)
    assert URL in found
    return str(found)


def run(text: str, server: LogServer, folder: Path, more: str = "") -> list[dict[str, Any]]:
    program = folder / "program.py"
    program.write_text(text.replace(URL, server.url) + more)
    environment = {name: value for name, value in os.environ.items() if name != "OTEL_SERVICE_NAME"}
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tailrace:" not in done.stderr
    return server.events


def test_logging(server: LogServer, tmp_path: Path) -> None:
    """The first example: message, service and nested attributes."""
    (event,) = run(example("logging.info("), server, tmp_path)
    assert (event["message"], event["service"], event["level"]) == ("order A-7 placed", "shop", "INFO")
    assert event["attributes"]["order"] == {"id": "A-7", "total": 49.9}


def test_dict_config(server: LogServer, tmp_path: Path) -> None:
    """A configuration without code, with a spool."""
    (event,) = run(example("logging.config.dictConfig"), server, tmp_path)
    assert event["message"] == "stock of sku-1234 is low"
    assert event["attributes"]["left"] == 3
    assert list((tmp_path / "spool").iterdir()) == []


def test_structlog(server: LogServer, tmp_path: Path) -> None:
    """Bound values and keyword arguments are attributes, the event is the message."""
    (event,) = run(example("structlog.configure"), server, tmp_path)
    assert (event["message"], event["level"]) == ("card declined", "ERROR")
    attributes = event["attributes"]
    assert (attributes["order"], attributes["amount"], attributes["logger"]) == ("A-7", 49.9, "shop.payments")


def test_loguru(server: LogServer, tmp_path: Path) -> None:
    """Bound values are attributes of their own, and exceptions have their stack."""
    slow, failed = run(example("logger.bind"), server, tmp_path)
    assert (slow["message"], slow["level"], slow["attributes"]["order"]) == ("payment took 812 ms", "WARN", "A-7")
    assert "extra" not in slow["attributes"]
    assert failed["message"].splitlines()[0] == "cannot share"
    assert failed["attributes"]["exception"]["type"] == "ZeroDivisionError"
    assert "1 / 0" in failed["attributes"]["exception"]["stacktrace"]


def test_fastapi_and_uvicorn(server: LogServer, tmp_path: Path) -> None:
    """The application's events and uvicorn's own access log arrive."""
    more = """
import asyncio, urllib.request
import uvicorn

async def main() -> None:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=LOGGING))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/orders/A-7").read())
    server.should_exit = True
    await serving

asyncio.run(main())
"""
    events = run(example("FastAPI()"), server, tmp_path, more)
    by_logger = {event["attributes"]["logger"]: event for event in events}
    assert by_logger["shop.orders"]["message"] == "order A-7 read"
    assert by_logger["shop.orders"]["attributes"]["order_id"] == "A-7"
    assert "GET /orders/A-7" in by_logger["uvicorn.access"]["message"]
    assert {event["service"] for event in events} == {"shop-api"}


def test_every_option_is_on_the_page() -> None:
    """The table of options is whole."""
    page = PAGE.read_text()
    for name in list(inspect.signature(TailraceHandler.__init__).parameters)[1:]:
        assert f"| `{name}` |" in page
