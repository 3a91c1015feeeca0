"""Clients of Elasticsearch, configured as docs/ingest/elasticsearch.md says, while the server is killed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server import Server, free_port
from tests.shippers.rig import (
    COUNT,
    elasticsearch_8_environment,
    killed_meanwhile,
    message,
    numbers,
    program,
    run,
    run_node,
    wait_for,
)

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "ingest" / "elasticsearch.md"

EACH_ONCE = dict.fromkeys(range(COUNT), 1)


def configuration(heading: str, language: str, server: Server) -> str:
    """The block that the page has under a heading, for this server."""
    section = PAGE.read_text("utf-8").split(f"\n### {heading}\n", maxsplit=1)[1]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    assert "8001" in found[1]
    return found[1].replace("8001", str(server.port))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all clients, which are told apart by their ids and indices."""
    with Server(tmp_path_factory.mktemp("elasticsearch") / "data") as started:
        yield started


EVENTS = """
import time

class Events:
    def __iter__(self):
        for number in range(%d):
            if number %% 100 == 0:
                time.sleep(0.01)
            yield {"id": f"%s-{number}", "message": %r + str(number)}

events = Events()
"""


@pytest.mark.parametrize(
    ("name", "heading", "environment"),
    [
        ("py9", "Python, elasticsearch-py (8 and 9)", None),
        ("py8", "Python, elasticsearch-py (8 and 9)", elasticsearch_8_environment),
        ("opensearch", "Python, opensearch-py", None),
    ],
)
def test_python_clients_store_each_document_once(
    server: Server, tmp_path: Path, name: str, heading: str, environment: Callable[[], Mapping[str, str]] | None
) -> None:
    """They begin anew when the server is away, with the same ids; nothing is refused and nothing is stored twice."""
    script = tmp_path / "send.py"
    script.write_text(EVENTS % (COUNT, name, message(7).removesuffix("7")) + configuration(heading, "python", server))
    with killed_meanwhile(server):
        done = run([sys.executable, str(script)], environment=environment() if environment else None)
    assert "refused" not in done.stdout
    assert numbers(server, f"_id:{name}*") == EACH_ONCE


@contextmanager
def rsyslog(folder: Path, configuration: str) -> Iterator[socket.socket]:
    """A daemon of our own; what is written to the socket comes in as syslog over TCP."""
    folder.mkdir()
    port = free_port()
    file = folder / "rsyslog.conf"
    file.write_text(
        f'global(workDirectory="{folder}")\nmodule(load="imtcp")\n'
        f'input(type="imtcp" port="{port}" address="127.0.0.1")\n{configuration}'
    )
    command = [program("rsyslogd"), "-n", "-f", str(file), "-i", str(folder / "pid")]
    with (folder / "output").open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as daemon:
        try:
            for _ in range(200):
                try:
                    to_daemon = socket.create_connection(("127.0.0.1", port))
                    break
                except OSError:
                    assert daemon.poll() is None, (folder / "output").read_text()
                    time.sleep(0.05)
            with to_daemon:
                yield to_daemon
        finally:
            daemon.terminate()
            daemon.wait(20)


def test_rsyslog_stores_each_message_once(server: Server, tmp_path: Path) -> None:
    """Its queue holds what the server cannot take, and what it sends twice has the same id."""
    with rsyslog(tmp_path / "rsyslog", configuration("rsyslog", "rsyslog", server)) as to_daemon:
        with killed_meanwhile(server):
            for number in range(COUNT):
                if number % 100 == 0:
                    time.sleep(0.01)
                to_daemon.sendall(f"<14>Nov 21 19:00:00 node-1 app: {message(number)}\n".encode())
        stored = "_index:syslog AND service:app AND level:INFO AND host:node-1"
        wait_for(lambda: len(numbers(server, stored)) >= COUNT, what="the last of the messages")
    assert numbers(server, stored) == EACH_ONCE


PINO = """
%s
const from = Number(process.argv[2]), to = Number(process.argv[3])
stream.on('insertError', () => {})
stream.on('error', () => {})
for (let number = from; number < to; number++) {
  logger.info(`%s${number}`)
  if (number %% 500 === 0) await new Promise(resolve => setTimeout(resolve, 5))
}
await new Promise(resolve => { stream.on('finish', resolve); stream.end() })
await new Promise(resolve => setTimeout(resolve, 500))
"""


def test_pino_stores_each_line_once_and_works_again_after_a_kill(server: Server) -> None:
    """It makes no ids, so what it sends while the server is there is sent once: before a kill, and after it."""
    block = configuration("Node, pino with pino-elasticsearch", "js", server)
    script = PINO % (block, message(7).removesuffix("7"))
    run_node(script, "0", str(COUNT // 2))
    server.kill()
    server.start()
    run_node(script, str(COUNT // 2), str(COUNT))
    assert numbers(server, "_index:node") == EACH_ONCE


def test_a_document_from_before_a_kill_is_answered_409(server: Server) -> None:
    """A server that was started anew knows what it has stored, and tells whoever sends it once more."""
    body = b"".join(b'{"create":{"_index":"anew","_id":"%d"}}\n{"message":"event %d"}\n' % (n, n) for n in range(100))
    assert b'"errors":false' in server.request("POST", "/_bulk", body)[1]
    server.wait_stored()
    server.kill()
    server.start()
    assert server.request("POST", "/_bulk", body)[1].count(b'"status":409') == 100
    assert numbers(server, "_index:anew") == dict.fromkeys(range(100), 1)
