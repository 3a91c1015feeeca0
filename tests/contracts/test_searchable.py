"""One suite for every place that answers queries: the same events must give the same answers everywhere."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.config import LakeSettings
from tailrace.errors import QueryError
from tailrace.model.batch import STORED_SCHEMA
from tailrace.query.tree import All, And, Exists, Node, Not, Or, Phrase
from tailrace.store.duck import cursor_of
from tailrace.store.hot_memory import HotMemory
from tailrace.store.lake.check import info
from tailrace.store.lake.compaction import compact
from tailrace.store.port import Cursor, Order, Selection, Snapshot
from tests.store.elasticsearch.search_rig import SERVERS, filled, url_on
from tests.store.lake_places import far_param, new_lake
from tests.store.lake_rig import NOON_US, SECOND_US, FakeClock, event, open_lake, stored

MINUTE_US = 60 * SECOND_US
Row = dict[str, Any]


def make_events() -> list[tuple[int, int, list[Row]]]:
    """Records of two partitions whose times overlap, repeat, and lie on both sides of 1970."""
    chance = random.Random(7)
    records = []
    for offset in range(40):
        rows = []
        for _ in range(chance.choice((1, 1, 3, 50))):
            # Many events at the first and at the last time: pages end among rows of the same time.
            ends = (-31 * MINUTE_US, 31 * MINUTE_US)
            at_us = NOON_US + chance.choice(
                (*ends, offset * SECOND_US, chance.randrange(-MINUTE_US * 30, MINUTE_US * 30))
            )
            attributes = {"user": f"u{chance.randrange(4)}"} if chance.random() < 0.6 else {}
            if chance.random() < 0.3:
                attributes["http.status"] = chance.choice(("200", "404", "500"))
            rows.append(
                event(
                    chance.choice(("card declined", "Card accepted", "session opened for user", "naïve über-token")),
                    at_us=at_us,
                    level=chance.choice((None, "INFO", "WARN", "ERROR")),
                    service=chance.choice((None, "pay", "auth", "web")),
                    attributes=attributes,
                )
            )
        records.append((offset % 2, offset, rows))
    for _, _, rows in records[3:6]:
        rows[0]["timestamp"] = -5 * MINUTE_US - 1
    return records


RECORDS = make_events()
BATCHES = [stored(rows, offset, partition) for partition, offset, rows in RECORDS]
THROUGH = {0: 39, 1: 40}


def key_of(row: Row) -> Cursor:
    return Cursor(row["timestamp"], row["log_partition"], row["log_offset"], row["log_row"])


ROWS: list[Row] = sorted(
    (
        {**event, "log_partition": partition, "log_offset": offset, "log_row": row}
        for partition, offset, rows in RECORDS
        for row, event in enumerate(rows)
    ),
    key=key_of,
)


@pytest.fixture(
    params=[
        "hot",
        "lake",
        "compacted lake",
        "one big file",
        *(far_param(f"lake on {kind}") for kind in ("s3", "hdfs")),
        *SERVERS,
    ],
    scope="module",
)
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    with ExitStack() as stack:
        if request.param == "hot":
            hot = HotMemory(1 << 26)
            hot.put(BATCHES)
            yield stack.enter_context(hot.snapshot())
            return
        if request.param in ("elasticsearch", "opensearch"):
            search = stack.enter_context(filled(url_on(request), FakeClock(), [(BATCHES, THROUGH)]))
            yield stack.enter_context(search.snapshot())
            return
        folder = tmp_path_factory.mktemp("lake")
        where = new_lake(request.param.rpartition(" ")[2] if " on " in request.param else "local", request, folder)
        lake = stack.enter_context(open_lake(where.open()))
        step = len(BATCHES) if request.param == "one big file" else 5
        for start in range(0, len(BATCHES), step):
            written = RECORDS[start : start + step]
            lake.write(BATCHES[start : start + step], {partition: offset + 1 for partition, offset, _ in written})
        if request.param == "compacted lake":
            assert compact(lake, LakeSettings(), everything=True).files_before > 0
        if " on " in request.param:
            # As another machine sees it, with a cache that has just room for what a stream may need at once.
            elsewhere = where.elsewhere(folder / "elsewhere", cache_bytes_max=info(lake).data_bytes)
            lake = stack.enter_context(open_lake(elsewhere.open()))
        yield stack.enter_context(lake.snapshot())


def matches(node: Node, row: Row) -> bool:
    """What the few kinds of conditions used here mean."""
    match node:
        case All():
            return True
        case And(parts):
            return all(matches(part, row) for part in parts)
        case Or(parts):
            return any(matches(part, row) for part in parts)
        case Not(part):
            return not matches(part, row)
        case Exists(field):
            return value_of(row, field) is not None
        case Phrase("message", text):
            words = row["message"].lower().replace("-", " ").split()
            return text in words
        case Phrase(None, text):
            texts = [row["message"], row.get("service") or "", *row["attributes"].values()]
            return any(text in found.lower().replace("-", " ").split() for found in texts)
        case Phrase(str(field), text):
            return (value_of(row, field) or "").lower() == text.lower()
    raise AssertionError(node)


def value_of(row: Row, field: str) -> str | None:
    value = row.get(field) if field in ("level", "service", "host", "message") else row["attributes"].get(field)
    return None if value is None else str(value)


def selected(selection: Selection) -> list[Row]:
    return [
        row
        for row in ROWS
        if matches(selection.where, row)
        and (selection.start_us is None or row["timestamp"] >= selection.start_us)
        and (selection.end_us is None or row["timestamp"] < selection.end_us)
    ]


def keys(table: pa.Table) -> list[Cursor]:
    return [cursor_of(table.slice(row, 1)) for row in range(table.num_rows)]


LEAVES: list[Node] = [
    All(),
    Phrase("level", "ERROR"),
    Phrase("service", "PAY"),
    Phrase("message", "declined"),
    Phrase(None, "card"),
    Phrase(None, "u1"),
    Phrase(None, "absent"),
    Phrase("user", "u2"),
    Exists("http.status"),
    Exists("level"),
]
NODES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.builds(lambda *parts: And(parts), inner, inner),
        st.builds(lambda *parts: Or(parts), inner, inner),
        st.builds(Not, inner),
    ),
    max_leaves=3,
)
TIMES = st.one_of(
    st.none(),
    st.sampled_from([NOON_US, NOON_US + 1, NOON_US + 5 * SECOND_US, -5 * MINUTE_US]),
    st.integers(-30, 30).map(lambda minute: NOON_US + minute * MINUTE_US),
    st.integers(NOON_US - 30 * MINUTE_US, NOON_US + 30 * MINUTE_US),
)
SELECTIONS = st.builds(Selection, NODES, TIMES, TIMES)
examples = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@examples
@given(selection=SELECTIONS, order=st.sampled_from(["asc", "desc"]), page=st.sampled_from([1, 7, 100, 5000]))
def test_paging_gives_each_selected_row_once_and_in_order(
    snapshot: Snapshot, selection: Selection, order: Order, page: int
) -> None:
    """A cursor goes on right behind the last row, also among rows of the same time."""
    expected = [key_of(row) for row in selected(selection)]
    if order == "desc":
        expected.reverse()
    found: list[Cursor] = []
    after = None
    for _ in range(8):
        rows = snapshot.search(selection, order=order, limit=page, after=after)
        assert rows.schema == STORED_SCHEMA
        found += keys(rows)
        if rows.num_rows < page:
            break
        after = found[-1]
    assert found == expected[: len(found)]
    assert len(found) == min(len(expected), 8 * page)


@examples
@given(selection=SELECTIONS, order=st.sampled_from(["asc", "desc"]))
def test_a_stream_has_every_selected_row_in_order(snapshot: Snapshot, selection: Selection, order: Order) -> None:
    """The same rows as paging gives, without a limit."""
    batches = list(snapshot.stream(selection, order=order))
    assert all(batch.schema == STORED_SCHEMA for batch in batches)
    expected = [key_of(row) for row in selected(selection)]
    found = keys(pa.Table.from_batches(batches, STORED_SCHEMA))
    assert found == (expected if order == "asc" else expected[::-1])


@examples
@given(selection=SELECTIONS)
def test_the_count_is_the_number_of_selected_rows(snapshot: Snapshot, selection: Selection) -> None:
    """Whether it is taken from counts, from an index or from the rows."""
    assert snapshot.count(selection) == len(selected(selection))


@examples
@given(
    selection=SELECTIONS,
    interval_us=st.sampled_from([MINUTE_US, 5 * MINUTE_US, 7 * SECOND_US, 1000]),
    by=st.sampled_from([None, "level", "service", "user", "message"]),
)
def test_a_histogram_counts_each_selected_row_in_its_bucket(
    snapshot: Snapshot, selection: Selection, interval_us: int, by: str | None
) -> None:
    """Buckets begin at multiples of the interval, before 1970 too, and events without the field have one as well."""
    expected = Counter(
        (row["timestamp"] // interval_us * interval_us, None if by is None else value_of(row, by))
        for row in selected(selection)
    )
    buckets = snapshot.histogram(selection, interval_us=interval_us, by=by)
    assert {(bucket.start_us, bucket.value): bucket.count for bucket in buckets} == expected
    assert [bucket.start_us for bucket in buckets] == sorted(bucket.start_us for bucket in buckets)


@examples
@given(selection=SELECTIONS, field=st.sampled_from(["level", "service", "user", "http.status", "message", "absent"]))
def test_values_are_counted_most_frequent_first(snapshot: Snapshot, selection: Selection, field: str) -> None:
    """Every value of the field with its count; the limit cuts the rare ones off."""
    expected = Counter(value for row in selected(selection) if (value := value_of(row, field)) is not None)
    found = snapshot.values(selection, field=field, limit=100)
    assert {figure.value: figure.count for figure in found} == expected
    assert [(-figure.count, figure.value) for figure in found] == sorted(
        (-figure.count, figure.value) for figure in found
    )
    assert snapshot.values(selection, field=field, limit=1) == found[:1]


@examples
@given(selection=SELECTIONS)
def test_fields_are_those_that_selected_rows_have(snapshot: Snapshot, selection: Selection) -> None:
    """Columns that are not null somewhere, and attributes by their dotted names."""
    rows = selected(selection)
    expected = Counter({"timestamp": len(rows), "observed_timestamp": len(rows), "message": len(rows)})
    for field in ("level", "service", "user", "http.status"):
        expected[field] = sum(value_of(row, field) is not None for row in rows)
    found = snapshot.fields(selection)
    assert {figure.name: figure.count for figure in found} == +expected
    assert [figure.count for figure in found] == sorted((figure.count for figure in found), reverse=True)


def test_the_rows_are_the_ones_that_were_put(snapshot: Snapshot) -> None:
    """Every column comes back as it was, attributes included."""
    found = snapshot.search(Selection(), order="asc", limit=10_000, after=None)
    order = [("log_partition", "ascending"), ("log_offset", "ascending"), ("log_row", "ascending")]
    put = pa.Table.from_batches(BATCHES)
    assert found.sort_by(order).to_pylist() == put.sort_by(order).to_pylist()


def test_reached_says_what_is_in_the_view(snapshot: Snapshot) -> None:
    """The next offset of each partition."""
    assert dict(snapshot.reached) == THROUGH


@pytest.mark.parametrize(
    "ask",
    [
        lambda view: view.values(Selection(), field="timestamp", limit=1),
        lambda view: view.histogram(Selection(), interval_us=0, by=None),
        lambda view: view.count(Selection(Phrase("level", "loudest"))),
    ],
    ids=["values of a time", "no interval", "no such level"],
)
def test_what_cannot_be_answered_is_a_query_error(snapshot: Snapshot, ask: Callable[[Snapshot], object]) -> None:
    """The asker is told, and it is nobody else's fault."""
    with pytest.raises(QueryError):
        ask(snapshot)


def test_a_limit_of_nothing_gives_nothing(snapshot: Snapshot) -> None:
    """No row, but the columns."""
    found = snapshot.search(Selection(), order="desc", limit=0, after=None)
    assert found.num_rows == 0
    assert found.schema == STORED_SCHEMA
