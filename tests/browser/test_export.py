"""Every match of a search, as a file or as a command."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from tests.browser.results import rows, shown_total
from tests.browser.visits import Visits
from tests.server import Server

SEARCH = "/?start=1d&end=1m&q=level:ERROR"


def open_menu(page: Page) -> None:
    expect(rows(page).first).to_be_visible()
    page.get_by_role("button", name="Export").click()


def rows_of(path: Path) -> int:
    match path.suffix:
        case ".csv":
            csv.field_size_limit(2_000_000)
            with path.open(newline="") as file:
                return sum(1 for _ in csv.DictReader(file))
        case ".ndjson":
            return sum(orjson.loads(line)["level"] == "ERROR" for line in path.read_bytes().splitlines())
        case ".parquet":
            return int(pq.read_table(path).num_rows)
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("format_name", ["CSV", "NDJSON", "Parquet"])
def test_a_downloaded_file_has_every_match(server: Server, visits: Visits, tmp_path: Path, format_name: str) -> None:
    """It opens with the tools of its kind, and has as many events as the API counts."""
    page = visits.open(server, SEARCH)
    open_menu(page)
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=format_name).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert rows_of(path) == shown_total(page) > 500


def test_the_copied_commands_find_the_same_events(server: Server, visits: Visits) -> None:
    """`curl` and `tailrace search` run in a shell as they were copied."""
    page = visits.open(server, '/?start=1d&end=1m&q=level:FATAL%20AND%20NOT%20service:"it\'s"')
    wanted = shown_total(page)
    open_menu(page)
    page.get_by_role("menuitem", name="Copy as curl").click()
    assert lines_of(page.evaluate("navigator.clipboard.readText()")) == wanted > 0
    open_menu(page)
    page.get_by_role("menuitem", name="Copy as a tailrace command").click()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith("tailrace search ")
    assert lines_of(command.replace("tailrace", f"{sys.executable} -m tailrace", 1)) == wanted


def lines_of(command: str) -> int:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, (command, done.stderr)
    return len(done.stdout.splitlines())
