"""The real files of ten systems, against the columns that people have written down for them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow.compute as pc
import pytest

from tailrace.config import IngestSettings
from tailrace.ingest.text.formats import TextDecoder
from tests.loghub import loghub_file, needs_loghub

pytestmark = needs_loghub

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1_000_000)

Row = dict[str, str]

_MONTH_YEAR = {"Jun": 2026, "Jul": 2026, "Dec": 2025}
_LEVELS = {
    "V": "TRACE",
    "D": "DEBUG",
    "I": "INFO",
    "W": "WARN",
    "E": "ERROR",
    "F": "FATAL",
    "INFO": "INFO",
    "WARN": "WARN",
    "ERROR": "ERROR",
    "FATAL": "FATAL",
    "notice": "INFO",
    "error": "ERROR",
}


def _time(pattern: str, *columns: str) -> Callable[[Row], datetime]:
    return lambda row: datetime.strptime(" ".join(row[name] for name in columns), pattern).replace(tzinfo=UTC)


def _epoch(column: str) -> Callable[[Row], datetime]:
    return lambda row: datetime.fromtimestamp(int(row[column]), UTC)


def _without_year(*columns: str) -> Callable[[Row], datetime]:
    def time(row: Row) -> datetime:
        month, day, clock = (row[name] for name in columns)
        return datetime.strptime(f"{_MONTH_YEAR[month]} {month} {day} {clock}", "%Y %b %d %H:%M:%S").replace(
            tzinfo=UTC
        )

    return time


SYSTEMS: dict[str, Callable[[Row], datetime]] = {
    "Android": lambda row: datetime.strptime(f"2026-{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S.%f").replace(
        tzinfo=UTC
    ),
    "Apache": _time("%a %b %d %H:%M:%S %Y", "Time"),
    "HDFS": _time("%y%m%d %H%M%S", "Date", "Time"),
    "HPC": _epoch("Time"),
    "Hadoop": _time("%Y-%m-%d %H:%M:%S,%f", "Date", "Time"),
    "Linux": _without_year("Month", "Date", "Time"),
    "OpenSSH": _without_year("Date", "Day", "Time"),
    "Spark": _time("%y/%m/%d %H:%M:%S", "Date", "Time"),
    "Thunderbird": _epoch("Timestamp"),
    "Zookeeper": _time("%Y-%m-%d %H:%M:%S,%f", "Date", "Time"),
}
WITH_LEVELS = ("Android", "Apache", "HDFS", "Hadoop", "Spark", "Zookeeper")
WITH_PROGRAMS = {"Linux": "combo", "OpenSSH": "LabSZ", "Thunderbird": None}


def _rows(system: str) -> list[Row]:
    with loghub_file(system).with_name(f"{system}_2k.log_structured.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_line_has_its_time_and_its_level_and_stays_whole(system: str) -> None:
    """All 2,000 lines agree with the written-down columns, and the file is the messages, joined again."""
    raw = loghub_file(system).read_bytes()
    events = TextDecoder(limits=IngestSettings()).decode(raw, now_us=NOW_US).events
    rows = _rows(system)
    assert events["timestamp"].to_pylist() == [SYSTEMS[system](row) for row in rows]
    if system in WITH_LEVELS:
        assert events["level"].to_pylist() == [_LEVELS[row["Level"]] for row in rows]
    ends = [line[len(line.rstrip(b"\r\n")) :] for line in raw.splitlines(keepends=True)]
    joined = b"".join(text.encode() + end for text, end in zip(events["message"].to_pylist(), ends, strict=True))
    assert joined == raw


@pytest.mark.parametrize("system", WITH_PROGRAMS)
def test_syslog_lines_tell_host_program_and_process(system: str) -> None:
    """Where the people saw a component and a process, so does the reader."""
    events = TextDecoder(limits=IngestSettings()).decode(loghub_file(system).read_bytes(), now_us=NOW_US).events
    host = WITH_PROGRAMS[system]
    for row, event in zip(_rows(system), events.to_pylist(), strict=True):
        if (row.get("PID") or row.get("Pid")) and row["Component"] != "-- root":
            program = "sshd" if system == "OpenSSH" else row["Component"].partition("(")[0].strip()
            assert event["service"] == program
            assert dict(event["attributes"])["pid"] == (row.get("PID") or row["Pid"])
            assert event["host"] == (host or row["User"])


def test_a_system_without_levels_has_none() -> None:
    """No level is taken out of the prose."""
    events = TextDecoder(limits=IngestSettings()).decode(loghub_file("HPC").read_bytes(), now_us=NOW_US).events
    assert pc.count_distinct(events["level"], mode="only_valid").as_py() == 0


@pytest.mark.parametrize("system", WITH_PROGRAMS)
def test_what_programs_tell_syslog_has_no_level(system: str) -> None:
    """`error: Received disconnect` is sshd's sentence about its peer; the ground truth has no level there either."""
    events = TextDecoder(limits=IngestSettings()).decode(loghub_file(system).read_bytes(), now_us=NOW_US).events
    assert events["level"].null_count == len(events)
