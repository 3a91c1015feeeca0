"""What an executor does with its share, without Spark around it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tailrace.config import Settings, WorkerSettings
from tailrace.jobs.places import lake_place
from tailrace.jobs.storing import Plan, Report, store_share
from tailrace.model.batch import ARROW_STREAM, batch_of_rows, encode_batch
from tailrace.model.claim import DOCUMENTS, ROW_CLAIMS
from tailrace.store.lake.files import read_groups
from tests.jobs.test_messages import Row, rows_of

DAY_US = 86_400_000_000


def record(offset: int, *observed_us: int, **headers: str) -> Row:
    """An Arrow batch with an event for each time of arrival."""
    rows = [{"timestamp": 1, "observed_timestamp": at_us, "message": f"{offset}"} for at_us in observed_us]
    named = {"content-type": ARROW_STREAM, "rows": str(len(rows)), **headers}
    return 0, offset, encode_batch(batch_of_rows(rows)), [(name, text.encode()) for name, text in named.items()]


def documents(offset: int, *ids: str | None) -> Row:
    """An event for each id, as a bulk request brings them."""
    rows = [
        {"timestamp": 1, "observed_timestamp": 1, "message": "", "attributes": {} if id is None else {"_id": id}}
        for id in ids
    ]
    named = {"content-type": ARROW_STREAM, "rows": str(len(rows)), ROW_CLAIMS: DOCUMENTS}
    return 0, offset, encode_batch(batch_of_rows(rows)), [(name, text.encode()) for name, text in named.items()]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    with lake_place(f"file://{tmp_path}", Settings()) as place:
        place.prepare()
    return Plan(Settings(data=tmp_path), f"file://{tmp_path}", reached={}, now_us=5)


def run(plan: Plan, *batches: list[Row]) -> Report:
    report = Report()
    for answer in store_share(plan, map(rows_of, batches)):
        for part in answer["report"].to_pylist():
            report.add(part)
    return report


def stored(plan: Plan, report: Report) -> list[tuple[int, int]]:
    """Offset and row of each event in the files, in order."""
    with lake_place(plan.lake_url, plan.settings) as place:
        groups = [group for file in report.files for group in read_groups(place.local(file.path))]
    return sorted((row["log_offset"], row["log_row"]) for group in groups for row in group.to_pylist())


def test_files_are_of_one_day_of_arrival(plan: Plan) -> None:
    """And say so, with their bounds and rows."""
    report = run(plan, [record(0, 1, DAY_US + 2, 3), record(1, DAY_US)])
    found = {file.date: (file.rows, file.first_observed_us, file.last_observed_us) for file in report.files}
    assert found == {"1970-01-01": (2, 1, 3), "1970-01-02": (2, DAY_US, DAY_US + 2)}
    assert stored(plan, report) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert report.through == {0: 2}


def test_what_the_lake_has_reached_is_left_out(plan: Plan) -> None:
    """And a message without a value counts as read, also when it is the last."""
    later = Plan(plan.settings, plan.lake_url, {0: 1}, 5)
    report = run(later, [record(0, 1), record(1, 1), (0, 2, None, None), (1, 7, None, None)])
    assert stored(plan, report) == [(1, 0)]
    assert report.through == {0: 3, 1: 8}


def test_claims_are_left_for_a_second_pass(plan: Plan) -> None:
    """Which stores what has a claim, but for what it is refused, and nothing else again."""
    rows = [record(0, 1), record(1, 1, claim="key/1/a"), record(2, 1, claim="key/1/a"), record(3, 1, claim="key/1/b")]
    first = run(plan, rows)
    assert first.claims == [("key/1/a", 0, 1), ("key/1/a", 0, 2), ("key/1/b", 0, 3)]
    assert stored(plan, first) == [(0, 0)]
    assert first.through == {0: 4}
    second = run(Plan(plan.settings, plan.lake_url, {}, 5, refused={("key/1/a", 0, 2)}), rows)
    assert stored(plan, second) == [(1, 0), (3, 0)]


def test_rows_with_claims_of_their_own_are_left_for_a_second_pass(plan: Plan) -> None:
    """Documents with an id: of the record that repeats one only the other rows are stored."""
    rows = [documents(0, "a", "b"), documents(1, "b", None, "c", "c"), record(2, 1)]
    first = run(plan, rows)
    assert stored(plan, first) == [(2, 0)]
    assert [offset for _, _, offset in first.claims] == [0, 0, 1, 1, 1]
    refused = {claim for claim in first.claims if claim[2] == 1 and claim[0] == first.claims[1][0]}
    second = run(Plan(plan.settings, plan.lake_url, {}, 5, refused=refused), rows)
    assert stored(plan, second) == [(0, 0), (0, 1), (1, 1), (1, 2)]


def test_what_was_routed_elsewhere_is_not_for_the_lake(plan: Plan) -> None:
    """A record names the stores that it is for."""
    rows = [record(0, 1, stores="elasticsearch,jsonl"), record(1, 1, stores="jsonl,lake")]
    assert stored(plan, run(plan, rows)) == [(1, 0)]


def test_an_event_for_another_store_is_not_for_the_lake(plan: Plan) -> None:
    """One for the lake alone is."""
    rows = [record(0, 1, **{"only-store": "elasticsearch"}), record(1, 1, **{"only-store": "lake"})]
    assert stored(plan, run(plan, rows)) == [(1, 0)]


def test_what_other_programs_write_goes_through_the_pipeline(plan: Plan, tmp_path: Path) -> None:
    """As in a worker: redacted, dropped or routed elsewhere; what a gateway has appended has been through it."""
    (tmp_path / "pipeline.toml").write_text(
        "[[step]]\nkind = 'redact'\ndetect = ['card']\n"
        "[[step]]\nkind = 'route'\nwhere = 'audit'\nstores = ['jsonl']\n"
        "[[step]]\nkind = 'drop_events'\nwhere = 'noise'\n"
    )
    settings = plan.settings.model_copy(update={"pipeline": tmp_path / "pipeline.toml"})
    ours = batch_of_rows([{"timestamp": 1, "observed_timestamp": 1, "message": "noise of ours"}])
    texts = ["4111111111111111", "audit", "noise", "kept"]
    documents: list[Row] = [(0, n, f'{{"message": "{text}"}}'.encode(), None) for n, text in enumerate(texts)]
    appended: Row = (0, 9, encode_batch(ours), [("content-type", ARROW_STREAM.encode()), ("rows", b"1")])
    report = run(Plan(settings, plan.lake_url, {}, 5), [*documents, appended])
    with lake_place(plan.lake_url, plan.settings) as place:
        tables = [group for file in report.files for group in read_groups(place.local(file.path))]
    found = {row["log_offset"]: row["message"] for table in tables for row in table.to_pylist()}
    assert found == {0: "[card]", 3: "kept", 9: "noise of ours"}


def test_memory_is_bounded_by_files(plan: Plan) -> None:
    """Past the worker's bound of what is not stored a file is written."""
    small = WorkerSettings(unstored_bytes_max=1)
    bounded = Plan(plan.settings.model_copy(update={"worker": small}), plan.lake_url, {}, 5)
    report = run(bounded, [record(0, 1), record(1, 1)], [record(2, 1)])
    assert [file.rows for file in report.files] == [1, 1, 1]
    assert run(plan).files == []


def test_a_report_survives_its_way_to_the_driver(plan: Plan) -> None:
    """Several tasks' reports add up, and each partition's progress is the furthest."""
    report = run(plan, [record(0, 1, claim="key/1/ä"), record(1, 1)])
    twice = Report()
    for part in [*report.parts(), *report.parts()]:
        twice.add(part)
    assert twice.files == report.files * 2
    assert twice.claims == [("key/1/ä", 0, 0)] * 2
    assert twice.through == report.through
    assert pa.array(report.parts()).type == pa.string()
