"""A lake with damaged files: said by name, and the rest is served."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tailrace.errors import QueryError
from tailrace.query.tree import Phrase, Regex
from tailrace.store.lake.check import check
from tailrace.store.lake.files import ROW_GROUP_ROWS
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.place_port import index_path
from tailrace.store.lake.vacuum import mend_indexes
from tailrace.store.port import Selection
from tests.store.lake_rig import NOON_US, fill, folder, messages, numbered, open_lake

Harm = Callable[[Path], None]


def file_of(lake: Lake, place: int) -> Path:
    """In the order of their events."""
    files = sorted(lake.table.state().files.values(), key=lambda file: file.first_us)
    return folder(lake) / files[place].path


def damaged_files(lake: Lake) -> float | None:
    return lake.metrics.registry.get_sample_value("tailrace_lake_damaged_files")


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4] + random.Random(1).randbytes(len(content) - 8) + content[-4:])


@pytest.mark.slow
@pytest.mark.parametrize("harm", [delete, empty, truncate, garble])
def test_the_rest_is_served_around_a_damaged_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Harm
) -> None:
    """Every kind of question is answered from the other files; the log and the metric say which one is damaged."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(3), rows=2, service="pay")
        victim = file_of(lake, 1)
        harm(victim)
        rest = ["0-0", "0-1", "2-0", "2-1"]
        with caplog.at_level(logging.ERROR):
            assert messages(lake) == rest
        assert str(victim) in caplog.text
        assert damaged_files(lake) == 1
        with lake.snapshot() as snapshot:
            found = snapshot.search(Selection(), order="desc", limit=10, after=None)
            assert found["message"].to_pylist() == rest[::-1]
            assert snapshot.count(Selection(Phrase("message", "0"))) == 3
            assert snapshot.count(Selection()) == 4
            assert sum(bucket.count for bucket in snapshot.histogram(Selection(), interval_us=1000, by=None)) == 4
            assert [figure.count for figure in snapshot.values(Selection(), field="service", limit=9)] == [4]
        assert any(str(victim) in problem for problem in check(lake).problems)


@pytest.mark.slow
def test_only_the_damaged_row_group_is_lost(tmp_path: Path) -> None:
    """The other groups of the file are served."""
    with open_lake(tmp_path / "lake") as lake:
        lake.write([numbered(0, rows=3 * ROW_GROUP_ROWS)], {0: 1})
        path = file_of(lake, 0)
        place = pq.read_metadata(path).row_group(1).column(5).data_page_offset
        content = bytearray(path.read_bytes())
        content[place : place + 100] = bytes(100)
        path.write_bytes(content)
        assert any("row group 1" in problem for problem in check(lake).problems)
        assert len(messages(lake)) == 2 * ROW_GROUP_ROWS


def test_a_query_that_finds_nothing_wrong_does_not_hide_its_error(tmp_path: Path) -> None:
    """An error that no file explains is the query's."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(1))
        with lake.snapshot() as snapshot, pytest.raises(QueryError):
            snapshot.count(Selection(Regex("message", "(")))
        assert damaged_files(lake) == 0


@pytest.mark.parametrize("harm", [delete, empty, truncate, garble])
def test_without_its_index_a_file_is_read_whole(tmp_path: Path, harm: Harm) -> None:
    """The answers stay the same, and maintenance makes the index anew."""
    with open_lake(tmp_path / "lake") as lake:
        fill(lake, range(2), service="pay")
        harm(folder(lake) / index_path(file_of(lake, 0).name))
        with lake.snapshot() as snapshot:
            assert snapshot.count(Selection(Phrase(None, "0"))) == 2
            assert snapshot.count(Selection(Phrase("service", "pay"))) == 2
            minutes = snapshot.histogram(Selection(start_us=NOON_US), interval_us=60_000_000, by="service")
            assert [bucket.count for bucket in minutes] == [2]
        assert any("index" in problem for problem in check(lake).problems)
        assert mend_indexes(lake) == 1
        assert mend_indexes(lake) == 0
        assert check(lake).problems == []
