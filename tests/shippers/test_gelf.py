"""pygelf and gelf-pro, as docs/ingest/gelf.md configures them, at the same time, while the server is killed.

Over UDP and TCP GELF has no acknowledgements: what is sent while the server is away is lost, and nothing is twice.
"""

from __future__ import annotations

import collections
import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, free_port
from tests.shippers.rig import COUNT, events, killed_meanwhile, message, numbers, run_node, wait_for

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "ingest" / "gelf.md").read_text()

_BURSTS = 100
_BURST_S = 0.03

# The page's configuration, COUNT messages, and those that could not be handed over.
_GELF_PRO = """
import fs from "node:fs";
%(configuration)s
let sent = 0, refused = [];
const [backFile, count] = [process.argv[2], Number(process.argv[3])];
const say = (number) => new Promise((done) =>
  log.error(`a line of some length that says that this is event ${number}`, { order: number }, (error) => {
    if (error) refused.push(number);
    done();
  }));
async function worker() {
  while (sent < count) {
    if (sent >= count * 3 / 4) while (!fs.existsSync(backFile)) await new Promise((done) => setTimeout(done, 50));
    await say(sent++);
  }
}
await Promise.all(Array.from({ length: 20 }, worker));
console.log(JSON.stringify(refused));
"""


def configuration(name: str) -> str:
    """The block of the page under the heading."""
    found = re.search(rf"^### {name}\n.*?```\w+\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    assert "12201" in found[1]
    return found[1]


@dataclass(frozen=True)
class Stored:
    """What is stored of each sender's numbers, and one of its events; what gelf-pro was told is lost."""

    numbers: dict[str, collections.Counter[int]]
    event: dict[str, dict[str, Any]]
    refused: list[int]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Stored]:
    """All senders have sent, with the server killed meanwhile. Each is a service of its own."""
    folder = tmp_path_factory.mktemp("gelf")
    udp, tcp, tls = free_port(), free_port(), free_port()
    options = [f"listeners.gelf_udp=127.0.0.1:{udp}", f"listeners.gelf_tcp=127.0.0.1:{tcp}"]
    options += [f"listeners.gelf_tls=127.0.0.1:{tls}", f"listeners.tls_certificate={certificates}/server.pem"]
    options += [f"listeners.tls_key={certificates}/server.key"]
    server = Server(folder / "data", *(word for option in options for word in ("--set", option)))
    is_back = threading.Event()
    back_file = folder / "back"
    said: list[str] = []

    def node() -> None:
        block = configuration("gelf-pro").replace("12201", str(tcp)).replace('"shop"', '"gelf-pro"')
        said.append(run_node(_GELF_PRO % {"configuration": block}, str(back_file), str(COUNT)).stdout)

    with server:
        first_pid = server.pid
        threads = [
            threading.Thread(target=bursts, args=(handler, is_back))
            for handler in [*handlers(udp, tcp, chunk_size=100), tls_handler(tls, certificates)]
        ]
        threads.append(threading.Thread(target=node))
        with killed_meanwhile(server, after_events=COUNT):
            for thread in threads:
                thread.start()
            wait_for(lambda: server.pid != first_pid, what="the second start")
            server.wait_ready()
            is_back.set()
            back_file.touch()
            for thread in threads:
                thread.join()
        assert said, "gelf-pro has failed"
        names = ["pygelf-udp", "pygelf-tcp", "pygelf-tls", "gelf-pro"]
        found: dict[str, collections.Counter[int]] = {}

        def all_have_sent_their_last() -> bool:
            found.update({name: numbers(server, f"service:{name}") for name in names})
            return all(COUNT - 1 in counted for counted in found.values())

        wait_for(all_have_sent_their_last, what="the last event of every sender")
        event = {name: events(server, f'service:{name} AND "event {COUNT - 1}"')[0] for name in names}
        refused = [int(number) for number in re.findall(r"\d+", said[0])]
        yield Stored(found, event, refused)


def handlers(udp: int, tcp: int, *, chunk_size: int) -> list[logging.Handler]:
    """The page's two; the datagrams so small that each message takes several."""
    block = configuration("pygelf")
    for port, name in ((udp, "pygelf-udp"), (tcp, "pygelf-tcp")):
        block = block.replace('port=12201, _service="shop"', f'port={port}, _service="{name}"', 1)
    logger = logging.Logger("gelf")
    exec(block.replace("logging.getLogger()", "logger"), {"logger": logger})
    datagrams, stream = logger.handlers
    datagrams.chunk_size = chunk_size  # type: ignore[attr-defined]
    return [datagrams, soon_again(stream)]


def tls_handler(port: int, certificates: Path) -> logging.Handler:
    block = configuration("pygelf over TLS").replace("/etc/ssl/certs/tailrace-ca.pem", f"{certificates}/server.pem")
    block = block.replace("12201", str(port)).replace('"shop"', '"pygelf-tls"')
    logger = logging.Logger("gelf")
    exec(block.replace("logging.getLogger()", "logger"), {"logger": logger})
    return soon_again(logger.handlers[0])


def soon_again(handler: logging.Handler) -> logging.Handler:
    """It waits for longer and longer otherwise before it connects again."""
    handler.retryStart, handler.retryMax = 0.1, 0.1  # type: ignore[attr-defined]
    return handler


def bursts(handler: logging.Handler, is_back: threading.Event) -> None:
    """COUNT messages, a part at a time; the last quarter when the server is back."""
    size = COUNT // _BURSTS
    for first in range(0, COUNT, size):
        if first >= COUNT * 3 // 4:
            assert is_back.wait(60)
        for number in range(first, first + size):
            handler.emit(logging.LogRecord("shop", logging.ERROR, "", 0, message(number), None, None))
        time.sleep(_BURST_S)


@pytest.mark.parametrize("name", ["pygelf-udp", "pygelf-tcp", "pygelf-tls"])
def test_pygelf(stored: Stored, name: str) -> None:
    """All is there from before the kill and from after the restart, once."""
    counted = stored.numbers[name]
    assert max(counted.values()) == 1
    missing = sorted(set(range(COUNT)) - set(counted))
    assert missing[-1] - missing[0] < COUNT * 3 // 4
    assert missing == list(range(missing[0], missing[-1] + 1)), "something is lost that was sent while the server ran"


def test_gelf_pro(stored: Stored) -> None:
    """A connection a message. What is missing it was told of, or was on its way when the server died."""
    counted = stored.numbers["gelf-pro"]
    assert max(counted.values()) == 1
    # As many as 1,024 wait to be accepted, and others are read.
    assert len(set(range(COUNT)) - set(counted) - set(stored.refused)) < COUNT // 4


def test_what_the_senders_tell_beside_the_message(stored: Stored) -> None:
    """Level and host; an additional field is an attribute, and the format's version is not."""
    for name, event in stored.event.items():
        assert event["level"] == "ERROR", name
        assert event["host"], name
        assert "version" not in event["attributes"]
    assert stored.event["gelf-pro"]["attributes"]["order"] == str(COUNT - 1)
