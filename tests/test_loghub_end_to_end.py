"""Real log files of ten systems go in by `tailrace send` and come out again byte for byte."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.loghub import LOGHUB, needs_loghub
from tests.server import Server

pytestmark = [pytest.mark.slow, needs_loghub]


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return sorted(LOGHUB.glob("*.log"))


@pytest.fixture(scope="module")
def server(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A platform that all ten files were sent to."""
    with Server(tmp_path_factory.mktemp("loghub") / "data") as running:
        sent = tailrace(running, "send", *map(str, files))
        assert sent.returncode == 0, sent.stderr
        running.wait_stored()
        yield running


def tailrace(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tailrace", *arguments]
    return subprocess.run(command, env={"TAILRACE_URL": server.url, "PATH": ""}, capture_output=True, text=True)


def lines_of(file: Path) -> list[bytes]:
    """The lines without their ends."""
    return [line.removesuffix(b"\r") for line in file.read_bytes().removesuffix(b"\n").split(b"\n")]


def test_every_line_of_every_file_comes_out_again_byte_for_byte(server: Server, files: list[Path]) -> None:
    """An export of each file's events, in the order of the log, is the file."""
    assert len(files) == 10
    for file in files:
        query = urllib.parse.urlencode({"q": f'log.file.path:"{file}"', "format": "ndjson"})
        status, exported = server.request("GET", f"/api/search?{query}")
        assert status == 200
        events = [orjson.loads(line) for line in exported.splitlines()]
        events.sort(key=lambda event: [int(part) for part in event["id"].split("-")])
        assert [event["message"].encode() for event in events] == lines_of(file), file.name


def test_the_levels_found_are_those_that_the_lines_state(server: Server, files: list[Path]) -> None:
    """`level:ERROR` counts what grep counts with the ground truth's level column."""
    stated = 0
    for file in files:
        with file.with_name(f"{file.name}_structured.csv").open(newline="") as table:
            rows = list(csv.DictReader(table))
        if "Level" in rows[0]:
            stated += sum(row["Level"].upper() in ("ERROR", "E", "ERR", "SEVERE", "FAILURE") for row in rows)
    found = tailrace(server, "search", "level:ERROR", "--since", "30y", "--count")
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) == stated > 0


@pytest.mark.parametrize(
    ("query", "pattern"),
    [
        ('"session opened for user"', rb"session opened for user"),
        ('"authentication failure"', rb"(?i)\bauthentication\W+failure\b"),
        ("blk_38865049064139660", rb"\bblk_38865049064139660\b"),
        ("message:/Failed password for .* from 183\\.62/", rb"Failed password for .* from 183\.62"),
    ],
)
def test_a_search_finds_the_lines_that_grep_finds(
    server: Server, files: list[Path], query: str, pattern: bytes
) -> None:
    """The same lines, no more and no fewer, in any order."""
    expected = sorted(line for file in files for line in lines_of(file) if re.search(pattern, line))
    found = tailrace(server, "search", query, "--since", "30y", "--all", "--output", "json")
    assert found.returncode == 0, found.stderr
    assert sorted(json.loads(line)["message"].encode() for line in found.stdout.splitlines()) == expected
    assert expected


def test_what_send_says_is_what_it_did(files: list[Path], tmp_path: Path) -> None:
    """The closing line counts the lines of the file."""
    with Server(tmp_path / "data") as running:
        sent = tailrace(running, "send", str(files[0]))
        assert sent.returncode == 0, sent.stderr
        assert "2,000" in sent.stdout + sent.stderr
        running.wait_stored()
        assert running.get_json("/api/count")["count"] == 2000
