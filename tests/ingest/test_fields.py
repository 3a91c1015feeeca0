"""The names of an event's own fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tailrace.config import IngestSettings
from tailrace.ingest.fields import ALIASES, COLUMNS, LEVEL_NAMES, TEXT_NAMES, TIMESTAMP_NAMES
from tailrace.ingest.json_logs import decode_json
from tailrace.kernels.name_table import NAME_BYTES_MAX
from tailrace.model.batch import EVENT_SCHEMA

NOW_US = 1_743_156_000_000_000
ALL_NAMES = {"timestamp": TIMESTAMP_NAMES, "level": LEVEL_NAMES, **TEXT_NAMES}


def decode(event: dict[str, Any]) -> dict[str, Any]:
    decoded = decode_json(json.dumps(event).encode(), limits=IngestSettings(), now_us=NOW_US)
    assert not decoded.rejected
    (row,) = decoded.events.to_pylist()
    row["attributes"] = dict(row["attributes"])
    return dict(row)


def test_columns_are_the_schemas() -> None:
    """The columns that have names are those of the schema, in its order, but for what we fill in ourselves."""
    names = [name for name in EVENT_SCHEMA.names if name not in ("observed_timestamp", "attributes")]
    assert list(COLUMNS) == names


def test_the_kernel_can_hold_all_names() -> None:
    """Names are unique, short enough for the kernel's table, and few enough for the bits of a word."""
    assert len({alias.name for alias in ALIASES}) == len(ALIASES) <= 64
    assert max(len(alias.name) for alias in ALIASES) <= NAME_BYTES_MAX


@pytest.mark.parametrize(
    ("column", "name"), [(column, name) for column, names in ALL_NAMES.items() for name in names]
)
def test_each_name(column: str, name: str) -> None:
    """Each name, dotted or nested, fills its column and leaves no attribute."""
    value = {"timestamp": "2025-03-28T09:59:59Z", "level": "4"}.get(column, "some text")
    nested: Any = value
    for part in reversed(name.split(".")):
        nested = {part: nested}
    for event in ({name: value}, nested):
        row = decode(event)
        assert row["attributes"] == {}
        if column == "level":
            assert row["level"] == ("TRACE" if "everity" in name and "umber" in name else "WARN")
        elif column == "timestamp":
            assert row["timestamp"].isoformat() == "2025-03-28T09:59:59+00:00"
        else:
            assert row[column] == "some text"


@pytest.mark.parametrize("column", TEXT_NAMES)
def test_first_listed_wins(column: str) -> None:
    """Of several names the first in the list wins, wherever it stands, and the others stay attributes."""
    names = TEXT_NAMES[column]
    for ordered in (names, names[::-1]):
        row = decode({name: f"text of {name}" for name in ordered})
        assert row[column] == f"text of {names[0]}"
        assert row["attributes"] == {name: f"text of {name}" for name in names[1:]}


@pytest.mark.parametrize(
    ("event", "level", "attributes"),
    [
        ({"status": 200, "level": "info"}, "INFO", {"status": "200"}),
        ({"status": 200}, None, {"status": "200"}),
        ({"level": "odd", "severity": "ERROR"}, "ERROR", {"level": "odd"}),
        ({"level": "odd"}, None, {"level": "odd"}),
        ({"severityText": "WARN2", "severityNumber": 14}, "WARN", {"severityText": "WARN2"}),
        ({"level": 30}, "INFO", {}),
        ({"PRIORITY": "3"}, "ERROR", {}),
        ({"level": None, "severity": "debug"}, "DEBUG", {}),
    ],
)
def test_level_that_can_be_read(event: dict[str, Any], level: str | None, attributes: dict[str, str]) -> None:
    """The first name whose value is a level gives the level; what is none stays an attribute of its own name."""
    row = decode(event)
    assert (row["level"], row["attributes"]) == (level, attributes)
