"""The same questions get the same answers from the lake, from Elasticsearch and from OpenSearch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.model.batch import STORED_SCHEMA, batch_of_rows, with_identity
from tailrace.query.lucene import parse
from tailrace.query.tree import Node, Phrase, Wildcard
from tailrace.store.duck import cursor_of
from tailrace.store.port import Order, Selection, Snapshot
from tests.loghub import LOGHUB
from tests.query_strategies import ATTRIBUTES, NOW, NOW_US, WORDS, nodes, rows, variants
from tests.store.elasticsearch.search_rig import SERVERS, filled, url_on
from tests.store.lake_rig import FakeClock, open_lake

QUERIES = 500
MINUTE_US = 60_000_000

BASE: dict[str, Any] = {"timestamp": NOW, "observed_timestamp": NOW, "message": ""}

# What the index of a server cannot hold as a whole, or might be thought not to.
ODD_ROWS: list[dict[str, Any]] = [
    {"message": f"long {'x' * 999} {'y' * 1000} {'z' * 2500}tail end"},
    {"message": "ends", "service": f"s{'é' * 9000}", "attributes": [("k", "é" * 9000)]},
    {"message": "equals", "attributes": [("a=b", "c"), ("a", "b=c"), ("a=", "b")]},
    {"message": "numbers", "attributes": [("latency_ms", "1" * 400), ("k", f"0.{'1' * 300}e5"), ("n", "-0.0")]},
    {"message": "numbers", "attributes": [("latency_ms", "0.1000000000000000055"), ("k", "1e308"), ("n", "0")]},
    {"message": "seams", "service": "seam", "host": "host", "attributes": [("one", "card a"), ("two", "b declined")]},
    {"message": "old", "timestamp": -6_000_000_000_000_000 + 1},
    {"message": "new", "timestamp": 5_000_000_000_000_001},
    {"message": "a\0b \ufeff \u2028 \U0010ffff \x7f", "attributes": [("", "empty"), ("a\0b", "nul"), ("x.", "dot")]},
    {"message": "null", "attributes": [("k", None), ("http.path", "")], "service": "", "host": "a\nb"},
    {"message": "", "trace_id": "7", "span_id": "b-7", "attributes": [(f"n{at}", str(at)) for at in range(30)]},
]
ODD_QUERIES = (
    *(
        f"message:{'x' * 999}",
        f"{'y' * 1000}",
        f"{'z' * 2500}tail",
        "z*tail",
        "z?*tail",
        "message:*tail",
        "*xx*",
        "end",
    ),
    *(
        "service:s*",
        f"service:s{'é' * 9000}"[:8000],
        "service:*é",
        "k:é*",
        "k:*",
        "service:*",
        'service:""',
        "NOT k:*",
    ),
    *("a\\=b:c", "a:b\\=c", "a\\=:b", "a\\=b:*", "a:*", "a:b*", "a\\=b:>=c", "a:[a TO c]", "a:/=/", "NOT a\\=b:c"),
    *(
        "latency_ms:>1e300",
        "latency_ms:<=0.1",
        "latency_ms:0.1",
        "k:>1e307",
        "n:0",
        "n:[0 TO 0]",
        "n:>-1",
        "n:{0 TO *]",
    ),
    *(
        "timestamp:<1800-01-01",
        "timestamp:>2120",
        "observed_timestamp:>1970",
        "observed_timestamp:<2300",
        "old",
        "new",
    ),
    *("attributes.:empty", "empty", "nul", "dot", "x.:dot", "a", '"\ufeff"', "/\ufeff/", '"a\0b"', '"\U0010ffff"'),
    *(
        "http.path:*",
        'http.path:""',
        "host:/a.b/",
        "host:/(?s)a.b/",
        "host:a?b",
        "host:>a",
        "trace_id:>6",
        "span_id:b?7",
    ),
    *("n7:7", "n7:>6", "29", "message:*", "message:/^$/", '"b 7"', '"29 n0"', "level:/R/", "level:/^$/"),
    *(
        "service:[1 TO 9]",
        "NOT service:[1 TO 9]",
        "a?????????b",
        "*a????????*b",
        "NOT *a????????*b",
        "k:*a????????*b",
    ),
    " OR ".join(f"w{at}" for at in range(250)),
    "NOT (" * 24 + "a" + ")" * 24,
    "(level:ERROR OR (" * 20 + "a" + " b))" * 20,
    *('"a b declined"', '"seam host"', '"card a"', "seam host", "card*declined"),
    "-pay* (card OR k:/a/) -level:WARN",
    "NOT (NOT /a/ AND NOT k:b)",
    "k:a* OR NOT (message:/a/ k:*)",
)


def generated() -> tuple[list[dict[str, Any]], list[Node]]:
    """Events and queries of the same nasty words, the same at each run."""
    events: list[dict[str, Any]] = []
    queries: list[Node] = []

    @settings(
        max_examples=QUERIES // 8,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(rows(), min_size=4, max_size=8), st.lists(nodes, min_size=8, max_size=8))
    def collect(some_events: list[dict[str, Any]], some_queries: list[Node]) -> None:
        events.extend(some_events)
        queries.extend(some_queries)

    collect()
    return events, queries


def lookalikes() -> tuple[list[dict[str, Any]], list[Node]]:
    """Each word in either case and beside what is easily taken for it, and every way to look for it."""
    words = [word for word in WORDS if any(character.isalpha() for character in word)]
    texts = sorted({text for word in words for text in (*variants(word), f"{word}-{word}")})
    events = [{**BASE, "message": text, "service": text, "attributes": [("k", text)]} for text in texts]
    queries: list[Node] = []
    for word in words:
        queries += [Phrase(field, word) for field in (None, "message", "service", "k")]
        queries += [Wildcard("message", f"?{word}"), Wildcard("service", f"{word}*"), Wildcard("k", f"*{word}")]
    return events, queries


def real_lines() -> list[dict[str, Any]]:
    """Lines of real systems; none where their folder is not there."""
    events = []
    for file in sorted(LOGHUB.glob("*_2k.log")):
        for at, line in enumerate(file.read_bytes().splitlines()[:12]):
            text = line.decode("utf-8", "replace")
            fields = {"service": file.name.removesuffix("_2k.log"), "level": ("INFO", "WARN", "ERROR")[at % 3]}
            attributes = [(f"word{place}", word) for place, word in enumerate(text.split()[:4])]
            events.append(
                {**BASE, **fields, "message": text, "attributes": [*attributes, ("latency_ms", str(at * 7))]}
            )
    return events


@dataclass(frozen=True)
class Corpus:
    """`writes`: batches and how far they go. `answers`: for each query the lake's rows, oldest first."""

    writes: list[tuple[list[pa.RecordBatch], dict[int, int]]]
    selections: list[Selection]
    lake: Snapshot
    answers: list[pa.Table]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    events, queries = generated()
    similar_events, similar_queries = lookalikes()
    queries += similar_queries + [parse(text) for text in ODD_QUERIES]
    events += similar_events + [{**BASE, **row} for row in ODD_ROWS] + real_lines()
    batches = [
        with_identity(batch_of_rows(events[at : at + 64]), number % 2, number)
        for number, at in enumerate(range(0, len(events), 64))
    ]
    through = {0: len(batches) + 1, 1: len(batches) + 1}
    middle = len(batches) // 2
    writes = [(batches[:middle], {0: middle, 1: middle}), (batches[middle:], through)]
    selections = [selection_of(number, query) for number, query in enumerate(queries)]
    with ExitStack() as stack:
        lake = stack.enter_context(open_lake(tmp_path_factory.mktemp("lake") / "lake", FakeClock(NOW_US)))
        lake.write(batches, through)
        view = stack.enter_context(lake.snapshot())
        answers = [streamed(view, selection, "asc") for selection in selections]
        yield Corpus(writes, selections, view, answers)


def selection_of(number: int, query: Node) -> Selection:
    """Most queries over all times, some over a part."""
    start_us = NOW_US - 90 * MINUTE_US * (number % 7) if number % 5 == 3 else None
    return Selection(query, start_us, NOW_US + 1 if number % 5 == 4 else None)


@pytest.fixture(params=SERVERS, scope="module")
def snapshot(request: pytest.FixtureRequest, corpus: Corpus) -> Iterator[Snapshot]:
    with filled(url_on(request), FakeClock(NOW_US), corpus.writes) as search, search.snapshot() as view:
        yield view


def streamed(view: Snapshot, selection: Selection, order: Order) -> pa.Table:
    return pa.Table.from_batches(list(view.stream(selection, order=order)), STORED_SCHEMA)


def plain(rows: pa.Table) -> list[dict[str, Any]]:
    """Attributes without their order, which says nothing."""
    return [{**row, "attributes": dict(row["attributes"])} for row in rows.to_pylist()]


def test_every_query_finds_the_rows_of_the_lake(corpus: Corpus, snapshot: Snapshot) -> None:
    """The rows are the same to the last attribute, in the same order."""
    found_any = 0
    for selection, expected in zip(corpus.selections, corpus.answers, strict=True):
        found = streamed(snapshot, selection, "asc")
        assert found.equals(expected) or plain(found) == plain(expected), selection
        found_any += 0 < expected.num_rows < sum(batch.num_rows for some, _ in corpus.writes for batch in some)
    assert len(corpus.selections) >= QUERIES
    assert found_any > len(corpus.selections) // 2, "most queries find nothing or everything: they prove too little"


def test_counts_are_those_of_the_lake(corpus: Corpus, snapshot: Snapshot) -> None:
    """Whether the server alone counts, or the events that it cannot tell are looked at."""
    for selection, expected in list(zip(corpus.selections, corpus.answers, strict=True))[::3]:
        assert snapshot.count(selection) == expected.num_rows, selection


def test_pages_go_on_behind_their_cursor_in_both_orders(corpus: Corpus, snapshot: Snapshot) -> None:
    """Newest or oldest first, in pages of a few rows, with events of the same time on both sides of a page's end."""
    for number in range(0, len(corpus.selections), 11):
        selection, expected = corpus.selections[number], corpus.answers[number]
        order: Order = "asc" if number % 2 else "desc"
        wanted = expected.num_rows if order == "asc" else -expected.num_rows
        places = [cursor_of(expected.slice(row, 1)) for row in range(expected.num_rows)][:: 1 if wanted >= 0 else -1]
        size, after, found = 1 + number % 40, None, []
        for _ in range(4):
            page = snapshot.search(selection, order=order, limit=size, after=after)
            found += [cursor_of(page.slice(row, 1)) for row in range(page.num_rows)]
            if page.num_rows < size:
                break
            after = found[-1]
        assert found == places[: 4 * size], selection


def test_figures_are_those_of_the_lake(corpus: Corpus, snapshot: Snapshot) -> None:
    """Histograms by nothing, by a column, by an attribute and by the message, values of every kind, and fields."""
    fields = (
        "level",
        "service",
        "message",
        "trace_id",
        *ATTRIBUTES,
        "attributes.level",
        "a",
        "a=b",
        "word1",
        "absent",
    )
    for number in range(0, len(corpus.selections), 11):
        selection, field = corpus.selections[number], fields[number // 11 % len(fields)]
        by = None if number % 3 == 0 else field
        interval_us = (MINUTE_US, 86_400_000_000, 7_001)[number % 3]
        expected = corpus.lake.histogram(selection, interval_us=interval_us, by=by)
        assert snapshot.histogram(selection, interval_us=interval_us, by=by) == expected, (selection, interval_us, by)
        limit = (3, 1000)[number // 11 % 2]
        some = corpus.lake.values(selection, field=field, limit=limit)
        assert snapshot.values(selection, field=field, limit=limit) == some, (selection, field, limit)
        assert by_name(snapshot, selection) == by_name(corpus.lake, selection), selection


def by_name(view: Snapshot, selection: Selection) -> dict[str, int]:
    """But for `level`, which some events have as a column and as an attribute."""
    return {figure.name: figure.count for figure in view.fields(selection) if figure.name != "level"}


@pytest.mark.parametrize("text", ["level:loud", "timestamp:soon", "message:[a TO b]", "/(/", "timestamp:2025*"])
def test_what_the_lake_refuses_is_refused(snapshot: Snapshot, text: str) -> None:
    """By the same error, and not by the server."""
    with pytest.raises(QueryError):
        snapshot.count(Selection(parse(text)))
