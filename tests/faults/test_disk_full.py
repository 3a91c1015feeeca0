"""A full disk: refusals, nothing acknowledged lost, and recovery without a restart."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.server import Server

DISK_BYTES = 96 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small enough to be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"a tmpfs is needed: {mounted.stderr}")
        pytest.skip(f"a tmpfs cannot be mounted here (needs root): {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_refuses_keeps_what_was_acknowledged_and_recovers(small_disk: Path) -> None:
    """503 while there is no room; with room again events flow, and each acknowledged one is there once."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES // 3))
    acknowledged: list[str] = []
    number = 0

    def post(server: Server) -> int:
        nonlocal number
        keys = [f"k{number + i}" for i in range(500)]
        number += len(keys)
        # Random text, so that compression does not make room.
        body = b"\n".join(orjson.dumps({"message": os.urandom(200).hex(), "n": key}) for key in keys)
        status, _ = server.post_logs(body)
        if status == 202:
            acknowledged.extend(keys)
        return status

    with Server(small_disk / "data", "--set", "worker.flush_interval_s=0.3") as server:
        deadline = time.monotonic() + 120
        refusals = 0
        while refusals < 20:
            assert time.monotonic() < deadline, "the disk never filled up"
            status = post(server)
            assert status in (202, 503), status
            refusals += status == 503
        status, body = server.request("POST", "/logs", b'{"message":"x"}')
        while status == 202:
            status, body = server.request("POST", "/logs", b'{"message":"x"}')
        assert status == 503
        assert orjson.loads(body)["status"] == 503
        assert server.request("GET", "/healthz")[0] == 200

        ballast.unlink()
        deadline = time.monotonic() + 60
        while post(server) != 202:
            assert time.monotonic() < deadline, f"no recovery:\n{server.said()}"
            time.sleep(0.2)
        server.wait_stored()
        _, exported = server.request("GET", "/api/search?format=ndjson&q=n:k*")
        found = Counter(orjson.loads(line)["attributes"]["n"] for line in exported.splitlines())
        assert [key for key, count in found.items() if count > 1] == []
        assert set(acknowledged) - set(found) == set()
        assert set(found) - set(acknowledged) == set()
        assert server.stop() == 0
