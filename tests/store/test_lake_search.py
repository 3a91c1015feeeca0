"""How little the lake reads, and that it is never too little: files of several row groups whose times overlap."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import QuerySettings
from tailrace.errors import RetryLater
from tailrace.model.batch import STORED_SCHEMA, TIMESTAMP, batch_of_rows, with_identity
from tailrace.query.tree import And, Node, Not, Phrase
from tailrace.store.duck import Duck, cursor_of
from tailrace.store.lake.files import ROW_GROUP_ROWS, DataFile
from tailrace.store.lake.lake import Lake
from tailrace.store.lake.parts import Footer, Part
from tailrace.store.lake.scan import windows
from tailrace.store.port import Order, Selection, Snapshot
from tests.store.lake_rig import NOON_US, SECOND_US, event, folder, open_lake

# The large lakes are made once, by one process.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lake_search")]

GROUPS = 3
MINUTE_US = 60 * SECOND_US

Filled = tuple[Lake, pa.Table]
Ask = Callable[[Snapshot], object]


def big_record(offset: int, spread_us: int) -> pa.RecordBatch:
    """GROUPS row groups, a millisecond between rows on the whole, but each up to `spread_us` off its place.

    The word `rare<offset>` is in one row of the second group; one row in a hundred is an ERROR.
    """
    rows = GROUPS * ROW_GROUP_ROWS
    chance = np.random.default_rng(offset)
    template = batch_of_rows([event("nothing special", level="INFO", service="pay")] * rows)
    times = NOON_US + (offset * rows + np.arange(rows)) * 1000 + chance.integers(-spread_us, spread_us + 1, rows)
    messages = np.full(rows, "nothing special", object)
    messages[ROW_GROUP_ROWS + 7] = f"here is rare{offset} at last"
    levels = np.where(chance.random(rows) < 0.01, "ERROR", "INFO")
    columns = dict(zip(template.schema.names, template.columns, strict=True))
    columns |= {
        "timestamp": pa.array(times).cast(TIMESTAMP),
        "message": pa.array(messages),
        "level": pa.array(levels),
    }
    return with_identity(pa.RecordBatch.from_pydict(columns, schema=template.schema), 0, offset)


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of three files whose times do not overlap."""
    folder = tmp_path_factory.mktemp("in order")
    with open_lake(folder / "lake") as lake:
        for offset in range(3):
            lake.write([big_record(offset, 0)], {0: offset + 1})
    return folder


@pytest.fixture(scope="module", params=[0, 40 * SECOND_US], ids=["in order", "out of order"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A lake of three files, and the same rows sorted."""
    batches = [big_record(offset, request.param) for offset in range(3)]
    with open_lake(tmp_path_factory.mktemp("lake") / "lake") as lake:
        for offset, batch in enumerate(batches):
            lake.write([batch], {0: offset + 1})
        keys = [(key, "ascending") for key in ("timestamp", "log_partition", "log_offset", "log_row")]
        yield lake, pa.Table.from_batches(batches).sort_by(keys)


CONDITIONS: dict[str, tuple[Node, pc.Expression]] = {
    "errors": (Phrase("level", "ERROR"), pc.field("level") == "ERROR"),
    "a rare word": (Phrase(None, "rare1"), pc.match_substring(pc.field("message"), "rare1")),
    "not a rare word": (Not(Phrase(None, "rare1")), ~pc.match_substring(pc.field("message"), "rare1")),
    "two words": (And((Phrase(None, "special"), Phrase(None, "pay"))), pc.field("message") == "nothing special"),
}


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 100, 5000])
@pytest.mark.parametrize("name", CONDITIONS)
def test_the_first_rows_are_the_first_of_all(filled: Filled, name: str, limit: int, order: Order) -> None:
    """However files and row groups overlap; and the next page goes on where the first ended."""
    lake, rows = filled
    node, expression = CONDITIONS[name]
    expected = rows.filter(expression)
    if order == "desc":
        expected = expected.take(pa.array(np.arange(expected.num_rows)[::-1]))
    with lake.snapshot() as snapshot:
        first = snapshot.search(Selection(node), order=order, limit=limit, after=None)
        assert first.equals(expected.slice(0, limit))
        second = snapshot.search(Selection(node), order=order, limit=limit, after=cursor_of(first))
        assert second.equals(expected.slice(limit, limit))


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize(
    ("start_us", "end_us"),
    [(None, None), (NOON_US + 1, NOON_US + 100 * SECOND_US), (NOON_US + MINUTE_US, NOON_US + 4 * MINUTE_US)],
)
def test_counts_without_reading_are_the_counts_of_reading(
    filled: Filled, name: str, start_us: int | None, end_us: int | None
) -> None:
    """By the index, by the counts of minutes, and by rows where the time cuts through a row group."""
    lake, rows = filled
    node, expression = CONDITIONS[name]
    expected = rows.filter(expression)
    times = expected["timestamp"].cast(pa.int64()).to_numpy()
    inside = (times >= (start_us or 0)) & (times < (end_us or 1 << 62))
    selection = Selection(node, start_us, end_us)
    with lake.snapshot() as snapshot:
        assert snapshot.count(selection) == inside.sum()
        buckets = snapshot.histogram(selection, interval_us=MINUTE_US, by="level")
        assert sum(bucket.count for bucket in buckets) == inside.sum()
        assert {bucket.start_us for bucket in buckets} == set((times[inside] // MINUTE_US * MINUTE_US).tolist())
        services = snapshot.values(selection, field="service", limit=9)
        assert sum(figure.count for figure in services) == inside.sum()


def test_a_time_may_cut_at_the_very_end_of_a_row_group(filled: Filled) -> None:
    """The first and the last row of each group are found by their own microsecond."""
    lake, rows = filled
    times = rows["timestamp"].cast(pa.int64()).to_numpy()
    offsets = rows["log_offset"].to_numpy()
    groups = rows["log_row"].to_numpy() // ROW_GROUP_ROWS
    with lake.snapshot() as snapshot:
        for offset in range(3):
            of_group = times[(offsets == offset) & (groups == 1)]
            for edge_us in (int(of_group.min()), int(of_group.max())):
                selection = Selection(Not(Phrase("host", "x")), edge_us, edge_us + 1)
                assert snapshot.count(selection) == (times == edge_us).sum()
                found = snapshot.search(selection, order="asc", limit=10, after=None)
                assert found.num_rows == (times == edge_us).sum()


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_stream_of_many_windows_is_in_order(filled: Filled, order: Order) -> None:
    """Every row once, windows or not."""
    lake, rows = filled
    with lake.snapshot() as snapshot:
        found = pa.Table.from_batches(list(snapshot.stream(Selection(), order=order)), STORED_SCHEMA)
    expected = rows if order == "asc" else rows.take(pa.array(np.arange(rows.num_rows)[::-1]))
    assert found.combine_chunks().equals(expected.combine_chunks())


def garble_groups(lake: Lake, spare: set[tuple[int, int]]) -> None:
    """Make every row group unreadable but those named by file and number."""
    files = sorted(lake.table.state().files.values(), key=lambda file: file.first_us)
    for place, file in enumerate(files):
        path = folder(lake) / file.path
        metadata = pq.read_metadata(path)
        content = bytearray(path.read_bytes())
        for group in range(metadata.num_row_groups):
            if (place, group) not in spare:
                for column in range(metadata.num_columns):
                    start = metadata.row_group(group).column(column).data_page_offset
                    content[start : start + 30] = bytes(30)
        path.write_bytes(content)


def latest(snapshot: Snapshot) -> object:
    return snapshot.search(Selection(Phrase("level", "ERROR")), order="desc", limit=100, after=None).num_rows


def earliest(snapshot: Snapshot) -> object:
    return snapshot.search(Selection(), order="asc", limit=100, after=None).num_rows


def rare(snapshot: Snapshot) -> object:
    return snapshot.search(Selection(Phrase(None, "rare1")), order="desc", limit=100, after=None).num_rows


def two_words(snapshot: Snapshot) -> object:
    return snapshot.count(Selection(And((Phrase(None, "nothing"), Phrase(None, "special")))))


def minutes(snapshot: Snapshot) -> object:
    return sum(bucket.count for bucket in snapshot.histogram(Selection(), interval_us=MINUTE_US, by="level"))


def one_second(snapshot: Snapshot) -> object:
    start_us = NOON_US + (GROUPS + 1) * ROW_GROUP_ROWS * 1000 + SECOND_US
    return snapshot.count(Selection(Not(Phrase("host", "x")), start_us, start_us + SECOND_US))


@pytest.mark.parametrize(
    ("ask", "answer", "needed"),
    [
        (latest, 100, {(2, GROUPS - 1)}),
        (earliest, 100, {(0, 0)}),
        (rare, 1, {(1, 1)}),
        (two_words, 3 * GROUPS * ROW_GROUP_ROWS - 3, set()),
        (minutes, 3 * GROUPS * ROW_GROUP_ROWS, set()),
        (one_second, 1000, {(1, 1)}),
    ],
    ids=["latest errors", "earliest", "a rare word", "two words", "minutes", "one second"],
)
def test_what_is_not_needed_is_not_read(
    tmp_path: Path, in_order: Path, ask: Ask, answer: int, needed: set[tuple[int, int]]
) -> None:
    """All other row groups are made unreadable, and nobody notices."""
    shutil.copytree(in_order / "lake", tmp_path / "lake")
    with open_lake(tmp_path / "lake") as lake:
        garble_groups(lake, needed)
        with lake.snapshot() as snapshot:
            assert ask(snapshot) == answer
        assert lake.metrics.registry.get_sample_value("tailrace_lake_damaged_files") == 0


def part_of(bounds: list[tuple[int, int, int]]) -> Part:
    """Row groups from (first time, length of time, rows)."""
    first, length, rows = (np.array(column, np.int64) for column in zip(*bounds, strict=True))
    footer = Footer(np.cumsum(rows) - rows, rows, first, first + length)
    return Part(DataFile("", "", 0, int(rows.sum()), 0, 0, 0, 0), footer, np.arange(len(rows)))


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 300), st.integers(1, 400_000)), min_size=1))
def test_windows_cover_all_times_once(bounds: list[tuple[int, int, int]]) -> None:
    """They follow each other without a gap, and no plan reads more than a few times all rows."""
    found = windows([part_of(bounds)])
    assert found[0][0] == min(first for first, _, _ in bounds)
    assert found[-1][1] == max(first + length for first, length, _ in bounds) + 1
    assert all(end == start for (_, end), (start, _) in pairwise(found))
    assert all(start < end for start, end in found)


def test_a_query_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """With an error that names the setting; the engine is well afterwards."""
    engine = Duck(QuerySettings(time_max_s=0.2), temp_directory=tmp_path)
    with pytest.raises(RetryLater, match=r"query\.time_max_s"):
        engine.table("SELECT count(*) FROM range(1000000000000)")
    with pytest.raises(RetryLater, match=r"query\.time_max_s"):
        list(engine.batches("SELECT count(*) FROM range(1000000000000)"))
    assert engine.table("SELECT 1 AS one")["one"].to_pylist() == [1]
    engine.close()
