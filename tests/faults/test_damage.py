"""Files that a power cut or a bad disk has damaged: said by name, and the rest is served."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from tests.server import Server

pytestmark = pytest.mark.slow

# No flush within the test: the events are in the log only, and in what hot makes of it.
LOG_ONLY = ("--set", "worker.flush_interval_s=3600")


def post(server: Server, start: int, count: int) -> None:
    body = b"\n".join(orjson.dumps({"message": f"event {n}", "n": str(n)}) for n in range(start, start + count))
    status, _ = server.post_logs(body)
    assert status == 202


def found(server: Server) -> list[int]:
    status, exported = server.request("GET", "/api/search?format=ndjson&order=asc")
    assert status == 200
    return sorted(int(orjson.loads(line)["attributes"]["n"]) for line in exported.splitlines())


def comes_to_hold(server: Server, expected: list[int]) -> None:
    """What was acknowledged is visible a moment later."""
    deadline = time.monotonic() + 20
    while (seen := found(server)) != expected:
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)


@pytest.mark.parametrize("seed", range(4))
def test_a_torn_end_of_the_logs_wal_costs_only_what_was_torn(tmp_path: Path, seed: int) -> None:
    """Cut anywhere, as a disk that lied about fsync leaves it: a prefix of the appends is served; new ones come."""
    server = Server(tmp_path / "data", *LOG_ONLY)
    server.start()
    for number in range(40):
        post(server, number * 10, 10)
    server.kill()
    wal = tmp_path / "data" / "log.db-wal"
    size = wal.stat().st_size
    with wal.open("r+b") as file:
        file.truncate(random.Random(seed).randrange(size))
    server.start()
    server.post_logs(orjson.dumps({"message": "the last one", "n": "-1"}))
    # The log is read in order: with the last one everything before it is there.
    while -1 not in (kept := found(server)):
        time.sleep(0.05)
    kept.remove(-1)
    assert kept == list(range(len(kept)))
    assert len(kept) % 10 == 0
    post(server, 1000, 10)
    comes_to_hold(server, [-1, *kept, *range(1000, 1010)])
    assert server.stop() == 0


def test_a_log_that_is_no_database_any_more_stops_the_start_with_its_name(tmp_path: Path) -> None:
    """The error names the file and what to do; nothing is overwritten."""
    with Server(tmp_path / "data", *LOG_ONLY) as server:
        post(server, 0, 10)
    path = tmp_path / "data" / "log.db"
    damaged = b"\xde\xad" * 2048 + path.read_bytes()[4096:]
    path.write_bytes(damaged)
    again = Server(tmp_path / "data")
    with pytest.raises(AssertionError, match=r"tailrace up ended with 1"):
        again.start()
    assert "log.db" in again.said()
    assert "Traceback" not in again.said()
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("damage", ["cut", "scribbled", "gone"])
def test_a_damaged_lake_file_is_named_and_the_rest_is_served(tmp_path: Path, damage: str) -> None:
    """The other files' events are found, the file is named in the log, counted, and named by `lake check`."""
    data = tmp_path / "data"
    with Server(data) as server:
        for part in range(3):
            post(server, part * 10, 10)
            server.wait_stored()
    files = sorted((data / "lake").glob("date=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    assert len(files) == 3
    victim = files[1]
    if damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-100])
    elif damage == "scribbled":
        content = bytearray(victim.read_bytes())
        content[4:-200] = bytes(len(content) - 204)
        victim.write_bytes(bytes(content))
    else:
        victim.unlink()
    with Server(data) as server:
        assert found(server) == [*range(10), *range(20, 30)]
        assert victim.name in server.said()
        assert b"tailrace_lake_damaged_files 1.0" in server.request("GET", "/metrics")[1]
        post(server, 100, 10)
        comes_to_hold(server, [*range(10), *range(20, 30), *range(100, 110)])
    checked = subprocess.run(
        [sys.executable, "-m", "tailrace", "lake", "check", "--data", str(data)], capture_output=True, text=True
    )
    assert checked.returncode == 1
    assert victim.name in checked.stdout
