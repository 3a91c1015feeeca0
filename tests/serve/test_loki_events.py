from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.query.logql.tree import Decolorize
from tailrace.serve.loki.answers import streams_of
from tailrace.serve.loki.events import frame_of, label_name, stream_labels
from tailrace.serve.loki.frame import text_column
from tailrace.serve.loki.json_lines import NoJson, object_fields
from tailrace.serve.loki.logfmt_lines import NoLogfmt, pairs
from tailrace.serve.loki.stages import staged
from tailrace.serve.loki.templates import masked
from tests.query.logql_events import as_loki, events
from tests.query.logql_oracle import logfmt_pairs
from tests.serve.conftest import stored


def labels_of(batch: pa.RecordBatch) -> list[tuple[dict[str, str], dict[str, str]]]:
    """For each line, by its time, the labels of its stream and its metadata."""
    found: list[tuple[int, dict[str, str], dict[str, str]]] = []
    for stream in streams_of([frame_of(batch)], categorize=True):
        found += [(int(ns), stream["stream"], more["structuredMetadata"]) for ns, _, more in stream["values"]]
    return [(stream, metadata) for _, stream, metadata in sorted(found, key=lambda each: each[0])]


@pytest.mark.parametrize(("start", "count"), [(0, 140), (3, 1), (17, 60), (139, 1)])
def test_labels_are_those_of_the_documented_rule(start: int, count: int) -> None:
    """Of whole batches and of parts from their middle."""
    rows = events()
    assert labels_of(stored(rows).slice(start, count)) == [as_loki(row) for row in rows[start : start + count]]


_NAMES = st.sampled_from(
    ["a.b", "a_b", "a-b", "level", "host", "service_name", "1x", "é", "trace_id", "detected_level"]
)
_ROWS = st.fixed_dictionaries(
    {
        "level": st.sampled_from([None, "INFO", "ERROR"]),
        "service": st.sampled_from([None, "s"]),
        "host": st.sampled_from([None, "h"]),
        "trace_id": st.sampled_from([None, "t"]),
        "attributes": st.dictionaries(_NAMES, st.sampled_from(["x", "y"]), max_size=4),
    }
)


@given(st.lists(_ROWS, min_size=1, max_size=6))
def test_names_that_become_the_same_are_one_label(rows: list[dict[str, Any]]) -> None:
    """The first attribute of an event has it; one with the name of a stream's label moves out of its way."""
    rows = [{**row, "timestamp": 1_000_000 + place} for place, row in enumerate(rows)]
    assert labels_of(stored(rows)) == [as_loki(row) for row in rows]


@pytest.mark.parametrize(
    ("name", "label"), [("http.status", "http_status"), ("1st", "_1st"), (" a b ", "a_b"), ("é", "_"), ("", "")]
)
def test_names_of_fields_become_names_of_labels(name: str, label: str) -> None:
    """Also long ones, which are not remembered."""
    assert label_name(name) == label
    assert label_name("x" * 1000 + ".y") == "x" * 1000 + "_y"


def test_an_empty_text_is_no_label_of_a_stream() -> None:
    """An event that says `"service": ""` has no service, so that `{service_name=~".+"}` finds it."""
    ((stream, metadata),) = labels_of(stored([{"service": "", "host": "", "trace_id": "", "timestamp": 1}]))
    assert stream == {"service_name": "unknown_service"}
    assert metadata == {"detected_level": "unknown"}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('{a="b", c="d e, f=\\"g\\"}"}', (("a", "b"), ("c", 'd e, f="g"}'))),
        ('{a="", b="c"}', (("b", "c"),)),
        ("{}", ()),
        ('{a="b", 1="c"}', (("a", "b"),)),
        ("a" * 1_000_000, ()),
        ("{" + " " * 1_000_000, ()),
        ('{a="' + '\\"' * 500_000, ()),
    ],
    ids=["two", "empty", "none", "half", "long name", "blanks", "quotes"],
)
def test_labels_of_a_stream_are_read_in_one_go(text: str, labels: tuple[tuple[str, str], ...]) -> None:
    """Anybody may send an attribute that looks like a stream, and of any length."""
    assert stream_labels(text) == labels


def test_half_a_surrogate_pair_changes_no_other_text() -> None:
    """JSON can write one, and Unicode has none; two halves are their character."""
    assert text_column(["\ufffd", "a\ud800b", "\ud83d\ude00\ud800", None]).to_pylist() == [
        "\ufffd",
        "a b",
        "😀 ",
        None,
    ]


def test_links_of_terminals_are_taken_away_whole() -> None:
    """An operating system command ends with BEL or with ESC and a backslash."""
    line = "a \x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1b[1;31mred\x1b[0m"
    frame = staged(frame_of(stored([{"message": line}])), (Decolorize(),))
    assert frame.lines.to_pylist() == ["a link red"]


def test_patterns_mask_words_of_any_length() -> None:
    """Words with a digit vary; a long word without one takes no longer than its length."""
    assert masked("took 25ms for 10.0.0.1:80 (x1)") == "took <_> for <_> (<_>)"
    assert masked("a" * 1_000_000).startswith("aaa")


@pytest.mark.parametrize("line", ["", "[1]", "nothing", '{"a": NaN}', '{"a"', "[" * 100_000, '{"a":' * 100_000])
def test_what_is_no_json_object_says_so(line: str) -> None:
    """However deep it is."""
    with pytest.raises(NoJson):
        list(object_fields(line))


@given(st.text(alphabet='ab= "\\\t\n\x00é', max_size=30))
def test_logfmt_is_read_like_the_oracle_reads_it(line: str) -> None:
    """Any line: the same pairs, and `strict` stops at the first thing that is none."""
    expected = logfmt_pairs(line)
    sound = [pair for pair in expected if pair is not None and "\\" not in pair[1]]
    assert [pair for pair in pairs(line, strict=False) if "\\" not in pair[1]] == sound or "\\" in line
    if None in expected:
        with pytest.raises(NoLogfmt):
            list(pairs(line, strict=True))
