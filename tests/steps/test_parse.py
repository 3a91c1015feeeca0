"""json, logfmt, regex, grok and clf: fields out of texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace.errors import BadInput
from tailrace.ingest.json_slow import flatten_object
from tailrace.steps.fields import Entries
from tailrace.steps.grok import compile_grok
from tailrace.steps.grok_patterns import PATTERNS
from tailrace.steps.parse_json import JsonReader
from tailrace.steps.parse_logfmt import LogfmtReader
from tests.loghub import loghub_file, needs_loghub
from tests.steps.rig import LIMITS, Event, pipeline, run, run_one

JSON_LINE = (
    '{"level":"warn","msg":"slow","ts":"2025-11-20T10:00:00Z","user":{"id":7},"n":1.50,"list":[1, 2],"no":null}'
)


def by_row(entries: Entries, rows: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{} for _ in range(rows)]
    assert (np.diff(entries.rows) >= 0).all()
    for row, key, value in zip(
        entries.rows.tolist(), entries.keys.to_pylist(), entries.values.to_pylist(), strict=True
    ):
        assert key not in found[row]
        found[row][key] = value
    return found


def test_json_fills_columns_and_attributes(tmp_path: Path) -> None:
    """Level and time go to their columns, the rest to attributes under joined names; the text stays whole."""
    found = run_one(tmp_path, '[[step]]\nkind = "json"', {"message": JSON_LINE})
    assert found == {
        "timestamp": 1_763_632_800_000_000,
        "level": "WARN",
        "message": JSON_LINE,
        "attributes": {"msg": "slow", "user.id": "7", "n": "1.50", "list": "[1,2]"},
    }


def test_what_an_event_has_stays_unless_overwrite(tmp_path: Path) -> None:
    """A level, a time, a message and an attribute of its own give way only when asked to."""
    event: Event = {
        "message": JSON_LINE, "level": "INFO", "timestamp": 1_763_000_000_000_000, "attributes": {"n": "own"},
    }  # fmt: skip
    kept = run_one(tmp_path, '[[step]]\nkind = "json"', event)
    assert (kept["level"], kept["timestamp"], kept["attributes"]["n"]) == ("INFO", 1_763_000_000_000_000, "own")
    assert kept["attributes"]["level"] == "warn"
    replaced = run_one(tmp_path, '[[step]]\nkind = "json"\noverwrite = true', event)
    assert (replaced["level"], replaced["timestamp"]) == ("WARN", 1_763_632_800_000_000)
    assert (replaced["attributes"]["n"], replaced["message"]) == ("1.50", "slow")


def test_the_text_is_left_out_when_asked(tmp_path: Path) -> None:
    """`keep = false`: the inner message takes the place of the text that was read, and only of that."""
    toml = '[[step]]\nkind = "json"\nkeep = false\nprefix = "app."'
    found = run(pipeline(tmp_path, toml), {"message": JSON_LINE}, {"message": "not JSON"})
    assert [event["message"] for event in found] == ["slow", "not JSON"]
    assert found[0]["attributes"] == {"app.user.id": "7", "app.n": "1.50", "app.list": "[1,2]"}


def test_a_text_in_an_attribute(tmp_path: Path) -> None:
    """`field` names any field; `columns = false` leaves all columns alone."""
    toml = '[[step]]\nkind = "json"\nfield = "log"\nkeep = false\ncolumns = false'
    found = run_one(tmp_path, toml, {"message": "m", "attributes": {"log": JSON_LINE, "x": "y"}})
    assert "level" not in found
    assert found["attributes"] == {
        "x": "y", "level": "warn", "msg": "slow", "ts": "2025-11-20T10:00:00Z", "user.id": "7", "n": "1.50",
        "list": "[1,2]",
    }  # fmt: skip


def test_events_that_cannot_be_read_are_marked_when_asked(tmp_path: Path) -> None:
    """They go on unchanged but for the mark."""
    toml = '[[step]]\nkind = "json"\nunmatched = "no JSON"'
    found = run(pipeline(tmp_path, toml), {"message": '{"a":1}'}, {"message": "x"}, {"message": '{"a":'})
    assert [event["attributes"] for event in found] == [
        {"a": "1"},
        {"unmatched": "no JSON"},
        {"unmatched": "no JSON"},
    ]


def test_a_time_that_nobody_can_believe_is_an_attribute(tmp_path: Path) -> None:
    """The arrival's time stays, and what the text said is not lost."""
    for text in ("yesterday", "1066-10-14T09:00:00Z", "2025-02-30T00:00:00Z"):
        found = run_one(tmp_path, '[[step]]\nkind = "json"', {"message": json.dumps({"time": text, "a": 1})})
        assert found == {"message": found["message"], "attributes": {"time": text, "a": "1"}}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.one_of(
    st.dictionaries(
        st.sampled_from(("a", "a.b", "b", "attributes", "msg", "\\", "é")) | st.text(max_size=3), JSON
    ).map(json.dumps),
    st.text(max_size=12),
    st.sampled_from(
        ('{"a":1}\n', '{"a":\r\n1}', '{"a":"\n"}', '{"a":1}{"b":2}', '{"a":1,"a":2}', "{", "[]", " {} ", "")
    ),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.none() | DOCUMENTS, min_size=1, max_size=6))
def test_json_reads_what_the_slow_path_reads(documents: list[str | None]) -> None:
    """Whatever the texts are, kernel and plain Python agree on each, and one changes nothing for its neighbours."""
    entries, _ = JsonReader().read(pa.array(documents, pa.string()), LIMITS)
    expected: list[dict[str, str]] = []
    for document in documents:
        try:
            raw = (document or "").encode("utf-8", "surrogatepass")
            assert raw.lstrip().startswith(b"{")
            leaves = flatten_object(raw, limits=LIMITS, whole=frozenset())
            expected.append({key.removeprefix("attributes."): value for key, value in leaves.items()})
        except (BadInput, AssertionError):
            expected.append({})
    assert by_row(entries, len(documents)) == expected


def test_logfmt_in_the_usual_forms() -> None:
    """Quotes, escapes, empty values, the first of equal keys, and words between the pairs."""
    lines = [
        'ts=1 level=info msg="say \\"hi\\"\\n" path=C:\\new empty= a=b=c',
        "connect to=db retries=3 retries=4 done",
        "no pairs here",
        None,
    ]
    entries, matched = LogfmtReader().read(pa.array(lines, pa.string()), LIMITS)
    assert matched.tolist() == [True, True, False, False]
    assert by_row(entries, 4)[:2] == [
        {"ts": "1", "level": "info", "msg": 'say "hi"\n', "path": "C:\\new", "empty": "", "a": "b=c"},
        {"to": "db", "retries": "3"},
    ]


_PAIR = re.compile(r"([^\s=\"]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\"]*))", re.ASCII)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text('ab="\\ \n\tn=é', max_size=14), min_size=1, max_size=5))
@example(['a="\\'])
def test_logfmt_reads_as_python_does(lines: list[str]) -> None:
    """Pair by pair, as Python's own regular expressions find them."""
    entries, _ = LogfmtReader().read(pa.array(lines, pa.string()), LIMITS)
    expected = []
    for line in lines:
        fields: dict[str, str] = {}
        for key, quoted, bare in _PAIR.findall(line):
            text = re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), quoted, flags=re.S)
            fields.setdefault(key, text or bare)
        expected.append(fields)
    assert by_row(entries, len(lines)) == expected


def test_hostile_logfmt_is_bounded() -> None:
    """A text of more pairs than ingest.fields_max is not read; distinct keys cost no column each."""
    texts = [" ".join(f"k{row}_{i}=v" for i in range(200)) for row in range(300)]
    entries, matched = LogfmtReader().read(pa.array([*texts, "a=b " * 300]), LIMITS)
    assert matched.tolist() == [True] * 300 + [False]
    assert len(entries.rows) == 60_000


def test_a_regex_with_names(tmp_path: Path) -> None:
    """The first pattern that is found counts; a name may have a dot, and stand in several alternatives."""
    toml = r"""
[[step]]
kind = "regex"
patterns = ['user (?<user.name>\w+) took (?P<took>\d+)ms', '(?:id=(?P<id>\d+)|no (?P<id>\w+)) (x|y)']
"""
    found = run(
        pipeline(tmp_path, toml),
        {"message": "user joe took 12ms id=3 x"},
        {"message": "id=7 x"},
        {"message": "no idea y"},
        {"message": "nothing"},
    )
    assert [event["attributes"] for event in found] == [
        {"user.name": "joe", "took": "12"},
        {"id": "7"},
        {"id": "idea"},
        {},
    ]


GROK: list[tuple[str, str, dict[str, str]]] = [
    ("%{IP:ip}", "from 192.168.0.1 on", {"ip": "192.168.0.1"}),
    ("%{IP:ip} ", "fe80::1ff:fe23:4567:890a x", {"ip": "fe80::1ff:fe23:4567:890a"}),
    ("%{IPORHOST:h}:%{POSINT:p:int}", "db-1.example.com:5432", {"h": "db-1.example.com", "p": "5432"}),
    ("took %{NUMBER:s:float}", "took 1.25", {"s": "1.25"}),
    ("took %{NUMBER:s:int}", "took 1.75", {"s": "1"}),
    ("took %{DATA:s:int} s", "took long s", {}),
    ("%{QUOTEDSTRING:q}", 'say "a \\" b" now', {"q": '"a \\" b"'}),
    ("%{UUID:u}", "x 550e8400-e29b-41d4-a716-446655440000", {"u": "550e8400-e29b-41d4-a716-446655440000"}),
    ("%{MAC:m}", "00:1A:2b:3c:4D:5e", {"m": "00:1A:2b:3c:4D:5e"}),
    ("%{URI:u}", "see https://a.example:8080/p/q?x=1#y ok", {"u": "https://a.example:8080/p/q?x=1#y"}),
    ("%{LOGLEVEL:l2} ", "WARNING x", {"l2": "WARNING"}),
    ("%{TIMESTAMP_ISO8601:at}", "2025-11-20 10:11:12,345 x", {"at": "2025-11-20 10:11:12,345"}),
    ("%{HTTPDATE:at}", "[10/Oct/2000:13:55:36 -0700]", {"at": "10/Oct/2000:13:55:36 -0700"}),
    ("%{SYSLOGTIMESTAMP:at}", "Jun  9 06:06:01 combo", {"at": "Jun  9 06:06:01"}),
    ("%{WORD:[http][verb]} %{GREEDYDATA:rest}", "GET /x y", {"http.verb": "GET", "rest": "/x y"}),
    ("%{PATH:p}", "C:\\a\\b.txt", {"p": "C:\\a\\b.txt"}),
    ("(?<code>[A-Z]{2}) (ok|no)", "AB no", {"code": "AB"}),
    ("%{IP:clientIP} %{INT:Port} %{INT:P}", "10.0.0.1 80 7", {"clientIP": "10.0.0.1", "Port": "80", "P": "7"}),
    ("(?P<Größe>\\d+) %{WORD:Ü}", "7 m", {"Größe": "7", "Ü": "m"}),
    ("^%{JAVAMETHOD:m}", "<clinit>", {"m": "<clinit>"}),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "expected"), GROK, ids=[pattern for pattern, _, _ in GROK])
def test_grok_reads(pattern: str, text: str, expected: dict[str, str]) -> None:
    """The standard names mean what they mean elsewhere."""
    values, matched = compile_grok(pattern, {}).read(pa.array([text]))
    assert matched.tolist() == [True]
    assert {field: value[0].as_py() for field, value in values.items() if value[0].as_py()} == expected


def test_every_pattern_of_the_library_compiles() -> None:
    """RE2 knows each, and each finds nothing wrong in an empty text."""
    for name in PATTERNS:
        compile_grok(f"%{{{name}:field}}", {})


@pytest.mark.parametrize(
    ("pattern", "definitions", "reason"),
    [
        ("%{A:x}", {"A": "%{B}", "B": "%{A}"}, "holds itself: A > B > A"),
        ("%{NOPE:x}", {}, "no pattern NOPE"),
        ("%{WORD}", {}, "names no field"),
        ("%{INT:x:date}", {}, "'date' is not one of"),
        (
            "%{A0:x}",
            {f"A{i}": f"%{{A{i + 1}}}%{{A{i + 1}}}" for i in range(15)} | {"A15": "x" * 50},
            "more than 16,384",
        ),
        ("(?<x>a(?=b))", {}, "RE2"),
        ("%{WORD:a} %{INT:x:}", {}, "a reference is written"),
        ("%{WORD:a b}", {}, "'a b' is not a field's name"),
        ("(?P<a>x)(?P<1st>y)", {}, "'1st' is not a field's name"),
    ],
)
def test_grok_refuses(pattern: str, definitions: dict[str, str], reason: str) -> None:
    """Patterns within themselves, without end, or without sense are told at the start."""
    with pytest.raises(BadInput, match=re.escape(reason)):
        compile_grok(pattern, definitions)


def test_access_logs(tmp_path: Path) -> None:
    """The combined log format: time, level by status, and the parts of the request."""
    line = '1.2.3.4 - joe [20/Nov/2025:10:00:00 +0100] "GET /a?b=c HTTP/1.1" 503 12 "-" "curl/8"'
    found = run_one(tmp_path, '[[step]]\nkind = "clf"', {"message": line})
    assert (found["level"], found["timestamp"]) == ("ERROR", 1_763_629_200_000_000)
    assert found["attributes"] == {
        "remote": "1.2.3.4", "user": "joe", "method": "GET", "path": "/a?b=c", "protocol": "HTTP/1.1",
        "status": "503", "bytes": "12", "user_agent": "curl/8",
    }  # fmt: skip


def test_quotes_within_an_access_log(tmp_path: Path) -> None:
    """An agent may write quotes, which servers escape; a host may be an address in brackets."""
    line = '[2001:db8::1]:443 2001:db8::2 - - [20/Nov/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 - "-" "a \\"b\\" c"'
    found = run_one(tmp_path, '[[step]]\nkind = "clf"', {"message": line})
    assert (found["timestamp"], found["attributes"]["vhost"]) == (1_763_632_800_000_000, "[2001:db8::1]:443")
    toml = '[[step]]\nkind = "grok"\npatterns = ["%{COMBINEDAPACHELOG}"]'
    assert run_one(tmp_path, toml, {"message": line})["attributes"]["agent"] == 'a \\"b\\" c'


def test_a_time_is_read_alike_whatever_comes_with_it(tmp_path: Path) -> None:
    """In any order, and alone: each spelling of log files; but no date of numbers whose order would be a guess."""
    noon = {
        "20/Nov/2025:12:00:00 +0100", "Nov 20 11:00:00", "2025/11/20 11:00:00", "Thu Nov 20 11:00:00 2025",
        "20251120T110000Z", "2025-11-20 11:00:00,000", "1763636400000", "2025-11-20T11:00:00Z",
    }  # fmt: skip
    texts = [*sorted(noon), "03/04/2025 11:00:00", "13/04/2025 11:00:00", "noon", "2025-02-30 11:00:00"]
    pipe = pipeline(tmp_path, "[[step]]\nkind = 'regex'\nfield = 'at'\npatterns = ['(?P<time>.*)']")
    for order in (texts, texts[::-1], *([text] for text in texts)):
        for event in run(pipe, *({"attributes": {"at": text}} for text in order)):
            text = event["attributes"]["at"]
            assert event.get("timestamp") == (1_763_636_400_000_000 if text in noon else None), text
            assert ("time" in event["attributes"]) == (text not in noon)


LOGHUB_PATTERNS: dict[str, tuple[str, dict[str, Any]]] = {
    "OpenSSH": ("%{SYSLOGLINE}", {"program": "sshd"}),
    "HDFS": (
        "^%{INT:date} %{INT:clock} %{INT:thread} %{LOGLEVEL:level} %{JAVACLASS:class}: %{GREEDYDATA:text}",
        {"date": "081109"},
    ),
    "Apache": (r"^\[%{DATA:time}\] \[%{LOGLEVEL:level}\] %{GREEDYDATA:text}", {}),
    "Zookeeper": (
        r"^%{TIMESTAMP_ISO8601:time} - %{LOGLEVEL:level} +\[%{DATA:thread}:%{DATA:class}@%{INT:line}\] - "
        "%{GREEDYDATA:text}",
        {},
    ),
}


@needs_loghub
@pytest.mark.parametrize("system", LOGHUB_PATTERNS)
def test_real_lines_through_grok(tmp_path: Path, system: str) -> None:
    """Nearly every line of the real files is read, and its text is a part of the line."""
    pattern, expected = LOGHUB_PATTERNS[system]
    lines = loghub_file(system).read_text("utf-8", "replace").splitlines()
    pipe = pipeline(tmp_path, f"[[step]]\nkind = 'grok'\npatterns = ['''{pattern}''']\nunmatched = 'no'")
    found = run(pipe, *({"message": line} for line in lines))
    read = [event for event in found if "unmatched" not in event["attributes"]]
    assert len(read) >= 0.9 * len(lines), next(event for event in found if "unmatched" in event["attributes"])
    for event in read:
        assert all(text in event["message"] for text in event["attributes"].values())
    assert expected.items() <= read[0]["attributes"].items()
    if "LOGLEVEL" in pattern:
        assert all("level" in event for event in read)
