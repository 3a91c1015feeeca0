"""The pipeline as a whole: its file, its order, its routes and its bounds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.cli import main
from tailrace.client import send_source
from tailrace.errors import Stop, TooLarge
from tailrace.model.batch import EVENT_SCHEMA, LEVELS
from tailrace.steps import pipeline as pipeline_module
from tests.steps.rig import Dropped, Event, batch, events_of, pipeline, run


def test_no_steps_change_nothing(tmp_path: Path) -> None:
    """An empty file is a pipeline."""
    events = batch([{"message": "a"}])
    (shaped,) = pipeline(tmp_path, "").apply(events)
    assert shaped.events.equals(events)
    assert shaped.stores is None


def test_steps_run_in_the_order_of_the_file(tmp_path: Path) -> None:
    """What one reads out the next one can use, in `where` and otherwise."""
    toml = """
[[step]]
kind = "json"
[[step]]
kind = "drop_events"
where = "user.id:>100"
[[step]]
kind = "rename"
fields = { "user.id" = "uid" }
"""
    found = run(pipeline(tmp_path, toml), {"message": '{"user":{"id":7}}'}, {"message": '{"user":{"id":700}}'})
    assert [event["attributes"] for event in found] == [{"uid": "7"}]


def test_both_schemas_go_through(tmp_path: Path) -> None:
    """Events before the log, and those of other programs that have an identity; each keeps its columns."""
    events = batch([{"message": '{"a":1}'}, {"message": "x"}, {"message": '{"b":1}'}])
    pipe = pipeline(tmp_path, '[[step]]\nkind = "json"\n[[step]]\nkind = "drop_events"\nwhere = "message:x"')
    (stored,) = pipe.apply(events)
    assert stored.events.schema.equals(events.schema)
    assert stored.events.column("log_row").to_pylist() == [0, 2]
    (plain,) = pipe.apply(events.select(EVENT_SCHEMA.names))
    assert plain.events.schema.equals(EVENT_SCHEMA)
    assert plain.events.equals(stored.events.select(EVENT_SCHEMA.names))


def test_what_is_done_twice_is_counted_once(tmp_path: Path) -> None:
    """Each store's worker drops the same events of a topic."""
    dropped = Dropped()
    pipe = pipeline(tmp_path, '[[step]]\nkind = "drop_events"\nwhere = "*"', dropped=dropped)
    assert pipe.apply(batch([{}])) == pipe.uncounted().apply(batch([{}])) == []
    assert dropped == {"drop_events-1": 1}


ROUTES = """
[[step]]
kind = "route"
where = "level:ERROR"
stores = ["lake"]
[[step]]
kind = "route"
where = "service:audit"
stores = ["jsonl", "lake"]
[[step]]
kind = "set"
fields = { seen = "yes" }
"""


def test_routes(tmp_path: Path) -> None:
    """The first route that is for an event decides; what follows is done to all; each set of stores comes once."""
    events: list[Event] = [
        {"message": "1", "level": "ERROR", "service": "audit"},
        {"message": "2"},
        {"message": "3", "service": "audit"},
        {"message": "4", "level": "ERROR"},
    ]
    shaped = pipeline(tmp_path, ROUTES).apply(batch(events))
    found = {part.stores: [event["message"] for event in events_of(part.events)] for part in shaped}
    assert len(found) == len(shaped)
    assert found == {frozenset({"lake"}): ["1", "4"], frozenset({"lake", "jsonl"}): ["3"], None: ["2"]}
    assert all(event["attributes"] == {"seen": "yes"} for part in shaped for event in events_of(part.events))


def test_many_events_are_worked_on_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts make one batch for each set of stores again, in their order, and drops are counted over all."""
    monkeypatch.setattr(pipeline_module, "_ROWS_AT_ONCE", 7)
    dropped = Dropped()
    toml = ROUTES + '[[step]]\nkind = "drop_events"\nwhere = "message:3"'
    events: list[Event] = [{"message": str(n % 5), "level": "ERROR" if n % 2 else "INFO"} for n in range(100)]
    shaped = pipeline(tmp_path, toml, dropped=dropped).apply(batch(events))
    assert [part.stores for part in shaped] == [frozenset({"lake"}), None]
    assert [part.events.num_rows for part in shaped] == [40, 40]
    rows = shaped[0].events.column("log_row").to_pylist()
    assert rows == sorted(rows)
    assert dropped == {"drop_events-4": 20}


def test_growth_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that would make far more of a body than came in are stopped, and nothing is counted as dropped."""
    monkeypatch.setattr(pipeline_module, "SHAPED_BYTES_MAX", 100_000)
    dropped = Dropped()
    toml = f'[[step]]\nkind = "drop_events"\nwhere = "a"\n[[step]]\nkind = "set"\nfields = {{ a = "{"x" * 1000}" }}'
    with pytest.raises(TooLarge, match="more than 100,000 bytes"):
        pipeline(tmp_path, toml, dropped=dropped).apply(
            batch([{"message": "a"}, *({"message": "b"} for _ in range(200))])
        )
    assert not dropped


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ("[[step]]\nkind = 'jsn'", "step 1: there is no kind 'jsn'; the kinds are 'json', "),
        ("[[step]]\nname = 'x'", "step 1: it has no `kind`"),
        ("[[steps]]\nkind = 'json'", "steps: there is no such field"),
        ("[[step]]\nkind = 'clf'\n[[step]]\nkind = 'json'\nprefx = 'a'", "step 2 (json): prefx: there is no such"),
        ("[[step]]\nkind = 'route'\nstores = ['lak']", "step 1 (route): stores.0: Input should be 'lake', 'elastic"),
        ("[[step]]\nkind = 'route'\nstores = ['elasticsearch']", "stores: there is no store 'elasticsearch'; the"),
        ("[[step]]\nkind = 'json'\nname = 'a'\n[[step]]\nkind = 'json'\nname = 'a'", "step 2 (json): name: an"),
        ("[[step]]\nkind = 'json'\nwhere = 'a:['", "step 1 (json): where: column"),
        ("[[step]]\nkind = 'json'\nfield = 'timestamp'", "step 1 (json): field: timestamp is a time"),
        ("[[step]]\nkind = 'regex'\npatterns = ['x', '(?P<a>x']", "step 1 (regex): patterns[1]: it names no field"),
        ("[[step]]\nkind = 'regex'\npatterns = ['(?P<a>x']", "patterns[1]: not a regular expression that RE2 knows"),
        ("[[step]]\nkind = 'regex'\npatterns = ['(?P<a>(x{100}){300})']", "patterns[1]: its repetitions written out"),
        ("[[step]]\nkind = ", "cannot be read"),
        ("[[step]]\nkind = 'json'\n" * 65, "step: Tuple should have at most 64 items"),
    ],
)  # fmt: skip
def test_what_is_refused_at_the_start(tmp_path: Path, toml: str, reason: str) -> None:
    """File, step, field and reason are told."""
    with pytest.raises(Stop) as caught:
        pipeline(tmp_path, toml)
    assert reason in str(caught.value)
    assert str(tmp_path / "pipeline.toml") in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Not one mistake a start."""
    toml = "[[step]]\nkind = 'json'\nwhere = '('\n[[step]]\nkind = 'grok'\npatterns = ['%{NOPE:x}']"
    with pytest.raises(Stop) as caught:
        pipeline(tmp_path, toml)
    assert "step 1 (json): where:" in str(caught.value)
    assert "step 2 (grok): patterns[1]: there is no pattern NOPE" in str(caught.value)


TRIED = """
[[step]]
kind = "json"
[[step]]
kind = "redact"
detect = ["card"]
[[step]]
kind = "route"
where = "level:ERROR"
stores = ["lake"]
[[step]]
kind = "drop_events"
where = "level:DEBUG"
"""
SAMPLE = b"""{"message":"{\\"level\\":\\"err\\",\\"pan\\":\\"4111111111111111\\"}"}
{"level":"debug","message":"noise"}
{"message":"same"}
"""


def test_pipeline_test_shows_before_and_after(tmp_path: Path) -> None:
    """What each step adds, changes and takes away, who is dropped and who is sent where."""
    (tmp_path / "p.toml").write_text(TRIED)
    answer = CliRunner().invoke(main, ["pipeline", "test", str(tmp_path / "p.toml")], SAMPLE)
    assert answer.exit_code == 0, answer.output
    lines = [" ".join(line.split()) for line in answer.output.splitlines()]
    assert "json-1 + level: ERROR" in lines
    assert "redact-2 ~ pan: 4111111111111111 → [card]" in lines
    assert "route-3 only to lake" in lines
    assert "drop_events-4 dropped" in lines
    assert lines[-3:] == ["3 same", "unchanged", "3 events"]


def test_pipeline_test_for_scripts(tmp_path: Path) -> None:
    """One JSON object an event, with its changes by step."""
    (tmp_path / "p.toml").write_text(TRIED)
    answer = CliRunner().invoke(main, ["pipeline", "test", "--json", str(tmp_path / "p.toml")], SAMPLE)
    first, second, third = map(json.loads, answer.stdout.splitlines())
    assert first["before"]["message"] == '{"level":"err","pan":"4111111111111111"}'
    assert first["after"]["message"] == '{"level":"err","pan":"[card]"}'
    assert [change["step"] for change in first["changes"]] == ["json-1", "redact-2", "route-3"]
    assert first["changes"][0]["added"] == {"level": "ERROR", "pan": "4111111111111111"}
    assert first["changes"][1]["changed"]["pan"] == ["4111111111111111", "[card]"]
    assert first["changes"][2]["stores"] == ["lake"]
    assert (second["after"], second["changes"][0]["dropped"]) == (None, True)
    assert third["before"] == third["after"]


def test_pipeline_test_reads_what_send_reads(tmp_path: Path) -> None:
    """Lines of text are events as `tailrace send` makes them."""
    (tmp_path / "p.toml").write_text(
        '[[step]]\nkind = "set"\nwhere = "level:ERROR service:app"\nfields = { a = "b" }'
    )
    arguments = ["pipeline", "test", "--json", "--service", "app", str(tmp_path / "p.toml")]
    answer = CliRunner().invoke(main, arguments, b"2025-11-20 10:00:00 ERROR broken\n2025-11-20 10:00:01 INFO ok\n")
    first, second = map(json.loads, answer.stdout.splitlines())
    assert (first["after"]["a"], first["before"]["timestamp"]) == ("b", "2025-11-20T10:00:00Z")
    assert second["changes"] == []


def test_pipeline_test_numbers_the_lines_of_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of the part that was read last."""
    monkeypatch.setattr(send_source, "CHUNK_BYTES", 16)
    (tmp_path / "p.toml").write_text("")
    answer = CliRunner().invoke(
        main, ["pipeline", "test", str(tmp_path / "p.toml")], b'{"a": 1}\n' * 5 + b"{broken\n"
    )
    assert "line 6 is no event: not JSON" in answer.stderr


def test_pipeline_check(tmp_path: Path) -> None:
    """Status 0 and the steps' names; or 1 and the place of the error, with nothing read from standard input."""
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(TRIED)
    bad.write_text("[[step]]\nkind = 'json'\nwhere = '('")
    answer = CliRunner().invoke(main, ["pipeline", "check", str(good)])
    assert (answer.exit_code, answer.output.splitlines()[:2]) == (0, ["json-1", "redact-2"])
    for command in ("check", "test"):
        answer = CliRunner().invoke(main, ["pipeline", command, str(bad)])
        assert answer.exit_code == 1
        assert f"{bad}: step 1 (json): where: column 1" in answer.output


EVERY_KIND = r"""
step = [
  { kind = "json", unmatched = "no JSON", keep = false },
  { kind = "logfmt", where = "a:* OR level:>=WARN", prefix = "p.", overwrite = true },
  { kind = "regex", field = "k", patterns = ['(?P<x>\d+)(?P<y>.)?', '(?P<x>[^a]+)'] },
  { kind = "grok", patterns = ["%{COMBINEDAPACHELOG}", "%{SYSLOGLINE}", "%{NUMBER:n:int} %{GREEDYDATA:rest}"] },
  { kind = "clf", field = "host", columns = false },
  { kind = "rename", fields = { a = "level", b = "timestamp", host = "h", service = "trace_id", x = "y" } },
  { kind = "enrich", file = "table.csv", field = "y" },
  { kind = "set", where = "NOT y:*", fields = { y = "none", "attributes.host" = "h" }, overwrite = false },
  { kind = "redact", detect = ["card", "email", "ipv4", "ipv6", "token"], patterns = { digits = '\d{3,}' } },
  { kind = "redact", fields = ["message", "y"], patterns = { e = 'e+' }, action = "mask" },
  { kind = "sample", by = "y", rates = { 1 = 2 }, keep_one_of = 3 },
  { kind = "drop_events", where = "message:drop" },
  { kind = "route", where = "y:none", stores = ["lake"] },
  { kind = "drop_fields", fields = ["p.*", "service", "rest"] },
]
"""
TEXT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            '{"a":"warn","b":"2025-11-20T10:00:00Z","c":{"d":1}}', 'a=1 b="2 \\" 3" a=2', "12 drop", "\U0010ffff",
            '::1 - - [20/Nov/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "x"', "4111 1111 1111 1111", "joe@a.co",
            "Nov 20 10:00:00 host prog[1]: text", "10.0.0.1", "1.5e3", "ERROR", "{",
        ]
    ),
)  # fmt: skip
ANY_EVENT = st.fixed_dictionaries(
    {"message": TEXT, "attributes": st.dictionaries(st.sampled_from(["a", "b", "k", "x", "y", "p.a"]) | TEXT, TEXT)},
    optional={
        "level": st.sampled_from(LEVELS), "service": TEXT, "host": TEXT, "trace_id": TEXT, "span_id": TEXT,
        "timestamp": st.integers(-(1 << 50), 1 << 51),
    },
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(ANY_EVENT, max_size=8))
def test_no_event_upsets_a_pipeline(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> None:
    """Whatever the events are: sound batches come out, no event twice, and each as if it had come alone."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "table.csv").write_text("key,team\n1,one\nnone,two\n")
    dropped = Dropped()
    pipe = pipeline(folder, EVERY_KIND, dropped=dropped)
    together: dict[int, tuple[frozenset[str] | None, Event]] = {}
    for part in pipe.apply(batch(events)):
        numbers = part.events.column("log_row").to_pylist()
        together |= {
            number: (part.stores, each) for number, each in zip(numbers, events_of(part.events), strict=True)
        }
    assert len(together) + sum(dropped.values()) == len(events)
    alone: dict[int, tuple[frozenset[str] | None, Event]] = {}
    for number, event in enumerate(events):
        for part in pipe.apply(batch([event])):
            (alone[number],) = ((part.stores, each) for each in events_of(part.events))
    assert together == alone
