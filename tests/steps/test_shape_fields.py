"""Steps that name fields: rename, set, drop_fields, enrich; and the maps of attributes below them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.errors import Stop
from tailrace.steps.fields import Entries, attributes_of, merged, text_of, with_attributes, without
from tests.steps.rig import Event, batch, events_of, pipeline, run, run_one

MAPS = st.lists(st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"), max_size=4), min_size=1, max_size=6)


def entries(maps: list[dict[str, str]]) -> Entries:
    triples = [(row, key, value) for row, fields in enumerate(maps) for key, value in fields.items()]
    rows, keys, values = zip(*triples, strict=True) if triples else ((), (), ())
    return Entries(np.array(rows, np.int64), pa.array(keys, pa.string()), pa.array(values, pa.string()))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(MAPS, MAPS, st.booleans())
def test_attributes_are_merged_as_dictionaries_are(
    old: list[dict[str, str]], new: list[dict[str, str]], overwrite: bool
) -> None:
    """Row by row; who wins where both have a key is said."""
    new = (new + [{} for _ in old])[: len(old)]
    events = batch([{"attributes": fields} for fields in old])
    found = events_of(with_attributes(events, merged(attributes_of(events), entries(new), overwrite=overwrite)))
    expected = [{**a, **b} if overwrite else {**b, **a} for a, b in zip(old, new, strict=True)]
    assert [event["attributes"] for event in found] == expected


@settings(max_examples=100, deadline=None)
@given(MAPS, st.integers(0, 5))
def test_a_field_of_a_part_of_a_batch(maps: list[dict[str, str]], start: int) -> None:
    """A slice shares its buffers with the whole, and is read and written as if it were alone."""
    events = batch([{"attributes": fields} for fields in maps]).slice(start)
    assert text_of(events, "a").to_pylist() == [fields.get("a") for fields in maps[start:]]
    left = events_of(without(events, "a", np.ones(events.num_rows, bool)))
    assert [event["attributes"] for event in left] == [
        {key: value for key, value in fields.items() if key != "a"} for fields in maps[start:]
    ]


RENAME: list[tuple[str, Event, Event]] = [
    ("a = 'b'", {"attributes": {"a": "1"}}, {"attributes": {"b": "1"}}),
    ("a = 'b'", {"attributes": {"a": "1", "b": "2"}}, {"attributes": {"a": "1", "b": "2"}}),
    ("sev = 'level'", {"attributes": {"sev": "err"}}, {"level": "ERROR", "attributes": {}}),
    ("sev = 'level'", {"attributes": {"sev": "loud"}}, {"attributes": {"sev": "loud"}}),
    (
        "sev = 'level'",
        {"level": "INFO", "attributes": {"sev": "err"}},
        {"level": "INFO", "attributes": {"sev": "err"}},
    ),
    (
        "at = 'timestamp'",
        {"attributes": {"at": "1763632800"}},
        {"timestamp": 1_763_632_800_000_000, "attributes": {}},
    ),
    ("at = 'timestamp'", {"attributes": {"at": "noon"}}, {"attributes": {"at": "noon"}}),
    ("host = 'node'", {"host": "h"}, {"attributes": {"node": "h"}}),
    ("host = 'service'", {"host": "h"}, {"service": "h", "attributes": {}}),
    ("text = 'message'", {"attributes": {"text": "t"}}, {"message": "t", "attributes": {}}),
    (
        "text = 'message'",
        {"message": "m", "attributes": {"text": "t"}},
        {"message": "m", "attributes": {"text": "t"}},
    ),
    ("a = 'b', b = 'c'", {"attributes": {"a": "1"}}, {"attributes": {"c": "1"}}),
    ("a = 'attributes.host'", {"attributes": {"a": "1"}}, {"attributes": {"host": "1"}}),
    ("a = 'b', c = 'host'", {"attributes": {"a": "", "c": ""}}, {"attributes": {"b": "", "c": ""}}),
]


@pytest.mark.parametrize(("fields", "event", "expected"), RENAME, ids=[fields for fields, _, _ in RENAME])
def test_rename(tmp_path: Path, fields: str, event: Event, expected: Event) -> None:
    """A value goes under its new name, into a column where that is one, or stays when it cannot."""
    found = run_one(tmp_path, f"[[step]]\nkind = 'rename'\nfields = {{ {fields} }}", event)
    assert found == {"message": "", **expected}


def test_rename_over_what_is_there(tmp_path: Path) -> None:
    """`overwrite = true`: the field of the new name gives way."""
    toml = "[[step]]\nkind = 'rename'\noverwrite = true\nfields = { a = 'b', sev = 'level' }"
    event: Event = {"level": "INFO", "attributes": {"a": "1", "b": "2", "sev": "err"}}
    assert run_one(tmp_path, toml, event) == {"message": "", "level": "ERROR", "attributes": {"b": "1"}}


def test_set(tmp_path: Path) -> None:
    """Columns and attributes; with `overwrite = false` only where there is nothing."""
    event: Event = {"service": "own", "attributes": {"env": "own"}}
    toml = "[[step]]\nkind = 'set'\nfields = { env = 'prod', service = 'api', level = 'warning', host = 'h' }"
    found = run_one(tmp_path, toml, event)
    assert found == {
        "message": "", "service": "api", "level": "WARN", "host": "h", "attributes": {"env": "prod"},
    }  # fmt: skip
    found = run_one(tmp_path, f"{toml}\noverwrite = false", event)
    assert found == {
        "message": "", "service": "own", "level": "WARN", "host": "h", "attributes": {"env": "own"},
    }  # fmt: skip


def test_a_text_is_set_to_nothing(tmp_path: Path) -> None:
    """As a message has to be that must not be stored: it becomes empty, and no attribute."""
    toml = "[[step]]\nkind = 'set'\nfields = { message = '', service = '', a = '' }"
    event: Event = {"message": "secret", "service": "s", "attributes": {"a": "secret"}}
    assert run_one(tmp_path, toml, event) == {"message": "", "service": "", "attributes": {"a": ""}}


def test_drop_fields(tmp_path: Path) -> None:
    """By name, and all attributes below a name."""
    toml = "[[step]]\nkind = 'drop_fields'\nfields = ['host', 'a', 'k8s.*', 'nothing']"
    event: Event = {"host": "h", "service": "s", "attributes": {"a": "1", "b": "2", "k8s.pod": "p", "k8sx": "y"}}
    assert run_one(tmp_path, toml, event) == {
        "message": "", "service": "s", "attributes": {"b": "2", "k8sx": "y"},
    }  # fmt: skip


def test_where_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    """In their order, and each with the identity that it came with."""
    toml = "[[step]]\nkind = 'set'\nwhere = 'n:(1 OR 3)'\nfields = { hit = 'yes' }"
    events = batch([{"attributes": {"n": str(number)}} for number in range(5)])
    (shaped,) = pipeline(tmp_path, toml).apply(events)
    assert shaped.events.column("log_row").to_pylist() == [0, 1, 2, 3, 4]
    assert [event["attributes"].get("hit") for event in events_of(shaped.events)] == [None, "yes", None, "yes", None]


TABLE = '\ufeffhost,team,owner\ndb-1,data,ann\ndb-2,data,\nweb,"a, b",joe\ndb-1,other,other\n'


def test_enrich(tmp_path: Path) -> None:
    """The row of a key; empty cells add nothing; of equal keys the first counts; unknown ones stay alone."""
    (tmp_path / "hosts.csv").write_text(TABLE)
    toml = "[[step]]\nkind = 'enrich'\nfile = 'hosts.csv'\nfield = 'host'\nprefix = 'own.'"
    found = run(
        pipeline(tmp_path, toml),
        *({"host": host} for host in ("db-1", "db-2", "web", "no")),
        {"attributes": {"x": "y"}},
    )
    assert [event["attributes"] for event in found] == [
        {"own.team": "data", "own.owner": "ann"}, {"own.team": "data"}, {"own.team": "a, b", "own.owner": "joe"}, {},
        {"x": "y"},
    ]  # fmt: skip


def test_enrich_by_another_column(tmp_path: Path) -> None:
    """`key` and `columns` choose; what the event has stays."""
    (tmp_path / "hosts.csv").write_text(TABLE)
    toml = "[[step]]\nkind='enrich'\nfile='hosts.csv'\nfield='who'\nkey='owner'\ncolumns=['host', 'team']"
    found = run_one(tmp_path, toml, {"attributes": {"who": "joe", "team": "mine"}})
    assert found["attributes"] == {"who": "joe", "team": "mine", "host": "web"}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("a,b\n1\n", "t.csv:2: 1 cells, where the header has 2"),
        ("a,a\n", "each with a name of its own"),
        ("", "has to name two columns"),
        (f"a,b\n1,{'x' * 2000}\n", "t.csv:2: a cell has more than"),
        ('a,b\n"1,2\n', "cannot be read"),
        (None, "cannot be read"),
        ("b,c\n1,2\n", "has no column 'a'; it has b, c"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, table: str | None, reason: str) -> None:
    """File, line and reason are told."""
    if table is not None:
        (tmp_path / "t.csv").write_text(table)
    with pytest.raises(Stop, match=r"step 1 \(enrich\): file: ") as caught:
        pipeline(tmp_path, "[[step]]\nkind = 'enrich'\nfile = 't.csv'\nfield = 'x'\nkey = 'a'")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("kind = 'rename'\nfields = { message = 'm' }", "the message is never missing"),
        ("kind = 'rename'\nfields = { a = 'a' }", "both the old name and the new one"),
        ("kind = 'rename'\nfields = { a = 'observed_timestamp' }", "when the event came in"),
        ("kind = 'set'\nfields = { level = 'loud' }", "'loud' is not a level"),
        ("kind = 'set'\nfields = { timestamp = '1' }", "is a time"),
        ("kind = 'drop_fields'\nfields = ['message']", "the message is never missing"),
        ("kind = 'drop_fields'\nfields = ['timestamp']", "is a time"),
        ("kind = 'drop_fields'\nfields = ['attributes.*']", "not all attributes: write"),
        ("kind = 'set'\nfields = { a = '1' }\nfield = 'b'", "field: there is no such field"),
    ],
)
def test_what_is_refused_at_the_start(tmp_path: Path, step: str, reason: str) -> None:
    """The place and the reason are told."""
    with pytest.raises(Stop, match="step 1") as caught:
        pipeline(tmp_path, f"[[step]]\n{step}")
    assert reason in str(caught.value)


def test_the_texts_of_all_columns(tmp_path: Path) -> None:
    """What the table above leaves out: each text column can be set and dropped."""
    columns = ("service", "host", "trace_id", "span_id")
    event: dict[str, Any] = dict.fromkeys(columns, "x")
    assert run_one(tmp_path, f"[[step]]\nkind='drop_fields'\nfields={list(columns)}", event) == {
        "message": "", "attributes": {},
    }  # fmt: skip
