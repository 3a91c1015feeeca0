"""The plain text copy: its lines, its rotation and what it does when it is meddled with."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tailrace.config import JsonlSettings
from tailrace.errors import RetryLater, Stop
from tailrace.model.batch import batch_of_rows, with_identity
from tailrace.store.jsonl import JsonlStore, open_when_free
from tailrace.store.jsonl_progress import Progress, decode_progress, encode_progress, write_progress

NOON_US = 1_763_726_400_000_000  # 2025-11-21T12:00:00Z
DAY_US = 86_400_000_000


class Settable:
    def __init__(self) -> None:
        self.now_us = NOON_US

    def __call__(self) -> int:
        return self.now_us


def batch(offset: int, *messages: str, **columns: Any) -> pa.RecordBatch:
    rows = [{"timestamp": NOON_US, "observed_timestamp": NOON_US, "message": m, **columns} for m in messages]
    return with_identity(batch_of_rows(rows), 0, offset)


def open_store(folder: Path, clock: Settable | None = None, **settings: int) -> JsonlStore:
    return JsonlStore(folder, settings=JsonlSettings.model_validate(settings), clock=clock or Settable())


def messages(path: Path) -> list[str]:
    return [orjson.loads(line)["message"] for line in path.read_bytes().splitlines()]


def test_a_line_has_its_keys_in_a_fixed_order(tmp_path: Path) -> None:
    """Timestamp first, identity last, null columns left out."""
    store = open_store(tmp_path)
    store.write(
        [
            batch(7, "full", level="WARN", service="s", host="h", trace_id="t", span_id="p", attributes={"a": "1"}),
            batch(8, "bare"),
        ],
        {0: 9},
    )
    assert (tmp_path / "logs.txt").read_text() == (
        '{"timestamp":"2025-11-21T12:00:00.000000Z","level":"WARN","service":"s","host":"h","message":"full",'
        '"trace_id":"t","span_id":"p","attributes":{"a":"1"},"id":"0-7-0"}\n'
        '{"timestamp":"2025-11-21T12:00:00.000000Z","message":"bare","attributes":{},"id":"0-8-0"}\n'
    )


def test_a_file_of_its_size_is_rotated_before_the_next_write(tmp_path: Path) -> None:
    """Rotated files are named by day and number, and only the newest are kept."""
    store = open_store(tmp_path, rotate_bytes=1, keep_files=2)
    for offset in range(5):
        store.write([batch(offset, f"m{offset}")], {0: offset + 1})
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == [
        "logs-2025-11-21.003.txt",
        "logs-2025-11-21.004.txt",
        "logs.txt",
    ]
    assert messages(tmp_path / "logs-2025-11-21.004.txt") == ["m3"]
    assert messages(tmp_path / "logs.txt") == ["m4"]


def test_a_new_utc_day_rotates_and_names_the_day_before(tmp_path: Path) -> None:
    """Also when the store was opened again in between, and not while nothing was written."""
    clock = Settable()
    store = open_store(tmp_path, clock)
    store.write([batch(0, "friday")], {0: 1})
    clock.now_us += 3 * DAY_US
    store = open_store(tmp_path, clock)
    store.write([batch(1, "monday")], {0: 2})
    assert messages(tmp_path / "logs-2025-11-21.001.txt") == ["friday"]
    assert messages(tmp_path / "logs.txt") == ["monday"]
    clock.now_us += DAY_US
    store.write([batch(2, "tuesday")], {0: 3})
    assert messages(tmp_path / "logs-2025-11-24.001.txt") == ["monday"]


def test_bytes_of_a_write_that_was_cut_off_are_cut_away(tmp_path: Path) -> None:
    """Whatever stands behind the counted size is gone after the next start."""
    store = open_store(tmp_path)
    store.write([batch(0, "whole")], {0: 1})
    with (tmp_path / "logs.txt").open("ab") as file:
        file.write(b'{"timestamp":"2025')
    store = open_store(tmp_path)
    store.write([batch(1, "next")], {0: 2})
    assert messages(tmp_path / "logs.txt") == ["whole", "next"]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_rotation_that_was_cut_off_is_finished(tmp_path: Path, renamed: bool) -> None:
    """Before and after the rename, the next start ends with an empty current file and one rotated file."""
    store = open_store(tmp_path)
    store.write([batch(0, "old")], {0: 1})
    progress = decode_progress((tmp_path / "logs.progress").read_bytes())
    name = "logs-2025-11-21.001.txt"
    write_progress(tmp_path, Progress(progress.day, progress.size_bytes, name, progress.reached))
    if renamed:
        (tmp_path / "logs.txt").rename(tmp_path / name)
    store = open_store(tmp_path)
    store.write([batch(0, "old"), batch(1, "new")], {0: 2})
    assert messages(tmp_path / name) == ["old"]
    assert messages(tmp_path / "logs.txt") == ["new"]


@pytest.mark.parametrize("how", ["emptied", "deleted"])
def test_a_file_that_somebody_emptied_or_deleted_goes_on_without_a_hole(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The loss is said, and the next lines follow what is left."""
    store = open_store(tmp_path)
    store.write([batch(0, "gone")], {0: 1})
    if how == "emptied":
        os.truncate(tmp_path / "logs.txt", 0)
    else:
        (tmp_path / "logs.txt").unlink()
    store.write([batch(1, "next")], {0: 2})
    assert messages(tmp_path / "logs.txt") == ["next"]
    assert "cut from outside" in caplog.text
    assert open_store(tmp_path).reached() == {0: 2}


def test_a_failed_write_leaves_nothing_and_can_be_made_again(tmp_path: Path) -> None:
    """While files cannot grow it is RetryLater; then the same write goes through once."""
    store = open_store(tmp_path)
    store.write([batch(0, "first")], {0: 1})
    large = batch(1, *("x" * 1000 for _ in range(1000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(RetryLater, match="plain text copy"):
            store.write([large], {0: 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert messages(tmp_path / "logs.txt") == ["first"]
    assert store.reached() == {0: 1}
    store.write([large], {0: 2})
    assert len(messages(tmp_path / "logs.txt")) == 1001


def test_a_progress_file_that_is_damaged_or_missing_stops_the_start(tmp_path: Path) -> None:
    """The Stop names the file and what to do."""
    store = open_store(tmp_path)
    store.write([batch(0, "a")], {0: 1})
    path = tmp_path / "logs.progress"
    path.write_bytes(path.read_bytes().replace(b'"0":1', b'"0":2'))
    with pytest.raises(Stop, match=r"logs\.progress is damaged .*move it"):
        open_store(tmp_path)
    path.unlink()
    with pytest.raises(Stop, match=r"logs\.progress is missing"):
        open_store(tmp_path)


def test_progress_reads_back_what_was_written() -> None:
    """Bytes and object are two forms of the same; any changed byte is noticed."""
    progress = Progress("2025-11-21", 123, "logs-2025-11-21.001.txt", {0: 17, 3: 1 << 40})
    data = encode_progress(progress)
    assert decode_progress(data) == progress
    for at in range(len(data) - 1):
        with pytest.raises(ValueError, match=r"."):
            decode_progress(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_a_second_writer_stands_by_until_the_first_is_gone(tmp_path: Path) -> None:
    """Then it goes on where that one ended; one that is told to stop meanwhile gives up."""
    settings, clock = JsonlSettings(), Settable()
    first = open_when_free(tmp_path, settings=settings, clock=clock, stopping=threading.Event())
    first.write([batch(0, "a")], {0: 1})
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(RetryLater, match="another process writes here"):
        open_when_free(tmp_path, settings=settings, clock=clock, stopping=stopping)
    opened: list[JsonlStore] = []
    waiting = threading.Thread(
        target=lambda: opened.append(
            open_when_free(tmp_path, settings=settings, clock=clock, stopping=threading.Event())
        )
    )
    waiting.start()
    first.write([batch(1, "b")], {0: 2})
    assert not opened
    first.close()
    waiting.join(10)
    assert opened[0].reached() == {0: 2}
    opened[0].close()
